//! The product on a stream: what the shipped defaults say of its units, its flows, and what they would tell a person.

use crate::flows::{Flow, Stream};
use anyhow::Context as _;
use std::collections::HashMap;
use std::time::Instant;
use tradewind_detect::{EdgeScore, Engine, FlowEvent, Settings, Statistics, UnitScore};
use tradewind_model::Finding;

/// What the product made of a stream.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Units by window and name.
    pub(crate) units: Vec<UnitScore>,
    /// Every finding that was raised, in that order.
    pub(crate) findings: Vec<Finding>,
}

fn event<'a>(stream: &'a Stream, flow: &Flow) -> FlowEvent<'a> {
    FlowEvent {
        time: flow.time,
        src_entity: stream.names.text(flow.source),
        src_kind: "service",
        dst_entity: stream.names.text(flow.destination),
        dst_kind: "service",
        dst_port: flow.port.map(i32::from),
        protocol_num: flow.protocol,
        outcome: flow.outcome,
        is_src_dst_assignment_known: true,
        opens: None,
        flow_count: 1,
        bytes_out: flow.bytes_out,
        bytes_in: flow.bytes_in,
        declared_verdict: None,
        declared_rule: None,
    }
}

fn engine() -> anyhow::Result<Engine> {
    Engine::new(Settings::default()).context("the shipped defaults are wrong")
}

/// Length of a window, microseconds.
pub(crate) fn window() -> i64 {
    Settings::default().window_s * tradewind_model::time::SECOND
}

/// Scores of all units, and findings after training. The window in which training ends is judged.
pub(crate) fn run(stream: &Stream, train_until: i64) -> anyhow::Result<Outcome> {
    let mut engine = engine()?;
    let window = window();
    engine.keep_scores();
    engine.train_until(train_until.div_euclid(window).saturating_mul(window));
    let mut findings: Vec<Finding> =
        stream.flows.iter().flat_map(|flow| engine.observe(&event(stream, flow))).collect();
    findings.extend(engine.finish());
    Ok(Outcome { units: engine.take_scores(), findings })
}

/// How fast flows go through, flows a second, and what was met.
pub(crate) fn speed(stream: &Stream) -> anyhow::Result<(f64, Statistics)> {
    let mut engine = engine()?;
    let started = Instant::now();
    for flow in &stream.flows {
        engine.observe(&event(stream, flow));
    }
    engine.finish();
    let seconds = started.elapsed().as_secs_f64();
    Ok((stream.flows.len() as f64 / seconds.max(1e-9), engine.statistics()))
}

/// A score per flow: that of its edge in its window.
pub(crate) fn flow_scores(stream: &Stream) -> anyhow::Result<Vec<f64>> {
    let mut engine = engine()?;
    engine.keep_edge_scores();
    for flow in &stream.flows {
        engine.observe(&event(stream, flow));
    }
    engine.finish();
    let number = |name: &str| stream.names.find(name).unwrap_or(u32::MAX);
    let key = |score: &EdgeScore| (score.window_start, number(&score.source), number(&score.destination), score.port);
    let by_edge: HashMap<_, f64> =
        engine.take_edge_scores().iter().map(|score| (key(score), score.risk_score)).collect();
    let window = window();
    let score = |flow: &Flow| {
        let start = flow.time.div_euclid(window) * window;
        by_edge.get(&(start, flow.source, flow.destination, flow.port)).copied().unwrap_or(0.0)
    };
    Ok(stream.flows.iter().map(score).collect())
}

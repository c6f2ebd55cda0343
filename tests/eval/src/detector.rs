//! The product on a stream: what the shipped defaults say of its units, its flows, and what they would tell a person.

use crate::flows::{Flow, Stream};
use anyhow::Context as _;
use std::collections::HashMap;
use std::time::Instant;
use tradewind_detect::combine::cauchy;
use tradewind_detect::{Conversation, EdgeScore, Engine, FlowEvent, Settings, Statistics, UnitScore, UnusualSize};
use tradewind_model::Finding;

/// Signals that an edge can have, its ends' included.
const EDGE_SIGNALS: usize = 10;
/// Logarithms of sizes that differ by less are the same size.
const SIZE_STEP: f64 = 1e-4;

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
        conversation: Conversation::default(),
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

/// Scores of edges, and of destinations as units.
#[derive(Debug)]
pub(crate) struct EdgeOutcome {
    pub(crate) edges: Vec<EdgeScore>,
    pub(crate) destinations: Vec<UnitScore>,
}

/// Scores of all edges by window, and of what reached each destination.
pub(crate) fn edges(stream: &Stream) -> anyhow::Result<EdgeOutcome> {
    let mut engine = engine()?;
    engine.keep_edge_scores();
    for flow in &stream.flows {
        engine.observe(&event(stream, flow));
    }
    engine.finish();
    Ok(EdgeOutcome { edges: engine.take_edge_scores(), destinations: engine.take_destination_scores() })
}

/// A score per flow: that of its edge in its window. A size that is unusual counts for the flow that has it, not for others.
pub(crate) fn flow_scores(stream: &Stream, outcome: &EdgeOutcome) -> Vec<f64> {
    let number = |name: &str| stream.names.find(name).unwrap_or(u32::MAX);
    let key = |score: &EdgeScore| (score.window_start, number(&score.source), number(&score.destination), score.port);
    let strength = |score: &EdgeScore, has_size: bool| {
        let p_values = score.signals.iter().filter(|(name, _)| has_size || *name != "transfer").map(|&(_, p)| p);
        -cauchy(p_values, EDGE_SIGNALS).log10()
    };
    let by_edge: HashMap<_, (f64, f64, Option<UnusualSize>)> = outcome
        .edges
        .iter()
        .map(|score| (key(score), (strength(score, true), strength(score, false), score.size)))
        .collect();
    let window = window();
    let score = |flow: &Flow| {
        let start = flow.time.div_euclid(window) * window;
        let Some((all, without, size)) = by_edge.get(&(start, flow.source, flow.destination, flow.port)) else {
            return 0.0;
        };
        let has_size = size.is_some_and(|size| {
            let bytes = if size.is_out { flow.bytes_out } else { flow.bytes_in };
            bytes.is_some_and(|bytes| ((bytes as f64).ln_1p() - size.bytes.ln_1p()).abs() < SIZE_STEP)
        });
        if has_size { *all } else { *without }
    };
    stream.flows.iter().map(score).collect()
}

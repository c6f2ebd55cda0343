//! What a flow costs: a made-up network in which every edge is active in every window, so that both the flows and the
//! closes of windows count.

use crate::changed;
use anyhow::Context as _;
use serde_json::json;
use std::time::Instant;
use tradewind_detect::{Conversation, Engine, FlowEvent, Settings};
use tradewind_model::Outcome;
use tradewind_model::time::SECOND;

/// Destinations that one source calls.
const EDGES_PER_SOURCE: u32 = 20;
/// First contacts that are timed.
const FIRST_CONTACTS: usize = 5000;

pub(crate) fn run(
    edges: u32,
    flows_per_edge: u32,
    windows: u32,
    changes: &[String],
    as_json: bool,
) -> anyhow::Result<()> {
    let mut engine = Engine::new(changed::settings(changes)?).context("the shipped defaults are wrong")?;
    let sources = edges.div_ceil(EDGES_PER_SOURCE);
    let names: Vec<String> =
        (0..sources).map(|source| format!("prod/shop-{}/service/s{source}", source % 50)).collect();
    let length = Settings::default().window_s * SECOND;
    let mut nanoseconds = Vec::new();
    for window in 0..windows {
        let started = Instant::now();
        for round in 0..flows_per_edge {
            let time = i64::from(window) * length + i64::from(round) * length / i64::from(flows_per_edge);
            for place in 0..edges {
                let (source, step) = (place / EDGES_PER_SOURCE, place % EDGES_PER_SOURCE);
                let mixed = u64::from(place).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(window * 31 + round);
                let mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
                let bytes = 500 + i64::try_from(mixed % 4000).unwrap_or_default();
                engine.observe(&FlowEvent {
                    time,
                    src_entity: &names[source as usize],
                    src_kind: "service",
                    dst_entity: &names[(source + step * step + 1) as usize % names.len()],
                    dst_kind: "service",
                    dst_port: Some(443),
                    protocol_num: Some(6),
                    outcome: if mixed % 500 == 7 { Outcome::Failed } else { Outcome::Allowed },
                    is_src_dst_assignment_known: true,
                    opens: None,
                    flow_count: 1,
                    bytes_out: Some(bytes),
                    bytes_in: Some(bytes * 3),
                    declared_verdict: None,
                    declared_rule: None,
                    conversation: Conversation::default(),
                });
            }
        }
        nanoseconds.push(started.elapsed().as_nanos() as f64 / f64::from(edges) / f64::from(flows_per_edge));
    }
    let at_once = first_contacts(&mut engine, &names, i64::from(windows) * length - SECOND);
    let bytes = postcard::to_allocvec(&engine).context("the state cannot be written")?.len();
    engine.finish();
    // A window's time holds the close of the one before; the first three are the network's birth.
    let settled = &nanoseconds[nanoseconds.len().min(3).min(nanoseconds.len() - 1)..];
    let nanoseconds_per_flow = settled.iter().sum::<f64>() / settled.len() as f64;
    let statistics = engine.statistics();
    if as_json {
        println!(
            "{}",
            json!({
                "ns_per_flow": nanoseconds_per_flow.round(),
                "flows_per_s": (1e9 / nanoseconds_per_flow).round(),
                "edges": statistics.edges,
                "entities": statistics.entities,
                "state_bytes_per_edge": (bytes as f64 / statistics.edges as f64).round(),
                "first_contact_p50_us": at_once.p50_us,
                "first_contact_p99_us": at_once.p99_us,
                "first_contact_max_us": at_once.max_us,
                "told_at_once": at_once.told,
            })
        );
    } else {
        println!(
            "{nanoseconds_per_flow:.0} ns a flow, {:.0} flows/s on one core; {} edges, {} entities, {:.0} bytes of state an edge as stored; \
             a first contact from flow to verdict: p50 {:.0} us, p99 {:.0} us, max {:.0} us ({} told)",
            1e9 / nanoseconds_per_flow,
            statistics.edges,
            statistics.entities,
            bytes as f64 / statistics.edges as f64,
            at_once.p50_us,
            at_once.p99_us,
            at_once.max_us,
            at_once.told,
        );
    }
    Ok(())
}

/// How long flows take that cannot wait for the window's close.
struct AtOnce {
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    /// Findings told by them.
    told: usize,
}

/// First contacts of known services with new ones, each timed from the flow to the verdict.
fn first_contacts(engine: &mut Engine, names: &[String], time: i64) -> AtOnce {
    let mut told = 0;
    let mut microseconds: Vec<f64> = (0..FIRST_CONTACTS)
        .map(|number| {
            let destination = format!("prod/new/service/n{}", number % 997);
            let event = FlowEvent {
                time,
                src_entity: &names[number * 31 % names.len()],
                src_kind: "service",
                dst_entity: &destination,
                dst_kind: "service",
                dst_port: Some(5432),
                protocol_num: Some(6),
                outcome: Outcome::Allowed,
                is_src_dst_assignment_known: true,
                opens: None,
                flow_count: 1,
                bytes_out: Some(900),
                bytes_in: Some(4000),
                declared_verdict: None,
                declared_rule: None,
                conversation: Conversation::default(),
            };
            let started = Instant::now();
            told += engine.observe(&event).len();
            started.elapsed().as_nanos() as f64 / 1000.0
        })
        .collect();
    microseconds.sort_by(f64::total_cmp);
    let at = |per_cent: usize| microseconds[(FIRST_CONTACTS - 1) * per_cent / 100];
    AtOnce { p50_us: at(50), p99_us: at(99), max_us: at(100), told }
}

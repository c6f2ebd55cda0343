//! Simple peers: rarity, an allow-list, a threshold random walk. Each gives a score per flow, from what came before it.

use crate::flows::{Flow, Stream};
use std::collections::{HashMap, HashSet};
use tradewind_model::Outcome;

type Edge = (u32, u32, Option<u16>);

fn edge(flow: &Flow) -> Edge {
    (flow.source, flow.destination, flow.port)
}

/// 1/n at the n-th flow of (source, destination, port).
pub(crate) fn rarity(stream: &Stream) -> Vec<f64> {
    let mut counts: HashMap<Edge, u64> = HashMap::new();
    let mut score = |flow: &Flow| {
        let count = counts.entry(edge(flow)).or_default();
        *count += 1;
        1.0 / *count as f64
    };
    stream.flows.iter().map(&mut score).collect()
}

/// 1 for what training did not have, else 0. Without training: 1 for what was not seen before.
pub(crate) fn allow_list(stream: &Stream, train_until: Option<i64>) -> Vec<f64> {
    let mut known: HashSet<Edge> = HashSet::new();
    let mut score = |flow: &Flow| match train_until {
        Some(until) if flow.time >= until => f64::from(u8::from(!known.contains(&edge(flow)))),
        _ => f64::from(u8::from(known.insert(edge(flow)))),
    };
    stream.flows.iter().map(&mut score).collect()
}

/// Threshold random walk over first contacts (Jung and others, IEEE S&P 2004), success 0.8 against 0.2.
pub(crate) fn random_walk(stream: &Stream) -> Vec<f64> {
    let mut known: HashSet<(u32, u32)> = HashSet::new();
    let mut walks: HashMap<u32, f64> = HashMap::new();
    let mut score = |flow: &Flow| {
        let walk = walks.entry(flow.source).or_default();
        if known.insert((flow.source, flow.destination)) {
            let is_answered = matches!(flow.outcome, Outcome::Allowed | Outcome::Unknown);
            let ratio: f64 = if is_answered { 0.25 } else { 4.0 };
            *walk = (*walk + ratio.ln()).max(0.0);
        }
        *walk
    };
    stream.flows.iter().map(&mut score).collect()
}

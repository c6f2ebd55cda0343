//! Rules of one idea each: rarity, an allow-list, a threshold random walk, sizes, a moving average of counts. A score per flow, from what came before it.

use crate::flows::{Flow, Stream};
use std::collections::{HashMap, HashSet};
use tradewind_model::Outcome;
use tradewind_model::time::MINUTE;

type Edge = (u32, u32, Option<u16>);

fn edge(flow: &Flow) -> Edge {
    (flow.source, flow.destination, flow.port)
}

/// 1/n at the n-th flow of (source, destination, port).
pub(super) fn rarity(stream: &Stream) -> Vec<f64> {
    let mut counts: HashMap<Edge, u64> = HashMap::new();
    let mut score = |flow: &Flow| {
        let count = counts.entry(edge(flow)).or_default();
        *count += 1;
        1.0 / *count as f64
    };
    stream.flows.iter().map(&mut score).collect()
}

/// 1 for what training did not have, else 0. Without training: 1 for what was not seen before.
pub(super) fn allow_list(stream: &Stream, train_until: Option<i64>) -> Vec<f64> {
    let mut known: HashSet<Edge> = HashSet::new();
    let mut score = |flow: &Flow| match train_until {
        Some(until) if flow.time >= until => f64::from(u8::from(!known.contains(&edge(flow)))),
        _ => f64::from(u8::from(known.insert(edge(flow)))),
    };
    stream.flows.iter().map(&mut score).collect()
}

/// Threshold random walk over first contacts (Jung and others, IEEE S&P 2004), success 0.8 against 0.2.
pub(super) fn random_walk(stream: &Stream) -> Vec<f64> {
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

/// How many standard deviations a flow's ln(1 + bytes) lies from the mean of its edge so far, the larger of both directions.
pub(super) fn sizes(stream: &Stream) -> Vec<f64> {
    #[derive(Default)]
    struct Moments {
        count: f64,
        mean: f64,
        squares: f64,
    }
    let mut edges: HashMap<(Edge, bool), Moments> = HashMap::new();
    let mut deviation = |flow: &Flow, is_out: bool, bytes: Option<i64>| {
        let Some(bytes) = bytes else { return 0.0 };
        let (size, known) = ((bytes as f64).ln_1p(), edges.entry((edge(flow), is_out)).or_default());
        let difference = size - known.mean;
        let variance = (known.squares / known.count.max(1.0)).max(1e-4);
        let score = if known.count < 5.0 { 0.0 } else { difference.abs() / variance.sqrt() };
        known.count += 1.0;
        known.mean += difference / known.count;
        known.squares += difference * (size - known.mean);
        score
    };
    let mut score = |flow: &Flow| deviation(flow, true, flow.bytes_out).max(deviation(flow, false, flow.bytes_in));
    stream.flows.iter().map(&mut score).collect()
}

/// How many standard deviations an edge's flows of the minute so far lie above their exponentially weighted mean and variance,
/// weight 0.5 for the newest minute, as rate detectors of network policy engines do.
pub(super) fn moving_average(stream: &Stream) -> Vec<f64> {
    #[derive(Default)]
    struct Average {
        minute: i64,
        count: f64,
        mean: f64,
        variance: f64,
    }
    const NEWEST: f64 = 0.5;
    let mut edges: HashMap<Edge, Average> = HashMap::new();
    let mut score = |flow: &Flow| {
        let minute = flow.time.div_euclid(MINUTE);
        let known = edges.entry(edge(flow)).or_insert_with(|| Average { minute, ..Average::default() });
        if known.minute != minute {
            let difference = known.count - known.mean;
            known.mean += NEWEST * difference;
            known.variance = (1.0 - NEWEST) * (known.variance + NEWEST * difference * difference);
            (known.minute, known.count) = (minute, 0.0);
        }
        known.count += 1.0;
        (known.count - known.mean) / known.variance.max(1.0).sqrt()
    };
    stream.flows.iter().map(&mut score).collect()
}

//! Recall of attacks by units of (inside host, hour), so many a day: of a long stream of edges a person looks at hosts, not
//! at flows. Knows no detector.

use crate::flows::Stream;
use crate::units::rounded;
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use tradewind_detect::UnitScore;
use tradewind_model::time::{HOUR, SECOND};

/// Flagged units a day.
const BUDGETS: [usize; 3] = [3, 10, 30];
/// Days of the stream that only teach.
const TRAINING_DAYS: i64 = 12;
const DAY: i64 = 24 * HOUR;

/// Day, host, hour.
type Unit = (i64, u32, i64);

/// Days and hours count from the clock's midnight, not from the first flow.
fn clock(stream: &Stream, time: i64) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // Saturates.
    let offset = (stream.origin * SECOND as f64) as i64;
    time.saturating_add(offset)
}

/// Units by the strongest flow that they see.
pub(crate) fn by_flows(stream: &Stream, scores: &[f64]) -> HashMap<Unit, f64> {
    let mut units: HashMap<Unit, f64> = HashMap::new();
    for (flow, &score) in stream.flows.iter().zip(scores) {
        let time = clock(stream, flow.time);
        for (host, _) in [(flow.source, flow.inside.0), (flow.destination, flow.inside.1)].iter().filter(|end| end.1) {
            let unit = units.entry((time.div_euclid(DAY), *host, time.div_euclid(HOUR))).or_insert(f64::NEG_INFINITY);
            *unit = unit.max(score);
        }
    }
    units
}

/// Units by the strongest window of what reached them.
pub(crate) fn by_destinations(stream: &Stream, scores: &[UnitScore]) -> HashMap<Unit, f64> {
    let mut units: HashMap<Unit, f64> = HashMap::new();
    for score in scores {
        let Some(host) = stream.names.find(&score.entity) else { continue };
        let time = clock(stream, score.window_start);
        let unit = units.entry((time.div_euclid(DAY), host, time.div_euclid(HOUR))).or_default();
        *unit = unit.max(score.risk_score);
    }
    units
}

/// Share of the pairs (attack, day) after training that inside hosts see, found by so many units a day. A unit without a
/// score comes last.
pub(crate) fn recall_of_attacks(stream: &Stream, scores: &HashMap<Unit, f64>) -> Map<String, Value> {
    let mut units: HashMap<Unit, BTreeSet<u32>> = HashMap::new();
    let mut attacks: BTreeSet<(u32, i64)> = BTreeSet::new();
    for flow in &stream.flows {
        let time = clock(stream, flow.time);
        let (day, hour) = (time.div_euclid(DAY), time.div_euclid(HOUR));
        if day < TRAINING_DAYS {
            continue;
        }
        for (host, _) in [(flow.source, flow.inside.0), (flow.destination, flow.inside.1)].iter().filter(|end| end.1) {
            let words = units.entry((day, *host, hour)).or_default();
            if let Some(word) = flow.word.filter(|_| flow.is_attack) {
                words.insert(word);
                attacks.insert((word, day));
            }
        }
    }
    let score = |unit: &Unit| scores.get(unit).copied().unwrap_or(f64::NEG_INFINITY);
    let mut order: Vec<(Unit, BTreeSet<u32>)> = units.into_iter().collect();
    order.sort_by(|(one, _), (other, _)| {
        one.0.cmp(&other.0).then(score(other).total_cmp(&score(one))).then(one.cmp(other))
    });
    let recall = |budget: usize| {
        let mut found: BTreeSet<(u32, i64)> = BTreeSet::new();
        for day in order.chunk_by(|(one, _), (other, _)| one.0 == other.0) {
            for ((day, ..), words) in day.iter().take(budget) {
                found.extend(words.iter().map(|&word| (word, *day)));
            }
        }
        found.len() as f64 / attacks.len().max(1) as f64
    };
    BUDGETS.iter().map(|&budget| (budget.to_string(), json!(rounded(recall(budget))))).collect()
}

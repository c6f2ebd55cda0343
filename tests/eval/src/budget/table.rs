//! The report on the budget: a line a seed, and one table over all of them.

use super::network::{LEVELS, Weeks};
use crate::metrics::median;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tradewind_model::time::rfc3339;

pub(crate) fn print_seed(seed: u64, harmless: &Weeks, attacked: &Weeks) {
    let found = attacked.attacks.values().filter(|seconds| seconds.is_some()).count();
    let falsely = attacked.told.iter().filter(|told| told.attack.is_none()).count();
    println!(
        "seed {seed}: {} flows; harmless: {} findings, at most {} in a day, {} in a week; attacked: {found} of {} kinds, {} findings, {falsely} false",
        harmless.flows,
        harmless.told.len(),
        harmless.most_in_a_day,
        harmless.most_in_a_week,
        attacked.attacks.len(),
        attacked.told.len(),
    );
}

/// Every finding of the seed.
pub(crate) fn print_findings(weeks: &Weeks) {
    for told in &weeks.told {
        let about = told.attack.or(told.benign).unwrap_or("ordinary");
        println!(
            "  {} {:<11} {:<22} p {:.1e} risk {:.1} {}",
            rfc3339(told.time),
            told.behaviour,
            about,
            told.p_value,
            told.risk_score,
            told.title
        );
    }
}

/// Mean and half the width of its 95 % confidence interval, by the normal approximation.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, 1.96 * (variance / count).sqrt())
}

pub(crate) fn summary(weeks: &[(Weeks, Weeks)]) -> BTreeMap<&'static str, Value> {
    let of = |value: &dyn Fn(&(Weeks, Weeks)) -> f64| -> Value {
        let (mean, interval) = mean(&weeks.iter().map(value).collect::<Vec<f64>>());
        json!({ "mean": rounded(mean), "interval": rounded(interval) })
    };
    let mut all = BTreeMap::new();
    all.insert("seeds", json!(weeks.len()));
    all.insert("harmless_findings_a_day", of(&|(harmless, _)| harmless.told.len() as f64 / harmless.days as f64));
    all.insert("harmless_most_in_a_day", json!(weeks.iter().map(|(harmless, _)| harmless.most_in_a_day).max()));
    all.insert("harmless_most_in_a_week", json!(weeks.iter().map(|(harmless, _)| harmless.most_in_a_week).max()));
    for (place, level) in LEVELS.into_iter().enumerate() {
        let name = ["p_below_0.1", "p_below_0.01", "p_below_0.001", "p_below_0.0001"][place];
        all.insert(name, of(&|(harmless, _)| harmless.below[place] as f64 / harmless.units.max(1) as f64 / level));
    }
    all.insert(
        "recall",
        of(&|(_, attacked)| {
            let found = attacked.attacks.values().filter(|seconds| seconds.is_some()).count();
            found as f64 / attacked.attacks.len().max(1) as f64
        }),
    );
    all.insert("harmless_held_back_a_day", of(&|(harmless, _)| harmless.held_back as f64 / harmless.days as f64));
    all.insert(
        "harmless_later_findings_a_day",
        of(&|(harmless, _)| harmless.later as f64 / (harmless.days / 2) as f64),
    );
    let (later, later_false) =
        weeks.iter().fold((0, 0), |sum, (_, attacked)| (sum.0 + attacked.later, sum.1 + attacked.later_false));
    all.insert("false_discovery_rate", json!(rounded(later_false as f64 / later.max(1) as f64)));
    all.insert(
        "false_discovery_rate_mean",
        of(&|(_, attacked)| attacked.later_false as f64 / attacked.later.max(1) as f64),
    );
    let mut harmless_by: BTreeMap<String, usize> = BTreeMap::new();
    for told in weeks.iter().flat_map(|(harmless, _)| &harmless.told) {
        let word = format!("{} {}", told.behaviour, told.benign.unwrap_or("ordinary"));
        *harmless_by.entry(word).or_default() += 1;
    }
    all.insert("harmless_by_kind", json!(harmless_by));
    let mut kinds: BTreeMap<&str, (usize, Vec<f64>)> = BTreeMap::new();
    for (kind, seconds) in weeks.iter().flat_map(|(_, attacked)| &attacked.attacks) {
        let known = kinds.entry(kind).or_default();
        known.0 += 1;
        known.1.extend(seconds);
    }
    let kinds: BTreeMap<&str, Value> = kinds
        .into_iter()
        .map(|(kind, (count, seconds))| {
            (kind, json!({ "found": seconds.len(), "of": count, "seconds": median(seconds).map(f64::round) }))
        })
        .collect();
    all.insert("attacks", json!(kinds));
    all
}

fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

pub(crate) fn print(summary: &BTreeMap<&str, Value>) {
    for (name, value) in summary {
        match value {
            Value::Object(rows) if !rows.contains_key("mean") => {
                println!("{name}:");
                rows.iter().for_each(|(row, value)| println!("  {row:<32} {value}"));
            }
            value => println!("{name:<34} {value}"),
        }
    }
}

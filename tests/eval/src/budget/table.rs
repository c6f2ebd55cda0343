//! The report on the budget: a line a seed, and one table over all of them.

use super::Network;
use super::network::{LEVELS, Weeks};
use crate::metrics::median;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tradewind_model::time::rfc3339;

pub(crate) fn print_seed(network: &Network) {
    let Network { seed, harmless, attacked, .. } = network;
    let found = attacked.found();
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

/// Attacks of one kind over all networks.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Attacks {
    pub(crate) found: usize,
    pub(crate) of: usize,
    /// From the first flow to the first word: the middle of those that were found.
    pub(crate) seconds: Option<f64>,
}

/// What became of each kind of attack.
pub(crate) fn attacks(networks: &[Network]) -> BTreeMap<&'static str, Attacks> {
    let mut kinds: BTreeMap<&str, (usize, Vec<f64>)> = BTreeMap::new();
    for (kind, fate) in networks.iter().flat_map(|network| &network.attacked.attacks) {
        let known = kinds.entry(kind).or_default();
        known.0 += 1;
        known.1.extend(fate.seconds);
    }
    let of = |(kind, (of, seconds)): (&'static str, (usize, Vec<f64>))| {
        (kind, Attacks { found: seconds.len(), of, seconds: median(seconds).map(f64::round) })
    };
    kinds.into_iter().map(of).collect()
}

/// What one kind of harmless traffic set off over all networks.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct FalseAlerts {
    /// Pairs of entities that did such a thing, a network. None for everyday traffic, and for a day.
    pub(crate) pairs: Option<f64>,
    /// Findings a network.
    pub(crate) findings: f64,
    /// The most in one network.
    pub(crate) most: usize,
}

/// The name of what is nothing out of the ordinary.
pub(crate) const ORDINARY: &str = "everyday traffic";
/// The name of the day on which nobody works, whatever set the findings off.
pub(crate) const HOLIDAY: &str = "holiday, all that day";

/// Findings where nothing is wrong, by the kind of traffic that set them off.
pub(crate) fn false_alerts(networks: &[Network]) -> BTreeMap<&'static str, FalseAlerts> {
    let count = networks.len().max(1) as f64;
    let mut kinds: BTreeMap<&str, FalseAlerts> = BTreeMap::new();
    for weeks in networks.iter().map(|network| &network.harmless) {
        for (kind, &pairs) in &weeks.odd_pairs {
            *kinds.entry(kind).or_default().pairs.get_or_insert(0.0) += pairs as f64 / count;
        }
        let mut told: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &weeks.told {
            *told.entry(finding.benign.unwrap_or(ORDINARY)).or_default() += 1;
            *told.entry(HOLIDAY).or_default() += usize::from(Some(finding.day) == weeks.holiday);
        }
        for (kind, findings) in told {
            let known = kinds.entry(kind).or_default();
            known.findings += findings as f64 / count;
            known.most = known.most.max(findings);
        }
    }
    kinds
}

/// One day of networks that nothing was learnt of before.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct FirstDays {
    /// Attacks that began on that day, and those of them that were found.
    pub(crate) found: usize,
    pub(crate) of: usize,
    /// Findings a network where nothing is wrong.
    pub(crate) false_findings: f64,
}

/// By day, from 1: what was found and what was told for nothing.
pub(crate) fn cold_start(networks: &[Network]) -> BTreeMap<i64, FirstDays> {
    let mut days: BTreeMap<i64, FirstDays> = BTreeMap::new();
    for network in networks {
        (1..=network.harmless.days).for_each(|day| {
            days.entry(day).or_default();
        });
        for fate in network.early.iter().flat_map(|early| early.attacks.values()) {
            let known = days.entry(fate.day + 1).or_default();
            known.of += 1;
            known.found += usize::from(fate.seconds.is_some());
        }
        for told in &network.harmless.told {
            days.entry(told.day + 1).or_default().false_findings += 1.0 / networks.len() as f64;
        }
    }
    days
}

/// Mean and half the width of its 95 % confidence interval, by the normal approximation.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, 1.96 * (variance / count).sqrt())
}

pub(crate) fn summary(networks: &[Network]) -> BTreeMap<&'static str, Value> {
    let of = |value: &dyn Fn(&Network) -> f64| -> Value {
        let (mean, interval) = mean(&networks.iter().map(value).collect::<Vec<f64>>());
        json!({ "mean": rounded(mean), "interval": rounded(interval) })
    };
    let mut all = BTreeMap::new();
    all.insert("seeds", json!(networks.len()));
    let harmless = || networks.iter().map(|network| &network.harmless);
    let attacked = || networks.iter().map(|network| &network.attacked);
    all.insert("harmless_findings_a_day", of(&|of| of.harmless.told.len() as f64 / of.harmless.days as f64));
    all.insert("harmless_most_in_a_day", json!(harmless().map(|weeks| weeks.most_in_a_day).max()));
    all.insert("harmless_most_in_a_week", json!(harmless().map(|weeks| weeks.most_in_a_week).max()));
    for (place, level) in LEVELS.into_iter().enumerate() {
        let name = ["p_below_0.1", "p_below_0.01", "p_below_0.001", "p_below_0.0001"][place];
        all.insert(name, of(&|of| of.harmless.below[place] as f64 / of.harmless.units.max(1) as f64 / level));
    }
    all.insert("recall", of(&|of| of.attacked.found() as f64 / of.attacked.attacks.len().max(1) as f64));
    all.insert("harmless_held_back_a_day", of(&|of| of.harmless.held_back as f64 / of.harmless.days as f64));
    all.insert("harmless_later_findings_a_day", of(&|of| of.harmless.later as f64 / (of.harmless.days / 2) as f64));
    let (later, later_false) = attacked().fold((0, 0), |sum, weeks| (sum.0 + weeks.later, sum.1 + weeks.later_false));
    all.insert("false_discovery_rate", json!(rounded(later_false as f64 / later.max(1) as f64)));
    all.insert("false_discovery_rate_mean", of(&|of| of.attacked.later_false as f64 / of.attacked.later.max(1) as f64));
    let mut harmless_by: BTreeMap<String, usize> = BTreeMap::new();
    for told in harmless().flat_map(|weeks| &weeks.told) {
        let word = format!("{} {}", told.behaviour, told.benign.unwrap_or("ordinary"));
        *harmless_by.entry(word).or_default() += 1;
    }
    all.insert("harmless_by_kind", json!(harmless_by));
    all.insert("false_alerts", json!(false_alerts(networks)));
    all.insert("attacks", json!(attacks(networks)));
    if networks.iter().any(|network| network.early.is_some()) {
        all.insert("cold_start", json!(cold_start(networks)));
    }
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

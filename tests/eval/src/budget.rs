//! The budget held against weeks of a made-up network (`tradewind_testkit::scenario`): how many findings a day where
//! nothing is wrong, whether p-values are what they say, and how many of thirty kinds of attack are found.
//!
//! Each seed is run twice: without attacks, and with them in the second half.

mod network;
mod table;

use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) seeds: Range<u64>,
    pub(crate) days: i64,
    pub(crate) services: u64,
    /// Target of the false discovery rate, instead of the budget.
    pub(crate) fdr: Option<f64>,
    /// Settings that are not the shipped defaults.
    pub(crate) changes: Vec<String>,
    /// Whether flows say what they ask.
    pub(crate) has_requests: bool,
    /// Whether to print every finding.
    pub(crate) findings: bool,
}

pub(crate) fn run(asked: &Asked, as_json: bool) -> anyhow::Result<()> {
    let mut weeks = Vec::new();
    for seed in asked.seeds.clone() {
        let harmless = network::run(asked, seed, false)?;
        let attacked = network::run(asked, seed, true)?;
        if !as_json {
            table::print_seed(seed, &harmless, &attacked);
            if asked.findings {
                table::print_findings(&harmless);
                table::print_findings(&attacked);
            }
        }
        weeks.push((harmless, attacked));
    }
    let summary: BTreeMap<&str, Value> = table::summary(&weeks);
    if as_json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        table::print(&summary);
    }
    Ok(())
}

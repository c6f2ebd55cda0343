//! The budget held against weeks of a made-up network (`tradewind_testkit::scenario`): how many findings a day where
//! nothing is wrong, whether p-values are what they say, and how many of thirty kinds of attack are found.
//!
//! Each seed is run without attacks and with them in the second half; for the curve of a cold start with them from the first
//! day on, too.

mod network;
mod table;

pub(crate) use table::{Attacks, HOLIDAY, ORDINARY, attacks, cold_start, false_alerts, summary};

use network::Weeks;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Whether to run each network with attacks from the first day on, too.
    pub(crate) has_cold_start: bool,
    /// Whether to print every finding.
    pub(crate) findings: bool,
}

/// Networks unless something else is asked for.
pub(crate) const NETWORKS: u64 = 20;

impl Asked {
    /// So many networks of sixty entities over two weeks, shipped defaults.
    pub(crate) const fn of_networks(networks: u64) -> Self {
        Self {
            seeds: 1..1 + networks,
            days: 14,
            services: 60,
            fdr: None,
            changes: Vec::new(),
            has_requests: false,
            has_cold_start: false,
            findings: false,
        }
    }
}

/// One network in its variants.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) seed: u64,
    pub(crate) harmless: Weeks,
    /// With attacks in the second half.
    pub(crate) attacked: Weeks,
    /// With attacks from the first day on.
    pub(crate) early: Option<Weeks>,
}

pub(crate) fn run(asked: &Asked, as_json: bool) -> anyhow::Result<()> {
    let networks = judge(asked)?;
    let summary = summary(&networks);
    if as_json {
        println!("{}", serde_json::to_string(&summary)?);
        return Ok(());
    }
    for network in &networks {
        table::print_seed(network);
        if asked.findings {
            table::print_findings(&network.harmless);
            table::print_findings(&network.attacked);
        }
    }
    table::print(&summary);
    Ok(())
}

/// Judges the networks, by seed; as many at once as the machine has cores. The result does not depend on how many.
pub(crate) fn judge(asked: &Asked) -> anyhow::Result<Vec<Network>> {
    let seeds: Vec<u64> = asked.seeds.clone().collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            made.push(network(asked, seed)?);
        }
        anyhow::Ok(made)
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).min(seeds.len());
    let made: anyhow::Result<Vec<Vec<Network>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let mut networks: Vec<Network> = made?.into_iter().flatten().collect();
    networks.sort_by_key(|network| network.seed);
    Ok(networks)
}

fn network(asked: &Asked, seed: u64) -> anyhow::Result<Network> {
    let early = if asked.has_cold_start { Some(network::run(asked, seed, Some(0))?) } else { None };
    Ok(Network {
        seed,
        harmless: network::run(asked, seed, None)?,
        attacked: network::run(asked, seed, Some(asked.days / 2))?,
        early,
    })
}

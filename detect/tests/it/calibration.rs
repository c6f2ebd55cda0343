//! p-values when nothing happens: never too small too often, and not so large that nothing would be found.

use crate::simulation::{Flow, Random, START, WINDOW};
use tradewind_detect::{Engine, Settings, UnitScore};
use tradewind_model::Outcome;

/// Scores of a stream after its first windows.
fn scores(flows: &[Flow], skipped_windows: i64) -> Vec<UnitScore> {
    let mut engine = Engine::new(Settings::default()).unwrap();
    engine.keep_scores();
    for flow in flows {
        engine.observe(&flow.event());
    }
    engine.finish();
    let first = START + skipped_windows * WINDOW;
    engine.take_scores().into_iter().filter(|score| score.window_start >= first).collect()
}

/// Shares of units at or below each level, each p-value missing being one.
fn shares(scores: &[UnitScore], detector: &str) -> [(f64, f64); 3] {
    let p_values: Vec<f64> = scores
        .iter()
        .map(|score| score.signals.iter().find(|(name, _)| *name == detector).map_or(1.0, |(_, p)| *p))
        .collect();
    let share = |level: f64| p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
    [0.1, 0.01, 0.001].map(|level| (level, share(level)))
}

/// Sources whose counts on one edge each vary like `counts`, without any change over time.
fn steady(windows: i64, sources: usize, mut count: impl FnMut(&mut Random, usize) -> i64) -> Vec<Flow> {
    let mut random = Random(7);
    let mut flows = Vec::new();
    for window in 0..windows {
        for source in 0..sources {
            let mut flow =
                Flow::new(window, 10, &format!("service/c{source}"), &format!("service/s{}", source % 9), 443);
            flow.count = count(&mut random, source);
            if flow.count > 0 {
                flows.push(flow);
            }
        }
    }
    flows
}

/// Heavy tails are assumed on purpose (few degrees of freedom), so that the smaller the level, the more cautious it is.
fn check_volume(count: impl FnMut(&mut Random, usize) -> i64, least: [f64; 3], most: f64) {
    let shares = shares(&scores(&steady(160, 120, count), 20), "volume");
    eprintln!("volume {shares:?}");
    for ((level, share), least) in shares.into_iter().zip(least) {
        assert!(share <= level * most && share >= level * least, "P(p <= {level}) = {share}");
    }
}

#[test]
fn volumes_of_log_normal_counts_are_calibrated() {
    let count = |random: &mut Random, _: usize| (200.0 * (0.4 * random.normal()).exp()) as i64;
    // Deviations below 1.5 scales are not worth a p-value, so that some of those below 0.1 are missing.
    check_volume(count, [0.6, 0.3, 0.0], 1.2);
}

#[test]
fn volumes_of_poisson_counts_are_calibrated() {
    let count = |random: &mut Random, source: usize| random.poisson(20.0 + source as f64) as i64;
    check_volume(count, [0.4, 0.05, 0.0], 1.2);
}

/// The more a count says little, the more cautious: never above its level.
#[test]
fn volumes_of_rare_connections_are_not_overstated() {
    let count = |random: &mut Random, source: usize| random.poisson(0.5 + (source % 4) as f64) as i64;
    check_volume(count, [0.0; 3], 1.2);
}

/// Every edge has some flows in each window, each drawn by `flow`.
fn flows_of(windows: i64, mut flow: impl FnMut(&mut Random, &mut Flow)) -> Vec<Flow> {
    let mut random = Random(13);
    let mut flows = Vec::new();
    for window in 0..windows {
        for source in 0..60 {
            for call in 0..8 {
                let mut one = Flow::new(
                    window,
                    10 + call,
                    &format!("service/c{source}"),
                    &format!("service/s{}", source % 9),
                    443,
                );
                flow(&mut random, &mut one);
                flows.push(one);
            }
        }
    }
    flows
}

/// Bonferroni over the flows of a window, so that it is a little cautious; and below deviations of two scales silent.
#[test]
fn sizes_of_log_normal_flows_are_calibrated() {
    let size = |random: &mut Random, flow: &mut Flow| flow.bytes = (5000.0 * (0.7 * random.normal()).exp()) as i64;
    let shares = shares(&scores(&flows_of(120, size), 20), "transfer");
    eprintln!("transfer {shares:?}");
    for (level, share) in shares {
        assert!(share <= level * 1.5 + 3e-4, "P(p <= {level}) = {share}");
    }
    assert!(shares[0].1 > 0.02, "{shares:?}");
}

/// Where flows fail now and then but not in bursts, the tail that tolerates bursts is cautious.
#[test]
fn failures_without_bursts_are_not_overstated() {
    let fail = |random: &mut Random, flow: &mut Flow| {
        flow.outcome = if random.uniform() < 0.03 { Outcome::Failed } else { Outcome::Allowed };
    };
    let shares = shares(&scores(&flows_of(120, fail), 20), "failed");
    eprintln!("failed {shares:?}");
    for (level, share) in shares {
        assert!(share <= level * 1.2 + 3e-4, "P(p <= {level}) = {share}");
    }
}

/// Each source meets services by a draw from a common popularity, ever fewer of them new: births without any attack. The
/// rates are estimates that are used as if they were known, and a source is judged as if it could choose again what it
/// already has: together they cost up to a factor of three.
#[test]
fn births_of_a_network_that_grows_known_are_hardly_overstated() {
    let mut random = Random(11);
    let mut flows = Vec::new();
    let services = 400;
    for window in 0..200 {
        for source in 0..100 {
            for _ in 0..random.poisson(2.0) {
                // Popularity falls as 1/rank: exponential of a uniform.
                let rank = ((services as f64).powf(random.uniform()) - 1.0) as usize;
                let service = (rank * 7 + source % 5) % services;
                let port = [443, 8080, 9090, 5432][service % 4];
                flows.push(Flow::new(window, 10, &format!("service/c{source}"), &format!("service/s{service}"), port));
            }
        }
    }
    let scores = scores(&flows, 20);
    assert!(scores.iter().any(|score| score.signals.iter().any(|(name, _)| *name == "destination")));
    let shares = shares(&scores, "destination");
    eprintln!("destination {shares:?}");
    for (level, share) in shares {
        assert!(share <= level * 3.0, "P(p <= {level}) = {share}");
    }
}

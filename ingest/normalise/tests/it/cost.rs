//! What a flow costs. Run by hand: `cargo test --profile ci -p tradewind-normalise cost -- --ignored --nocapture`.
#![allow(clippy::print_stderr)]

use crate::traffic::{CONTEXT, Traffic, batch, normaliser};
use tradewind_normalise::{Scratch, storage_order};

const ROWS: usize = 256 * 1024;

/// Seconds that this thread has run: other work on the machine does not count, though it takes from the caches.
///
/// Source: Linux, `Documentation/scheduler/sched-stats.rst`, `/proc/<pid>/schedstat`: time spent on the cpu, nanoseconds.
pub(crate) fn seconds_run() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// The least and the median nanoseconds per flow of completing a batch and of ordering it.
fn measure(traffic: Traffic, changing: bool) -> [[f64; 2]; 2] {
    let normaliser = normaliser(traffic, changing);
    let (decoded, mut scratch) = (batch(traffic, 0), Scratch::default());
    let mut nanos = [Vec::new(), Vec::new()];
    for _ in 0..15 {
        let mut batch = decoded.clone();
        let begin = seconds_run();
        normaliser.apply(&mut batch, &mut scratch, &CONTEXT);
        nanos[0].push(seconds_run() - begin);
        let begin = seconds_run();
        assert_eq!(storage_order(&batch).len(), ROWS);
        nanos[1].push(seconds_run() - begin);
    }
    nanos.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        [seconds[0], seconds[seconds.len() / 2]].map(|seconds| seconds * 1e9 / ROWS as f64)
    })
}

#[test]
#[ignore = "a measurement, not a check: it depends on the machine"]
fn cost_of_a_flow() {
    for (name, addresses, has_networks, changing) in [
        ("2,000 addresses", 2_000, false, false),
        ("2,000 addresses, networks", 2_000, true, false),
        ("2,000 addresses, networks, changing owners", 2_000, true, true),
        ("100,000 addresses", 100_000, false, false),
    ] {
        let [apply, order] = measure(Traffic { rows: ROWS, addresses, has_networks }, changing);
        eprintln!("{name}: apply {apply:.1?} ns, storage_order {order:.1?} ns a flow (least, median)");
    }
}

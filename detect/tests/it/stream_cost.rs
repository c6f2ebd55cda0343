//! What a flow costs with 100,000 edges, all of them busy in every window: in one engine, and in a partition that observes
//! flows as they come or holds them until their window opens. For reading, not a limit.

use crate::simulation::{Flow, START, WINDOW};
use std::time::{Duration, Instant};
use tradewind_detect::stream::{Correlator, Output, Partition, Signal};
use tradewind_detect::{Engine, FlowEvent, Settings};

const EDGES: usize = 100_000;
/// Flows of an edge in a window.
const ROUNDS: i64 = 10;
/// The cheapest counts: the others were disturbed, and the first ones are the network's birth.
const WINDOWS: i64 = 12;

/// Feeds all flows of a window; what it costs.
fn feed(names: &[String], window: i64, mut take: impl FnMut(&FlowEvent<'_>)) -> Duration {
    let flow = Flow::new(0, 0, "", "", 443);
    let started = Instant::now();
    for round in 0..ROUNDS {
        for edge in 0..EDGES {
            let (source, step) = (edge / 20, edge % 20);
            take(&FlowEvent {
                time: START + window * WINDOW + round * WINDOW / ROUNDS,
                src_entity: &names[source],
                dst_entity: &names[(source + step * step + 1) % names.len()],
                bytes_out: Some(500 + (edge as i64 * 7919 + round * 31) % 4000),
                ..flow.event()
            });
        }
    }
    started.elapsed()
}

fn tell(what: &str, flows: Duration, closes: Duration) {
    let count = EDGES as u128 * ROUNDS as u128;
    let [flows, closes] = [flows, closes].map(|time| time.as_nanos() / count);
    eprintln!("{what}: {flows} ns a flow and {closes} ns for its part of the window's close");
}

#[test]
#[ignore = "a measurement"]
fn what_a_flow_costs() {
    let names: Vec<String> = (0..5000).map(|source| format!("prod/shop-{}/service/s{source}", source % 50)).collect();
    let mut engine = Engine::new(Settings::default()).unwrap();
    let spent = (0..WINDOWS).map(|window| feed(&names, window, |event| drop(engine.observe(event)))).min();
    tell("engine, closes within the flows", spent.unwrap(), Duration::ZERO);
    for is_held in [false, true] {
        let settings = Settings::default();
        let mut partition = Partition::new(&settings, usize::MAX).unwrap();
        let mut correlator = Correlator::new(settings, 1, i64::MIN).unwrap();
        let (mut flows, mut closes) = (Duration::MAX, Duration::MAX);
        let mut signals = Vec::new();
        partition.watermark("a", START, &mut signals);
        settle(&mut partition, &mut correlator, signals);
        for window in 0..WINDOWS {
            let mut signals = Vec::new();
            let spent = feed(&names, window, |event| partition.event(event, &mut signals));
            let started = Instant::now();
            // A held window opens when all of its flows are there.
            let complete = if is_held { window } else { window + 1 };
            partition.watermark("a", START + complete * WINDOW - 1, &mut signals);
            settle(&mut partition, &mut correlator, signals);
            flows = flows.min(spent);
            closes = closes.min(if window < 3 { Duration::MAX } else { started.elapsed() });
        }
        tell(if is_held { "held" } else { "observed as it comes" }, flows, closes);
    }
}

fn settle(partition: &mut Partition, correlator: &mut Correlator, mut signals: Vec<Signal>) {
    while !signals.is_empty() {
        let mut answers = Vec::new();
        for output in signals.into_iter().flat_map(|signal| correlator.signal(0, signal).unwrap()) {
            if let Output::Round(round) = output {
                partition.round(round, &mut answers).unwrap();
            }
        }
        signals = answers;
    }
}

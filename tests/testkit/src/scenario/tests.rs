//! What scenarios promise: the same for the same seed, in order, attacks beside unchanged ordinary traffic.
#![allow(clippy::unwrap_used)]

use super::*;
use std::collections::BTreeSet;

fn made(seed: u64, days: i64, attacks_from_day: Option<i64>) -> (Scenario, Vec<Flow>) {
    let scenario = Scenario::new(Settings { seed, days, services: 50, attacks_from_day });
    let flows = scenario.windows().flatten().collect();
    (scenario, flows)
}

#[test]
fn flows_are_in_order_and_the_same_for_the_same_seed() {
    let (_, flows) = made(3, 2, None);
    assert!(flows.is_sorted_by_key(|flow| flow.time));
    assert_eq!(flows, made(3, 2, None).1);
    assert_ne!(flows, made(4, 2, None).1);
}

#[test]
fn attacks_leave_the_rest_as_it_is() {
    let harmless = made(5, 16, None).1;
    let (scenario, mut flows) = made(5, 16, Some(1));
    flows.retain(|flow| !matches!(flow.label, Label::Attack { .. }));
    assert_eq!(flows, harmless);
    let kinds: BTreeSet<AttackKind> = scenario.episodes().iter().map(|episode| episode.kind).collect();
    assert_eq!(kinds.len(), 30);
    assert!(scenario.episodes().iter().all(|episode| episode.flows > 0 && !episode.actors.is_empty()));
}

#[test]
fn days_have_a_rhythm() {
    let (scenario, flows) = made(7, 7, None);
    let of_hour = |day: i64, hour: i64| {
        let from = scenario.start() + (day * WINDOWS_PER_DAY + hour * 12) * WINDOW;
        let within = flows.iter().filter(|flow| (from..from + 12 * WINDOW).contains(&flow.time));
        within.filter(|flow| flow.label == Label::Ordinary).map(|flow| flow.connections).sum::<i64>()
    };
    assert!(of_hour(1, 15) * 2 > of_hour(1, 4) * 3, "day {} night {}", of_hour(1, 15), of_hour(1, 4));
    assert!(of_hour(1, 15) > of_hour(5, 15), "Tuesday {} Saturday {}", of_hour(1, 15), of_hour(5, 15));
}

//! What scenarios promise: the same for the same seed, in order, attacks beside unchanged ordinary traffic.
#![allow(clippy::unwrap_used)]

use super::*;
use std::collections::{BTreeMap, BTreeSet};

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
fn clients_ask_a_few_things_again_and_again() {
    let (scenario, flows) = made(3, 2, Some(1));
    let mut by_edge: BTreeMap<(u16, u16), BTreeMap<Request, usize>> = BTreeMap::new();
    let ordinary = flows.iter().filter(|flow| flow.label == Label::Ordinary);
    for (flow, request) in ordinary.filter_map(|flow| Some((flow, scenario.request(flow)?))) {
        *by_edge.entry((flow.source, flow.destination)).or_default().entry(request).or_default() += 1;
    }
    for (edge, requests) in by_edge.iter().filter(|(_, requests)| requests.values().sum::<usize>() > 100) {
        let mut counts: Vec<usize> = requests.values().copied().collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        let usual: usize = counts.iter().take(4).sum();
        assert!(usual * 100 > counts.iter().sum::<usize>() * 98, "{edge:?}: {requests:?}");
    }
    assert!(by_edge.len() > 30, "{}", by_edge.len());
}

/// The broker's topics by who writes and who reads them, and the attack through one of them.
#[test]
fn agents_share_topics_and_one_is_used_against_another() {
    let (scenario, flows) = made(5, 16, Some(1));
    let mut ordinary: BTreeMap<(u16, &str), [BTreeSet<u16>; 2]> = BTreeMap::new();
    let mut attack: Vec<(u16, Request)> = Vec::new();
    for (flow, request) in flows.iter().filter_map(|flow| Some((flow, scenario.request(flow)?))) {
        if let Label::Attack { kind: AttackKind::AgentQueue, .. } = flow.label {
            attack.push((flow.source, request));
        } else if request.app_protocol == "kafka" && flow.label == Label::Ordinary {
            let parties = ordinary.entry((flow.destination, request.resource)).or_default();
            parties[usize::from(request.operation == "Fetch")].insert(flow.source);
        }
    }
    let shared = ordinary.values().filter(|[writers, readers]| writers.len() > 1 && readers.len() > 1).count();
    assert!(shared >= 4, "{ordinary:?}");
    let (first, written) = attack[0];
    let (second, read) =
        *attack.iter().find(|(source, request)| *source != first && request.operation == "Fetch").unwrap();
    assert_eq!((written.operation, written.resource), ("Produce", read.resource));
    let of_topic: Vec<_> = ordinary.iter().filter(|((_, topic), _)| *topic == read.resource).collect();
    assert!(of_topic.iter().any(|(_, [_, readers])| readers.contains(&second)), "{of_topic:?}");
    assert!(of_topic.iter().all(|(_, [writers, _])| !writers.contains(&first)), "{of_topic:?}");
    assert!(attack.iter().any(|(source, request)| *source == second && request.app_protocol != "kafka"));
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

//! That the demo's network is what its story says, and that nothing else in it is new.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

const START: i64 = 1_768_464_000;

/// Names of both ends.
fn edge(network: &Network, call: &Call) -> (String, String) {
    let name =
        |instance: usize| format!("{}/{}", network.service_of(instance).namespace, network.service_of(instance).name);
    (name(call.client), name(call.server))
}

/// Whether the call belongs to the takeover, told by its ends alone.
fn is_planted(network: &Network, call: &Call) -> bool {
    let (client, server) = edge(network, call);
    let story = network.story();
    let is_probe = client == story.agent && story.probed.contains(&server.as_str());
    is_probe
        || (client == story.agent && server == story.pivot)
        || (client == story.pivot && [story.secrets, story.target].contains(&server.as_str()))
}

#[test]
fn same_seed_same_calls() {
    assert_eq!(generate(1, START, Scenario::A).calls, generate(1, START, Scenario::A).calls);
    assert_ne!(generate(1, START, Scenario::A).calls, generate(2, START, Scenario::A).calls);
}

#[test]
fn start_is_rounded_to_a_window() {
    assert_eq!(generate(1, START + 299, Scenario::A).start, START);
    assert_eq!(generate(1, START + 299, Scenario::A).calls, generate(1, START, Scenario::A).calls);
}

#[test]
fn calls_lie_in_the_two_hours_in_order() {
    let network = generate(1, START, Scenario::A);
    assert!(network.calls.is_sorted_by_key(|call| call.time_ms));
    let times = START * 1000..(START + DURATION_S) * 1000;
    assert!(network.calls.iter().all(|call| times.contains(&call.time_ms)));
}

#[test]
fn ordinary_edges_are_complete_in_five_minutes() {
    for seed in 0..5 {
        let network = generate(seed, START, Scenario::A);
        let mut first_seen = BTreeMap::new();
        for call in network.calls.iter().filter(|call| !is_planted(&network, call)) {
            first_seen.entry(edge(&network, call)).or_insert(call.time_ms - START * 1000);
        }
        assert!(first_seen.len() > 120, "{}", first_seen.len());
        let late: Vec<_> = first_seen.iter().filter(|(_, since)| **since >= 300_000).collect();
        assert!(late.is_empty(), "seed {seed}: {late:?}");
    }
}

#[test]
fn ordinary_edges_are_seen_in_every_window() {
    let network = generate(1, START, Scenario::A);
    let mut windows: BTreeMap<_, BTreeMap<i64, u32>> = BTreeMap::new();
    for call in network.calls.iter().filter(|call| !is_planted(&network, call)) {
        *windows.entry(edge(&network, call)).or_default().entry((call.time_ms / 1000 - START) / 300).or_default() += 1;
    }
    for (edge, counts) in windows {
        let expected = if edge.0 == "platform/scheduler" && edge.1 == "data/warehouse" { 12 } else { 24 };
        assert_eq!(counts.len(), expected, "{edge:?}");
        let (low, high) = (counts.values().min().unwrap_or(&0), counts.values().max().unwrap_or(&0));
        assert!(*high <= 3 * *low, "{edge:?} is not steady: {counts:?}");
    }
}

#[test]
fn the_story_is_what_happens() {
    for seed in 0..5 {
        let network = generate(seed, START, Scenario::A);
        let story = network.story();
        let planted: Vec<_> = network.calls.iter().filter(|call| is_planted(&network, call)).collect();
        let address = |instance: usize| network.instances[instance].address.as_str();

        assert!(network.calls.iter().all(|call| call.answer != Answer::Denied));
        let probes: Vec<_> = planted
            .iter()
            .filter(|call| story.probed.contains(&edge(&network, call).1.as_str()))
            .filter(|call| address(call.client) == story.agent_address)
            .collect();
        assert_eq!(probes.len(), story.probes);
        assert!(probes.iter().all(|call| (story.taken_over_at..story.pivoted_at).contains(&(call.time_ms / 1000))));

        let sessions: Vec<_> = planted.iter().filter(|call| edge(&network, call).1 == story.pivot).collect();
        assert_eq!(sessions.len(), 1);
        assert_eq!(
            (sessions[0].time_ms / 1000, address(sessions[0].server)),
            (story.pivoted_at, story.pivot_address.as_str())
        );
        assert!(
            sessions[0].time_ms + sessions[0].duration_ms > story.target_until * 1000,
            "the session outlives the calls"
        );

        let served = |call: &&&Call| call.answer == Answer::Served;
        let secrets: Vec<_> =
            planted.iter().filter(|call| edge(&network, call) == (story.pivot.into(), story.secrets.into())).collect();
        assert_eq!(secrets.first().map(|call| call.time_ms / 1000), Some(story.secrets_at));
        assert!(secrets.iter().all(served));

        let transfers: Vec<_> =
            planted.iter().filter(|call| edge(&network, call) == (story.pivot.into(), story.target.into())).collect();
        assert_eq!(transfers.len(), story.target_calls as usize);
        assert!(transfers.iter().all(|call| served(call) && address(call.client) == story.pivot_address));
        let times = story.target_from..story.target_until;
        assert!(transfers.iter().all(|call| times.contains(&(call.time_ms / 1000))));
        assert_eq!(planted.len(), probes.len() + sessions.len() + secrets.len() + transfers.len());
    }
}

#[test]
fn an_enforced_policy_denies_all_of_it() {
    let network = generate(1, START, Scenario::C);
    let story = network.story();
    let denied: Vec<_> = network.calls.iter().filter(|call| call.answer == Answer::Denied).collect();
    let edges: BTreeSet<(String, String)> = denied.iter().map(|call| edge(&network, call)).collect();
    let planted = network.planted_edges().into_iter().map(|(client, server)| (client.to_owned(), server.to_owned()));
    assert_eq!(edges, planted.collect());
    let window = |call: &&&Call| (story.taken_over_at..story.taken_over_at + 300).contains(&(call.time_ms / 1000));
    let hosts: BTreeSet<usize> = denied.iter().filter(window).map(|call| call.server).collect();
    assert!(hosts.len() >= 25, "a scan by any measure: {}", hosts.len());
    let ordinary = generate(1, START, Scenario::A);
    let is_ordinary = |network: &Network, call: &&Call| !is_planted(network, call) && call.answer != Answer::Denied;
    let count = |network: &Network| network.calls.iter().filter(|call| is_ordinary(network, call)).count();
    assert_eq!(count(&network), count(&ordinary), "the rest of the network is the same");
}

#[test]
fn the_deployment_brings_one_address() {
    let network = generate(1, START, Scenario::A);
    let story = network.story();
    let late: Vec<_> = network.instances.iter().filter(|instance| instance.deployed_at.is_some()).collect();
    assert_eq!(late.len(), 1);
    assert_eq!(
        (late[0].address.as_str(), late[0].deployed_at),
        (story.deployed_address.as_str(), Some(story.deployed_at))
    );
    let is_new = |instance: usize| network.instances[instance].deployed_at.is_some();
    let of_new: Vec<_> = network.calls.iter().filter(|call| is_new(call.client) || is_new(call.server)).collect();
    assert!(of_new.len() > 500, "{}", of_new.len());
    assert!(of_new.iter().all(|call| call.time_ms >= story.deployed_at * 1000));
}

#[test]
fn has_forty_services_and_three_agents() {
    let network = generate(1, START, Scenario::A);
    let of_kind = |kind: &str| network.services.iter().filter(|service| service.kind() == kind).count();
    assert_eq!((of_kind("service"), of_kind("agent"), of_kind("external")), (38, 3, 1));
    let addresses: BTreeSet<_> = network.instances.iter().map(|instance| &instance.address).collect();
    assert_eq!(addresses.len(), network.instances.len());
}

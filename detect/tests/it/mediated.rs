//! Chains through what one entity writes and another reads: what is found and said, what is not without them, and p-values
//! when nothing happens.

use crate::simulation::{Flow, Random, START, WINDOW};
use std::collections::BTreeMap;
use tradewind_detect::{Conversation, Engine, Incident, MediatedSettings, Settings, UnitScore};
use tradewind_model::Finding;
use tradewind_model::time::SECOND;

const WINDOWS: i64 = 900;
/// The window in which something happens.
const THEN: i64 = 890;
const CLIENTS: usize = 30;
const SERVICES: f64 = 150.0;
const QUEUE: &str = "service/queue";
const AGENT_A: &str = "agent/a";
const AGENT_B: &str = "agent/b";

fn kafka(flow: Flow, operation: &'static str, resource: &'static str) -> Flow {
    let conversation = Conversation {
        app_protocol: Some("kafka"),
        operation: Some(operation),
        resource: Some(resource),
        ..Conversation::default()
    };
    Flow { conversation, ..flow }
}

/// Clients that visit services by their popularity, ever fewer of them new, and share topics at a broker. Of two agents, `a`
/// writes `results`, and `b` reads `tasks`, which two services write. `begins` is how often a client begins to use another
/// topic.
fn network(seed: u64, begins: f64) -> Vec<Flow> {
    const TOPICS: [&str; 8] = ["orders", "mail", "stock", "prices", "audit", "returns", "tasks", "results"];
    const WAYS: [&str; 2] = ["Produce", "Fetch"];
    let mut random = Random(seed);
    let mut flows = Vec::new();
    let mut topics: Vec<Vec<(usize, usize)>> =
        (0..CLIENTS).map(|client| vec![(client % 2, client / 2 % 6), (1 - client % 2, client / 5)]).collect();
    topics[1].push((0, 6));
    topics[2].push((0, 6));
    for window in 0..WINDOWS {
        for (client, topics) in topics.iter_mut().enumerate() {
            let name = format!("service/c{client}");
            for _ in 0..random.poisson(1.5) {
                let service = format!("service/s{}", SERVICES.powf(random.uniform()) as usize);
                flows.push(Flow::new(window, random.below(300) as i64, &name, &service, 443));
            }
            if window > 20 && random.uniform() < begins {
                topics.push((random.below(2), random.below(TOPICS.len())));
            }
            for &(way, topic) in topics.iter() {
                let second = random.below(300) as i64;
                flows.push(kafka(Flow::new(window, second, &name, QUEUE, 9092), WAYS[way], TOPICS[topic]));
            }
        }
        flows.push(kafka(Flow::new(window, 41, AGENT_A, QUEUE, 9092), "Produce", "results"));
        for second in [30, 130, 230] {
            flows.push(kafka(Flow::new(window, second, AGENT_B, QUEUE, 9092), "Fetch", "tasks"));
        }
        for agent in [AGENT_A, AGENT_B] {
            for _ in 0..random.poisson(1.5) {
                // Never one of those of an attack.
                let service = SERVICES.powf(random.uniform()) as usize;
                flows.push(Flow::new(window, 50, agent, &format!("service/s{}", service.min(30)), 443));
            }
        }
    }
    flows
}

/// The agent writes at a second what the other one reads, and this one then calls a service that others call.
fn attack(flows: &mut Vec<Flow>, topic: &'static str, written: i64, acted: i64) {
    for call in 0..4 {
        flows.push(kafka(Flow::new(THEN, written + call, AGENT_A, QUEUE, 9092), "Produce", topic));
        flows.push(Flow::new(THEN, acted + call, AGENT_B, "service/s60", 443));
    }
}

/// What comes of flows.
struct Outcome {
    /// The last telling of each finding about an agent.
    findings: Vec<Finding>,
    /// The last telling of each incident with one of them.
    incidents: Vec<Incident>,
    scores: Vec<UnitScore>,
}

fn outcome(flows: Vec<Flow>, is_enabled: bool) -> Outcome {
    outcome_of(flows, is_enabled, 1, &[])
}

/// On so many shards, stored and read back before the first flow of each of these times. Scores are those after the last.
fn outcome_of(mut flows: Vec<Flow>, is_enabled: bool, shards: usize, restarts: &[i64]) -> Outcome {
    flows.sort_by_key(|flow| flow.time);
    let mediated = MediatedSettings { is_enabled };
    let settings = Settings { p_value_max: 1e-4, mediated, ..Settings::default() };
    let mut engine = Engine::with_shards(settings, shards).unwrap();
    engine.train_until(START + 400 * WINDOW);
    engine.keep_scores();
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    let mut take = |more: Vec<Finding>| {
        findings.extend(more.into_iter().map(|finding| (finding.finding_id.clone(), finding)));
    };
    let mut all = Vec::new();
    let mut restarts = restarts.iter().peekable();
    for flow in &flows {
        if restarts.next_if(|&&time| flow.time >= time).is_some() {
            all.extend(engine.take_incidents());
            engine = postcard::from_bytes(&postcard::to_stdvec(&engine).unwrap()).unwrap();
        }
        take(engine.observe(&flow.event()));
    }
    take(engine.finish());
    findings.retain(|_, finding| finding.entity.starts_with("agent/"));
    let mut incidents: BTreeMap<String, Incident> = BTreeMap::new();
    all.extend(engine.take_incidents());
    incidents.extend(all.into_iter().map(|incident| (incident.incident_id.clone(), incident)));
    incidents.retain(|_, incident| incident.findings.iter().any(|id| findings.contains_key(id)));
    let scores = engine.take_scores();
    Outcome { findings: findings.into_values().collect(), incidents: incidents.into_values().collect(), scores }
}

/// What the second agent did in that window by itself, and through the queue.
fn signals(outcome: &Outcome) -> Vec<(&'static str, f64)> {
    let is_wanted = |unit: &&UnitScore| unit.window_start == START + THEN * WINDOW && unit.entity == AGENT_B;
    outcome.scores.iter().find(is_wanted).map(|unit| unit.signals.clone()).unwrap_or_default()
}

#[test]
fn what_an_agent_does_for_another_is_one_incident() {
    let mut flows = network(3, 0.0);
    attack(&mut flows, "tasks", 100, 240);
    let with = outcome(flows.clone(), true);
    assert_eq!((with.findings.len(), with.incidents.len()), (1, 1), "{:#?}", with.findings);
    let finding = &with.findings[0];
    assert_eq!((finding.entity.as_str(), finding.behaviour.as_str()), (AGENT_B, "chain"));
    assert_eq!(
        finding.title,
        "agent b contacts service s60 on port 443 for the first time after agent a wrote to topic tasks at service queue for the first time"
    );
    assert_eq!(
        finding.observed,
        "agent b contacted service s60 on port 443 for the first time (4 flows in 1 window, 4.0 kB sent); before that agent a wrote to topic tasks at service queue for the first time at 2026-01-04T02:11Z, then agent b read topic tasks at service queue at 2026-01-04T02:11Z"
    );
    let edges = [
        "(src_entity = 'agent/b' AND dst_entity = 'service/s60' AND dst_port = 443)",
        "(src_entity = 'agent/a' AND dst_entity = 'service/queue' AND dst_port = 9092)",
        "(src_entity = 'agent/b' AND dst_entity = 'service/queue' AND dst_port = 9092)",
    ];
    assert!(finding.evidence_query.contains(&format!("({})", edges.join(" OR "))), "{}", finding.evidence_query);
    let entities: Vec<&str> = with.incidents[0].entities.iter().map(String::as_str).collect();
    assert_eq!((entities, with.incidents[0].title.as_str()), (vec![AGENT_A, AGENT_B], finding.title.as_str()));

    // Without the queue's edges each half is too little.
    let without = outcome(flows, false);
    assert_eq!((without.findings.len(), without.incidents.len()), (0, 0), "{:#?}", without.findings);
    let is_chain = |(name, _): &(&str, f64)| *name == "chain";
    assert!(signals(&with).iter().any(is_chain) && !signals(&without).iter().any(is_chain));
}

/// Stored and read back before the writing, between it and the reading, and before the act; and over several shards.
#[test]
fn a_restart_and_shards_change_nothing() {
    let mut flows = network(3, 0.0);
    attack(&mut flows, "tasks", 100, 240);
    let told = |outcome: &Outcome| (outcome.findings.clone(), format!("{:?}", outcome.incidents));
    let whole = outcome(flows.clone(), true);
    assert_eq!(whole.findings.len(), 1);
    let restarts = [(400, 7), (THEN, 90), (THEN, 115), (THEN, 239), (THEN + 1, 10)]
        .map(|(window, second)| START + window * WINDOW + second * SECOND);
    for (shards, restarts) in [(1, restarts.as_slice()), (3, &[]), (3, &restarts)] {
        assert_eq!(told(&outcome_of(flows.clone(), true, shards, restarts)), told(&whole), "{shards}, {restarts:?}");
    }
}

/// Written after the other one acted, or to a topic that it does not read.
#[test]
fn what_cannot_have_caused_it_is_no_chain() {
    for (topic, written, acted) in [("tasks", 260, 100), ("stock", 100, 240)] {
        let mut flows = network(3, 0.0);
        attack(&mut flows, topic, written, acted);
        let outcome = outcome(flows, true);
        assert_eq!(outcome.findings.len(), 0, "{topic}: {:#?}", outcome.findings);
        assert!(signals(&outcome).iter().all(|(name, _)| *name != "chain"), "{topic}: {:?}", signals(&outcome));
    }
}

/// Clients begin to write and read other topics, and visit other services, each for itself: chains through topics are no more
/// frequent than their p-values say.
#[test]
fn chains_through_topics_are_calibrated() {
    for begins in [0.001, 0.01, 0.05] {
        let mut found = Vec::new();
        let mut units = 0;
        for seed in 0..3 {
            let all = outcome(network(seed, begins), true);
            let later = all.scores.iter().filter(|unit| unit.window_start >= START + 100 * WINDOW);
            for unit in later {
                units += 1;
                found.extend(unit.signals.iter().filter(|(name, _)| *name == "chain").map(|&(_, p_value)| p_value));
            }
        }
        let count = |level: f64| found.iter().filter(|&&p| p <= level).count();
        eprintln!("{begins}: {} of {units}, {:?}", found.len(), [0.1, 0.01, 1e-3, 1e-4].map(count));
        assert!(found.len() > 20, "{begins}: nothing was tested");
        for level in [0.1, 0.01, 1e-3] {
            assert!(count(level) as f64 <= level * units as f64, "{begins}: P(p <= {level}) is too high");
        }
    }
}

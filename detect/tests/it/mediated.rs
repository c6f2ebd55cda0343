//! Chains through what one entity writes and another reads: what is found and said, what is not without them, and p-values
//! when nothing happens.

use crate::simulation::{Flow, Random, START, WINDOW};
use std::collections::BTreeMap;
use tradewind_detect::{Conversation, Engine, Incident, MediatedSettings, Settings, UnitScore};
use tradewind_model::Finding;

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

fn outcome(mut flows: Vec<Flow>, is_enabled: bool) -> Outcome {
    flows.sort_by_key(|flow| flow.time);
    let mediated = MediatedSettings { is_enabled };
    let mut engine = Engine::new(Settings { p_value_max: 1e-4, mediated, ..Settings::default() }).unwrap();
    engine.train_until(START + 400 * WINDOW);
    engine.keep_scores();
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    let mut take = |more: Vec<Finding>| {
        findings.extend(more.into_iter().map(|finding| (finding.finding_id.clone(), finding)));
    };
    flows.iter().for_each(|flow| take(engine.observe(&flow.event())));
    take(engine.finish());
    findings.retain(|_, finding| finding.entity.starts_with("agent/"));
    let mut incidents: BTreeMap<String, Incident> = BTreeMap::new();
    let all = engine.take_incidents().into_iter();
    incidents.extend(all.map(|incident| (incident.incident_id.clone(), incident)));
    incidents.retain(|_, incident| incident.findings.iter().any(|id| findings.contains_key(id)));
    let scores = engine.take_scores();
    Outcome { findings: findings.into_values().collect(), incidents: incidents.into_values().collect(), scores }
}

fn chain_of(outcome: &Outcome) -> Option<f64> {
    let of_window = outcome.scores.iter().filter(|unit| unit.window_start == START + THEN * WINDOW);
    let of_agent = of_window.filter(|unit| unit.entity == AGENT_B).flat_map(|unit| &unit.signals);
    of_agent.filter(|(name, _)| *name == "chain").map(|&(_, p_value)| p_value).next()
}

#[test]
fn what_an_agent_does_for_another_is_one_incident() {
    let mut flows = network(3, 0.0);
    attack(&mut flows, "tasks", 100, 240);
    let with = outcome(flows.clone(), true);
    let without = outcome(flows, false);
    for all in [&with, &without] {
        let units = all.scores.iter().filter(|unit| unit.window_start == START + THEN * WINDOW);
        let unit = units.filter(|unit| unit.entity == AGENT_B).next().unwrap();
        eprintln!("{} {} {:?} {:?}", unit.p_value, unit.calibrated_p_value, unit.signals, chain_of(all));
        all.findings.iter().for_each(|finding| eprintln!("{finding:#?}"));
        all.incidents.iter().for_each(|incident| eprintln!("{incident:#?}"));
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
        let share = |level: f64| found.iter().filter(|&&p| p <= level).count() as f64 / units as f64 / level;
        eprintln!("{begins}: {} of {units}, {:?}", found.len(), [0.1, 0.01, 1e-3, 1e-4, 1e-5].map(share));
    }
}

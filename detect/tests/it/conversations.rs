//! What is asked of whom, and who proves to be who: what is found, what is said of it, what is learnt, and p-values when
//! nothing happens.

use crate::simulation::{Flow, Random, START, WINDOW, run};
use std::collections::BTreeSet;
use tradewind_detect::{Conversation, Engine, ProtocolSettings, Settings};
use tradewind_model::{Finding, Severity};

const WINDOWS: i64 = 60;
/// The window in which something happens.
const THEN: i64 = 50;

fn asking(operation: &'static str, resource: &'static str) -> Conversation<'static> {
    Conversation {
        app_protocol: Some("http"),
        operation: Some(operation),
        resource: Some(resource),
        ..Conversation::default()
    }
}

/// Twenty-four services and an agent, each asking five services for orders and items in every window; all of it mutual, each
/// under its own name.
fn network() -> Vec<Flow> {
    let names: Vec<&'static str> = (0..25).map(|client| &*format!("spiffe://shop/c{client}").leak()).collect();
    let mut flows = Vec::new();
    for window in 0..WINDOWS {
        for (client, name) in names.iter().copied().enumerate() {
            for step in 1..6 {
                let server = format!("service/s{}", (client + step) % 24);
                let source = if client == 24 { "agent/bot".to_owned() } else { format!("service/s{client}") };
                for call in 0..8 {
                    let (operation, resource) = [("GET", "/orders/17"), ("GET", "/items?page=2")][call % 2];
                    let mut flow = Flow::new(window, 10 + call as i64 * 30 + step as i64, &source, &server, 8080);
                    flow.conversation = Conversation {
                        src_principal: Some(name),
                        encryption: Some("mtls"),
                        ..asking(operation, resource)
                    };
                    flows.push(flow);
                }
            }
        }
    }
    flows.sort_by_key(|flow| flow.time);
    flows
}

fn window(flow: &Flow) -> i64 {
    (flow.time - START).div_euclid(WINDOW)
}

/// The network with some flows changed.
fn changed(mut change: impl FnMut(&mut Flow, i64)) -> Vec<Flow> {
    let mut flows = network();
    for flow in &mut flows {
        let then = window(flow);
        change(flow, then);
    }
    flows
}

/// The detector of protocols ships switched off.
fn all_on() -> Settings {
    Settings { protocol: ProtocolSettings { is_enabled: true }, ..Settings::default() }
}

/// A bar that a young network of a hundred edges can reach.
fn settings() -> Settings {
    Settings { p_value_max: 1e-3, ..all_on() }
}

fn found(flows: &[Flow]) -> Vec<Finding> {
    run(&mut Engine::new(settings()).unwrap(), flows)
}

/// Who is found for what, and how severe it is, without repetition.
fn check(change: impl FnMut(&mut Flow, i64), expected: &[(&str, &str, Severity)]) -> Vec<Finding> {
    let findings = found(&changed(change));
    let seen: BTreeSet<(&str, &str, Severity)> = findings
        .iter()
        .map(|finding| (finding.entity.as_str(), finding.behaviour.as_str(), finding.severity))
        .collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected, "{findings:#?}");
    findings
}

fn is_edge(flow: &Flow, source: &str, destination: &str) -> bool {
    flow.src == source && flow.dst == destination
}

#[test]
fn the_same_every_day_is_no_news() {
    check(|_, _| (), &[]);
}

#[test]
fn a_request_that_nobody_ever_made() {
    let findings = check(
        |flow, then| {
            if then == THEN && is_edge(flow, "agent/bot", "service/s2") {
                flow.conversation.operation = Some("delete");
            }
        },
        &[("agent/bot", "protocol", Severity::High)],
    );
    let finding = &findings[0];
    assert_eq!(finding.title, "agent bot uses service s2 on port 8080 in a way it never did");
    assert_eq!(
        finding.observed,
        "agent bot asked service s2 on port 8080 for DELETE /items (http) and 1 more for the first time (8 flows in 1 window, 8.0 kB sent); no other client ever did"
    );
    let (usual, chance) = finding.expected.split_once("; ").unwrap();
    assert_eq!(
        usual,
        "what it used in 50 windows since 2026-01-01T00:00Z, mostly GET /items (http), GET /orders/* (http)"
    );
    assert!(chance.starts_with("chance of such a change "), "{chance}");
    assert_eq!((finding.technique.as_str(), finding.time), ("T1071", START + (THEN + 1) * WINDOW));
    assert!(finding.evidence_query.contains("dst_entity = 'service/s2' AND dst_port = 8080"));
}

#[test]
fn what_others_ask_of_the_same_service_is_hardly_news() {
    check(
        |flow, then| {
            let is_first = is_edge(flow, "service/s1", "service/s2");
            if flow.dst == "service/s2" && (then >= THEN || !is_first) && then > 0 && flow.time % 4 == 0 {
                flow.conversation.resource = Some("/stock");
            }
        },
        &[],
    );
}

#[test]
fn another_transport_protocol() {
    let findings = check(
        |flow, then| {
            if then == THEN && is_edge(flow, "service/s1", "service/s2") {
                flow.protocol = 17;
            }
        },
        &[("service/s1", "protocol", Severity::Medium)],
    );
    assert!(findings[0].observed.starts_with("service s1 spoke udp to service s2 on udp port 8080 for the first time"));
    assert!(findings[0].expected.contains(", mostly tcp; "), "{}", findings[0].expected);
}

#[test]
fn what_a_log_does_not_say_is_no_news() {
    // From a window on there is a second observer, which sees less of each call.
    let mut flows = network();
    let more: Vec<Flow> = flows
        .iter()
        .filter(|flow| window(flow) >= THEN)
        .map(|flow| Flow {
            conversation: Conversation { app_protocol: Some("http"), ..Conversation::default() },
            ..flow.clone()
        })
        .collect();
    flows.extend(more);
    flows.sort_by_key(|flow| flow.time);
    let findings = found(&flows);
    assert!(findings.iter().all(|finding| !["protocol", "identity"].contains(&finding.behaviour.as_str())));
}

#[test]
fn what_persists_is_learnt() {
    let findings = found(&changed(|flow, then| {
        if then >= THEN - 10 && is_edge(flow, "agent/bot", "service/s2") {
            flow.conversation.operation = Some("DELETE");
        }
    }));
    let told: Vec<i64> = findings.iter().map(|finding| finding.window_count).collect();
    assert_eq!(told, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn another_name() {
    let findings = check(
        |flow, then| {
            if then == THEN && flow.src == "service/s3" {
                flow.conversation.src_principal = Some("spiffe://shop/intruder");
            }
        },
        &[("service/s3", "identity", Severity::Medium)],
    );
    let finding = &findings[0];
    assert_eq!(finding.title, "service s3 proves another identity than it always did");
    assert_eq!(
        finding.observed,
        "service s3 proved to be spiffe://shop/intruder to service s4 on port 8080 (40 flows in 1 window, 40 kB sent)"
    );
    assert_eq!(finding.expected, "spiffe://shop/c3, as in 50 windows before");
    assert_eq!((finding.technique.as_str(), finding.uncertain.as_str()), ("T1550", ""));
}

#[test]
fn a_name_that_was_not_proved_is_none() {
    check(
        |flow, then| {
            if then == THEN && flow.src == "service/s3" {
                flow.conversation.src_principal = Some("spiffe://shop/intruder");
                flow.conversation.encryption = None;
                flow.conversation.src_verified = Some(false);
            }
        },
        &[],
    );
}

#[test]
fn a_client_without_protection() {
    for (encryption, severity, title) in [
        ("none", Severity::High, "service s3 talks to service s4 on port 8080 without encryption"),
        ("tls", Severity::Medium, "service s3 talks to service s4 on port 8080 without proving who it is"),
    ] {
        let findings = check(
            |flow, then| {
                if then == THEN && is_edge(flow, "service/s3", "service/s4") {
                    flow.conversation.encryption = Some(encryption);
                    flow.conversation.src_principal = None;
                }
            },
            &[("service/s3", "identity", severity)],
        );
        assert_eq!((findings[0].title.as_str(), findings[0].technique.as_str()), (title, "T1557"));
        assert_eq!(findings[0].expected, "both ends prove who they are, as in all 400 flows of 50 windows before");
    }
}

#[test]
fn a_service_that_lets_all_clients_in_is_one_finding() {
    let findings = check(
        |flow, then| {
            // One client is left, and follows.
            if flow.dst == "service/s4" && (then > THEN || then == THEN && flow.src != "service/s3") {
                flow.conversation.encryption = Some("none");
            }
        },
        &[("service/s4", "identity", Severity::High)],
    );
    assert_eq!(findings[0].title, "most clients of service s4 on port 8080 talk to it without encryption");
    // Told window by window until that is how it is.
    assert_eq!(findings.len(), 7, "{findings:#?}");
    assert!(findings[0].evidence_query.contains("dst_entity = 'service/s4'"));
}

#[test]
fn both_can_be_turned_off() {
    let flows = changed(|flow, then| {
        if then == THEN && flow.src == "agent/bot" {
            flow.conversation.operation = Some("DELETE");
            flow.conversation.encryption = Some("none");
        }
    });
    let mut settings = settings();
    assert_eq!(run(&mut Engine::new(settings.clone()).unwrap(), &flows).len(), 2);
    settings.protocol.is_enabled = false;
    settings.identity.is_enabled = false;
    assert_eq!(run(&mut Engine::new(settings).unwrap(), &flows), []);
}

#[test]
fn a_resumed_run_finds_the_same() {
    let mut flows = changed(|flow, then| {
        if then >= THEN && flow.src == "agent/bot" {
            flow.conversation.operation = Some("DELETE");
            flow.conversation.encryption = Some("none");
            flow.protocol = 17;
        }
    });
    let expected = found(&flows);
    let mut random = Random(3);
    for cut in [flows.len() / 3, flows.len() * 5 / 6 + 77, flows.len() * 8 / 9] {
        let mut first = Engine::new(settings()).unwrap();
        let mut findings: Vec<Finding> = flows[..cut].iter().flat_map(|flow| first.observe(&flow.event())).collect();
        let state = serde_json::to_string(&first).unwrap();
        let mut second: Engine = serde_json::from_str(&state).unwrap();
        assert_eq!(serde_json::to_string(&second).unwrap(), state);
        findings.extend(run(&mut second, &flows[cut..]));
        assert_eq!(findings, expected, "cut at {cut}");
    }
    flows.chunk_by_mut(|one, other| window(one) == window(other)).for_each(|flows| random.shuffle(flows));
    assert_eq!(found(&flows), expected);
}

/// Every edge asks for a few of many things, drawn from its service's long tail, so that there is always something new.
/// Shares of units at or below each level.
fn shares(tail: f64, calls: usize) -> [(f64, f64); 3] {
    let resources: Vec<&'static str> = (0..2000).map(|place| &*format!("/kind-{}", letters(place)).leak()).collect();
    let mut random = Random(21);
    let mut engine = Engine::new(all_on()).unwrap();
    engine.keep_scores();
    let (windows, sources) = (150, 60);
    for window in 0..windows {
        for source in 0..sources {
            for step in 0..2 {
                let destination = (source * 7 + step) % 9;
                for _ in 0..calls {
                    // A Pareto's rank: the smaller `tail`, the longer it is.
                    let rank = random.uniform().powf(-1.0 / tail) as usize;
                    let mut flow =
                        Flow::new(window, 10, &format!("service/c{source}"), &format!("service/s{destination}"), 443);
                    flow.conversation = asking("GET", resources[(rank * 9 + destination) % resources.len()]);
                    engine.observe(&flow.event());
                }
            }
        }
    }
    engine.finish();
    let scores = engine.take_scores();
    let late = scores.iter().filter(|score| score.window_start >= START + 20 * WINDOW);
    let p_value = |signals: &[(&str, f64)]| {
        signals.iter().find(|(name, _)| *name == "protocol").map_or(1.0, |&(_, p_value)| p_value)
    };
    let p_values: Vec<f64> = late.map(|score| p_value(&score.signals)).collect();
    let share = |level: f64| p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
    [0.1, 0.01, 0.001].map(|level| (level, share(level)))
}

/// A number without digits.
fn letters(mut number: usize) -> String {
    let mut text = String::new();
    for _ in 0..3 {
        text.push(char::from(b'a' + u8::try_from(number % 26).unwrap()));
        number /= 26;
    }
    text
}

#[test]
fn new_uses_of_long_tails_are_not_overstated() {
    for (tail, calls) in [(2.0, 6), (1.2, 4), (0.8, 4)] {
        let shares = shares(tail, calls);
        eprintln!("protocol, tail {tail}: {shares:?}");
        for (level, share) in shares {
            // Of 7,800 units three standard errors.
            let noise = 3.0 * (level / 7_800.0_f64).sqrt();
            assert!(share <= 1.1 * level + noise, "tail {tail}: P(p <= {level}) = {share}");
        }
    }
}

//! The detectors that look beyond one window, all of them switched on: what they find, in which words, and that neither shards
//! nor a restart change anything.

use crate::simulation::{Flow, Random, START, WINDOW, quiet, run};
use tradewind_detect::{Engine, Settings};
use tradewind_model::{Finding, Outcome};

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.exfiltration.is_enabled = true;
    settings.beacon.is_enabled = true;
    settings.drift.is_enabled = true;
    settings.slow_scan.is_enabled = true;
    settings.dark.is_enabled = true;
    settings
}

/// A network in which every service now and then meets a new one, with ordinary amounts.
fn growing(windows: i64) -> Vec<Flow> {
    let mut random = Random(23);
    let mut flows = quiet(windows);
    for window in 4..windows {
        let (source, destination) = (random.below(12), random.below(60));
        let mut flow = Flow::new(window, 100, &format!("service/s{source}"), &format!("service/t{destination}"), 8080);
        flow.bytes = (4000.0 * random.normal().exp()) as i64;
        flows.push(flow);
    }
    flows
}

fn sorted(mut flows: Vec<Flow>) -> Vec<Flow> {
    flows.sort_by_key(|flow| flow.time);
    flows
}

/// Everything at once: data over a new edge, a beacon, a slow search of addresses where nobody is.
fn attacked() -> Vec<Flow> {
    let mut flows = growing(120);
    for call in 0..10 {
        let mut flow = Flow::new(100, 10 + call * 20, "service/s2", "external/drop", 443);
        flow.bytes = 50_000_000;
        flows.push(flow);
    }
    for minute in 0..60 {
        flows.push(Flow::new(100 + minute / 5, (minute % 5) * 60 + 7, "service/s5", "external/control", 443));
    }
    for step in 0..20_i64 {
        let mut flow = Flow::new(96 + step, 150, "service/s7", &format!("service/nobody{step}"), 445);
        flow.outcome = Outcome::Failed;
        flows.push(flow);
    }
    sorted(flows)
}

/// p-values that a detector told of an entity, by window.
fn p_values(flows: &[Flow], entity: &str, detector: &str) -> Vec<f64> {
    let mut engine = Engine::new(settings()).unwrap();
    engine.keep_scores();
    run(&mut engine, flows);
    let scores = engine.take_scores();
    let own = scores.iter().filter(|score| score.entity == entity);
    own.flat_map(|score| &score.signals).filter(|(name, _)| *name == detector).map(|&(_, p_value)| p_value).collect()
}

fn check(flows: &[Flow], entity: &str, detector: &str, most: f64) {
    let least = p_values(flows, entity, detector).into_iter().fold(1.0, f64::min);
    assert!(least <= most, "{detector} of {entity}: {least}");
}

#[test]
fn each_finds_its_own() {
    let flows = attacked();
    check(&flows, "service/s2", "exfiltration", 1e-5);
    check(&flows, "service/s5", "beacon", 1e-6);
    check(&flows, "service/s7", "slow-scan", 1e-5);
    check(&flows, "service/s7", "dark", 1e-5);
    // Who does none of it is not told of any.
    for detector in ["exfiltration", "beacon", "slow-scan", "dark"] {
        let least = p_values(&flows, "service/s9", detector).into_iter().fold(1.0, f64::min);
        assert!(least > 1e-4, "{detector}: {least}");
    }
}

#[test]
fn a_slow_ramp_is_found() {
    let mut random = Random(3);
    let mut flows = Vec::new();
    for day in 0..30_i64 {
        for part in 0..4 {
            for client in 0..6 {
                let mut flow = Flow::new(day * 288 + part * 70, 10, &format!("service/c{client}"), "service/s", 443);
                let ramp = if client == 0 { 0.15 * (day - 15).max(0) as f64 } else { 0.0 };
                flow.bytes = (1e6 * (0.05 * random.normal() + ramp).exp()) as i64;
                flows.push(flow);
            }
        }
    }
    let flows = sorted(flows);
    check(&flows, "service/c0", "drift", 1e-4);
    assert!(p_values(&flows, "service/c1", "drift").into_iter().all(|p_value| p_value > 1e-3));
}

#[test]
fn it_says_what_it_saw() {
    let mut engine = Engine::new(settings()).unwrap();
    let findings = run(&mut engine, &attacked());
    let lines: Vec<String> = findings
        .iter()
        .flat_map(|finding| &finding.observations)
        .map(|seen| format!("{} {} | {}", seen.detector, seen.observed, seen.expected))
        .collect();
    for words in [
        "exfiltration service s2 sent 500 MB to external address drop on port 443, its new destination since",
        "beacon service s5 called external address control on port 443 every 60 seconds on average, the last",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(words)), "{words}: {lines:#?}");
    }
}

fn said(shards: usize, flows: &[Flow]) -> Vec<String> {
    let mut engine = Engine::with_shards(settings(), shards).unwrap();
    engine.keep_edge_scores();
    let mut lines: Vec<String> = run(&mut engine, flows).iter().map(|finding| format!("{finding:?}")).collect();
    lines.extend(engine.take_scores().iter().map(|score| format!("{score:?}")));
    lines.extend(engine.take_edge_scores().iter().map(|score| format!("{score:?}")));
    lines
}

#[test]
fn shards_change_nothing() {
    let flows = attacked();
    let expected = said(1, &flows);
    for shards in [4, 16] {
        let lines = said(shards, &flows);
        let differing = lines.iter().zip(&expected).find(|(one, other)| one != other);
        assert!(differing.is_none() && lines.len() == expected.len(), "{shards} shards: {differing:?}");
    }
}

#[test]
fn a_restart_changes_nothing() {
    let flows = attacked();
    let expected = run(&mut Engine::new(settings()).unwrap(), &flows);
    let middle = START + 104 * WINDOW;
    for cut in [flows.len() / 3, flows.partition_point(|flow| flow.time < middle + WINDOW / 2), flows.len() - 1] {
        let mut first = Engine::new(settings()).unwrap();
        let mut findings: Vec<Finding> = flows[..cut].iter().flat_map(|flow| first.observe(&flow.event())).collect();
        let state = serde_json::to_string(&first).unwrap();
        let mut second: Engine = serde_json::from_str(&state).unwrap();
        findings.extend(run(&mut second, &flows[cut..]));
        assert_eq!(findings, expected, "cut at {cut}");
    }
}

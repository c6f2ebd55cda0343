//! Order, replay, resumption, lateness, training and cool-down.

use crate::simulation::{Flow, Random, START, WINDOW, quiet, run, takeover};
use std::collections::BTreeMap;
use tradewind_detect::{Engine, Settings};
use tradewind_model::{Finding, Outcome};

fn engine() -> Engine {
    Engine::new(Settings::default()).unwrap()
}

/// Who is found for what by a stream, without repetition.
fn check(flows: &[Flow], expected: &[(&str, &str)]) {
    let findings = run(&mut engine(), flows);
    let mut found: Vec<(&str, &str)> =
        findings.iter().map(|finding| (finding.entity.as_str(), finding.behaviour.as_str())).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, expected);
}

#[test]
fn a_quiet_network_raises_nothing() {
    check(&[], &[]);
    check(&quiet(1), &[]);
    check(&quiet(40), &[]);
}

#[test]
fn an_agent_at_a_new_service_is_found() {
    check(&takeover(40, 30), &[("agent/support-bot", "destination")]);
}

#[test]
fn a_flood_on_a_known_edge_is_found() {
    let mut flows = quiet(40);
    flows.extend((0..5000).map(|call| Flow::new(35, call % 300, "service/s3", "service/s4", 8080)));
    flows.sort_by_key(|flow| flow.time);
    check(&flows, &[("service/s3", "volume")]);
}

#[test]
fn a_flood_from_many_sources_is_found_at_its_destination() {
    let mut flows = quiet(40);
    for source in 0..12 {
        let name = format!("service/s{source}");
        flows.extend((0..400).map(|call| Flow::new(35, call % 300, &name, "service/s4", 8080)));
    }
    flows.sort_by_key(|flow| flow.time);
    let mut engine = engine();
    let findings = run(&mut engine, &flows);
    let flood = findings.iter().find(|finding| finding.behaviour == "inflow").unwrap();
    assert_eq!(flood.entity, "service/s4");
    assert!(flood.observed.starts_with("4,8"), "{}", flood.observed);
    assert!(flood.evidence_query.contains("dst_entity = 'service/s4'"), "{}", flood.evidence_query);
}

#[test]
fn a_window_that_is_complete_closes_as_a_later_flow_would_close_it() {
    let mut flows = takeover(31, 30);
    let up_to_now = |close: fn(&mut Engine) -> Vec<Finding>, flows: &[Flow]| {
        let mut engine = engine();
        let mut findings: Vec<Finding> = flows.iter().flat_map(|flow| engine.observe(&flow.event())).collect();
        findings.extend(close(&mut engine));
        findings
    };
    let (complete, partial) = (up_to_now(Engine::complete, &flows), up_to_now(Engine::finish, &flows));
    flows.push(Flow::new(31, 11, "service/s1", "service/s2", 8080));
    assert!(!complete.is_empty());
    assert_eq!(complete, up_to_now(|_| Vec::new(), &flows));
    assert_ne!(complete, partial, "a part of a window is told as one");
    assert_eq!(engine().complete(), []);
}

#[test]
fn a_scan_is_found_though_nothing_answers() {
    let mut flows = quiet(40);
    flows.extend(
        (0..200).map(|port| Flow {
            outcome: Outcome::Failed,
            ..Flow::new(35, port, "service/s3", "service/s7", port as i32)
        }),
    );
    flows.sort_by_key(|flow| flow.time);
    check(&flows, &[("service/s3", "scan")]);
}

#[test]
fn a_flow_of_unknown_orientation_makes_no_new_destination() {
    let mut flows = quiet(40);
    flows.extend((0..200).map(|port| Flow {
        is_oriented: false,
        ..Flow::new(35, port, "service/s3", &format!("service/x{port}"), 40_000 + port as i32)
    }));
    flows.sort_by_key(|flow| flow.time);
    check(&flows, &[]);
}

/// The last word on each finding.
fn latest(findings: Vec<Finding>) -> BTreeMap<String, Finding> {
    findings.into_iter().map(|finding| (finding.finding_id.clone(), finding)).collect()
}

#[test]
fn order_inside_a_window_changes_nothing() {
    let flows = takeover(40, 30);
    let mut first = engine();
    first.keep_edge_scores();
    let expected = latest(run(&mut first, &flows));
    let (units, edges) = (first.take_scores(), first.take_edge_scores());
    assert_eq!(expected.len(), 1);
    let mut random = Random(3);
    for _ in 0..3 {
        let mut shuffled = flows.clone();
        for window in shuffled.chunk_by_mut(|one, other| one.time.div_euclid(WINDOW) == other.time.div_euclid(WINDOW)) {
            random.shuffle(window);
        }
        assert_ne!(shuffled, flows);
        let mut engine = engine();
        engine.keep_edge_scores();
        assert_eq!(latest(run(&mut engine, &shuffled)), expected);
        assert_eq!(engine.take_scores(), units);
        assert_eq!(engine.take_edge_scores(), edges);
    }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let flows = takeover(40, 30);
    let expected = run(&mut engine(), &flows);
    for cut in [0, 1, flows.len() / 3, flows.len() * 31 / 40, flows.len() - 1] {
        let mut first = engine();
        let mut findings: Vec<Finding> = flows[..cut].iter().flat_map(|flow| first.observe(&flow.event())).collect();
        let state = serde_json::to_string(&first).unwrap();
        let mut second: Engine = serde_json::from_str(&state).unwrap();
        assert_eq!(serde_json::to_string(&second).unwrap(), state);
        findings.extend(run(&mut second, &flows[cut..]));
        assert_eq!(findings, expected, "cut at {cut}");
        assert_eq!(second.statistics().events, flows.len() as u64);
    }
}

#[test]
fn a_late_flow_is_counted_and_changes_nothing() {
    let mut flows = takeover(40, 30);
    let expected = run(&mut engine(), &flows);
    let middle = flows.len() / 2;
    flows.insert(middle, Flow::new(2, 0, "service/s3", "service/late", 1));
    let mut engine = engine();
    assert_eq!(run(&mut engine, &flows), expected);
    let statistics = engine.statistics();
    assert_eq!((statistics.late, statistics.windows, statistics.entities), (1, 40, 14));
    assert!(engine.finish().is_empty());
}

#[test]
fn nothing_is_raised_while_training() {
    let flows = takeover(40, 30);
    let mut engine = engine();
    engine.train_until(flows.last().unwrap().time);
    assert_eq!(run(&mut engine, &flows), []);
}

#[test]
fn later_windows_belong_to_the_same_finding() {
    let findings = run(&mut engine(), &takeover(40, 30));
    let told: Vec<(i64, i64)> = findings.iter().map(|finding| (finding.window_count, finding.flow_count)).collect();
    // The first flow tells, then each window's close.
    assert_eq!(told, [(1, 1), (1, 20), (2, 40), (3, 60)]);
    assert_eq!(findings[0].time, START + 30 * WINDOW + 20_000_000);
    assert!(findings.iter().all(|finding| finding.time == findings[0].time));
    assert!(findings.iter().all(|finding| finding.finding_id == findings[0].finding_id));
}

#[test]
fn after_the_cool_down_a_new_finding_is_raised() {
    // Floods two windows apart are one finding; a third, three hours later, is another.
    let mut flows = quiet(80);
    for window in [30, 32, 68] {
        flows.extend((0..5000).map(|call| Flow::new(window, call % 300, "service/s3", "service/s4", 8080)));
    }
    flows.sort_by_key(|flow| flow.time);
    let findings = run(&mut engine(), &flows);
    let told: Vec<(bool, i64)> =
        findings.iter().map(|finding| (finding.finding_id == findings[0].finding_id, finding.window_count)).collect();
    assert_eq!(told, [(true, 1), (true, 2), (false, 1)]);
}

#[test]
fn extreme_times_and_counts_do_not_panic() {
    let mut flows = quiet(2);
    for time in [i64::MIN, 0, i64::MAX] {
        flows.push(Flow { time, count: i64::MAX, port: Some(-5), ..flows[0].clone() });
        flows.push(Flow { time, count: i64::MIN, port: None, ..flows[1].clone() });
    }
    flows.sort_by_key(|flow| flow.time);
    let mut engine = engine();
    run(&mut engine, &flows);
    assert_eq!(engine.statistics().events, flows.len() as u64);
}

/// Every port of a host within a window: what is put together of it must not cost the square of their number.
#[test]
fn a_scan_of_every_port_takes_no_time() {
    let mut flows = quiet(10);
    flows.extend((0..60_000).map(|port| Flow {
        outcome: Outcome::Failed,
        is_breach: true,
        ..Flow::new(8, port / 250, "service/s3", "service/s7", port as i32)
    }));
    flows.sort_by_key(|flow| flow.time);
    let started = std::time::Instant::now();
    let findings = run(&mut engine(), &flows);
    assert!(findings.iter().any(|finding| finding.behaviour == "scan" && finding.flow_count == 60_000));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

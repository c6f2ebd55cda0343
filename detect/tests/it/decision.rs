//! The decision over simulated days: the budget is a cap, habits fade, people's words hold, and a restart changes nothing.

use crate::simulation::{Flow, START, WINDOW};
use std::collections::BTreeSet;
use tradewind_detect::{Control, Engine, IncidentState, Settings, Suppression};
use tradewind_model::Finding;

const DAY: i64 = 288;

/// A quiet network: thirty services that call one of five each, every window.
pub(crate) fn quiet(windows: std::ops::Range<i64>) -> Vec<Flow> {
    let flow = |window, service: i64| {
        Flow::new(window, 1 + service, &format!("service/c{service}"), &format!("service/s{}", service % 5), 443)
    };
    windows.flat_map(|window| (0..30).map(move |service| flow(window, service))).collect()
}

/// A search of twelve known hosts for a port that nobody serves.
fn search(window: i64, source: &str) -> Vec<Flow> {
    let target = |place: i64| Flow::new(window, 40 + place, source, &format!("service/c{place}"), 2222);
    (10..22).map(target).collect()
}

pub(crate) fn run(flows: Vec<Flow>, each: impl FnMut(&mut Engine, i64)) -> (Engine, Vec<Finding>) {
    run_with(Settings::default(), flows, each)
}

pub(crate) fn run_with(
    settings: Settings,
    mut flows: Vec<Flow>,
    mut each: impl FnMut(&mut Engine, i64),
) -> (Engine, Vec<Finding>) {
    flows.sort_by_key(|flow| flow.time);
    let mut engine = Engine::new(settings).unwrap();
    let (mut findings, mut last) = (Vec::new(), i64::MIN);
    for flow in &flows {
        let window = (flow.time - START).div_euclid(WINDOW);
        if window > last {
            each(&mut engine, window);
            last = window;
        }
        findings.extend(engine.observe(&flow.event()));
    }
    findings.extend(engine.finish());
    (engine, findings)
}

fn entities(findings: &[Finding]) -> BTreeSet<&str> {
    findings.iter().map(|finding| finding.entity.as_str()).collect()
}

#[test]
fn a_day_has_its_budget_and_what_is_beyond_it_is_counted() {
    let mut flows = quiet(0..20);
    (0..9).for_each(|place| flows.extend(search(10 + place, &format!("service/c{place}"))));
    let (mut engine, findings) = run(flows, |_, _| ());
    let ids: BTreeSet<&str> = findings.iter().map(|finding| finding.finding_id.as_str()).collect();
    assert_eq!(ids.len(), 5, "{:?}", entities(&findings));
    assert_eq!(engine.decided().told, 5);
    assert!(engine.decided().held_back >= 4, "{:?}", engine.decided());
    let incidents: BTreeSet<String> =
        engine.take_incidents().into_iter().flat_map(|incident| incident.findings).collect();
    assert!(ids.iter().all(|id| incidents.contains(*id)), "every finding is in an incident");
}

#[test]
fn what_comes_every_night_is_a_habit_and_what_is_far_stronger_is_not() {
    let mut flows = quiet(0..6 * DAY);
    for day in 0..6 {
        // Another host each night, so that it is new again.
        let target = format!("service/s9{day}");
        let night = day * DAY + 40;
        flows.extend((9100..9104).map(|port| Flow::new(night, 50, "service/c3", &target, port)));
    }
    let (engine, findings) = run(flows, |_, _| ());
    let days: BTreeSet<i64> = findings
        .iter()
        .filter(|finding| finding.entity == "service/c3")
        .map(|finding| (finding.first_seen - START).div_euclid(DAY * WINDOW))
        .collect();
    assert!(days.len() <= 3, "{days:?}");
    assert!(engine.decided().habits > 0 || days.is_empty(), "{:?}", engine.decided());
}

#[test]
fn suppressed_and_dismissed_is_silent_and_lifted_is_not() {
    let flows = || {
        let mut flows = quiet(0..60);
        flows.extend(search(10, "service/c1"));
        flows.extend(search(40, "service/c2"));
        flows
    };
    let suppression = Suppression {
        name: String::from("audit"),
        entity: Some(String::from("service/c1")),
        destination: None,
        port: None,
        behaviour: None,
        until: START + 100 * WINDOW,
    };
    let suppress = Control::Suppress(suppression.clone());
    let (engine, findings) = run(flows(), |engine, window| {
        if window == 5 {
            assert!(engine.control(suppress.clone(), START));
        }
    });
    assert_eq!(entities(&findings), BTreeSet::from(["service/c2"]));
    assert!(engine.decided().suppressed > 0);
    assert_eq!(engine.suppressions(), std::slice::from_ref(&suppression));
    let (_, findings) = run(flows(), |engine, window| match window {
        0 => assert!(engine.control(suppress.clone(), START + 5 * WINDOW)),
        8 => assert!(engine.control(Control::Lift { name: String::from("audit") }, START)),
        _ => (),
    });
    assert_eq!(entities(&findings), BTreeSet::from(["service/c1", "service/c2"]));
}

#[test]
fn a_dismissed_finding_ends_its_incident() {
    let mut flows = quiet(0..30);
    flows.extend(search(10, "service/c1"));
    flows.extend(search(11, "service/c1"));
    let (_, findings) = run(flows.clone(), |_, _| ());
    let ids: BTreeSet<String> = findings.iter().map(|finding| finding.finding_id.clone()).collect();
    let (mut engine, _) = run(flows, |engine, window| {
        if window == 20 {
            ids.iter().for_each(|id| assert!(engine.control(Control::Dismiss { finding_id: id.clone() }, START)));
            assert!(engine.control(Control::Dismiss { finding_id: String::from("nobody's") }, START));
        }
    });
    let ended = engine.take_incidents();
    assert!(ended.iter().any(|incident| incident.state == IncidentState::Dismissed), "{ended:?}");
}

#[test]
fn an_acknowledged_finding_puts_its_incident_into_somebodys_hands() {
    let mut flows = quiet(0..60);
    (10..13).for_each(|window| flows.extend(search(window, "service/c1")));
    let (_, findings) = run(flows.clone(), |_, _| ());
    let first = findings.first().unwrap().clone();
    let acknowledge = Control::Acknowledge { finding_id: first.finding_id.clone() };
    let (mut engine, told) = run(flows, |engine, window| {
        if window == 0 {
            assert!(engine.control(acknowledge.clone(), first.time));
            assert!(engine.control(Control::Acknowledge { finding_id: String::from("nobody's") }, START));
        }
        if window == 20 {
            assert!(engine.control(acknowledge.clone(), START), "said twice");
        }
    });
    // It changes nothing but the incident, which goes on until it ends.
    assert_eq!(told, findings);
    let incidents = engine.take_incidents();
    let mut states: Vec<IncidentState> = incidents.iter().map(|incident| incident.state).collect();
    states.dedup();
    assert_eq!(states, [IncidentState::Open, IncidentState::Acknowledged, IncidentState::Resolved], "{incidents:?}");
    assert!(incidents.iter().all(|incident| incident.resolved.is_some() == incident.state.is_over()));
}

#[test]
fn what_is_said_waits_for_its_time() {
    let mut flows = quiet(0..60);
    (10..20).for_each(|window| flows.extend(search(window, "service/c1")));
    let (_, findings) = run(flows.clone(), |_, _| ());
    let first = findings.first().unwrap().clone();
    let later = findings.iter().filter(|finding| finding.finding_id == first.finding_id).count();
    assert!(later > 1, "{findings:?}");
    // It is said before anything of it was seen, as in a replay.
    let accept = Control::Accept { finding_id: first.finding_id.clone() };
    let (_, accepted) = run(flows, |engine, window| {
        if window == 0 {
            assert!(engine.control(accept.clone(), first.time.max(first.last_seen)));
        }
    });
    assert!(!accepted.is_empty());
    // Its window told of it at once, and at its close; the later ones do not.
    let is_first = |finding: &Finding| finding.finding_id == first.finding_id && finding.window_count == 1;
    assert!(accepted.iter().all(is_first), "{:?}", entities(&accepted));
}

#[test]
fn incidents_end_when_nothing_is_added() {
    let mut flows = quiet(0..60);
    flows.extend(search(10, "service/c1"));
    let (mut engine, _) = run(flows, |_, _| ());
    let incidents = engine.take_incidents();
    let last = incidents.last().unwrap();
    assert_eq!((last.state, last.resolved.is_some()), (IncidentState::Resolved, true), "{incidents:?}");
    assert!(incidents.iter().all(|incident| incident.incident_id == last.incident_id));
}

#[test]
fn a_restart_at_any_point_changes_nothing() {
    let mut flows = quiet(0..2 * DAY);
    (0..7).for_each(|place| flows.extend(search(80 * place + 20, &format!("service/c{place}"))));
    let (whole, expected) = run(flows.clone(), |_, _| ());
    let (parts, findings) = run(flows, |engine, window| {
        if window % 37 == 5 {
            let bytes = postcard::to_allocvec(engine).unwrap();
            *engine = postcard::from_bytes(&bytes).unwrap();
        }
    });
    assert_eq!(findings, expected);
    assert_eq!(parts.decided(), whole.decided());
    assert!(!findings.is_empty());
}

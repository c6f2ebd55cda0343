//! What a finding says to the person who is woken by it.

use crate::simulation::{Flow, START, WINDOW, quiet, run, takeover};
use tradewind_detect::{Engine, Settings};
use tradewind_model::{Finding, Outcome, Severity};

fn last(flows: &[Flow]) -> Finding {
    run(&mut Engine::new(Settings::default()).unwrap(), flows).pop().unwrap()
}

#[test]
fn a_new_destination_of_an_agent() {
    let finding = last(&takeover(40, 30));
    assert_eq!(finding.title, "agent support-bot contacts service payments on port 8443 for the first time");
    assert_eq!(
        finding.observed,
        "agent support-bot contacted service payments on port 8443 for the first time (60 flows in 3 windows, 60 kB sent); it has no peer to compare with"
    );
    let (known, chance) = finding.expected.split_once("; ").unwrap();
    assert_eq!(known, "no new destination: in 30 windows since 2026-01-01T00:00Z it used 3 destinations");
    assert!(chance.starts_with("chance of such a contact "), "{chance}");
    assert_eq!(finding.baseline_since, START);
    assert_eq!(finding.first_seen, START + 30 * WINDOW);
    assert_eq!(finding.time, START + 30 * WINDOW + 20_000_000);
    assert_eq!((finding.technique.as_str(), finding.uncertain.as_str()), ("T1021", ""));
    assert_eq!(
        finding.evidence_query,
        "SELECT * FROM flows WHERE end_time >= TIMESTAMP WITH TIME ZONE '2026-01-01T02:30:00Z' AND end_time <= TIMESTAMP WITH TIME ZONE '2026-01-01T02:43:30Z' AND src_entity = 'agent/support-bot' AND dst_entity = 'service/payments' AND dst_port = 8443 ORDER BY end_time"
    );
}

#[test]
fn an_agent_alone_at_a_destination_is_high() {
    let mut flows = takeover(40, 30);
    // A second agent, which behaves.
    flows.extend((0..40).map(|window| Flow::new(window, 5, "agent/other-bot", "service/s1", 8080)));
    flows.sort_by_key(|flow| flow.time);
    let finding = last(&flows);
    assert_eq!(finding.severity, Severity::High);
    assert!(finding.observed.ends_with("; 0 of 1 peers ever did"), "{}", finding.observed);
}

#[test]
fn a_scan() {
    let mut flows = quiet(40);
    flows.extend(
        (0..200).map(|port| Flow {
            outcome: Outcome::Denied,
            ..Flow::new(35, port, "service/s3", "service/s7", port as i32)
        }),
    );
    flows.sort_by_key(|flow| flow.time);
    let finding = last(&flows);
    assert_eq!(finding.title, "service s3 scans: 200 new destinations, foremost service s7 on port 0");
    assert_eq!(
        finding.observed,
        "service s3 tried to contact, and was denied, service s7 on port 0 for the first time; of its 200 first contacts 0 answered; and 199 more new destinations (200 flows in 1 window, 200 kB sent in all)"
    );
    assert!(finding.expected.starts_with("no new destination: in 35 windows since "), "{}", finding.expected);
    assert_eq!((finding.behaviour.as_str(), finding.severity), ("scan", Severity::High));
    // Told with the fifth port, not with the window.
    assert_eq!(finding.time, START + 35 * WINDOW + 4_000_000);
    assert_eq!((finding.technique.as_str(), finding.observations.len()), ("T1046", 10));
    assert!(!finding.evidence_query.contains("dst_entity"));
}

#[test]
fn a_sweep_that_is_answered() {
    let mut flows = quiet(40);
    // As many hosts as the floor needs, each of which answers.
    flows.extend((0..25).map(|host| Flow::new(35, host, "service/s3", &format!("service/t{host}"), 22)));
    flows.sort_by_key(|flow| flow.time);
    let findings = run(&mut Engine::new(Settings::default()).unwrap(), &flows);
    let finding = findings.iter().find(|finding| finding.behaviour == "scan").unwrap();
    assert_eq!(
        finding.observations[0].observed,
        "service s3 tried 25 hosts and up to 1 port of one within 5 minutes, last service t24 on port 22"
    );
    assert!(finding.expected.starts_with("fewer than 25 new hosts and 15 new ports of one: in 35 windows since "));
    assert_eq!(finding.time, START + 35 * WINDOW + 24_000_000);
}

#[test]
fn a_flood() {
    let mut flows = quiet(40);
    flows.extend((0..5000).map(|call| Flow::new(35, call % 300, "service/s3", "service/s4", 8080)));
    flows.sort_by_key(|flow| flow.time);
    let finding = last(&flows);
    assert_eq!(finding.title, "service s3 opens far more connections to service s4 on port 8080 than usual");
    assert!(finding.observed.starts_with("service s3 opened 5,00"), "{}", finding.observed);
    assert!(finding.expected.starts_with("about 8, 99 in 100 windows below "), "{}", finding.expected);
    assert!(finding.expected.contains(" (from 35 windows since 2026-01-01T00:00Z); chance of as many "));
    assert_eq!((finding.severity, finding.technique.as_str()), (Severity::Low, "T1499"));
}

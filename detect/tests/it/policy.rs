//! Breaches of the declared policy: told at once, by rule, one finding per initiator and rule, one per agent without a policy.

use crate::simulation::{Flow, START, WINDOW, quiet};
use tradewind_detect::{Engine, FlowEvent, Settings};
use tradewind_model::{Finding, Outcome, Severity};

/// Runs flows of which some break a rule: those to `service/payments`.
fn told(flows: &[Flow], rule: &str, settings: Settings) -> Vec<Finding> {
    let mut engine = Engine::new(settings).unwrap();
    // Rules need no training.
    engine.train_until(i64::MAX);
    let mut findings = Vec::new();
    for flow in flows {
        let is_breach = flow.dst == "service/payments";
        findings.extend(engine.observe(&FlowEvent {
            declared_verdict: Some(if is_breach { "denied" } else { "allowed" }),
            declared_rule: Some(if is_breach { rule } else { "shop/all" }),
            ..flow.event()
        }));
    }
    findings.extend(engine.finish());
    findings
}

fn breaches(outcome: Outcome) -> Vec<Flow> {
    let mut flows = quiet(3);
    for window in 0..3 {
        for (source, port) in [("agent/support-bot", 443), ("agent/support-bot", 444), ("service/s1", 443)] {
            let times = [5, 50, 100];
            flows.extend(
                times.map(|second| Flow { outcome, ..Flow::new(window, second, source, "service/payments", port) }),
            );
        }
    }
    flows.sort_by_key(|flow| flow.time);
    flows
}

/// Findings by id: entity, last flow count, first time it was told, severity.
fn check(findings: &[Finding], expected: &[(&str, i64, i64, Severity)]) {
    let mut ids: Vec<&str> = Vec::new();
    findings.iter().filter(|finding| finding.behaviour == "policy").for_each(|finding| {
        if !ids.contains(&finding.finding_id.as_str()) {
            ids.push(&finding.finding_id);
        }
    });
    let mut summary: Vec<(&str, i64, i64, Severity)> = ids
        .iter()
        .map(|id| {
            let mut all = findings.iter().filter(|finding| finding.finding_id == *id);
            let first = all.next().unwrap();
            let last = all.next_back().unwrap_or(first);
            (last.entity.as_str(), last.flow_count, (first.time - START) / 1_000_000, last.severity)
        })
        .collect();
    summary.sort_unstable();
    assert_eq!(summary, expected);
}

#[test]
fn one_finding_per_initiator_and_rule() {
    let findings = told(&breaches(Outcome::Allowed), "shop/none/receive", Settings::default());
    check(&findings, &[("agent/support-bot", 18, 5, Severity::High), ("service/s1", 9, 5, Severity::High)]);
    let first = &findings[0];
    assert_eq!(first.title, "agent support-bot contacts service payments on port 443 against the declared policy");
    assert_eq!(first.expected, "no such flow: rule shop/none/receive of the declared policy denies it");
    assert_eq!(first.first_seen, START);
    assert!(findings.last().unwrap().evidence_query.contains("declared_verdict = 'denied'"));
    // Two at once, and one more word on each when a window closes.
    assert_eq!(findings.len(), 2 + 3 * 2);
}

#[test]
fn what_was_stopped_matters_less() {
    let findings = told(&breaches(Outcome::Denied), "shop/none/receive", Settings::default());
    assert!(findings.iter().all(|finding| finding.severity == Severity::Medium), "{findings:?}");
}

#[test]
fn an_agent_without_a_policy_is_one_finding() {
    let findings = told(&breaches(Outcome::Allowed), "default/agent/initiate", Settings::default());
    check(&findings, &[("agent/support-bot", 18, 5, Severity::Medium), ("service/s1", 9, 5, Severity::Medium)]);
    assert_eq!(findings[0].title, "agent support-bot has no declared policy");
    let findings = told(&breaches(Outcome::Allowed), "default/agent/receive", Settings::default());
    check(&findings, &[("service/payments", 27, 5, Severity::Medium)]);
}

#[test]
fn it_can_be_turned_off_and_needs_a_verdict() {
    let mut settings = Settings::default();
    settings.policy.is_enabled = false;
    assert_eq!(told(&breaches(Outcome::Allowed), "shop/rule", settings), []);
    assert_eq!(told(&quiet(3), "shop/rule", Settings::default()), []);
}

#[test]
fn a_breach_goes_on_within_the_cool_down() {
    let mut flows = quiet(40);
    for window in [2, 10, 35] {
        flows.push(Flow::new(window, 5, "service/s1", "service/payments", 443));
    }
    flows.sort_by_key(|flow| flow.time);
    let findings = told(&flows, "shop/rule", Settings::default());
    let seconds = |window: i64| window * WINDOW / 1_000_000 + 5;
    check(&findings, &[("service/s1", 1, seconds(35), Severity::High), ("service/s1", 2, seconds(2), Severity::High)]);
}

#[test]
fn a_scan_against_the_policy_is_one_finding() {
    let mut flows = quiet(2);
    flows.extend((0..500).map(|port| Flow::new(1, 10, "service/s1", "service/payments", port)));
    flows.sort_by_key(|flow| flow.time);
    let findings = told(&flows, "shop/rule", Settings::default());
    // At once, and at the window's close.
    assert_eq!(findings.len(), 2);
    assert!(
        findings[1].title.contains("and 499 more destinations against the declared policy"),
        "{}",
        findings[1].title
    );
    assert_eq!((findings[1].flow_count, findings[1].severity), (500, Severity::High));
}

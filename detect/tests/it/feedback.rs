//! What a person takes back, and what was said of chains. Not what suppressions hide.

use crate::decision::{quiet, run, run_with};
use crate::simulation::{Flow, START, WINDOW};
use std::collections::BTreeSet;
use tradewind_detect::{Control, Engine, Settings, Suppression};
use tradewind_model::Finding;

/// A search of twelve known hosts, from this one on, for a port that nobody serves.
fn search(window: i64, first: i64) -> Vec<Flow> {
    let target = |place: i64| Flow::new(window, 40 + place, "service/c1", &format!("service/c{place}"), 2222);
    (first..first + 12).map(target).collect()
}

/// A search that goes on for ten windows, and another one, of others, later.
fn flows() -> Vec<Flow> {
    let mut flows = quiet(0..90);
    (10..20).for_each(|window| flows.extend(search(window, 2)));
    flows.extend(search(80, 15));
    flows
}

fn windows(findings: &[Finding]) -> BTreeSet<i64> {
    findings.iter().map(|finding| (finding.last_seen - START).div_euclid(WINDOW)).collect()
}

fn accept(finding: &Finding) -> Control {
    Control::Accept { finding_id: finding.finding_id.clone() }
}

fn dismiss(finding: &Finding) -> Control {
    Control::Dismiss { finding_id: finding.finding_id.clone() }
}

fn revoke(finding: &Finding) -> Control {
    Control::Revoke { finding_id: finding.finding_id.clone() }
}

/// Something said of a finding.
type Say = fn(&Finding) -> Control;

/// In which windows the searches are told, where these things are said of the first one when a window begins.
fn check(said: &[(i64, Say)], expected: &[i64]) {
    let first = run(flows(), |_, _| ()).1.swap_remove(0);
    let say = |engine: &mut Engine, now: i64| {
        for &(_, control) in said.iter().filter(|&&(window, _)| window == now) {
            assert!(engine.control(control(&first), first.time.max(first.last_seen)));
        }
    };
    let (_, findings) = run(flows(), say);
    let told: Vec<i64> = windows(&findings).into_iter().collect();
    assert_eq!(told, expected, "{:?}", said.iter().map(|(window, _)| window).collect::<Vec<_>>());
}

#[test]
fn what_is_taken_back_is_told_again() {
    let undisturbed: Vec<i64> = (10..20).chain([80]).collect();
    check(&[], &undisturbed);
    // The window before is still open then.
    check(&[(13, accept)], &[10, 11]);
    check(&[(13, accept), (16, revoke)], &[10, 11, 15, 16, 17, 18, 19, 80]);
    check(&[(13, dismiss)], &[10, 11, 80]);
    check(&[(13, dismiss), (16, revoke)], &[10, 11, 15, 16, 17, 18, 19, 80]);
    check(&[(13, accept), (16, revoke), (18, accept)], &[10, 11, 15, 16]);
    // It is over when it is taken back: the next one is told.
    check(&[(13, accept), (70, revoke)], &[10, 11, 80]);
    // In a replay all is said before the first flow: what was taken back never was.
    check(&[(0, accept), (0, revoke)], &undisturbed);
    check(&[(0, revoke), (0, dismiss)], &[10, 80]);
    check(&[(13, revoke)], &undisturbed);
}

/// What is told of a chain that goes on, where a suppression is said in the middle of it and perhaps lifted.
fn check_covered(lifted: Option<i64>, expected: &[i64]) {
    let mut settings = Settings::default();
    settings.decision.findings_per_day = 100;
    let suppression = Suppression {
        name: String::from("audit"),
        entity: None,
        destination: None,
        port: Some(22),
        behaviour: None,
        until: START + 100 * WINDOW,
    };
    let (_, findings) = run_with(settings, chain(), |engine, window| {
        if window == 22 {
            assert!(engine.control(Control::Suppress(suppression.clone()), START));
        }
        if lifted == Some(window) {
            assert!(engine.control(Control::Lift { name: String::from("audit") }, START));
        }
    });
    let chains: Vec<Finding> = findings.into_iter().filter(|finding| finding.behaviour == "chain").collect();
    assert_eq!(windows(&chains).into_iter().collect::<Vec<_>>(), (20..26).collect::<Vec<_>>());
    let is_covered = |finding: &&Finding| finding.uncertain.contains("suppression audit covers it");
    let covered: Vec<Finding> = chains.iter().filter(is_covered).cloned().collect();
    assert_eq!(windows(&covered).into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_chain_that_goes_on_says_what_covers_it_now() {
    check_covered(None, &[21, 22, 23, 24, 25]);
    check_covered(Some(24), &[21, 22]);
}

#[test]
fn nothing_is_left_of_what_a_replay_takes_back() {
    let (undisturbed, before) = run(flows(), |_, _| ());
    let first = before[0].clone();
    let say = |engine: &mut Engine, window: i64| {
        if window == 0 {
            let at = first.time.max(first.last_seen);
            assert!(engine.control(accept(&first), at) && engine.control(revoke(&first), at));
        }
    };
    let (engine, findings) = run(flows(), say);
    assert_eq!((findings, engine.decided()), (before, undisturbed.decided()));
}

/// Hops from one to the next, again and again.
fn chain() -> Vec<Flow> {
    let mut flows = quiet(0..40);
    let hop = |window, second, src: &str, dst: &str, port| Flow::new(window, second, src, dst, port);
    for window in 20..26 {
        flows.push(hop(window, 50, "service/c1", "service/c7", 22));
        flows.push(hop(window, 60, "service/c7", "service/c12", 22));
        flows.push(hop(window, 70, "service/c12", "service/c19", 22));
        flows.push(hop(window, 80, "service/c19", "service/c23", 22));
    }
    flows
}

#[test]
fn a_chain_that_is_accepted_is_told_no_more() {
    let flows = chain();
    let mut settings = Settings::default();
    settings.decision.findings_per_day = 100;
    let (_, before) = run_with(settings.clone(), flows.clone(), |_, _| ());
    let is_chain = |finding: &&Finding| finding.behaviour == "chain";
    let chains: Vec<Finding> = before.iter().filter(is_chain).cloned().collect();
    let late = |chains: &[Finding]| chains.iter().any(|chain| chain.last_seen >= START + 24 * WINDOW);
    assert!(late(&chains), "{before:?}");
    let (_, accepted) = run_with(settings, flows, |engine, window| {
        if window == 23 {
            chains.iter().for_each(|chain| assert!(engine.control(accept(chain), START)));
        }
    });
    let accepted: Vec<Finding> = accepted.iter().filter(is_chain).cloned().collect();
    assert!(!accepted.is_empty() && !late(&accepted), "{accepted:?}");
}

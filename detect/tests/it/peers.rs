//! What peers do, as evidence: services of one namespace that have a destination for a day make it less of a surprise for the
//! next one; one of them, or what they began lately, does not. And services that are replaced, whose clients all fail.

use crate::simulation::{Flow, START, WINDOW, quiet, run};
use tradewind_detect::{Engine, Settings};
use tradewind_model::Outcome;

/// The window in which another service of the namespace calls what its peers call.
const LAST: i64 = 330;

/// p-value of the new destination, where so many of four peers call it from a window on.
fn p_value(peers: i64, since: i64, has_peers: bool) -> f64 {
    let mut flows = Vec::new();
    for window in 0..=LAST {
        for client in 0..5 {
            let name = format!("-/shop/service/a{client}");
            flows.push(Flow::new(window, 20 + client, &name, &format!("-/platform/service/p{client}"), 443));
            flows.push(Flow::new(window, 30 + client, &name, "-/platform/service/dns", 53));
            let is_old_hand = client < peers && window >= since && window < LAST;
            if is_old_hand || (client == 4 && window == LAST) {
                flows.push(Flow::new(window, 40 + client, &name, "-/data/service/ledger", 5432));
            }
        }
        // Beside what the web services have of each other, the ledger is unpopular.
        for call in 0..200 {
            let (one, other) = (call % 20, (call % 20 + 1 + call / 20) % 20);
            let names = [one, other].map(|number| format!("-/web/service/w{number}"));
            flows.push(Flow::new(window, 60 + call, &names[0], &names[1], 80));
        }
    }
    flows.sort_by_key(|flow| flow.time);
    let mut settings = Settings::default();
    settings.destination.has_peers = has_peers;
    let mut engine = Engine::new(settings).unwrap();
    engine.keep_scores();
    run(&mut engine, &flows);
    let scores = engine.take_scores();
    let start = START + LAST * WINDOW;
    let unit = scores.iter().find(|unit| unit.window_start == start && unit.entity == "-/shop/service/a4").unwrap();
    unit.signals.iter().find(|(name, _)| *name == "destination").unwrap().1
}

#[test]
fn what_several_peers_have_done_for_a_day_is_less_of_a_surprise() {
    let ratio = |peers, since| p_value(peers, since, true) / p_value(peers, since, false);
    assert!(ratio(4, 0) > 1.5, "{}", ratio(4, 0));
    assert!(ratio(3, 0) > 1.2 && ratio(3, 0) < ratio(4, 0), "{} {}", ratio(3, 0), ratio(4, 0));
    for (peers, since) in [(0, 0), (1, 0), (4, 100)] {
        assert!((ratio(peers, since) - 1.0).abs() < 1e-12, "{peers} since window {since}: {}", ratio(peers, since));
    }
}

/// Failures: client, server, first window and the one after the last.
type Failing = (&'static str, &'static str, i64, i64);

/// Who is found, for what and in which windows from the start, where clients' calls end so for some windows.
fn check(failing: &[Failing], outcome: Outcome, expected: impl Fn(&str, &str, i64) -> bool) -> usize {
    let mut flows = quiet(50);
    for flow in &mut flows {
        flow.count = 6;
        let window = (flow.time - START) / WINDOW;
        let is_failing =
            |&(src, dst, from, until): &Failing| flow.src == src && flow.dst == dst && (from..until).contains(&window);
        if failing.iter().any(is_failing) {
            flow.outcome = outcome;
        }
    }
    let mut engine = Engine::new(Settings::default()).unwrap();
    let findings = run(&mut engine, &flows);
    for finding in &findings {
        let window = (finding.last_seen - START) / WINDOW;
        assert!(expected(&finding.entity, &finding.behaviour, window), "{} {} {window}", finding.entity, finding.title);
    }
    findings.len()
}

#[test]
fn a_rollout_is_not_held_against_its_clients() {
    let clients = ["service/s2", "service/s3", "service/s4"];
    let all = |from, until| clients.map(|client| (client, "service/s5", from, until)).to_vec();
    let is = |entity: &'static str, behaviour: &'static str| {
        move |who: &str, what: &str, _| who == entity && what == behaviour
    };
    let alone = [("service/s4", "service/s5", 30, 31)];
    assert!(check(&alone, Outcome::Failed, is("service/s4", "failed")) > 0);
    assert_eq!(check(&all(30, 32), Outcome::Failed, |_, _, _| false), 0);
    // Whoever fails elsewhere, too, is found by that.
    let mut elsewhere = all(30, 32);
    elsewhere.push(("service/s4", "service/s6", 30, 32));
    assert!(check(&elsewhere, Outcome::Failed, is("service/s4", "failed")) > 0);
    // What a policy stops is nobody's rollout, and neither is what goes on for hours.
    assert!(check(&all(30, 32), Outcome::Denied, |_, what, _| what == "denied") > 0);
    assert!(check(&all(20, 50), Outcome::Failed, |_, what, window| what == "failed" && window >= 32) > 0);
}

//! Silence over simulated weeks: who stops being heard is told once and by its name, and what only looks like silence is not.

use crate::simulation::{Flow, Random, START, WINDOW, run};
use tradewind_detect::{Engine, Settings};
use tradewind_model::{Finding, Severity};

const DAY: i64 = 288;

/// Twelve services of which each calls the next three, and people's three front ends, which are used in office hours only.
/// What an edge does in a window: a window, source and destination give the factor.
fn network(days: i64, factor: impl Fn(i64, &str, &str) -> f64) -> Vec<Flow> {
    let mut random = Random(7);
    let mut flows = Vec::new();
    for window in 0..days * DAY {
        let (hour, day) = ((window % DAY) / 12, window / DAY);
        let mut call = |source: String, destination: String, mean: f64| {
            let load = (0.3 * random.normal()).exp();
            let count = random.poisson(mean * load * factor(window, &source, &destination));
            if count > 0 {
                let second = 1 + random.below(298) as i64;
                let flow = Flow::new(window, second, &source, &destination, 8080);
                flows.push(Flow { count: count as i64, ..flow });
            }
        };
        for client in 0..12 {
            for step in 1..4 {
                call(format!("service/s{client}"), format!("service/s{}", (client + step) % 12), 12.0);
            }
        }
        let is_office = (8..18).contains(&hour) && day % 7 != 2 && day % 7 != 3;
        for desk in 0..3 {
            call(format!("service/desk{desk}"), format!("service/web{desk}"), if is_office { 20.0 } else { 0.01 });
        }
    }
    flows.sort_by_key(|flow| flow.time);
    flows
}

fn silences(flows: &[Flow]) -> Vec<Finding> {
    let mut engine = Engine::new(Settings::default()).unwrap();
    run(&mut engine, flows).into_iter().filter(|finding| finding.behaviour == "silence").collect()
}

/// Entities of the findings, each with the windows from `from` to its first telling.
fn check(flows: &[Flow], from: i64, expected: &[(&str, std::ops::RangeInclusive<i64>)]) -> Vec<Finding> {
    let findings = silences(flows);
    let mut first: Vec<&Finding> = Vec::new();
    for finding in &findings {
        if first.iter().all(|known| known.finding_id != finding.finding_id) {
            first.push(finding);
        }
    }
    let told: Vec<(&str, i64)> =
        first.iter().map(|finding| (finding.entity.as_str(), (finding.time - START) / WINDOW - from)).collect();
    let holds = told.len() == expected.len()
        && told.iter().zip(expected).all(|((entity, after), (name, within))| entity == name && within.contains(after));
    assert!(holds, "{told:?} is not {expected:?}");
    findings
}

/// Nights, weekends and chance are no silence.
#[test]
fn what_pauses_as_ever_is_not_silent() {
    check(&network(16, |_, _, _| 1.0), 0, &[]);
}

/// One finding about the service, none about its clients and servers; it ends when it is heard again.
#[test]
fn a_service_that_stops_is_told_once() {
    let from = 10 * DAY + 100;
    let factor = |window, source: &str, destination: &str| {
        let is_stopped = (from..from + 60).contains(&window) && [source, destination].contains(&"service/s5");
        if is_stopped { 0.0 } else { 1.0 }
    };
    let findings = check(&network(12, factor), from, &[("service/s5", 5..=24)]);
    let (first, last) = (findings.first().unwrap(), findings.last().unwrap());
    assert_eq!((first.severity, first.technique.as_str()), (Severity::Low, "T1489"));
    assert_eq!(first.title, "service s5 has gone quiet: hardly anything reaches it any more");
    assert_eq!(first.observed, "no connection to service s5 since 2026-01-11T08:20Z");
    let (usual, chance) = first.expected.rsplit_once(' ').unwrap();
    assert_eq!(
        usual,
        "usually 27 to 61 connections in 5 minutes at 09:00 UTC of a Sunday, and none of 928 pauses before was so long; the rest of the network is heard as usual; chance of such a pause"
    );
    assert!(chance.parse::<f64>().unwrap() < 1e-6, "{chance}");
    assert!(first.uncertain.contains("was removed, scaled down or moved"), "{}", first.uncertain);
    assert_eq!(
        first.evidence_query,
        "SELECT * FROM flows WHERE end_time >= TIMESTAMP WITH TIME ZONE '2026-01-11T08:15:00Z' AND end_time <= TIMESTAMP WITH TIME ZONE '2026-01-11T09:05:00Z' AND dst_entity = 'service/s5' ORDER BY end_time"
    );
    assert_eq!(last.observed, "service s5 was silent from 2026-01-11T08:20Z to 2026-01-11T13:20Z and is heard again");
    assert_eq!(last.last_seen, START + (from + 60) * WINDOW);
}

/// What is silent for good is told for a day, and then forgotten; when it comes back nothing is said.
#[test]
fn a_service_that_is_removed_is_told_for_a_day() {
    let from = 9 * DAY + 150;
    let factor = |window, source: &str, destination: &str| {
        let is_gone = window >= from && [source, destination].contains(&"service/s5");
        if is_gone { 0.0 } else { 1.0 }
    };
    let findings = check(&network(14, factor), from, &[("service/s5", 5..=24)]);
    assert!(findings.iter().all(|finding| finding.time < START + (from + DAY + 30) * WINDOW));
    assert!(findings.len() < 60, "{}", findings.len());
}

/// People come to work at eight; a service of theirs that is silent at noon is told of, and not one at night.
#[test]
fn a_pause_counts_in_the_hours_in_which_something_is_expected() {
    let noon = 12 * DAY + 144;
    let stopped = |from, until| {
        move |window, _: &str, destination: &str| {
            let is_stopped = (from..until).contains(&window) && destination == "service/web1";
            if is_stopped { 0.0 } else { 1.0 }
        }
    };
    // From noon on: after some hours; from the evening on: the next day.
    check(&network(14, stopped(noon, 15 * DAY)), noon, &[("service/web1", 10..=60)]);
    let evening = 11 * DAY + 220;
    check(&network(14, stopped(evening, 15 * DAY)), evening, &[("service/web1", 170..=230)]);
    check(&network(14, stopped(evening, 12 * DAY + 100)), evening, &[]);
}

/// What falls to a hundredth is told as what stops is, and what falls to a half is not.
#[test]
fn far_less_is_nearly_silent() {
    let from = 10 * DAY + 100;
    let fallen = |factor: f64| {
        network(
            11,
            move |window, _, destination| if window >= from && destination == "service/s5" { factor } else { 1.0 },
        )
    };
    let findings = check(&fallen(0.01), from, &[("service/s5", 5..=40)]);
    assert!(findings[0].observed.starts_with("no more than "), "{}", findings[0].observed);
    check(&fallen(0.5), from, &[]);
}

/// Where a collector stops, or all of them, nobody is told to be silent.
#[test]
fn a_loss_of_coverage_is_no_silence() {
    let from = 10 * DAY + 120;
    let unheard = |is_unheard: fn(&str) -> bool| {
        network(12, move |window, source, destination| {
            let is_lost = (from..from + 70).contains(&window) && (is_unheard(source) || is_unheard(destination));
            if is_lost { 0.0 } else { 1.0 }
        })
    };
    check(&unheard(|_| true), from, &[]);
    check(&unheard(|name| name.starts_with("service/s")), from, &[]);
}

/// Many that have nothing to do with each other are one finding, which says that a collector may be the cause.
#[test]
fn a_common_cause_is_one_finding() {
    let from = 13 * DAY + 110;
    let flows =
        network(
            14,
            |window, source, _| {
                if (from..from + 60).contains(&window) && source.starts_with("service/desk") { 0.0 } else { 1.0 }
            },
        );
    let findings = silences(&flows);
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    let (title, cause) = finding.title.split_once(": ").unwrap();
    assert!(title.starts_with("several services have gone quiet at once, among them service "), "{title}");
    assert_eq!((cause, finding.technique.as_str()), ("what reports them may have stopped", ""));
    assert!(finding.observed.ends_with("; 5 others fell silent with it"), "{}", finding.observed);
    assert!(finding.uncertain.starts_with("a collector that stopped"), "{}", finding.uncertain);
}

/// Silence spends one of the five findings of a day.
#[test]
fn silence_spends_a_fifth_of_the_budget() {
    // A Wednesday, when enough of their pauses is known.
    let from = 13 * DAY + 110;
    let factor = |window, source: &str, destination: &str| {
        let is_stopped = |name: &str, from| window >= from && [source, destination].contains(&name);
        if is_stopped("service/web0", from) || is_stopped("service/web2", from + 30) { 0.0 } else { 1.0 }
    };
    check(&network(14, factor), from, &[("service/web0", 5..=60)]);
}

/// Killed and restored in the middle of a silence it says the same, and on two levels over four shards, too.
#[test]
fn a_restart_and_shards_change_nothing() {
    let from = 10 * DAY + 100;
    let flows = network(11, |window, source, destination| {
        let is_stopped = (from..from + 40).contains(&window) && [source, destination].contains(&"service/s5");
        if is_stopped { 0.0 } else { 1.0 }
    });
    let whole = silences(&flows);
    assert!(whole.len() > 1);
    for shards in [1, 4] {
        let mut engine = Engine::with_shards(Settings::default(), shards).unwrap();
        let mut findings = Vec::new();
        let restarts = [from - 30, from + 3, from + 12, from + 39].map(|window| START + window * WINDOW);
        let mut restarts = restarts.into_iter().peekable();
        for flow in &flows {
            if restarts.next_if(|&time| flow.time >= time).is_some() {
                engine = postcard::from_bytes(&postcard::to_stdvec(&engine).unwrap()).unwrap();
            }
            findings.extend(engine.observe(&flow.event()));
        }
        findings.extend(engine.finish());
        findings.retain(|finding| finding.behaviour == "silence");
        assert_eq!(findings, whole, "{shards}");
    }
}

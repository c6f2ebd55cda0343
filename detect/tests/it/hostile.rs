//! An opponent who knows the detectors and writes the logs: who makes millions of edges, who is noisy to hide something, and
//! who forges what others do.

use crate::simulation::{Flow, Random, START, WINDOW, quiet, run};
use std::collections::BTreeSet;
use tradewind_detect::{Engine, Settings};
use tradewind_model::{Finding, Outcome};

/// The agent is taken over and calls the payment service, in a window.
fn takeover(window: i64) -> Vec<Flow> {
    (0..6).map(|call| Flow::new(window, 100 + call * 20, "agent/support-bot", "service/payment", 9443)).collect()
}

fn about<'a>(findings: &'a [Finding], entity: &str, since: i64) -> Vec<&'a Finding> {
    let is_about = |finding: &&Finding| finding.entity == entity && finding.first_seen >= START + since * WINDOW;
    findings.iter().filter(is_about).collect()
}

/// Flows of the quiet network, with `fake` edges in each of these windows: a few of the ends are the network's own.
fn flood(engine: &mut Engine, windows: std::ops::Range<i64>, fake: usize, calm: &[Flow]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for window in windows {
        let within = |flow: &&Flow| (flow.time - START).div_euclid(WINDOW) == window;
        for flow in calm.iter().filter(within) {
            findings.extend(engine.observe(&flow.event()));
        }
        let mut flow = Flow::new(window, 299, "", "", 443);
        for number in 0..fake {
            flow.src = format!("unknown/{:x}", number % 4000);
            flow.dst = match number % 1000 {
                0 => format!("service/s{}", number % 12),
                _ => format!("unknown/{window:x}.{:x}", number / 400),
            };
            flow.port = Some(1024 + i32::try_from(number % 60_000).unwrap_or(0));
            flow.outcome = if number % 3 == 0 { Outcome::Allowed } else { Outcome::Failed };
            findings.extend(engine.observe(&flow.event()));
        }
    }
    findings
}

/// Ten times as many fake edges as are kept. The state stays bounded, the flood is told, what is usual is still usual, and
/// what is not is still told.
fn check_fake_edges(settings: Settings, windows: i64, fake: usize, bytes_max: usize) {
    let edges_max = settings.edges_max as u64;
    let entities_max = settings.entities_max as u64;
    let calm = quiet(100 + windows + 20);
    let mut engine = Engine::new(settings).unwrap();
    let before: Vec<Finding> = calm
        .iter()
        .take_while(|flow| flow.time < START + 100 * WINDOW)
        .flat_map(|flow| engine.observe(&flow.event()))
        .collect();
    assert_eq!(before, [], "a calm network");
    let told = flood(&mut engine, 100..100 + windows, fake, &calm);
    let flooders: BTreeSet<&str> = told.iter().map(|finding| finding.entity.as_str()).collect();
    assert!(flooders.iter().any(|entity| entity.starts_with("unknown/")), "the flood is told: {flooders:?}");
    let after: Vec<Flow> = calm.into_iter().filter(|flow| flow.time >= START + (100 + windows) * WINDOW).collect();
    let mut after: Vec<Flow> = after.into_iter().chain(takeover(100 + windows + 10)).collect();
    after.sort_by_key(|flow| flow.time);
    // The first of them closes the last window of the flood.
    engine.observe(&after[0].event());
    let statistics = engine.statistics();
    assert!(statistics.aged_out > 0 && statistics.edges <= edges_max, "{statistics:?}");
    assert!(statistics.entities <= entities_max, "{statistics:?}");
    let bytes = postcard::to_allocvec(&engine).unwrap().len();
    assert!(bytes <= bytes_max, "{bytes} bytes for {statistics:?}");
    let later = run(&mut engine, &after[1..]);
    let windows_after = 100 + windows;
    for client in 0..12 {
        assert_eq!(about(&later, &format!("service/s{client}"), windows_after), Vec::<&Finding>::new());
    }
    let agent = about(&later, "agent/support-bot", windows_after);
    assert!(agent.iter().any(|finding| finding.title.contains("payment")), "{later:#?}");
    // It knows since when: the baseline outlived the flood.
    assert!(agent.iter().all(|finding| finding.baseline_since <= START + 10 * WINDOW), "{agent:#?}");
}

#[test]
fn fake_edges_push_out_each_other_and_not_what_is_usual() {
    let settings = Settings { edges_max: 4000, entities_max: 5000, ..Settings::default() };
    check_fake_edges(settings, 10, 4000, 12 << 20);
}

/// The same at full size.
#[test]
fn ten_million_fake_edges_leave_memory_bounded() {
    check_fake_edges(Settings::default(), 10, 1_000_000, 400 << 20);
}

/// Searches of strangers, and what many do to one, are noise; what an entity of the network does is told all the same.
#[test]
fn noise_does_not_use_up_what_people_are_told() {
    let mut flows = quiet(80);
    for window in 40..60 {
        for stranger in 0..4 {
            let source = format!("unknown/{window}.{stranger}");
            let search = (0..30).map(|port| Flow {
                outcome: Outcome::Failed,
                ..Flow::new(window, 10 * stranger, &source, &format!("service/s{stranger}"), 3000 + port)
            });
            flows.extend(search);
        }
    }
    flows.extend(takeover(62));
    flows.sort_by_key(|flow| flow.time);
    let mut engine = Engine::new(Settings::default()).unwrap();
    let findings = run(&mut engine, &flows);
    let strangers: BTreeSet<&str> = findings.iter().map(|finding| finding.entity.as_str()).collect();
    let strangers = strangers.iter().filter(|entity| entity.starts_with("unknown/")).count();
    assert!((1..=2).contains(&strangers), "{strangers} strangers are told");
    assert!(engine.decided().held_back > 10, "{:?}", engine.decided());
    assert!(!about(&findings, "agent/support-bot", 60).is_empty(), "{findings:#?}");
}

/// Somebody writes records in the name of another: a service is made to look popular before the agent goes there. It is told
/// that the popularity is new, and the agent's contact as well.
#[test]
fn a_forged_popularity_is_told_and_does_not_hide() {
    let mut flows = quiet(80);
    for window in 40..60 {
        for client in 0..12 {
            flows.push(Flow::new(window, 10 + client, &format!("service/s{client}"), "service/payment", 9443));
        }
    }
    flows.extend(takeover(62));
    flows.sort_by_key(|flow| flow.time);
    let mut engine = Engine::new(Settings::default()).unwrap();
    let findings = run(&mut engine, &flows);
    let first = findings.iter().map(|finding| finding.first_seen).min().unwrap();
    assert_eq!(first, START + 40 * WINDOW, "{findings:#?}");
    assert!(
        findings.iter().all(|finding| finding.observations.iter().any(|line| line.dst_entity == "service/payment"))
    );
}

/// Records forged in the name of another do not teach that what it never does is usual: as long as a finding is open, and
/// hours of it, its next new edge is told.
#[test]
fn forged_records_do_not_widen_what_is_usual() {
    let mut flows = quiet(120);
    for window in 40..100 {
        flows.push(Flow::new(
            window,
            20,
            "agent/support-bot",
            &format!("service/s{}", window % 12),
            2000 + window as i32,
        ));
    }
    flows.extend(takeover(110));
    flows.sort_by_key(|flow| flow.time);
    let mut engine = Engine::new(Settings::default()).unwrap();
    let findings = run(&mut engine, &flows);
    let agent = about(&findings, "agent/support-bot", 40);
    assert!(!agent.is_empty(), "{findings:#?}");
    let told = agent.iter().any(|finding| finding.last_seen >= START + 110 * WINDOW);
    assert!(told, "the finding that is open has the new edge, or there is another: {agent:#?}");
}

/// A restart in the middle of a flood changes nothing.
#[test]
fn a_flood_is_restart_exact() {
    let settings = Settings { edges_max: 1000, entities_max: 1500, ..Settings::default() };
    let calm = quiet(60);
    let ran = |restarts: bool| {
        let mut engine = Engine::new(settings.clone()).unwrap();
        let mut findings = Vec::new();
        for window in 0..60 {
            let fake = if (20..40).contains(&window) { 700 } else { 0 };
            findings.extend(flood(&mut engine, window..window + 1, fake, &calm));
            if restarts && window % 3 == 1 {
                let bytes = postcard::to_allocvec(&engine).unwrap();
                engine = postcard::from_bytes(&bytes).unwrap();
            }
        }
        findings.extend(engine.finish());
        (findings, engine.statistics(), engine.decided())
    };
    let whole = ran(false);
    assert!(whole.1.aged_out > 1000 && !whole.0.is_empty(), "{:?}", whole.1);
    assert_eq!(ran(true), whole);
}

/// Who raises the amount a little every day stays below what any single window would show. The detector of drift, which ships
/// switched off, finds it within two weeks, and tells nothing of those who do not.
#[test]
fn a_slow_ramp_is_found_by_drift() {
    let mut settings = Settings::default();
    settings.drift.is_enabled = true;
    let mut engine = Engine::new(settings).unwrap();
    let mut random = Random(7);
    let (mut findings, days) = (Vec::new(), 24);
    for window in (0..days * 288).step_by(6) {
        let day = window / 288;
        for client in 0..20 {
            let is_ramping = client == 3 && day >= 8;
            let growth = if is_ramping { 1.12_f64.powi(i32::try_from(day - 7).unwrap_or(0)) } else { 1.0 };
            for call in 0..4 {
                let mut flow = Flow::new(
                    window,
                    client + 60 * call,
                    &format!("service/s{client}"),
                    &format!("service/s{}", (client + 1) % 20),
                    443,
                );
                flow.bytes = (10_000.0 * growth * (0.3 * random.normal()).exp()) as i64;
                findings.extend(engine.observe(&flow.event()));
            }
        }
    }
    findings.extend(engine.finish());
    let drifts = |finding: &&Finding| finding.observations.iter().any(|line| line.detector == "drift");
    let told: Vec<&Finding> = findings.iter().filter(drifts).collect();
    assert!(told.iter().all(|finding| finding.entity == "service/s3"), "{told:#?}");
    let first = told.iter().map(|finding| finding.time).min().unwrap();
    assert!(first <= START + 22 * 288 * WINDOW, "{told:#?}");
}

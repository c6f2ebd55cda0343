//! Findings and states that come in another order than they were told, as after a time in which nobody read the log.

use crate::stand_in::{Received, StandIn};
use crate::world;
use serde_json::Value;
use std::path::Path;
use tradewind_model::IncidentState::{Open, Resolved};
use tradewind_notify::Input;

/// What a file was told: action and ids of the findings.
fn told(folder: &Path) -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(folder.join("lines")).unwrap_or_default();
    let of = |line: &str| {
        let said: Value = serde_json::from_str(line).unwrap();
        let findings = said["alert"]["findings"].as_array().unwrap();
        let ids = findings.iter().map(|finding| finding["finding_id"].as_str().unwrap().to_owned()).collect();
        (said["alert"]["action"].as_str().unwrap().to_owned(), ids)
    };
    text.lines().map(of).collect()
}

fn settings(folder: &Path, wait_ms: u32) -> tradewind_notify::NotifySettings {
    let sink = format!(
        "[[sink]]\nname = 'lines'\ntype = 'file'\npath = '{}'\nformat = 'json'\n",
        folder.join("lines").display()
    );
    let mut settings = world::settings(&sink);
    settings.wait_ms = wait_ms.into();
    settings
}

fn expected(told: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    told.iter().map(|(action, ids)| ((*action).to_owned(), ids.iter().map(|&id| id.to_owned()).collect())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_ended_while_it_waited_for_its_findings_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&settings(folder.path(), 60_000), folder.path()).unwrap();
    let state = |recorded_time, state| Input::Incident { recorded_time, incident: world::incident("i", &["f"], state) };
    notifier.take(vec![state(1, Open), state(2, Resolved)], None).await.unwrap();
    notifier.take(vec![world::told(world::finding("f"))], None).await.unwrap();
    world::delivered(&mut notifier).await;
    assert_eq!(told(folder.path()), expected(&[("open", &["f"]), ("resolve", &["f"])]));
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_comes_too_late_for_its_incident_is_told_as_more_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), 0);
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    let finding = |id: &str| world::told(world::finding(id));
    let state = world::of(world::incident("i", &["f", "g", "h"], Open));
    notifier.take(vec![finding("f"), state], None).await.unwrap();
    notifier.tick(Vec::new()).await.unwrap();
    world::delivered(&mut notifier).await;
    notifier.take(vec![finding("g"), finding("g")], None).await.unwrap();
    world::delivered(&mut notifier).await;
    // It is known after a restart, too.
    notifier.stop().await.unwrap();
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    notifier.take(vec![finding("h")], None).await.unwrap();
    notifier.take(vec![finding("h")], None).await.unwrap();
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    let told = told(folder.path());
    let counts: Vec<(&str, usize)> = told.iter().map(|(action, ids)| (action.as_str(), ids.len())).collect();
    assert_eq!(counts, [("open", 1), ("update", 2), ("update", 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_comes_after_the_end_reaches_who_keeps_findings() {
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&settings(folder.path(), 0), folder.path()).unwrap();
    let state =
        |recorded_time, state| Input::Incident { recorded_time, incident: world::incident("i", &["f", "g"], state) };
    notifier.take(vec![world::told(world::finding("f")), state(1, Open)], None).await.unwrap();
    notifier.tick(Vec::new()).await.unwrap();
    notifier.take(vec![state(2, Resolved)], None).await.unwrap();
    notifier.tick(Vec::new()).await.unwrap();
    world::delivered(&mut notifier).await;
    for _ in 0..2 {
        notifier.take(vec![world::told(world::finding("g"))], None).await.unwrap();
        world::delivered(&mut notifier).await;
    }
    assert_eq!(told(folder.path()), expected(&[("open", &["f"]), ("resolve", &["f"]), ("resolve", &["f", "g"])]));
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_waits_for_its_findings_is_told_though_an_older_state_comes_late() {
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&settings(folder.path(), 60_000), folder.path()).unwrap();
    let state = |recorded_time, names: &[&str], state| Input::Incident {
        recorded_time,
        incident: world::incident("i", names, state),
    };
    notifier.take(vec![world::told(world::finding("f")), state(1, &["f"], Open)], None).await.unwrap();
    world::delivered(&mut notifier).await;
    // The end names a finding that is not here yet; a state of before the end comes behind it.
    notifier.take(vec![state(2, &["f", "g"], Resolved)], None).await.unwrap();
    notifier.take(vec![state(3, &["f", "g"], Open)], None).await.unwrap();
    notifier.take(vec![world::told(world::finding("g"))], None).await.unwrap();
    world::delivered(&mut notifier).await;
    assert_eq!(told(folder.path()), expected(&[("open", &["f"]), ("resolve", &["f", "g"])]));
    notifier.stop().await.unwrap();
}

/// Actions and ids of the findings that a pager was told.
fn paged(stand_in: &StandIn) -> Vec<(String, Vec<String>)> {
    let of = |request: Received| {
        let event = request.json();
        let findings = event["payload"]["custom_details"]["findings"].as_array().cloned().unwrap_or_default();
        let ids = findings.iter().map(|finding| finding["finding_id"].as_str().unwrap().to_owned()).collect();
        (event["event_action"].as_str().unwrap().to_owned(), ids)
    };
    stand_in.received().into_iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pager_hears_of_findings_that_come_with_the_end_before_it() {
    let stand_in = StandIn::start(|_| (202, String::new())).await;
    let folder = tempfile::tempdir().unwrap();
    let sink = format!(
        "[[sink]]\nname = 'pager'\ntype = 'pagerduty'\nrouting_key = {{ env = 'ROUTING_KEY' }}\nurl = '{}'\n",
        stand_in.url()
    );
    let mut settings = world::settings(&sink);
    settings.wait_ms = 0;
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    let state = |recorded_time, names: &[&str], state| Input::Incident {
        recorded_time,
        incident: world::incident("i", names, state),
    };
    notifier.take(vec![world::told(world::finding("f")), state(1, &["f"], Open)], None).await.unwrap();
    world::delivered(&mut notifier).await;
    let end = vec![world::told(world::finding("g")), state(2, &["f", "g"], Resolved)];
    notifier.take(end, None).await.unwrap();
    world::delivered(&mut notifier).await;
    assert_eq!(paged(&stand_in), expected(&[("trigger", &["f"]), ("trigger", &["f", "g"]), ("resolve", &[])]));
    // What comes later still opens nothing again.
    notifier.take(vec![state(3, &["f", "g", "h"], Resolved), world::told(world::finding("h"))], None).await.unwrap();
    world::delivered(&mut notifier).await;
    assert_eq!(paged(&stand_in).len(), 3);
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_alert_that_is_refused_does_not_take_those_in_its_message_with_it() {
    let stand_in = StandIn::start(|request: &Received| {
        let is_poisoned = String::from_utf8_lossy(&request.body).contains("\"bad\"");
        (if is_poisoned { 400 } else { 200 }, String::new())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("[[sink]]\nname = 'hook'\ntype = 'webhook'\nurl = '{}'\ngroup_s = 1\n", stand_in.url());
    let mut settings = world::settings(&sink);
    settings.wait_ms = 0;
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    let told = |id: &str| {
        [
            world::told(world::finding(&format!("{id}-f"))),
            Input::Incident { recorded_time: 1, incident: world::incident(id, &[&format!("{id}-f")], Open) },
        ]
    };
    notifier.take(["good", "bad", "fine"].into_iter().flat_map(told).collect(), None).await.unwrap();
    world::delivered(&mut notifier).await;
    let status = notifier.status().unwrap().sinks["hook"].clone();
    assert_eq!((status.delivered, status.refused, status.dead, status.waiting), (2, 1, 1, 0), "{status:?}");
    assert_eq!(stand_in.received().len(), 4, "all together, then each by itself");
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_of_life_is_sent_once() {
    let stand_in = StandIn::start(|_| (200, String::new())).await;
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("[[sink]]\nname = 'hook'\ntype = 'webhook'\nurl = '{}'\nheartbeat_s = 3600\n", stand_in.url());
    let mut notifier = world::start(&world::settings(&sink), folder.path()).unwrap();
    notifier.tick(Vec::new()).await.unwrap();
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    assert_eq!(stand_in.received().len(), 1);
}

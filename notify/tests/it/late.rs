//! Findings and states that come in another order than they were told, as after a time in which nobody read the log.

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
async fn a_sign_of_life_is_sent_once() {
    use crate::stand_in::StandIn;
    let stand_in = StandIn::start(|_| (200, String::new())).await;
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("[[sink]]\nname = 'hook'\ntype = 'webhook'\nurl = '{}'\nheartbeat_s = 3600\n", stand_in.url());
    let mut notifier = world::start(&world::settings(&sink), folder.path()).unwrap();
    notifier.tick(Vec::new()).await.unwrap();
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    assert_eq!(stand_in.received().len(), 1);
}

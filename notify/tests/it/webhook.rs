//! Webhooks, signed as Standard Webhooks has it.

use crate::stand_in::{Fault, Received, StandIn};
use crate::world::{self, TOKEN, hostile};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use std::path::Path;
use tradewind_notify::{Action, Alert, Heartbeat, Message};

const KEY: &[u8] = b"a key of at least 24 bytes for tests";

/// A receiver as the specification asks for it.
fn contract(request: &Received) -> (u16, String) {
    let wrong = |what: &str| (400, what.to_owned());
    if request.method != "POST" || request.uri.path() != "/hooks/tradewind" {
        return (404, String::new());
    }
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) || request.header("x-api-key") != Some(TOKEN)
    {
        return (401, "who are you?".to_owned());
    }
    if request.header("content-type") != Some("application/json") {
        return wrong("content type");
    }
    let (Some(id), Some(time), Some(signatures)) =
        (request.header("webhook-id"), request.header("webhook-timestamp"), request.header("webhook-signature"))
    else {
        return wrong("headers");
    };
    if id.is_empty() || id.contains('.') || request.header("idempotency-key") != Some(id) {
        return wrong("id");
    }
    if time.parse::<i64>().map_or(true, |time| (world::now() / 1_000_000 - time).abs() > 300) {
        return wrong("time");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    mac.update([id.as_bytes(), b".", time.as_bytes(), b".", &request.body].concat().as_slice());
    let signature = signatures.split(' ').find_map(|one| one.strip_prefix("v1,")).unwrap_or_default();
    if mac.verify_slice(&STANDARD.decode(signature).unwrap_or_default()).is_err() {
        return (401, "signature".to_owned());
    }
    match serde_json::from_slice::<Value>(&request.body) {
        Ok(_) => (200, "taken".to_owned()),
        Err(error) => wrong(&error.to_string()),
    }
}

fn sink(stand_in: &StandIn, folder: &Path, more: &str) -> String {
    std::fs::write(folder.join("key"), format!("whsec_{}", STANDARD.encode(KEY))).unwrap();
    format!(
        "[[sink]]\nname = 'hook'\ntype = 'webhook'\nurl = '{}/hooks/tradewind'\nsigning_secret = {{ file = 'key' }}\n\
         bearer_token = {{ env = 'TOKEN' }}\nheaders = {{ X-Api-Key = {{ env = 'TOKEN' }} }}\ntimeout_ms = 500\n{more}",
        stand_in.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_signed_and_says_all() {
    let stand_in = StandIn::start(contract).await;
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&sink(&stand_in, folder.path(), "")), folder.path()).unwrap();
    stand_in.fail([Fault::Status(503, vec![("retry-after", "0".to_owned())], String::new()), Fault::LostAnswer]);
    world::open(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    let received = stand_in.received();
    let ids: Vec<&str> = received.iter().map(|request| request.header("webhook-id").unwrap()).collect();
    assert!(ids.len() == 3 && ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    let body = received[0].json();
    assert_eq!((&body["type"], &body["id"]), (&Value::from("incident.opened"), &Value::from(ids[0])));
    assert_eq!(body["alerts"][0]["link"], "https://tradewind.example/incidents/one");
    assert_eq!(body["alerts"][0]["findings"][0]["technique"], "T1021");
    assert_eq!(received[2].json()["type"], "incident.resolved");
    let shown = format!("{notifier:?} {:?}", world::sink(&sink(&stand_in, folder.path(), ""), folder.path()));
    assert!(!shown.contains(TOKEN) && !shown.contains("a key of"), "{shown}");
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_of_messages_are_json_and_fit() {
    let stand_in = StandIn::start(contract).await;
    let folder = tempfile::tempdir().unwrap();
    let sink = world::sink(&sink(&stand_in, folder.path(), "body_bytes_max = 70000\n"), folder.path());
    let bad = hostile("one");
    let mut long = bad.clone();
    long.findings = (0..20).map(|_| bad.findings[0].clone()).collect();
    let heartbeat = Heartbeat { time: world::now(), causes: vec!["\"\n".to_owned()], open_incidents: 1 };
    let messages = [
        Message::Alert(Box::new(long)),
        Message::Alert(Box::new(Alert::test(world::now()))),
        Message::Digest(vec![world::alert("two", Action::Update); 3]),
        Message::Heartbeat(heartbeat),
    ];
    for message in messages {
        world::is_delivered(&sink.deliver(&[message]).await[0]);
    }
    let received = stand_in.received();
    assert!(received.iter().all(|request| request.body.len() <= 70_000));
    let first = received[0].json();
    let findings = first["alerts"][0]["findings"].as_array().unwrap().len();
    assert!((1..20).contains(&findings), "{findings}");
    assert_eq!(received[1].json()["alerts"][0]["is_test"], true);
    assert_eq!(received[2].json()["alerts"].as_array().unwrap().len(), 3);
    assert_eq!(received[3].json()["heartbeat"]["open_incidents"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_changes_the_body_and_its_faults_are_told_at_the_start() {
    let stand_in = StandIn::start(contract).await;
    let folder = tempfile::tempdir().unwrap();
    let text = sink(&stand_in, folder.path(), "template = 'own.jinja'\n");
    let template = folder.path().join("own.jinja");
    std::fs::write(&template, "{\n\"a\": {{ tilte }}\n}").unwrap();
    let error = world::try_sink(&text, folder.path()).unwrap_err().to_string();
    assert!(error.contains("sink `hook`") && error.contains("own.jinja") && error.contains("line 2"), "{error}");
    std::fs::write(&template, "{\"said\": {{ \"Tradewind: \" ~ text }}, \"all\": {{ alerts | length }}}").unwrap();
    let sink = world::sink(&text, folder.path());
    world::is_delivered(&sink.deliver(&[Message::Alert(Box::new(hostile("one")))]).await[0]);
    let body = stand_in.received()[0].json();
    assert!(body["said"].as_str().unwrap().starts_with("Tradewind: <!channel>") && body["all"] == 1, "{body}");
}

#[test]
fn settings_that_cannot_work_are_told() {
    let faults = |more: &str| {
        let text = format!(
            "outbox = 'o'\noutbox_alerts_max = 1000\nretrospective_h = 1\nwait_ms = 0\nmemory_days = 1\nlink = ''\n\
             [[sink]]\nname = 'hook'\ntype = 'webhook'\n{more}"
        );
        toml::from_str::<tradewind_notify::NotifySettings>(&text).map(|settings| settings.faults().join("; "))
    };
    let secret = "{ env = 'TOKEN' }";
    assert_eq!(faults(&format!("url = {secret}")).unwrap(), "");
    assert_eq!(faults(&format!("url = 'https://a.example'\nheaders = {{ X-Key = {secret} }}")).unwrap(), "");
    assert!(faults("url = 'http://a.example'").unwrap().contains("https"));
    assert!(
        faults(&format!("url = 'https://a.example'\nheaders = {{ Webhook-Id = {secret} }}"))
            .unwrap()
            .contains("already")
    );
    assert!(
        faults(&format!("url = 'https://a.example'\nheaders = {{ 'a b' = {secret} }}")).unwrap().contains("no name")
    );
    assert!(faults("url = 'https://a.example'\nunknown = 1").is_err());
    assert!(faults("url = 'https://a.example'\nbearer_token = 'plain'").is_err());
}

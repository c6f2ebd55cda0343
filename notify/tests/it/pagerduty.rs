//! PagerDuty's Events API v2.

use crate::stand_in::{Fault, Received, StandIn};
use crate::world::{self, ROUTING_KEY};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What PagerDuty answers: <https://developer.pagerduty.com/docs/send-alert-event>.
fn contract(request: &Received) -> (u16, String) {
    let wrong = |what: &str| {
        (400, json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [what] }).to_string())
    };
    if request.method != "POST" || request.uri.path() != "/v2/enqueue" {
        return (404, String::new());
    }
    if request.header("content-type") != Some("application/json") {
        return wrong("content type");
    }
    let Ok(event) = serde_json::from_slice::<Value>(&request.body) else { return wrong("no JSON") };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if text(&event["routing_key"]).is_none_or(|key| key.len() != 32) {
        return wrong("'routing_key' is missing or blank");
    }
    let Some(key) = text(&event["dedup_key"]).filter(|key| !key.is_empty() && key.len() <= 255) else {
        return wrong("'dedup_key' is not 1 to 255 characters");
    };
    let known = ["routing_key", "event_action", "dedup_key", "payload", "links", "images", "client", "client_url"];
    if let Some(unknown) = event.as_object().and_then(|event| event.keys().find(|key| !known.contains(&key.as_str()))) {
        return wrong(&format!("'{unknown}' is unknown"));
    }
    match event["event_action"].as_str() {
        Some("trigger") => {
            let payload = &event["payload"];
            let texts = ["summary", "source", "severity", "timestamp", "component", "group", "class"];
            let is_text = |(key, value): (&String, &Value)| !texts.contains(&key.as_str()) || value.is_string();
            if !payload.as_object().is_some_and(|payload| payload.iter().all(is_text)) {
                return wrong("'payload' has what is no text");
            }
            if ["client", "client_url"].iter().any(|key| event.get(key).is_some_and(|value| !value.is_string())) {
                return wrong("'client' or 'client_url' is no text");
            }
            if text(&payload["summary"]).is_none_or(|summary| summary.is_empty() || summary.chars().count() > 1024) {
                return wrong("'payload.summary' is missing, blank or too long");
            }
            if text(&payload["source"]).is_none_or(|source| source.is_empty()) {
                return wrong("'payload.source' is missing or blank");
            }
            if !["critical", "error", "warning", "info"].contains(&payload["severity"].as_str().unwrap_or_default()) {
                return wrong("'payload.severity' is invalid");
            }
            if payload["timestamp"].as_str().is_some_and(|time| tradewind_model::time::parse(time).is_err()) {
                return wrong("'payload.timestamp' is no ISO 8601 time");
            }
            let links = event["links"].as_array().cloned().unwrap_or_default();
            if links.iter().any(|link| !link["href"].is_string()) {
                return wrong("'links' without href");
            }
        }
        Some("acknowledge" | "resolve") => {}
        _ => return wrong("'event_action' is invalid"),
    }
    (202, json!({ "status": "success", "message": "Event processed", "dedup_key": key }).to_string())
}

fn sink(url: &str) -> String {
    format!(
        "[[sink]]\nname = 'pager'\ntype = 'pagerduty'\nrouting_key = {{ env = 'ROUTING_KEY' }}\nurl = '{url}'\ntimeout_ms = 500\n"
    )
}

fn actions(stand_in: &StandIn) -> BTreeMap<String, Vec<String>> {
    let mut actions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in stand_in.received() {
        let event = request.json();
        let text = |field: &str| event[field].as_str().unwrap().to_owned();
        actions.entry(text("dedup_key")).or_default().push(text("event_action"));
    }
    actions
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_triggered_and_resolved_with_one_key() {
    let stand_in = StandIn::start(contract).await;
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&sink(&stand_in.url())), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    world::update(&notifier, "one").await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    assert_eq!(actions(&stand_in)["one"], ["trigger", "trigger", "resolve"]);
    let event = stand_in.received()[0].json();
    assert_eq!(event["routing_key"], ROUTING_KEY);
    assert_eq!(event["payload"]["severity"], "error");
    assert_eq!(event["payload"]["source"], "prod/shop/agent/planner");
    assert_eq!(event["links"][0]["href"], "https://tradewind.example/incidents/one");
    assert_eq!(event["payload"]["custom_details"]["findings"][0]["technique"], "T1021");
    // The end came, and stays: nobody is woken by what comes late.
    world::update(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    assert_eq!(stand_in.received().len(), 3);
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_takes_over_is_acknowledged_once() {
    let stand_in = StandIn::start(contract).await;
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&sink(&stand_in.url())), folder.path()).unwrap();
    // Nobody was told of this one, and it is over: nothing is sent of it.
    world::resolve(&notifier, "unknown").await;
    world::open(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    for _ in 0..2 {
        world::acknowledge(&notifier, "one").await;
        world::delivered(&mut notifier).await;
    }
    assert_eq!(actions(&stand_in)["one"], ["trigger", "acknowledge", "trigger"]);
    let event = stand_in.received()[1].json();
    let told: Vec<&String> = event.as_object().unwrap().keys().collect();
    assert_eq!(told, ["dedup_key", "event_action", "routing_key"]);
    world::resolve(&notifier, "one").await;
    world::acknowledge(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    assert_eq!(actions(&stand_in)["one"], ["trigger", "acknowledge", "trigger", "resolve"]);
    assert_eq!(actions(&stand_in).len(), 1);
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_stays_in_its_place_while_nothing_is_taken() {
    let stand_in = StandIn::start(contract).await;
    let busy = || Fault::Status(503, vec![("retry-after", "1".to_owned())], String::new());
    stand_in.fail([busy()]);
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&sink(&stand_in.url())), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::until(&mut notifier, "the sink rests", |_| stand_in.faults_left() == 0).await;
    world::update(&notifier, "one").await;
    world::acknowledge(&notifier, "one").await;
    // What comes after it neither takes its place nor is lost, and is one.
    world::acknowledge(&notifier, "one").await;
    world::acknowledge(&notifier, "one").await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    assert_eq!(actions(&stand_in)["one"], ["trigger", "acknowledge", "trigger", "resolve"]);
    notifier.stop().await.unwrap();
}

/// Without findings, without an address for people, with whatever a log holds: all of it is an event that is taken.
#[tokio::test(flavor = "multi_thread")]
async fn every_alert_is_an_event() {
    let stand_in = StandIn::start(contract).await;
    let mut settings = world::settings(&sink(&stand_in.url()));
    settings.link = String::new();
    let folder = tempfile::tempdir().unwrap();
    let sink =
        tradewind_notify::make(&settings.sinks[0], &settings, &world::secrets(folder.path()), &world::clock()).unwrap();
    let mut messages: Vec<tradewind_notify::Message> = crate::siem::all();
    messages.retain(|message| !message.alerts().is_empty());
    messages.extend([crate::siem::hostile("hostile"), crate::siem::huge("huge")]);
    let answers = sink.deliver(&messages).await;
    assert_eq!(crate::siem::letters(&answers), "d".repeat(messages.len()), "{answers:?}");
    assert!(stand_in.received().iter().all(|request| request.body.len() < 512 * 1024));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_in_order() {
    let stand_in = StandIn::start(contract).await;
    let busy = |after: &str| Fault::Status(429, vec![("retry-after", after.to_owned())], String::new());
    let error = |status| Fault::Status(status, Vec::new(), "oops".to_owned());
    stand_in.fail([busy("0"), error(500), error(503), Fault::Hang, Fault::HalfAnswer, Fault::LostAnswer, error(502)]);
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&sink(&stand_in.url())), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    assert_eq!(stand_in.faults_left(), 0);
    let seen = &actions(&stand_in)["one"];
    let resolved = seen.iter().position(|action| action == "resolve").unwrap();
    assert!(resolved > 0 && seen[..resolved].iter().all(|action| action == "trigger"), "{seen:?}");
    assert!(seen[resolved..].iter().all(|action| action == "resolve"), "{seen:?}");
    let status = notifier.status().unwrap();
    assert_eq!(status.sinks["pager"].delivered, 2);
    assert!(status.sinks["pager"].last_error.is_some());
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_does_not_block_the_rest() {
    let stand_in = StandIn::start(contract).await;
    stand_in.fail([Fault::Status(400, Vec::new(), "{\"errors\":[\"poison\"]}".to_owned())]);
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&sink(&stand_in.url())), folder.path()).unwrap();
    world::open(&notifier, "bad").await;
    world::delivered(&mut notifier).await;
    world::open(&notifier, "good").await;
    world::delivered(&mut notifier).await;
    assert_eq!(actions(&stand_in).into_keys().collect::<Vec<_>>(), ["good"]);
    let dead = notifier.untold().unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].answer.contains("poison") && dead[0].content.contains("bad"), "{dead:?}");
    assert!(!dead[0].content.contains(ROUTING_KEY));
    notifier.told(&dead).unwrap();
    assert!(notifier.untold().unwrap().is_empty());
    // It can be sent once more.
    assert_eq!(notifier.replay("pager").unwrap(), 1);
    world::delivered(&mut notifier).await;
    assert_eq!(actions(&stand_in)["bad"], ["trigger"]);
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_delivered_is_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let settings = world::settings(&sink(&format!("http://{address}")));
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::resolve(&notifier, "one").await;
    world::until(&mut notifier, "an attempt failed", |notifier| {
        notifier.status().unwrap().sinks["pager"].last_error.is_some()
    })
    .await;
    let failed = notifier.status().unwrap().sinks["pager"].last_error.clone().unwrap();
    assert!(failed.contains("connect"), "{failed}");
    notifier.stop().await.unwrap();

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let stand_in = StandIn::on(listener, contract);
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    assert_eq!(notifier.positions().unwrap()["incidents/0"], 7);
    world::delivered(&mut notifier).await;
    assert_eq!(actions(&stand_in)["one"], ["trigger", "resolve"]);
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let text = sink("https://events.pagerduty.com").replace("ROUTING_KEY", "TOKEN");
    let error = world::start(&world::settings(&text), folder.path()).unwrap_err().to_string();
    assert!(error.contains("sink `pager`") && error.contains("32") && !error.contains(world::TOKEN), "{error}");
    let text = sink("https://events.pagerduty.com").replace("ROUTING_KEY", "NOT_THERE");
    let error = world::start(&world::settings(&text), folder.path()).unwrap_err().to_string();
    assert!(error.contains("NOT_THERE"), "{error}");
}

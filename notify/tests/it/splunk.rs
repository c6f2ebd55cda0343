//! Splunk's HTTP Event Collector.

use crate::siem::{self, letters};
use crate::stand_in::{Fault, Received, StandIn};
use crate::world::{self, TOKEN};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tradewind_notify::sinks::Answer;

/// What stands behind the collector.
#[derive(Default)]
struct Indexer {
    /// Whether the token has indexer acknowledgement.
    has_ack: bool,
    /// How often an acknowledgement is asked for in vain.
    slow: u32,
    asked: u32,
    next: u64,
    events: Vec<Value>,
    channels: Vec<String>,
}

fn say(status: u16, code: u64, text: &str) -> (u16, String) {
    (status, json!({ "text": text, "code": code }).to_string())
}

/// What Splunk answers, by code: <https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector>.
fn contract(indexer: &Mutex<Indexer>, request: &Received) -> (u16, String) {
    let mut indexer = indexer.lock().unwrap();
    if request.method != "POST" {
        return (405, String::new());
    }
    match request.header("authorization") {
        None => return say(401, 2, "Token is required"),
        Some(text) if !text.starts_with("Splunk ") => return say(401, 3, "Invalid authorization"),
        Some(text) if text != format!("Splunk {TOKEN}") => return say(403, 4, "Invalid token"),
        Some(_) => {}
    }
    let channel = request.header("x-splunk-request-channel").map(str::to_owned);
    match &channel {
        None if indexer.has_ack => return say(400, 10, "Data channel is missing"),
        Some(channel) if uuid::Uuid::parse_str(channel).is_err() => return say(400, 11, "Invalid data channel"),
        _ => {}
    }
    match request.uri.path() {
        "/services/collector/event" => {}
        "/services/collector/ack" if !indexer.has_ack => return say(400, 14, "ACK is disabled"),
        "/services/collector/ack" => {
            if !indexer.channels.contains(&channel.unwrap()) {
                return say(400, 11, "Invalid data channel");
            }
            let asked = request.json();
            indexer.asked += 1;
            let is_indexed = indexer.asked > indexer.slow;
            let ids = asked["acks"].as_array().unwrap();
            let acks: BTreeMap<String, bool> = ids
                .iter()
                .map(|id| id.as_u64().unwrap())
                .map(|id| (id.to_string(), is_indexed && id < indexer.next))
                .collect();
            return (200, json!({ "acks": acks }).to_string());
        }
        _ => return (404, String::new()),
    }
    let invalid = |number: usize, code: u64, text: &str| {
        (400, json!({ "text": text, "code": code, "invalid-event-number": number }).to_string())
    };
    let mut events = Vec::new();
    for (number, event) in serde_json::Deserializer::from_slice(&request.body).into_iter::<Value>().enumerate() {
        let Ok(event) = event else { return invalid(number, 6, "Invalid data format") };
        let known = ["time", "host", "source", "sourcetype", "index", "event", "fields"];
        if event.as_object().is_none_or(|fields| fields.keys().any(|key| !known.contains(&key.as_str()))) {
            return invalid(number, 6, "Invalid data format");
        }
        if !event["time"].is_number() || ["host", "source", "sourcetype"].iter().any(|key| !event[key].is_string()) {
            return invalid(number, 6, "Invalid data format");
        }
        if event.get("index").is_some_and(|index| index != "security") {
            return invalid(number, 7, "Incorrect index");
        }
        match &event["event"] {
            Value::Null => return invalid(number, 12, "Event field is required"),
            event if event == "" || event == &json!({}) => return invalid(number, 13, "Event field cannot be blank"),
            event if event["title"] == "POISON" => return invalid(number, 6, "Invalid data format"),
            _ => {}
        }
        if event["fields"].as_object().is_none_or(|fields| fields.values().any(|value| !value.is_string())) {
            return invalid(number, 15, "Error in handling indexed fields");
        }
        assert!(event["event"].to_string().len() <= 10_000, "Splunk would cut it");
        events.push(event);
    }
    if events.is_empty() {
        return say(400, 5, "No data");
    }
    indexer.events.extend(events);
    if !indexer.has_ack {
        return say(200, 0, "Success");
    }
    indexer.channels.push(channel.unwrap());
    let ack_id = indexer.next;
    indexer.next += 1;
    (200, json!({ "text": "Success", "code": 0, "ackId": ack_id }).to_string())
}

async fn start(indexer: Indexer) -> (StandIn, Arc<Mutex<Indexer>>) {
    let indexer = Arc::new(Mutex::new(indexer));
    let own = Arc::clone(&indexer);
    (StandIn::start(move |request| contract(&own, request)).await, indexer)
}

fn settings(url: &str, more: &str) -> String {
    format!(
        "[[sink]]\nname = 'splunk'\ntype = 'splunk'\nurl = '{url}'\ntoken = {{ env = 'TOKEN' }}\ntimeout_ms = 1500\n{more}\n"
    )
}

fn ids(indexer: &Mutex<Indexer>) -> Vec<String> {
    let indexer = indexer.lock().unwrap();
    indexer.events.iter().map(|event| event["event"]["incident_id"].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_as_splunk_wants_them() {
    let (stand_in, indexer) = start(Indexer::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = world::settings(&settings(&stand_in.url(), "index = 'security'"));
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::update(&notifier, "one").await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    let events = indexer.lock().unwrap().events.clone();
    let actions: Vec<&str> = events.iter().map(|event| event["event"]["action"].as_str().unwrap()).collect();
    assert_eq!(actions.first().zip(actions.last()), Some((&"open", &"resolve")), "{actions:?}");
    let event = &events[0];
    assert_eq!(event["sourcetype"], "tradewind:incident");
    assert_eq!(event["fields"]["severity"], "high");
    assert_eq!(event["event"]["destination_port"], 443);
    assert_eq!(event["event"]["technique"], "T1021");
    assert_eq!(event["event"]["url"], "https://tradewind.example/incidents/one");
    let time = tradewind_model::time::parse(event["event"]["time"].as_str().unwrap()).unwrap();
    assert!((event["time"].as_f64().unwrap() * 1e3 - (time / 1000) as f64).abs() < 0.5);
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_can_be_told_is_taken_in_one_request() {
    let (stand_in, indexer) = start(Indexer::default()).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    let mut messages = siem::all();
    messages.extend([siem::hostile("hostile"), siem::huge("huge"), siem::digest()]);
    assert_eq!(letters(&sink.deliver(&messages).await), "ddddddddddddr");
    assert_eq!(stand_in.received().len(), 1);
    let events = indexer.lock().unwrap().events.clone();
    assert_eq!(events[5]["fields"]["origin"], "test");
    assert!(events[5]["event"]["title"].as_str().unwrap().starts_with("TEST"));
    assert_eq!(events[7]["event"]["kind"], "heartbeat");
    assert_eq!(events[8]["event"]["severity"], "medium");
    let title = events[10]["event"]["title"].as_str().unwrap();
    assert!(title.contains("<script>") && !title.contains('\n') && !title.contains('\0'), "{title}");
    assert!(events[11]["event"]["more_findings"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_event_does_not_keep_the_others_away() {
    let (stand_in, indexer) = start(Indexer::default()).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    let messages = [siem::message("one"), siem::poisoned("bad"), siem::message("two"), siem::poisoned("worse")];
    let answers = sink.deliver(&messages).await;
    assert_eq!(letters(&answers), "drdr");
    assert!(matches!(&answers[1], Answer::Refused(said) if said.contains("Invalid data format")));
    assert_eq!(ids(&indexer), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_delivered_when_it_is_indexed() {
    let (stand_in, indexer) = start(Indexer { has_ack: true, slow: 1, ..Indexer::default() }).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    let messages = [siem::message("one"), siem::message("two")];
    assert_eq!(letters(&sink.deliver(&messages).await), "dd");
    assert_eq!((ids(&indexer).len(), indexer.lock().unwrap().asked), (2, 2));

    // Not indexed in time: it comes later, is not sent again then, and is asked for first.
    indexer.lock().unwrap().slow = 1_000;
    let messages = [siem::message("slow")];
    let answers = sink.deliver(&messages).await;
    assert_eq!(letters(&answers), "l", "{answers:?}");
    indexer.lock().unwrap().slow = 0;
    assert_eq!(sink.deliver(&messages).await, [Answer::Delivered("indexed".to_owned())]);
    assert_eq!(ids(&indexer), ["one", "two", "slow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgement_is_left_alone_where_it_is_not_wanted() {
    let (stand_in, _) = start(Indexer { has_ack: true, slow: 1_000, ..Indexer::default() }).await;
    let sink = siem::sink(&settings(&stand_in.url(), "acknowledge = false"));
    assert_eq!(letters(&sink.deliver(&[siem::message("one")]).await), "d");
    assert_eq!(stand_in.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_mean_what_they_say() {
    let (stand_in, _) = start(Indexer::default()).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    let coded = |status, code: u64| {
        Fault::Status(status, Vec::new(), json!({ "text": "as documented", "code": code }).to_string())
    };
    let table = [
        (coded(403, 1), 'L'),
        (coded(401, 3), 'L'),
        (coded(403, 4), 'L'),
        (coded(400, 7), 'L'),
        (coded(500, 8), 'l'),
        (coded(503, 9), 'L'),
        (coded(400, 10), 'L'),
        (coded(400, 5), 'r'),
        (Fault::Status(413, Vec::new(), String::new()), 'r'),
        (Fault::Status(429, vec![("retry-after", "7".to_owned())], String::new()), 'L'),
        (Fault::HalfAnswer, 'l'),
        (Fault::Hang, 'l'),
    ];
    for (fault, wanted) in table {
        let told = format!("{fault:?}");
        stand_in.fail([fault]);
        let answers = sink.deliver(&[siem::message("one")]).await;
        assert_eq!(letters(&answers), wanted.to_string(), "{told}: {answers:?}");
        assert!(!format!("{answers:?}").contains(TOKEN));
    }
    assert!(!format!("{sink:?}").contains(TOKEN));
}

#[test]
fn settings_are_checked() {
    let said = |text: &str| siem::faults(text).join("; ");
    assert!(said(&settings("http://splunk.example.com:8088", "")).contains("https"));
    assert!(said(&settings("https://s", "event_bytes_max = 10")).contains("event_bytes_max"));
    assert!(said(&settings("https://s", "index = ''")).contains("index"));
    assert!(said(&settings("https://s", "group_s = 60")).contains("group_s"));
}

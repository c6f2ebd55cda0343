//! Slack's incoming webhooks.

use crate::stand_in::{Fault, Received, StandIn};
use crate::world::{self, hostile};
use serde_json::Value;
use tradewind_notify::{Alert, Heartbeat, Message};

const PATH: &str = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";

/// A text object: <https://docs.slack.dev/reference/block-kit/composition-objects/text-object>. Its characters, or what is wrong.
fn text(object: &Value, most: usize, may_mark_up: bool) -> Result<usize, &'static str> {
    let (Some(kind), Some(text)) = (object["type"].as_str(), object["text"].as_str()) else { return Err("no text") };
    let length = text.chars().count();
    if length == 0 || length > most {
        return Err("length");
    }
    let known: &[&str] = match kind {
        "plain_text" => &["type", "text", "emoji"],
        "mrkdwn" if may_mark_up => &["type", "text", "verbatim"],
        _ => return Err("type"),
    };
    if object.as_object().is_some_and(|fields| fields.keys().any(|key| !known.contains(&key.as_str()))) {
        return Err("unknown field");
    }
    let rest = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
    if rest.contains('&') || (kind == "plain_text" && rest.contains(['<', '>'])) {
        return Err("not escaped");
    }
    Ok(length)
}

/// <https://docs.slack.dev/reference/block-kit/blocks>.
fn block(block: &Value) -> Result<usize, &'static str> {
    let all = |objects: &Value, count: usize, most: usize| -> Result<usize, &'static str> {
        let objects = objects.as_array().ok_or("no array")?;
        if objects.is_empty() || objects.len() > count {
            return Err("count");
        }
        objects.iter().map(|object| text(object, most, true)).sum()
    };
    match block["type"].as_str() {
        Some("header") => text(&block["text"], 150, false),
        Some("section") if block["fields"].is_array() => all(&block["fields"], 10, 2000),
        Some("section") => text(&block["text"], 3000, true),
        Some("context") => all(&block["elements"], 10, 3000),
        _ => Err("block"),
    }
}

/// What Slack answers: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.
fn contract(request: &Received) -> (u16, String) {
    let wrong = |what: &str| (400, what.to_owned());
    if request.method != "POST" || request.uri.path() != PATH {
        return (404, "no_service".to_owned());
    }
    if request.header("content-type") != Some("application/json") {
        return wrong("invalid_payload");
    }
    let Ok(message) = serde_json::from_slice::<Value>(&request.body) else { return wrong("invalid_payload") };
    let known = ["text", "mrkdwn", "blocks"];
    if message.as_object().is_none_or(|message| message.keys().any(|key| !known.contains(&key.as_str()))) {
        return wrong("invalid_payload: unknown field");
    }
    if message["text"].as_str().is_none_or(|text| text.is_empty() || text.contains(['<', '>'])) {
        return wrong("no_text");
    }
    let blocks = message["blocks"].as_array().cloned().unwrap_or_default();
    if blocks.is_empty() || blocks.len() > 50 {
        return wrong("invalid_blocks: count");
    }
    let mut all = 0;
    for one in &blocks {
        match block(one) {
            Ok(length) => all += length,
            Err(what) => return wrong(&format!("invalid_blocks: {what}: {one}")),
        }
    }
    // Not documented; 9,600 were taken and 11,300 were not: <https://github.com/slackapi/bolt-js/issues/2867>.
    if all > 11_000 { wrong("msg_blocks_too_long") } else { (200, "ok".to_owned()) }
}

fn sink(stand_in: &StandIn, folder: &std::path::Path, more: &str) -> String {
    std::fs::write(folder.join("slack-url"), format!("{}{PATH}\n", stand_in.url())).unwrap();
    format!("[[sink]]\nname = 'chat'\ntype = 'slack'\nurl = {{ file = 'slack-url' }}\ntimeout_ms = 500\n{more}")
}

fn shown(body: &Value) -> String {
    serde_json::to_string_pretty(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_reads_what_begins_goes_on_and_ends() {
    let stand_in = StandIn::start(contract).await;
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&sink(&stand_in, folder.path(), "")), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    world::update(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    let bodies: Vec<Value> = stand_in.received().iter().map(Received::json).collect();
    let texts: Vec<&str> = bodies.iter().map(|body| body["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        [
            "High: agent planner contacts service payments:443 for the first time",
            "High: More of: agent planner contacts service payments:443 for the first time",
            "Over: agent planner contacts service payments:443 for the first time"
        ]
    );
    let opened = shown(&bodies[0]);
    for part in ["https://tradewind.example/incidents/one", "T1021", "SELECT * FROM flows", "Severity: High"] {
        assert!(opened.contains(part), "{opened}");
    }
    notifier.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_digests_tests_and_signs_of_life_are_taken() {
    let stand_in = StandIn::start(contract).await;
    let folder = tempfile::tempdir().unwrap();
    let sink = world::sink(&sink(&stand_in, folder.path(), ""), folder.path());
    let bad = hostile("one");
    let mut long = bad.clone();
    long.findings = (0..20).map(|_| bad.findings[0].clone()).collect();
    long.incident.findings = (0..40).map(|number| number.to_string()).collect();
    let messages = [
        Message::Alert(Box::new(bad.clone())),
        Message::Alert(Box::new(long.clone())),
        Message::Alert(Box::new(bad.clone().resolved(world::now()))),
        Message::Alert(Box::new(Alert::test(world::now()))),
        Message::Digest(vec![bad.clone(); 3]),
        Message::Digest(vec![long; 50]),
        Message::Heartbeat(Heartbeat { time: world::now(), causes: vec!["<b>\n&".repeat(2000)], open_incidents: 2 }),
    ];
    for message in messages {
        let answers = sink.deliver(&[message]).await;
        world::is_delivered(&answers[0]);
    }
    let received = stand_in.received();
    assert!(shown(&received[3].json()).contains("this is a test"));
    assert!(shown(&received[5].json()).contains("and 2 more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_tried_again_and_the_address_stays_secret() {
    let stand_in = StandIn::start(contract).await;
    let status = |status, body: &str| Fault::Status(status, vec![("retry-after", "0".to_owned())], body.to_owned());
    stand_in.fail([
        status(429, "rate_limited"),
        status(500, "rollup_error"),
        status(403, "action_prohibited"),
        status(410, "channel_is_archived"),
        status(404, "no_service"),
        Fault::Hang,
        Fault::HalfAnswer,
    ]);
    let folder = tempfile::tempdir().unwrap();
    let text = sink(&stand_in, folder.path(), "");
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    assert_eq!((stand_in.faults_left(), stand_in.received().len()), (0, 1));
    assert_eq!(notifier.status().unwrap().sinks["chat"].refused, 0);
    stand_in.fail([status(400, "invalid_blocks")]);
    world::open(&notifier, "two").await;
    world::delivered(&mut notifier).await;
    assert!(notifier.untold().unwrap()[0].answer.contains("invalid_blocks"));
    drop(stand_in);
    world::open(&notifier, "three").await;
    world::until(&mut notifier, "an attempt fails", |notifier| {
        notifier.status().unwrap().sinks["chat"].last_error.as_ref().is_some_and(|error| error.contains("connect"))
    })
    .await;
    let shown = format!("{:?} {notifier:?} {:?}", notifier.status().unwrap(), world::sink(&text, folder.path()));
    assert!(!shown.contains("XXXXXXXX"), "{shown}");
    notifier.stop().await.unwrap();
    for (url, part) in
        [("http://hooks.example/XXXXXXXX", "https"), ("no address XXXXXXXX", "no address:"), ("", "empty")]
    {
        std::fs::write(folder.path().join("slack-url"), url).unwrap();
        let error = world::start(&world::settings(&text), folder.path()).unwrap_err().to_string();
        assert!(error.contains("sink `chat`") && !error.contains("XXXXXXXX"), "{part}: {error}");
    }
}

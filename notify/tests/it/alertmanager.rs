//! Alertmanager: a stand-in for its answers, and the real one.

use crate::stand_in::{Fault, Received, StandIn};
use crate::world::{self, HOSTILE, hostile};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tradewind_model::Severity;
use tradewind_model::time::parse;
use tradewind_notify::sinks::Answer;
use tradewind_notify::{Action, Alert, Heartbeat, Message};

/// `postableAlerts`: <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.
fn contract(request: &Received) -> (u16, String) {
    let wrong = |what: &str| (400, json!(what).to_string());
    if request.method != "POST" || request.uri.path() != "/prefix/api/v2/alerts" {
        return (404, String::new());
    }
    if request.header("content-type") != Some("application/json") {
        return (415, json!({ "code": 415, "message": "unsupported media type" }).to_string());
    }
    let Ok(Value::Array(alerts)) = serde_json::from_slice(&request.body) else { return wrong("no array") };
    for alert in &alerts {
        let known = ["labels", "annotations", "startsAt", "endsAt", "generatorURL"];
        if alert.as_object().is_none_or(|alert| alert.keys().any(|key| !known.contains(&key.as_str()))) {
            return wrong("unknown field");
        }
        for set in ["labels", "annotations"] {
            let Some(set) = alert[set].as_object() else { return wrong("no set of labels") };
            let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
            let is_name = |name: &str| {
                name.bytes().next().is_some_and(is_start)
                    && name.bytes().all(|byte| is_start(byte) || byte.is_ascii_digit())
            };
            if set.iter().any(|(name, value)| !is_name(name) || value.as_str().is_none_or(str::is_empty)) {
                return wrong("label");
            }
        }
        let time = |name: &str| alert[name].as_str().and_then(|text| parse(text).ok());
        let (Some(starts), Some(ends)) = (time("startsAt"), time("endsAt")) else { return wrong("times") };
        if ends < starts || alert["labels"]["alertname"].as_str().is_none() {
            return wrong("start time must be before end time");
        }
        if alert["labels"]["incident_id"] == "poison" {
            return wrong("poison");
        }
    }
    (200, String::new())
}

fn sink(url: &str) -> String {
    format!(
        "[[sink]]\nname = 'alerts'\ntype = 'alertmanager'\nurl = '{url}'\nrepeat_s = 1\nheartbeat_s = 60\ntimeout_ms = 2000\n"
    )
}

fn message(alert: Alert) -> Message {
    Message::Alert(Box::new(alert))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_does_not_keep_the_others() {
    let stand_in = StandIn::start(contract).await;
    let folder = tempfile::tempdir().unwrap();
    let sink = world::sink(&sink(&format!("{}/prefix/", stand_in.url())), folder.path());
    let messages = [
        message(world::alert("one", Action::Open)),
        message(world::alert("poison", Action::Open)),
        message(hostile("two")),
    ];
    let answers = sink.deliver(&messages).await;
    world::is_delivered(&answers[0]);
    assert!(matches!(&answers[1], Answer::Refused(said) if said.contains("poison")), "{answers:?}");
    world::is_delivered(&answers[2]);
    stand_in.fail([Fault::Status(503, vec![("retry-after", "7".to_owned())], String::new())]);
    let answers = sink.deliver(&messages[..1]).await;
    assert!(
        matches!(&answers[0], Answer::Later { after, is_general: true, .. } if *after == Some(Duration::from_secs(7))),
        "{answers:?}"
    );
}

/// The real one, as Debian has it; ends with this.
struct Real {
    child: Child,
    url: String,
}

impl Drop for Real {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The program on the path, or what `TRADEWIND_ALERTMANAGER` names.
fn program() -> Option<std::path::PathBuf> {
    let named = std::env::var_os("TRADEWIND_ALERTMANAGER").map(std::path::PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || {
        let names = ["prometheus-alertmanager", "alertmanager"];
        let places = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
        places.into_iter().find(|file| file.is_file())
    };
    named.or_else(found)
}

impl Real {
    async fn start(folder: &Path) -> Option<Self> {
        let Some(program) = program() else {
            world::skipped("Alertmanager");
            return None;
        };
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, "route:\n  receiver: none\nreceivers:\n- name: none\n").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(folder.join("alertmanager.log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let real = Self { child, url: format!("http://127.0.0.1:{port}") };
        let begun = Instant::now();
        while real.get().await.is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(real)
    }

    async fn get(&self) -> Option<Vec<Value>> {
        let url = format!("{}/api/v2/alerts", self.url);
        let response = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.ok()?;
        serde_json::from_slice(&response.bytes().await.ok()?).ok()
    }

    /// Waits until what is active is as it should be.
    async fn until(&self, what: &str, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let alerts = self.get().await.unwrap();
            if is_so(&alerts) {
                return alerts;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "not in time: {what}: {alerts:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn named<'a>(alerts: &'a [Value], id: &str) -> Vec<&'a Value> {
    alerts.iter().filter(|alert| alert["labels"]["incident_id"] == id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_one_knows_an_incident_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let Some(real) = Real::start(folder.path()).await else { return };
    let sink = world::sink(&sink(&real.url), folder.path());
    let deliver = async |alert: Alert| world::is_delivered(&sink.deliver(&[message(alert)]).await[0]);
    let mut one = world::alert("one", Action::Open);
    deliver(one.clone()).await;
    let alerts = real.until("it is active", |alerts| named(alerts, "one").len() == 1).await;
    let active = named(&alerts, "one")[0];
    assert_eq!(active["status"]["state"], "active");
    assert_eq!(active["labels"]["severity"], "high");
    assert_eq!(active["labels"]["entity"], "prod/shop/agent/planner");
    assert_eq!(active["generatorURL"], "https://tradewind.example/incidents/one");
    // It becomes graver, by another finding of another entity: one alert is active, the new one.
    let mut graver = world::finding("one-graver");
    (graver.severity, graver.entity) = (Severity::Critical, "prod/shop/service/other".to_owned());
    one.findings.insert(0, graver);
    one.incident.findings.push("one-graver".to_owned());
    one.incident.severity = Severity::Critical;
    one.action = Action::Update;
    deliver(one.clone()).await;
    let is_graver = |alerts: &[Value]| {
        let found = named(alerts, "one");
        found.len() == 1 && found[0]["labels"]["severity"] == "critical"
    };
    let alerts = real.until("the graver one alone is active", is_graver).await;
    assert_eq!(named(&alerts, "one")[0]["labels"]["entity"], "prod/shop/agent/planner");
    deliver(one.clone().resolved(world::now())).await;
    real.until("it is gone", |alerts| named(alerts, "one").is_empty()).await;
    // One that is not sent again ends by itself after three times `repeat_s`.
    deliver(world::alert("left", Action::Open)).await;
    real.until("it is active", |alerts| named(alerts, "left").len() == 1).await;
    real.until("it ended by itself", |alerts| named(alerts, "left").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_one_takes_odd_texts_tests_and_signs_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let Some(real) = Real::start(folder.path()).await else { return };
    let sink = world::sink(&sink(&real.url).replace("repeat_s = 1\n", "repeat_s = 60\n"), folder.path());
    let heartbeat = Heartbeat { time: world::now(), causes: vec![HOSTILE.to_owned()], open_incidents: 1 };
    let mut early = world::alert("early", Action::Resolve);
    // Clocks differ: what ended later than now, before it began.
    early.incident.opened += 3_600_000_000;
    let messages =
        [message(hostile("odd")), message(Alert::test(world::now())), Message::Heartbeat(heartbeat), message(early)];
    for answer in sink.deliver(&messages).await {
        world::is_delivered(&answer);
    }
    let alerts = real.until("all are active", |alerts| alerts.len() == 3).await;
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["TradewindIncident", "TradewindTest", "TradewindWatchdog"]);
    let odd = named(&alerts, "odd")[0];
    let entity = odd["labels"]["entity"].as_str().unwrap();
    assert!(entity.starts_with("<!channel> <@U123>") && entity.chars().count() == 256 && !entity.contains('\n'));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_one_hears_of_it_again_until_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let Some(real) = Real::start(folder.path()).await else { return };
    let text = format!("{}\n[[route]]\nsinks = ['alerts']\n", sink(&real.url));
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    let begun = Instant::now();
    // Longer than it would last if it were sent once.
    while begun.elapsed() < Duration::from_secs(5) {
        notifier.tick(Vec::new()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(named(&real.get().await.unwrap(), "one").len(), 1, "after {:?}", begun.elapsed());
    }
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    real.until("it is gone", |alerts| named(alerts, "one").is_empty()).await;
    notifier.stop().await.unwrap();
}

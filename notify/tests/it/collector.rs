//! OTLP against a real OpenTelemetry Collector, whose program `TRADEWIND_OTELCOL` names (`scripts/servers otelcol` builds it):
//! receiver `otlp`, exporter `file`. What its file holds is compared, field by field, with what was sent.

use crate::{otlp, siem, world};
use serde_json::{Map, Value};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tradewind_model::Severity;
use tradewind_notify::{Alert, Message};

/// Ends with the test.
struct Collector(std::process::Child);

impl Drop for Collector {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start(program: &std::ffi::OsStr, folder: &Path, port: u16) -> Collector {
    let config = folder.join("config.yaml");
    let text = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}}}\n\
         exporters: {{file: {{path: '{}', flush_interval: 100ms}}}}\n\
         service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [file]}}}}, telemetry: {{metrics: {{level: none}}}}}}\n",
        folder.join("out.json").display()
    );
    std::fs::write(&config, text).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let child = Command::new(program).arg("--config").arg(&config).stdout(Stdio::null()).stderr(log).spawn();
    Collector(child.unwrap())
}

/// Records of the file, each with its resource and scope.
fn written(folder: &Path) -> Vec<(Value, Value)> {
    let text = std::fs::read_to_string(folder.join("out.json")).unwrap_or_default();
    let mut records = Vec::new();
    // The last line may not be whole yet.
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        for logs in line["resourceLogs"].as_array().unwrap() {
            for scope in logs["scopeLogs"].as_array().unwrap() {
                for record in scope["logRecords"].as_array().unwrap() {
                    let around = serde_json::json!({ "resource": logs["resource"], "scope": scope["scope"] });
                    records.push((around, record.clone()));
                }
            }
        }
    }
    records
}

/// A value of OTLP's JSON form as plain JSON.
fn plain(value: &Value) -> Value {
    let (kind, inner) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        // 64 bits are a text there.
        "intValue" => Value::from(inner.as_str().unwrap().parse::<i64>().unwrap()),
        "arrayValue" => inner["values"].as_array().map(|values| values.iter().map(plain).collect()).unwrap_or_default(),
        "kvlistValue" => Value::Object(attributes(&inner["values"])),
        _ => inner.clone(),
    }
}

fn attributes(list: &Value) -> Map<String, Value> {
    let list = list.as_array().cloned().unwrap_or_default();
    list.iter().map(|pair| (pair["key"].as_str().unwrap().to_owned(), plain(&pair["value"]))).collect()
}

const fn severity_number(severity: Severity) -> u64 {
    match severity {
        Severity::Informational => 9,
        Severity::Low => 10,
        Severity::Medium => 13,
        Severity::High => 17,
        Severity::Critical => 21,
    }
}

fn check(alert: &Alert, record: &Value) {
    let nanos = (alert.recorded_time * 1_000).to_string();
    assert_eq!(record["timeUnixNano"], nanos, "{record}");
    assert_eq!(record["observedTimeUnixNano"], nanos, "{record}");
    assert_eq!(record["severityNumber"], severity_number(alert.severity()), "{record}");
    assert_eq!(record["severityText"], alert.severity().as_str());
    assert_eq!(record["eventName"], format!("tradewind.incident.{}", alert.action.as_str()));
    let body = record["body"]["stringValue"].as_str().unwrap();
    assert!(!body.is_empty() && !body.chars().any(char::is_control), "{body:?}");
    let told = attributes(&record["attributes"]);
    assert!(told.keys().all(|key| key.starts_with("tradewind.")), "{told:?}");
    assert_eq!(told["tradewind.incident_id"], alert.key());
    assert_eq!(told["tradewind.event_key"], alert.event_key());
    assert_eq!(told["tradewind.state"], alert.incident.state.as_str());
    assert_eq!(told["tradewind.flow_count"], alert.incident.flow_count);
    assert!(told["tradewind.url"].as_str().is_some_and(|url| url.ends_with(alert.key())));
    let Some(lead) = alert.lead() else {
        assert!(!told.contains_key("tradewind.entity"));
        return;
    };
    let findings = told["tradewind.findings"].as_array().unwrap();
    assert!(findings.len() <= alert.findings.len() && !findings.is_empty(), "{told:?}");
    assert_eq!(findings[0]["finding_id"], lead.finding_id);
    if let Some(seen) = lead.observations.first() {
        assert_eq!(told["tradewind.destination_port"], seen.dst_port.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_collector_writes_what_was_sent() {
    let Some(program) = std::env::var_os("TRADEWIND_OTELCOL").filter(|program| !program.is_empty()) else {
        return world::skipped("an OpenTelemetry Collector (TRADEWIND_OTELCOL)");
    };
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _collector = start(&program, folder.path(), port);
    let sink = siem::sink(&otlp::settings(&format!("http://127.0.0.1:{port}")));
    let mut messages = siem::all();
    messages.extend([siem::hostile("hostile"), siem::huge("huge")]);
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let begun = Instant::now();
    while siem::letters(&sink.deliver(&messages[..1]).await) != "d" {
        assert!(begun.elapsed() < Duration::from_secs(60), "the Collector does not answer: {}", log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answers = sink.deliver(&messages[1..]).await;
    assert_eq!(siem::letters(&answers), "d".repeat(messages.len() - 1), "{answers:?}");
    while written(folder.path()).len() < messages.len() {
        let count = written(folder.path()).len();
        assert!(begun.elapsed() < Duration::from_secs(90), "{count} of {}: {}", messages.len(), log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let records = written(folder.path());
    assert_eq!(records.len(), messages.len());
    for ((around, record), message) in records.iter().zip(&messages) {
        assert_eq!(attributes(&around["resource"]["attributes"])["service.name"], "tradewind");
        assert_eq!(around["scope"]["name"], "tradewind.notify");
        match message {
            Message::Alert(alert) => check(alert, record),
            Message::Heartbeat(heartbeat) => {
                let is_well = heartbeat.causes.is_empty();
                assert_eq!(record["eventName"], "tradewind.heartbeat");
                assert_eq!(record["severityNumber"], if is_well { 9 } else { 13 });
                assert_eq!(record["timeUnixNano"], (heartbeat.time * 1_000).to_string());
                assert_eq!(attributes(&record["attributes"])["tradewind.open_incidents"], 2);
            }
            Message::Digest(_) => unreachable!("none was sent"),
        }
    }
    // The Collector takes what OTLP has no word for as it is: no number that JSON does not know.
    let hostile = attributes(&records[messages.len() - 2].1["attributes"]);
    assert!(hostile["tradewind.title"].as_str().unwrap().contains("${jndi:x}"), "{hostile:?}");
}

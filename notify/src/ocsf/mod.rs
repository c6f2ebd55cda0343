//! OCSF 1.8 Detection Finding (class 2004) of an alert: the mapping alone, without any I/O. One event for each state of an
//! incident; `finding_info.uid` is the incident's id and stays, `metadata.uid` is different for each state and the same when that is
//! sent again.
//!
//! Source: <https://schema.ocsf.io/1.8.0/classes/detection_finding>. Times are milliseconds UTC, as `timestamp_t` is.

mod endpoint;
#[cfg(feature = "object-store")]
pub(crate) mod older;

use crate::alert::{Action, Alert, Origin};
use crate::attack;
use crate::words;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tradewind_model::{Finding, Severity};

/// The version of the schema.
pub(crate) const VERSION: &str = "1.8.0";
const CLASS: i64 = 2004;
/// Evidences, resources and observables of an event at most, each.
const ITEMS_MAX: usize = 100;

/// The event of an alert. `link` is where people look at it.
pub(crate) fn event(alert: &Alert, link: &str) -> Value {
    let (activity_id, activity) = match alert.action {
        Action::Open => (1, "Create"),
        Action::Update | Action::Acknowledge => (2, "Update"),
        Action::Resolve => (3, "Close"),
    };
    let (severity_id, severity) = severity(alert.severity());
    let (status_id, status) = match (alert.action, alert.is_dismissed()) {
        (_, true) => (3, "Suppressed"),
        (Action::Resolve, false) => (4, "Resolved"),
        // "The Finding is under review.": before somebody says so, it is new, however much was added.
        _ if alert.is_acknowledged() => (2, "In Progress"),
        _ => (1, "New"),
    };
    let incident = &alert.incident;
    let seen = seen(alert);
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| put(&mut event, name, value);
    put("class_uid", json!(CLASS));
    put("class_name", json!("Detection Finding"));
    put("category_uid", json!(2));
    put("category_name", json!("Findings"));
    put("activity_id", json!(activity_id));
    put("activity_name", json!(activity));
    put("type_uid", json!(CLASS * 100 + activity_id));
    put("type_name", json!(format!("Detection Finding: {activity}")));
    put("time", json!(millis(alert.recorded_time)));
    put("start_time", json!(seen.map(|(first, _)| millis(first))));
    put("end_time", json!(seen.map(|(_, last)| millis(last))));
    put("count", json!(Some(whole(incident.flow_count)).filter(|count| *count > 0)));
    put("severity_id", json!(severity_id));
    put("severity", json!(severity));
    put("status_id", json!(status_id));
    put("status", json!(status));
    put("message", json!(words::headline(alert)));
    // "An activity_id of 'Create' could constitute an alertable signal …, while 'Close' likely would not".
    let is_signal = matches!(alert.action, Action::Open | Action::Update);
    put("is_alert", json!(alert.origin == Origin::Live && is_signal));
    if let Some((score, id, name)) = alert.lead().map(confidence) {
        put("confidence_score", json!(score));
        put("confidence_id", json!(id));
        put("confidence", json!(name));
    }
    put("risk_score", json!(alert.lead().map(|finding| rounded(finding.risk_score, f64::from(i32::MAX)))));
    put("finding_info", finding_info(alert, link));
    put("metadata", metadata(alert));
    put("evidences", evidences(alert));
    put("resources", endpoint::resources(alert, ITEMS_MAX));
    put("observables", endpoint::observables(alert, ITEMS_MAX));
    put("anomaly_analyses", alert.findings.iter().map(anomaly_analysis).collect());
    put("unmapped", unmapped(alert));
    Value::Object(event)
}

/// Puts what says something: OCSF leaves out what is not known.
fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    let is_empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        _ => false,
    };
    if !is_empty {
        object.insert(name.to_owned(), value);
    }
}

const fn millis(micros: i64) -> i64 {
    micros.div_euclid(1_000)
}

/// `integer_t` has 32 bits.
fn whole(count: i64) -> i64 {
    count.clamp(0, i64::from(i32::MAX))
}

#[allow(clippy::cast_possible_truncation)] // Within the range of an `i32`, and what is no number becomes 0.
fn rounded(score: f64, most: f64) -> i64 {
    score.clamp(0.0, most).round() as i64
}

const fn severity(severity: Severity) -> (i64, &'static str) {
    let id = match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    };
    (id, words::severity(severity))
}

/// 100 · (1 − p); high from 99 on, unless something about it is uncertain.
fn confidence(finding: &Finding) -> (i64, i64, &'static str) {
    let score = rounded(((1.0 - finding.p_value) * 100.0).floor(), 100.0);
    match (score, finding.uncertain.is_empty()) {
        (99.., true) => (score, 3, "High"),
        (50.., _) => (score, 2, "Medium"),
        _ => (score, 1, "Low"),
    }
}

fn seen(alert: &Alert) -> Option<(i64, i64)> {
    let first = alert.findings.iter().map(|finding| finding.first_seen).min()?;
    let last = alert.findings.iter().map(|finding| finding.last_seen).max()?;
    Some((first, last))
}

fn finding_info(alert: &Alert, link: &str) -> Value {
    let incident = &alert.incident;
    let mut info = Map::new();
    let mut put = |name: &str, value: Value| put(&mut info, name, value);
    put("uid", json!(alert.key()));
    put("title", json!(incident.title));
    put("desc", json!(alert.lead().map(description)));
    put("created_time", json!(millis(incident.opened)));
    put("modified_time", json!(millis(incident.updated)));
    put("first_seen_time", json!(seen(alert).map(|(first, _)| millis(first))));
    put("last_seen_time", json!(seen(alert).map(|(_, last)| millis(last))));
    put("src_url", json!(words::link(link, alert)));
    put("types", distinct(alert, |finding| finding.behaviour.as_str()).into_iter().map(Value::from).collect());
    put("data_sources", json!(["network flows"]));
    put("analytic", alert.lead().map(analytic).unwrap_or_default());
    let techniques = distinct(alert, |finding| finding.technique.as_str());
    put("attacks", techniques.into_iter().filter_map(attack).collect());
    put("related_events", alert.findings.iter().map(related_event).collect());
    put("related_events_count", json!(incident.findings.len()));
    Value::Object(info)
}

fn description(finding: &Finding) -> String {
    let mut text = format!("Observed: {}. Expected: {}.", finding.observed, finding.expected);
    if !finding.uncertain.is_empty() {
        text.push_str(&format!(" Uncertain: {}.", finding.uncertain));
    }
    text
}

/// Each once, that of the gravest finding first.
fn distinct<'a>(alert: &'a Alert, of: impl Fn(&'a Finding) -> &'a str) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    alert.findings.iter().map(of).filter(|word| !word.is_empty() && seen.insert(*word)).collect()
}

fn analytic(finding: &Finding) -> Value {
    json!({
        "uid": format!("tradewind.{}", finding.behaviour),
        "name": finding.behaviour,
        "type_id": 2,
        "type": "Behavioral",
        "version": finding.detector_version.to_string(),
    })
}

fn attack(id: &str) -> Option<Value> {
    let technique = attack::technique(id)?;
    let named = |(id, name): (&str, Option<&str>)| {
        let mut named = Map::new();
        put(&mut named, "uid", json!(id));
        put(&mut named, "name", json!(name));
        Value::Object(named)
    };
    let mut attack = Map::new();
    put(&mut attack, "technique", named((technique.id, technique.name)));
    put(&mut attack, "sub_technique", technique.sub.map(named).unwrap_or_default());
    put(&mut attack, "tactic", technique.tactic.map(|(id, name)| named((id, Some(name)))).unwrap_or_default());
    Some(Value::Object(attack))
}

fn related_event(finding: &Finding) -> Value {
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| put(&mut event, name, value);
    let (severity_id, severity) = severity(finding.severity);
    put("uid", json!(finding.finding_id));
    put("title", json!(finding.title));
    put("desc", json!(description(finding)));
    put("type", json!(finding.behaviour));
    put("created_time", json!(millis(finding.time)));
    put("first_seen_time", json!(millis(finding.first_seen)));
    put("last_seen_time", json!(millis(finding.last_seen)));
    put("severity_id", json!(severity_id));
    put("severity", json!(severity));
    put("count", json!(whole(finding.flow_count)));
    Value::Object(event)
}

fn metadata(alert: &Alert) -> Value {
    let origin = match alert.origin {
        Origin::Live => "live",
        Origin::Retrospective => "retrospective",
        Origin::Test => "test",
    };
    let mut metadata = Map::new();
    let mut put = |name: &str, value: Value| put(&mut metadata, name, value);
    put("version", json!(VERSION));
    put(
        "product",
        json!({ "name": "Tradewind", "vendor_name": "Tradewind", "version": env!("CARGO_PKG_VERSION"), "lang": "en" }),
    );
    put("uid", json!(alert.event_key()));
    put("correlation_uid", json!(alert.key()));
    put("event_code", json!(alert.lead().map(|finding| &finding.behaviour)));
    put("log_name", json!("incidents"));
    put("logged_time", json!(millis(alert.recorded_time)));
    put("original_time", json!(tradewind_model::time::rfc3339(alert.recorded_time)));
    put("labels", json!([format!("origin:{origin}")]));
    put("is_truncated", if alert.more() > 0 { json!(true) } else { Value::Null });
    Value::Object(metadata)
}

fn evidences(alert: &Alert) -> Value {
    let of = |finding: &Finding| -> Vec<Value> {
        let evidence = |seen: &tradewind_model::finding::Observation| {
            json!({
                "name": seen.detector,
                "uid": finding.finding_id,
                "src_endpoint": endpoint::endpoint(&seen.src_entity, None),
                "dst_endpoint": endpoint::endpoint(&seen.dst_entity, seen.dst_port),
                "connection_info": endpoint::connection(&seen.src_entity, &seen.dst_entity),
                "data": {
                    "observed": seen.observed,
                    "expected": seen.expected,
                    "p_value": seen.p_value,
                    "query": finding.evidence_query,
                },
            })
        };
        if finding.observations.is_empty() {
            return vec![json!({
                "name": finding.behaviour,
                "uid": finding.finding_id,
                "src_endpoint": endpoint::endpoint(&finding.entity, None),
                "data": {
                    "observed": finding.observed,
                    "expected": finding.expected,
                    "p_value": finding.p_value,
                    "query": finding.evidence_query,
                },
            })];
        }
        finding.observations.iter().map(evidence).collect()
    };
    alert.findings.iter().flat_map(of).take(ITEMS_MAX).collect()
}

fn anomaly_analysis(finding: &Finding) -> Value {
    let side = |value: &str, first: i64, last: i64, count: Option<i64>| {
        let mut observation = Map::new();
        let span = millis(last).saturating_sub(millis(first)).max(0);
        put(&mut observation, "value", json!(if value.is_empty() { "unknown" } else { value }));
        put(&mut observation, "count", json!(count));
        put(
            &mut observation,
            "timespan",
            json!({ "start_time": millis(first), "end_time": millis(last), "duration": span }),
        );
        json!([{
            "observation_parameter": finding.behaviour,
            "observation_type": "Behavioral",
            "observations": [observation],
        }])
    };
    json!({
        "analysis_targets": [{ "name": finding.entity, "type": finding.entity_kind }],
        "anomalies": side(&finding.observed, finding.first_seen, finding.last_seen, Some(whole(finding.flow_count))),
        "baselines": side(&finding.expected, finding.baseline_since, finding.first_seen, None),
    })
}

/// What OCSF has no attribute for.
fn unmapped(alert: &Alert) -> Value {
    json!({
        "incident_state": alert.incident.state,
        "more_findings": alert.more(),
        "uncertain": alert.lead().map(|finding| finding.uncertain.as_str()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;

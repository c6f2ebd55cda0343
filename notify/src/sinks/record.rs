//! A message as a record for systems that search: plain names and values, times as RFC 3339. Each sink puts it into its own form.
//! People read what is in [`crate::words`].

use crate::alert::{Alert, Heartbeat, Message, Origin};
use crate::words;
use serde_json::{Map, Value, json};
use tradewind_model::time::rfc3339;
use tradewind_model::{Finding, Severity};

/// Characters of a name at most.
pub(super) const NAME_MAX: usize = 512;
/// Characters of a line at most.
pub(super) const LINE_MAX: usize = 1024;
/// Characters of a text at most.
pub(super) const TEXT_MAX: usize = 4096;

/// Several alerts in one message are not what these systems are for.
pub(super) const NO_DIGEST: &str = "each incident is an event of its own here: leave out `group_s` and `digest`";

/// Why there is an alert, in a word.
pub(super) const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Live => "live",
        Origin::Retrospective => "retrospective",
        Origin::Test => "test",
    }
}

/// 1 informational to 5 critical, as OCSF's `severity_id` counts.
pub(super) const fn severity_id(severity: Severity) -> i32 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

/// When a message was made, microseconds UTC.
pub(super) fn time(message: &Message) -> i64 {
    match message {
        Message::Alert(alert) => alert.recorded_time,
        Message::Digest(alerts) => alerts.iter().map(|alert| alert.recorded_time).max().unwrap_or_default(),
        Message::Heartbeat(heartbeat) => heartbeat.time,
    }
}

/// When what an alert tells began and ended, microseconds UTC.
pub(super) fn span(alert: &Alert) -> (i64, i64) {
    let begin = alert.findings.iter().map(|finding| finding.first_seen).min();
    let end = alert.findings.iter().map(|finding| finding.last_seen).max();
    (begin.unwrap_or(alert.incident.opened), end.unwrap_or(alert.incident.updated))
}

/// The incident's title, without line ends.
pub(super) fn title(alert: &Alert) -> String {
    line(&alert.incident.title, LINE_MAX)
}

/// A name on one line.
pub(super) fn name(text: &str) -> String {
    line(text, NAME_MAX)
}

/// A text on one line: what comes from logs may hold line ends and control characters.
pub(super) fn line(text: &str, most: usize) -> String {
    let text: String = text.chars().take(most + 1).map(|char| if char.is_control() { ' ' } else { char }).collect();
    words::shortened(&text, most)
}

/// The record with the most findings, then fewer and fewer, until what is made of it is no longer than this many bytes.
pub(super) fn fitting(alert: &Alert, bytes_max: usize, make: impl Fn(usize) -> Value) -> Vec<u8> {
    let mut most = alert.findings.len().max(alert.incident.entities.len());
    loop {
        let bytes = make(most).to_string().into_bytes();
        if bytes.len() <= bytes_max || most == 0 {
            return bytes;
        }
        most /= 2;
    }
}

/// An alert with at most so many findings and entities.
pub(super) fn alert(alert: &Alert, link: &str, most: usize) -> Map<String, Value> {
    let incident = &alert.incident;
    let lead = alert.lead();
    let seen = lead.and_then(|finding| finding.observations.first());
    let (begin, end) = span(alert);
    let findings: Vec<Value> = alert.findings.iter().take(most).map(finding).collect();
    let entities: Vec<String> = incident.entities.iter().take(most).map(|entity| name(entity)).collect();
    let record = json!({
        "kind": "incident",
        "event_key": alert.event_key(),
        "time": rfc3339(alert.recorded_time),
        "incident_id": alert.key(),
        "action": alert.action.as_str(),
        "state": incident.state.as_str(),
        "origin": origin(alert.origin),
        "severity": incident.severity.as_str(),
        "severity_id": severity_id(incident.severity),
        "title": title(alert),
        "message": line(&words::headline(alert), LINE_MAX),
        "opened": rfc3339(incident.opened),
        "updated": rfc3339(incident.updated),
        "resolved": incident.resolved.map(rfc3339),
        "first_seen": rfc3339(begin),
        "last_seen": rfc3339(end),
        "entity": lead.map(|finding| name(&finding.entity)),
        "entity_kind": lead.map(|finding| name(&finding.entity_kind)),
        "behaviour": lead.map(|finding| name(&finding.behaviour)),
        "destination": seen.map(|seen| name(&seen.dst_entity)),
        "destination_port": seen.and_then(|seen| seen.dst_port),
        "technique": lead.map(|finding| finding.technique.as_str()).filter(|technique| !technique.is_empty()),
        "risk_score": lead.map(|finding| finding.risk_score),
        "flow_count": incident.flow_count,
        "finding_count": incident.findings.len(),
        "more_findings": incident.findings.len().saturating_sub(findings.len()),
        "entities": entities,
        "more_entities": incident.entities.len().saturating_sub(entities.len()),
        "url": words::link(link, alert),
        "findings": findings,
    });
    without_nulls(record)
}

fn finding(finding: &Finding) -> Value {
    let seen = finding.observations.first();
    Value::Object(without_nulls(json!({
        "finding_id": finding.finding_id,
        "title": line(&finding.title, LINE_MAX),
        "entity": name(&finding.entity),
        "entity_kind": name(&finding.entity_kind),
        "destination": seen.map(|seen| name(&seen.dst_entity)),
        "destination_port": seen.and_then(|seen| seen.dst_port),
        "behaviour": name(&finding.behaviour),
        "severity": finding.severity.as_str(),
        "observed": line(&finding.observed, TEXT_MAX),
        "expected": line(&finding.expected, TEXT_MAX),
        "uncertain": Some(line(&finding.uncertain, TEXT_MAX)).filter(|text| !text.is_empty()),
        "first_seen": rfc3339(finding.first_seen),
        "last_seen": rfc3339(finding.last_seen),
        "technique": Some(finding.technique.as_str()).filter(|technique| !technique.is_empty()),
        "risk_score": finding.risk_score,
        "p_value": finding.p_value,
        "flow_count": finding.flow_count,
        "evidence_query": words::shortened(&finding.evidence_query, TEXT_MAX),
    })))
}

/// A sign of life.
pub(super) fn heartbeat(message: &Message, heartbeat: &Heartbeat) -> Map<String, Value> {
    without_nulls(json!({
        "kind": "heartbeat",
        "event_key": message.event_key(),
        "time": rfc3339(heartbeat.time),
        "severity": severity_of_life(heartbeat).as_str(),
        "severity_id": severity_id(severity_of_life(heartbeat)),
        "message": line(&words::heartbeat(heartbeat), LINE_MAX),
        "open_incidents": heartbeat.open_incidents,
        "causes": heartbeat.causes.iter().map(|cause| line(cause, LINE_MAX)).collect::<Vec<_>>(),
    }))
}

/// A detector of which not all works is worth a look.
pub(super) const fn severity_of_life(heartbeat: &Heartbeat) -> Severity {
    if heartbeat.causes.is_empty() { Severity::Informational } else { Severity::Medium }
}

fn without_nulls(record: Value) -> Map<String, Value> {
    match record {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

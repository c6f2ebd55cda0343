//! The body of a webhook: what templates see and what is sent without one. Times are RFC 3339, texts from logs are on one line.

use crate::alert::{Action, Alert, FINDINGS_MAX, Heartbeat, Message, Origin};
use crate::words;
use serde_json::{Value, json};
use tradewind_model::Finding;
use tradewind_model::time::rfc3339;

/// The largest body that fits: findings are left out where there are too many.
///
/// # Errors
/// Why there is none.
pub(super) fn fitting(
    message: &Message,
    link: &str,
    bytes_max: usize,
    written: impl Fn(&Value) -> Result<String, String>,
) -> Result<String, String> {
    let mut findings = FINDINGS_MAX;
    loop {
        let text = written(&body(message, link, findings))?;
        if text.len() <= bytes_max {
            return Ok(text);
        }
        if findings == 0 {
            return Err(format!("its body has {} bytes: `body_bytes_max` is {bytes_max}", text.len()));
        }
        findings /= 2;
    }
}

/// A message, with at most so many findings of each alert.
pub(super) fn body(message: &Message, link: &str, findings: usize) -> Value {
    let (kind, time, text) = match message {
        Message::Alert(alert) => (kind(alert.action), alert.recorded_time, words::headline(alert)),
        Message::Digest(alerts) => {
            let last = alerts.iter().map(|alert| alert.recorded_time).max().unwrap_or_default();
            ("digest", last, words::digest(alerts))
        }
        Message::Heartbeat(heartbeat) => ("heartbeat", heartbeat.time, words::heartbeat(heartbeat)),
    };
    let alerts: Vec<Value> = message.alerts().iter().map(|alert| of_alert(alert, link, findings)).collect();
    let heartbeat = match message {
        Message::Heartbeat(heartbeat) => of_heartbeat(heartbeat),
        Message::Alert(_) | Message::Digest(_) => Value::Null,
    };
    json!({
        "type": kind,
        "timestamp": rfc3339(time),
        "id": message.event_key(),
        "text": words::plain(&text),
        "alerts": alerts,
        "heartbeat": heartbeat,
    })
}

const fn kind(action: Action) -> &'static str {
    match action {
        Action::Open => "incident.opened",
        Action::Update => "incident.updated",
        Action::Acknowledge => "incident.acknowledged",
        Action::Resolve => "incident.resolved",
    }
}

fn of_heartbeat(heartbeat: &Heartbeat) -> Value {
    let causes: Vec<String> = heartbeat.causes.iter().map(|cause| words::plain(cause)).collect();
    json!({ "causes": causes, "open_incidents": heartbeat.open_incidents })
}

fn of_alert(alert: &Alert, link: &str, findings: usize) -> Value {
    let incident = &alert.incident;
    let entities: Vec<String> = incident.entities.iter().map(|entity| words::plain(entity)).collect();
    let shown = alert.findings.len().min(findings);
    json!({
        "action": alert.action,
        "origin": alert.origin,
        "is_test": alert.origin == Origin::Test,
        "headline": words::plain(&words::headline(alert)),
        "incident_id": incident.incident_id,
        "state": incident.state,
        "severity": incident.severity,
        "title": words::plain(&incident.title),
        "opened": rfc3339(incident.opened),
        "updated": rfc3339(incident.updated),
        "resolved": incident.resolved.map(rfc3339),
        "entities": entities,
        "flow_count": incident.flow_count,
        "link": words::link(link, alert),
        "findings": alert.findings[..shown].iter().map(of_finding).collect::<Vec<_>>(),
        "more_findings": incident.findings.len().saturating_sub(shown),
        "facts": alert.lead().map(words::facts).unwrap_or_default().iter()
            .map(|(name, text)| json!({ "name": name, "text": words::plain(text) }))
            .collect::<Vec<_>>(),
    })
}

fn of_finding(finding: &Finding) -> Value {
    let observations: Vec<Value> = finding
        .observations
        .iter()
        .map(|seen| {
            json!({
                "detector": seen.detector,
                "src_entity": words::plain(&seen.src_entity),
                "dst_entity": words::plain(&seen.dst_entity),
                "dst_port": seen.dst_port,
                "observed": words::plain(&seen.observed),
                "expected": words::plain(&seen.expected),
                "p_value": seen.p_value,
            })
        })
        .collect();
    json!({
        "finding_id": finding.finding_id,
        "time": rfc3339(finding.time),
        "first_seen": rfc3339(finding.first_seen),
        "last_seen": rfc3339(finding.last_seen),
        "entity": words::plain(&finding.entity),
        "entity_kind": finding.entity_kind,
        "behaviour": finding.behaviour,
        "severity": finding.severity,
        "title": words::plain(&finding.title),
        "observed": words::plain(&finding.observed),
        "expected": words::plain(&finding.expected),
        "baseline_since": rfc3339(finding.baseline_since),
        "flow_count": finding.flow_count,
        "window_count": finding.window_count,
        "p_value": finding.p_value,
        "risk_score": finding.risk_score,
        "technique": finding.technique,
        "uncertain": words::plain(&finding.uncertain),
        "evidence_query": words::plain(&finding.evidence_query),
        "observations": observations,
    })
}

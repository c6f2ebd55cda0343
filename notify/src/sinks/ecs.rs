//! Alerts in the Elastic Common Schema 9: <https://www.elastic.co/docs/reference/ecs>. Every field here is in the index template
//! of `docs/reference/siem/elastic-index-template.json`; a test holds the two together.

use super::record;
use crate::alert::{Action, Alert, Heartbeat, Message};
use crate::words;
use serde_json::{Value, json};
use tradewind_model::time::rfc3339;

/// The version of the schema that the fields are of.
const VERSION: &str = "9.0.0";
/// Bytes of a part of a data stream's name at most: <https://www.elastic.co/docs/reference/ecs/ecs-data_stream>.
const PART_BYTES_MAX: usize = 100;

/// The name of a data stream: `type-dataset-namespace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    kind: String,
    dataset: String,
    namespace: String,
}

impl Stream {
    /// A checked name: the parts have no `-`, no large letters and none of `\ / * ? " < > |`, space, `,`, `#`, `:`.
    pub(super) fn new(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('-').collect();
        let is_good = |part: &str| {
            let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte);
            !part.is_empty() && part.len() <= PART_BYTES_MAX && part.bytes().all(known)
        };
        match parts.as_slice() {
            [kind, dataset, namespace] if parts.iter().all(|part| is_good(part)) && !name.starts_with(['.', '_']) => {
                let (kind, dataset, namespace) = ((*kind).to_owned(), (*dataset).to_owned(), (*namespace).to_owned());
                Some(Self { kind, dataset, namespace })
            }
            _ => None,
        }
    }

    fn fields(&self) -> Value {
        json!({ "type": self.kind, "dataset": self.dataset, "namespace": self.namespace })
    }
}

/// The document of an alert with at most so many findings and entities.
pub(super) fn alert(alert: &Alert, stream: &Stream, link: &str, most: usize) -> Value {
    let record = record::alert(alert, link, most);
    let lead = alert.lead();
    let seen = lead.and_then(|finding| finding.observations.first());
    let (begin, end) = record::span(alert);
    let behaviour = lead.map(|finding| record::name(&finding.behaviour));
    let source =
        seen.map(|seen| record::name(&seen.src_entity)).or_else(|| lead.map(|lead| record::name(&lead.entity)));
    let destination = seen.map(|seen| record::name(&seen.dst_entity));
    let tags = ["tradewind", record::origin(alert.origin)];
    let document = json!({
        "@timestamp": rfc3339(alert.recorded_time),
        "ecs": { "version": VERSION },
        "data_stream": stream.fields(),
        "message": line(&record, "message"),
        "tags": tags,
        "labels": {
            "incident_id": alert.key(),
            "incident_state": alert.incident.state.as_str(),
            "origin": record::origin(alert.origin),
            "severity": alert.incident.severity.as_str(),
        },
        "event": {
            "kind": "alert",
            "category": ["network"],
            "type": ["info"],
            "action": action(alert.action),
            "id": alert.event_key(),
            "module": "tradewind",
            "provider": "tradewind",
            "dataset": stream.dataset,
            "created": rfc3339(alert.recorded_time),
            "start": rfc3339(begin),
            "end": rfc3339(end),
            "severity": record::severity_id(alert.incident.severity),
            "risk_score": lead.map(|lead| lead.risk_score),
            "reason": lead.map(|lead| record::line(&format!("{}; expected: {}", lead.observed, lead.expected), record::LINE_MAX)),
            "url": words::link(link, alert),
        },
        "rule": {
            "id": behaviour,
            "name": behaviour,
            "category": "network anomaly",
            "ruleset": "tradewind",
            "version": lead.map(|lead| lead.detector_version.to_string()),
        },
        "source": { "address": source },
        "destination": { "address": destination, "port": seen.and_then(|seen| seen.dst_port) },
        "service": { "origin": { "name": source }, "target": { "name": destination } },
        "threat": lead.and_then(|lead| threat(&lead.technique)),
        "tradewind": {
            "incident": {
                "title": record::title(alert),
                "opened": rfc3339(alert.incident.opened),
                "updated": rfc3339(alert.incident.updated),
                "resolved": alert.incident.resolved.map(rfc3339),
                "entities": record.get("entities"),
                "flow_count": alert.incident.flow_count,
                "finding_count": record.get("finding_count"),
            },
            // As it is: kept, not searched by field.
            "findings": record.get("findings"),
        },
    });
    pruned(document)
}

/// The document of a sign of life.
pub(super) fn heartbeat(message: &Message, heartbeat: &Heartbeat, stream: &Stream) -> Value {
    let record = record::heartbeat(message, heartbeat);
    let severity = record::severity_of_life(heartbeat);
    pruned(json!({
        "@timestamp": rfc3339(heartbeat.time),
        "ecs": { "version": VERSION },
        "data_stream": stream.fields(),
        "message": line(&record, "message"),
        "tags": ["tradewind", "heartbeat"],
        "labels": { "severity": severity.as_str() },
        "event": {
            "kind": "state",
            "category": ["process"],
            "type": ["info"],
            "action": "heartbeat",
            "id": message.event_key(),
            "module": "tradewind",
            "provider": "tradewind",
            "dataset": stream.dataset,
            "created": rfc3339(heartbeat.time),
            "severity": record::severity_id(severity),
        },
        "tradewind": { "open_incidents": heartbeat.open_incidents, "causes": record.get("causes") },
    }))
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Open => "incident-opened",
        Action::Update => "incident-updated",
        Action::Acknowledge => "incident-acknowledged",
        Action::Resolve => "incident-resolved",
    }
}

/// An ATT&CK technique by its id, such as `T1021.004`, whose technique is `T1021`.
fn threat(id: &str) -> Option<Value> {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let (technique, part) = id.split_once('.').map_or((id, None), |(technique, part)| (technique, Some(part)));
    if !digits(technique.strip_prefix('T')?, 4) || part.is_some_and(|part| !digits(part, 3)) {
        return None;
    }
    let reference = format!("https://attack.mitre.org/techniques/{technique}/");
    let mut said = json!({
        "id": [technique],
        "name": [technique_name(technique)],
        "reference": [reference],
    });
    if let Some(part) = part {
        said["subtechnique"] = json!({
            "id": [id],
            "name": [technique_name(id)],
            "reference": [format!("{reference}{part}/")],
        });
    }
    Some(json!({ "framework": "MITRE ATT&CK", "technique": said }))
}

/// Names of the techniques that findings have, from <https://attack.mitre.org/techniques/enterprise/>; of others their id.
fn technique_name(id: &str) -> &str {
    match id {
        "T1021" => "Remote Services",
        "T1021.001" => "Remote Desktop Protocol",
        "T1021.002" => "SMB/Windows Admin Shares",
        "T1021.003" => "Distributed Component Object Model",
        "T1021.004" => "SSH",
        "T1021.005" => "VNC",
        "T1021.006" => "Windows Remote Management",
        "T1041" => "Exfiltration Over C2 Channel",
        "T1046" => "Network Service Discovery",
        "T1048" => "Exfiltration Over Alternative Protocol",
        "T1071" => "Application Layer Protocol",
        "T1213" => "Data from Information Repositories",
        "T1499" => "Endpoint Denial of Service",
        "T1550" => "Use Alternate Authentication Material",
        "T1557" => "Adversary-in-the-Middle",
        _ => id,
    }
}

fn line(record: &serde_json::Map<String, Value>, name: &str) -> Value {
    record.get(name).cloned().unwrap_or_default()
}

/// Without what is not known, and without objects of which nothing is left. What is in arrays stays as it is.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let known = fields.into_iter().map(|(name, value)| (name, pruned(value)));
            Value::Object(
                known
                    .filter(|(_, value)| !value.is_null() && value.as_object().is_none_or(|fields| !fields.is_empty()))
                    .collect(),
            )
        }
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_of_data_streams_have_three_parts() {
        for good in ["logs-tradewind.incidents-default", "logs-a-b", "x-1_2-prod.eu"] {
            assert!(Stream::new(good).is_some(), "{good}");
        }
        for bad in
            ["logs", "logs-a", "logs-a-b-c", "Logs-a-b", "logs--b", "logs-a b-c", "logs-a/b-c", ".x-a-b", "-a-b", ""]
        {
            assert!(Stream::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn techniques_are_told_with_their_address() {
        let threat = threat("T1021.004").unwrap();
        assert_eq!(threat["technique"]["id"], json!(["T1021"]));
        assert_eq!(threat["technique"]["subtechnique"]["name"], json!(["SSH"]));
        let reference = &threat["technique"]["subtechnique"]["reference"][0];
        assert_eq!(reference, "https://attack.mitre.org/techniques/T1021/004/");
        for none in ["", "T10", "x", "T1021.4", "T1021/../evil"] {
            assert_eq!(super::threat(none), None, "{none}");
        }
    }
}

//! PagerDuty, Events API v2: an incident is an alert there, with the incident's id as `dedup_key`.
//!
//! Source: <https://developer.pagerduty.com/docs/send-alert-event> and
//! <https://developer.pagerduty.com/docs/events-api-v2-overview> (answers and limits).

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::{Action, Alert, Message};
use crate::error::NotifyError;
use crate::http::{self, TlsSettings};
use crate::secret::SecretSource;
use crate::words;
use async_trait::async_trait;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tradewind_model::Severity;
use tradewind_model::time::rfc3339;

/// Characters of a summary at most.
const SUMMARY_MAX: usize = 1024;
/// Characters of a routing key.
const ROUTING_KEY_LENGTH: usize = 32;
/// Bytes of an event at most: 512 KB, with room to spare.
const EVENT_BYTES_MAX: usize = 480 * 1024;

/// A sink of `type = "pagerduty"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDutySettings {
    /// Integration key of a service, 32 characters.
    pub routing_key: SecretSource,
    /// Where events are sent; the EU service region has `https://events.eu.pagerduty.com`. Default: that of the US.
    #[serde(default = "url")]
    pub url: String,
    /// How its certificate is checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

fn url() -> String {
    "https://events.pagerduty.com".to_owned()
}

const ABILITIES: Abilities = Abilities {
    batch_max: 1,
    concurrency: 8,
    can_digest: false,
    can_heartbeat: false,
    carries_all: false,
    is_paging: true,
    repeat: None,
};

impl SinkConfig for PagerDutySettings {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, faults: &mut Vec<String>) {
        http::check_url("url", &self.url, faults);
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let routing_key = making.secrets.read("routing_key", &self.routing_key)?;
        let length = routing_key.expose_secret().chars().count();
        if length != ROUTING_KEY_LENGTH {
            let message = format!("`routing_key` has {length} characters: an integration key has {ROUTING_KEY_LENGTH}");
            return Err(NotifyError::Settings { message });
        }
        Ok(Arc::new(PagerDuty {
            client: http::client(&self.tls, making.secrets, making.timeout)?,
            url: format!("{}/v2/enqueue", self.url.trim_end_matches('/')),
            routing_key,
            link: making.link.to_owned(),
        }))
    }
}

#[derive(Debug)]
struct PagerDuty {
    client: Client,
    url: String,
    routing_key: SecretString,
    link: String,
}

#[async_trait]
impl Sink for PagerDuty {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(match message {
                Message::Alert(alert) => self.send(alert).await,
                Message::Digest(_) | Message::Heartbeat(_) => Answer::Refused("not for a pager".to_owned()),
            });
        }
        answers
    }
}

impl PagerDuty {
    async fn send(&self, alert: &Alert) -> Answer {
        let event = event(alert, self.routing_key.expose_secret(), &self.link);
        match http::send(self.client.post(&self.url).json(&event)).await {
            Ok(said) => said.hide(&self.routing_key).answer(),
            Err(answer) => answer,
        }
    }
}

/// The event of an alert.
fn event(alert: &Alert, routing_key: &str, link: &str) -> Value {
    let links: Vec<Value> = words::link(link, alert)
        .map(|link| json!({ "href": link, "text": "The incident with its evidence" }))
        .into_iter()
        .collect();
    // These two want nothing else, and change nothing where the key is of no open alert.
    if let Some(action) = match alert.action {
        Action::Acknowledge => Some("acknowledge"),
        Action::Resolve => Some("resolve"),
        Action::Open | Action::Update => None,
    } {
        return json!({ "routing_key": routing_key, "event_action": action, "dedup_key": alert.key() });
    }
    let mut findings = alert.findings.len();
    loop {
        let mut event = json!({
            "routing_key": routing_key,
            "event_action": "trigger",
            "dedup_key": alert.key(),
            "client": "Tradewind",
            "client_url": words::link(link, alert),
            "links": links,
            "payload": {
                "summary": words::shortened(&words::plain(&words::headline(alert)), SUMMARY_MAX),
                "source": alert.lead().map_or("tradewind", |finding| finding.entity.as_str()),
                "severity": severity(alert.severity()),
                "timestamp": rfc3339(alert.incident.opened),
                "component": alert.lead().and_then(destination),
                "group": alert.lead().map(|finding| finding.entity.as_str()),
                "class": alert.lead().map(|finding| finding.behaviour.as_str()),
                "custom_details": details(alert, findings),
            },
        });
        // What is not known is left out: fields are texts, and null is none.
        let is_told = |_: &String, value: &mut Value| !value.is_null();
        event["payload"].as_object_mut().into_iter().for_each(|payload| payload.retain(is_told));
        event.as_object_mut().into_iter().for_each(|event| event.retain(is_told));
        // A few findings may say so much that the event is too long for the other side.
        if findings <= 1 || event.to_string().len() <= EVENT_BYTES_MAX {
            return event;
        }
        findings /= 2;
    }
}

fn destination(finding: &tradewind_model::Finding) -> Option<&str> {
    finding.observations.first().map(|seen| seen.dst_entity.as_str())
}

fn details(alert: &Alert, findings: usize) -> Value {
    let incident = &alert.incident;
    let finding = |finding: &tradewind_model::Finding| {
        let facts =
            words::facts(finding).into_iter().map(|(name, text)| (name.to_lowercase().replace(' ', "_"), json!(text)));
        let mut said: serde_json::Map<String, Value> = facts.collect();
        said.insert("title".to_owned(), json!(finding.title));
        said.insert("finding_id".to_owned(), json!(finding.finding_id));
        Value::Object(said)
    };
    json!({
        "incident_id": incident.incident_id,
        "severity": words::severity(incident.severity),
        "entities": incident.entities,
        "flows": incident.flow_count,
        "findings": alert.findings.iter().take(findings).map(finding).collect::<Vec<_>>(),
        "more_findings": incident.findings.len().saturating_sub(findings),
    })
}

/// PagerDuty knows four: critical, error, warning, info.
const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Informational => "info",
    }
}

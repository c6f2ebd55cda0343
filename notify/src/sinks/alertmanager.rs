//! Prometheus Alertmanager, API v2: an incident is an alert there, sent again while it goes on, so that it ends by itself when nobody
//! sends it any more. Grouping, silences and who is told are Alertmanager's.
//!
//! Source: <https://prometheus.io/docs/alerting/latest/alerts_api/> and
//! <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml> (`postableAlerts`).

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::{Action, Alert, Heartbeat, Message, Origin};
use crate::error::NotifyError;
use crate::http::{self, TlsSettings};
use crate::secret::SecretSource;
use crate::settings::check_range;
use crate::words;
use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tradewind_model::time::{MINUTE, rfc3339};
use tradewind_model::{Clock, Severity};

/// Alerts of one request.
const BATCH_MAX: usize = 64;
/// Characters of a label.
const LABEL_MAX: usize = 256;
/// Characters of an annotation.
const ANNOTATION_MAX: usize = 4000;
/// An alert ends by itself when it was not sent again for so many times as long as it should take.
const REPEATS: i64 = 3;
/// How long the sign of life lasts where there is one only when somebody asks for it.
const HEARTBEAT_DEFAULT: i64 = 5 * MINUTE;
/// Further findings that the description names.
const OTHERS_MAX: usize = 10;
const SEVERITIES: [Severity; 5] =
    [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

/// A sink of `type = "alertmanager"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerSettings {
    /// Its address, such as `https://alertmanager.example:9093`, with the prefix of its routes if it has one. Of a cluster each member
    /// is a sink of its own: Alertmanager wants to hear everything at all of them.
    pub url: String,
    /// Incidents that go on are sent again after so many seconds; they end by themselves after three times as long. Default: 60.
    #[serde(default = "repeat_s")]
    pub repeat_s: u64,
    /// A bearer token, where something before it asks for one.
    #[serde(default)]
    pub bearer_token: Option<SecretSource>,
    /// How its certificate is checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

const fn repeat_s() -> u64 {
    60
}

impl SinkConfig for AlertmanagerSettings {
    fn abilities(&self) -> Abilities {
        Abilities {
            batch_max: BATCH_MAX,
            concurrency: 1,
            can_digest: false,
            can_heartbeat: true,
            carries_all: false,
            is_paging: true,
            repeat: Some(Duration::from_secs(self.repeat_s)),
        }
    }

    fn check(&self, faults: &mut Vec<String>) {
        http::check_url("url", &self.url, faults);
        check_range("repeat_s", self.repeat_s, (1, 86_400), faults);
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let token = self.bearer_token.as_ref().map(|source| making.secrets.read("bearer_token", source)).transpose()?;
        let bearer = |token: &secrecy::SecretString| http::secret_header("bearer_token", "Bearer ", token);
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Ok(Arc::new(Alertmanager {
            client: http::client(&self.tls, making.secrets, making.timeout)?,
            url: format!("{}/api/v2/alerts", self.url.trim_end_matches('/')),
            authorization: token.as_ref().map(bearer).transpose()?,
            abilities: self.abilities(),
            terms: Terms {
                link: making.link.to_owned(),
                alert: micros(Duration::from_secs(self.repeat_s)).saturating_mul(REPEATS),
                heartbeat: match micros(making.heartbeat) {
                    0 => HEARTBEAT_DEFAULT,
                    every => every.saturating_mul(REPEATS),
                },
            },
            clock: Arc::clone(making.clock),
        }))
    }
}

#[derive(Debug)]
struct Alertmanager {
    client: Client,
    url: String,
    authorization: Option<HeaderValue>,
    abilities: Abilities,
    terms: Terms,
    clock: Arc<dyn Clock>,
}

/// How alerts are made.
#[derive(Debug)]
struct Terms {
    link: String,
    /// How long an alert lasts when it is not sent again, microseconds.
    alert: i64,
    /// How long a sign of life lasts, microseconds.
    heartbeat: i64,
}

#[async_trait]
impl Sink for Alertmanager {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let answer = self.post(messages).await;
        if messages.len() == 1 || !matches!(answer, Answer::Refused(_)) {
            return vec![answer; messages.len()];
        }
        // It does not say which of them it cannot take, and may have taken the others: those are the same when they come again.
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(self.post(std::slice::from_ref(message)).await);
        }
        answers
    }
}

impl Alertmanager {
    async fn post(&self, messages: &[Message]) -> Answer {
        let now = self.clock.now();
        let mut alerts = Vec::new();
        for message in messages {
            match message {
                Message::Alert(alert) => self.terms.alert(alert, now, &mut alerts),
                Message::Heartbeat(heartbeat) => alerts.push(self.terms.heartbeat(heartbeat, now)),
                Message::Digest(all) => all.iter().for_each(|alert| self.terms.alert(alert, now, &mut alerts)),
            }
        }
        let mut request = self.client.post(&self.url).json(&alerts);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        match http::send(request).await {
            Ok(said) => said.answer(),
            Err(answer) => answer,
        }
    }
}

impl Terms {
    /// What is posted of an alert. Its labels are what Alertmanager knows it by, so all of them stay the same as long as it goes on, but
    /// for the severity; where that may have changed, the alerts of the other severities end.
    fn alert(&self, alert: &Alert, now: i64, posted: &mut Vec<Value>) {
        let incident = &alert.incident;
        let starts = incident.opened.min(now);
        let ends = match alert.action {
            Action::Open | Action::Update | Action::Acknowledge => now.saturating_add(self.alert),
            Action::Resolve => incident.resolved.unwrap_or(now).clamp(starts, now),
        };
        posted.push(self.post(alert, incident.severity, starts, ends));
        if alert.action != Action::Open {
            let others = SEVERITIES.into_iter().filter(|severity| *severity != incident.severity);
            posted.extend(others.map(|severity| self.post(alert, severity, starts, now.max(starts))));
        }
    }

    fn post(&self, alert: &Alert, severity: Severity, starts: i64, ends: i64) -> Value {
        let mut post = json!({
            "labels": labels(alert, severity),
            "annotations": annotations(alert),
            "startsAt": rfc3339(starts),
            "endsAt": rfc3339(ends),
        });
        if let Some(link) = words::link(&self.link, alert) {
            post["generatorURL"] = Value::String(link);
        }
        post
    }

    fn heartbeat(&self, heartbeat: &Heartbeat, now: i64) -> Value {
        let is_well = heartbeat.causes.is_empty();
        json!({
            "labels": { "alertname": "TradewindWatchdog", "severity": "none" },
            "annotations": texts([
                ("summary", if is_well { "Tradewind is alive" } else { "Tradewind is alive, but not all of it works" }.to_owned()),
                ("description", words::heartbeat(heartbeat)),
            ], ANNOTATION_MAX),
            "startsAt": rfc3339(heartbeat.time.min(now)),
            "endsAt": rfc3339(now.saturating_add(self.heartbeat)),
        })
    }
}

fn labels(alert: &Alert, severity: Severity) -> Map<String, Value> {
    let incident = &alert.incident;
    // The finding that opened the incident, not the one that leads it: which that is may change.
    let first = incident.findings.first();
    let opener = alert.findings.iter().find(|finding| Some(&finding.finding_id) == first).or_else(|| alert.lead());
    let of = |text: fn(&tradewind_model::Finding) -> &str| opener.map(text).unwrap_or_default().to_owned();
    let namespace = opener.and_then(|finding| finding.entity.split('/').nth(1)).unwrap_or_default().to_owned();
    let is_test = alert.origin == Origin::Test;
    texts(
        [
            ("alertname", if is_test { "TradewindTest" } else { "TradewindIncident" }.to_owned()),
            ("severity", severity.as_str().to_owned()),
            ("incident_id", incident.incident_id.clone()),
            ("entity", of(|finding| &finding.entity)),
            ("entity_kind", of(|finding| &finding.entity_kind)),
            ("namespace", namespace),
            ("behaviour", of(|finding| &finding.behaviour)),
            ("test", if is_test { "true" } else { "" }.to_owned()),
        ],
        LABEL_MAX,
    )
}

fn annotations(alert: &Alert) -> Map<String, Value> {
    let facts = alert.lead().map(words::facts).unwrap_or_default();
    let fact =
        |name: &str| facts.iter().find(|(known, _)| *known == name).map(|(_, text)| text.clone()).unwrap_or_default();
    let mut said: Vec<String> = ["Observed", "Expected", "Uncertain"]
        .into_iter()
        .map(|name| (name, fact(name)))
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| format!("{name}: {text}"))
        .collect();
    said.extend(words::other_findings(alert, OTHERS_MAX).into_iter().map(|line| format!("Also: {line}")));
    texts(
        [
            ("summary", words::headline(alert)),
            ("description", said.join(". ")),
            ("destination", fact("Destination")),
            ("technique", fact("Technique")),
            ("first_seen", fact("First seen")),
            ("last_seen", fact("Last seen")),
            ("evidence_query", fact("Evidence")),
            ("flows", alert.incident.flow_count.to_string()),
        ],
        ANNOTATION_MAX,
    )
}

/// Labels or annotations; those that say nothing are left out, as Alertmanager would.
fn texts<const N: usize>(texts: [(&str, String); N], most: usize) -> Map<String, Value> {
    texts
        .into_iter()
        .map(|(name, text)| (name.to_owned(), words::shortened(words::plain(&text).trim(), most)))
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name, Value::String(text)))
        .collect()
}

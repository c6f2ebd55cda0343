//! Microsoft Sentinel, by the Logs Ingestion API of Azure Monitor: a row for each state of an incident.
//!
//! Source: <https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview>,
//! <https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#logs-ingestion-api> and, for tokens,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use super::batch::{self, Item, Limits, Post, Sent};
use super::{Abilities, Answer, Making, Sink, SinkConfig, record};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::http::{self, TlsSettings};
use crate::secret::SecretSource;
use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded::Serializer;

/// Bytes of a request at most: 1 MB, with room to spare.
const REQUEST_BYTES_MAX: usize = 960_000;
/// Bytes of a row at most: a value is cut at 64 KB, and that of `Findings` is most of the row.
const ROW_BYTES_MAX: usize = 60_000;
/// A token is got anew so long before it expires.
const TOKEN_EARLY: Duration = Duration::from_secs(300);
/// How long a token is good whose answer does not say.
const TOKEN_LIFE_S: u64 = 600;

/// A sink of `type = "sentinel"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentinelSettings {
    /// The logs ingestion endpoint of the data collection rule, or a data collection endpoint, such as
    /// `https://tradewind-a1b2.eastus-1.ingest.monitor.azure.com`.
    pub url: String,
    /// Immutable id of the data collection rule, `dcr-…`.
    pub rule_id: String,
    /// Stream of the rule. Default `Custom-Tradewind`.
    #[serde(default = "stream")]
    pub stream: String,
    /// Directory (tenant) of the application.
    pub tenant_id: String,
    /// Application (client) id.
    pub client_id: String,
    /// A secret of the application (its value, not its id).
    pub client_secret: SecretSource,
    /// Where tokens are got. Default `https://login.microsoftonline.com`; US Government: `https://login.microsoftonline.us`.
    #[serde(default = "authority")]
    pub authority: String,
    /// What tokens are for. Default `https://monitor.azure.com//.default`; US Government: `https://monitor.azure.us//.default`.
    #[serde(default = "scope")]
    pub scope: String,
    /// How certificates are checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

fn stream() -> String {
    "Custom-Tradewind".to_owned()
}

fn authority() -> String {
    "https://login.microsoftonline.com".to_owned()
}

fn scope() -> String {
    "https://monitor.azure.com//.default".to_owned()
}

const ABILITIES: Abilities = Abilities {
    batch_max: 100,
    concurrency: 2,
    can_digest: false,
    can_heartbeat: true,
    carries_all: true,
    is_paging: false,
    repeat: None,
};

impl SinkConfig for SentinelSettings {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, faults: &mut Vec<String>) {
        http::check_url("url", &self.url, faults);
        http::check_url("authority", &self.authority, faults);
        let is_plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        if !self.rule_id.starts_with("dcr-") || !is_plain(&self.rule_id) {
            faults.push(format!("`rule_id` is `{}`: use the immutable id of the rule, `dcr-…`", self.rule_id));
        }
        if !(self.stream.starts_with("Custom-") || self.stream.starts_with("Microsoft-")) || !is_plain(&self.stream) {
            faults.push(format!("`stream` is `{}`: streams are called `Custom-…` or `Microsoft-…`", self.stream));
        }
        for (what, text) in [("tenant_id", &self.tenant_id), ("client_id", &self.client_id)] {
            if !is_plain(text) {
                faults.push(format!("`{what}` is `{text}`: use the id that the portal shows"));
            }
        }
        if self.scope.is_empty() {
            faults.push(format!("`scope` is empty: leave it out for `{}`", scope()));
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let (endpoint, authority) = (self.url.trim_end_matches('/'), self.authority.trim_end_matches('/'));
        let (rule, stream) = (&self.rule_id, &self.stream);
        Ok(Arc::new(Sentinel {
            client: http::client(&self.tls, making.secrets, making.timeout)?,
            url: format!("{endpoint}/dataCollectionRules/{rule}/streams/{stream}?api-version=2023-01-01"),
            token_url: format!("{authority}/{}/oauth2/v2.0/token", self.tenant_id),
            client_id: self.client_id.clone(),
            client_secret: making.secrets.read("client_secret", &self.client_secret)?,
            scope: self.scope.clone(),
            link: making.link.to_owned(),
            timeout: making.timeout,
            token: Mutex::new(None),
        }))
    }
}

/// What requests are authorised with.
#[derive(Clone, Debug)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Debug)]
struct Sentinel {
    client: Client,
    url: String,
    token_url: String,
    client_id: String,
    client_secret: SecretString,
    scope: String,
    link: String,
    timeout: Duration,
    token: Mutex<Option<Token>>,
}

#[async_trait]
impl Sink for Sentinel {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let deadline = Instant::now() + self.timeout;
        let mut answers = vec![None; messages.len()];
        let mut items = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            match row(message, &self.link) {
                Ok(bytes) => items.push(Item { place, key: message.event_key(), bytes }),
                Err(refused) => answers[place] = Some(refused),
            }
        }
        let limits = Limits { bytes_max: REQUEST_BYTES_MAX, between: 1 };
        batch::send(self, items, limits, deadline, &mut answers).await;
        batch::finished(answers)
    }
}

#[async_trait]
impl Post for Sentinel {
    async fn post(&self, items: &[Item]) -> Sent {
        let rows: Vec<&[u8]> = items.iter().map(|item| item.bytes.as_slice()).collect();
        let body = [b"[".as_slice(), &rows.join(b",".as_slice()), b"]"].concat();
        for attempt in 0..2 {
            let token = match self.token().await {
                Ok(token) => token,
                Err(answer) => return Sent::All(answer),
            };
            let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/json");
            match http::send(request.header(AUTHORIZATION, token.clone()).body(body.clone())).await {
                // It expired, or was withdrawn.
                Ok(said) if said.status.as_u16() == 401 && attempt == 0 => self.forget(&token).await,
                Ok(said) => return Sent::All(said.answer()),
                Err(answer) => return Sent::All(answer),
            }
        }
        Sent::All(Answer::unreachable("401 with a new token"))
    }
}

impl Sentinel {
    /// A token that is good for some time; one request for it at a time.
    async fn token(&self) -> Result<HeaderValue, Answer> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.header.clone());
        }
        let asked = Instant::now();
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose_secret())
            .append_pair("scope", &self.scope)
            .finish();
        let request = self.client.post(&self.token_url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let said = http::send(request.body(form)).await?;
        let body = said.json().unwrap_or_default();
        let Some(secret) = body["access_token"].as_str().filter(|_| said.status.is_success()) else {
            // The body may hold a token in a form that is not known here: it is told only where there was an error.
            let told = ["error", "error_description"].map(|name| body[name].as_str().unwrap_or_default());
            let told = told.join(" ").replace(self.client_secret.expose_secret(), "(hidden)");
            let told = match told.trim() {
                "" => said.status.canonical_reason().unwrap_or("without a word"),
                told => told,
            };
            let reason = record::line(&format!("no token: {} {told}", said.status.as_u16()), 500);
            return Err(match said.later(true) {
                Answer::Later { after, is_general, .. } => Answer::Later { reason, after, is_general },
                other => other,
            });
        };
        let header = http::secret_header("access_token", "Bearer ", &SecretString::from(secret.to_owned()))
            .map_err(Answer::unreachable)?;
        // Some servers say it as a text.
        let life = &body["expires_in"];
        let life = life.as_u64().or_else(|| life.as_str()?.parse().ok()).unwrap_or(TOKEN_LIFE_S);
        let life = Duration::from_secs(life.min(86_400));
        let until = asked + life.saturating_sub(TOKEN_EARLY.min(life / 2));
        *kept = Some(Token { header: header.clone(), until });
        Ok(header)
    }

    /// This token is no good; another one that was got meanwhile stays.
    async fn forget(&self, header: &HeaderValue) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.header == *header) {
            *kept = None;
        }
    }
}

fn row(message: &Message, link: &str) -> Result<Vec<u8>, Answer> {
    match message {
        Message::Alert(alert) => {
            Ok(record::fitting(alert, ROW_BYTES_MAX, |most| columns(record::alert(alert, link, most))))
        }
        Message::Heartbeat(heartbeat) => Ok(columns(record::heartbeat(message, heartbeat)).to_string().into_bytes()),
        Message::Digest(_) => Err(Answer::Refused(record::NO_DIGEST.to_owned())),
    }
}

/// The record with the names that columns have. `Title`, `Type`, `id` and some more are not allowed there.
fn columns(record: Map<String, Value>) -> Value {
    let column = |name: &str| match name {
        "time" => "TimeGenerated".to_owned(),
        "title" => "IncidentTitle".to_owned(),
        name => name.split('_').map(capitalised).collect(),
    };
    let row: Map<String, Value> = record.into_iter().map(|(name, value)| (column(&name), value)).collect();
    json!(row)
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

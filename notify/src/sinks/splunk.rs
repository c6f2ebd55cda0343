//! Splunk, HTTP Event Collector: an event for each state of an incident. Where the token asks for indexer acknowledgement, an event
//! is delivered when it is indexed, not when it was taken.
//!
//! Source: <https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector> (the event),
//! <https://docs.splunk.com/Documentation/Splunk/latest/Data/AboutHECIDXAck> (acknowledgement) and
//! <https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector> (codes of answers).

use super::batch::{self, Item, Limits, Post, Sent};
use super::{Abilities, Answer, Making, Sink, SinkConfig, record};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::http::{self, Said, TlsSettings};
use crate::secret::SecretSource;
use crate::settings::check_range;
use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

/// Bytes of a request at most: well below `max_content_length` of `limits.conf`, which is 800 MB, or 1 MB on Splunk Cloud.
const REQUEST_BYTES_MAX: usize = 900_000;
/// How soon an acknowledgement is asked for, and how seldom at last.
const ASK: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// An event that is not acknowledged after this time is sent again; Splunk's own clients ask 30 times, every 10 seconds.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(300);

/// A sink of `type = "splunk"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplunkSettings {
    /// Where the collector listens, such as `https://splunk.example.com:8088`.
    pub url: String,
    /// Its token.
    pub token: SecretSource,
    /// Index of the events. Left out: that of the token.
    #[serde(default)]
    pub index: Option<String>,
    /// Host of the events. Default `tradewind`.
    #[serde(default = "tradewind")]
    pub host: String,
    /// Source of the events. Default `tradewind`.
    #[serde(default = "tradewind")]
    pub source: String,
    /// Source type of the events. Default `tradewind:incident`.
    #[serde(default = "sourcetype")]
    pub sourcetype: String,
    /// The longest event, bytes: Splunk cuts what is longer than `TRUNCATE` of the source type. Default 10000, as there.
    #[serde(default = "event_bytes_max")]
    pub event_bytes_max: usize,
    /// Whether an event counts as delivered only when it is indexed, where the token has indexer acknowledgement. Default true.
    #[serde(default = "yes")]
    pub acknowledge: bool,
    /// How its certificate is checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

fn tradewind() -> String {
    "tradewind".to_owned()
}

fn sourcetype() -> String {
    "tradewind:incident".to_owned()
}

const fn event_bytes_max() -> usize {
    10_000
}

const fn yes() -> bool {
    true
}

const ABILITIES: Abilities = Abilities {
    batch_max: 100,
    concurrency: 4,
    can_digest: false,
    can_heartbeat: true,
    carries_all: true,
    is_paging: false,
    repeat: None,
};

impl SinkConfig for SplunkSettings {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, faults: &mut Vec<String>) {
        http::check_url("url", &self.url, faults);
        check_range("event_bytes_max", self.event_bytes_max, (4000, REQUEST_BYTES_MAX), faults);
        if self.index.as_deref().is_some_and(str::is_empty) {
            faults.push("`index` is empty: leave it out for the index of the token".to_owned());
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let token = making.secrets.read("token", &self.token)?;
        let channel = HeaderValue::from_str(&Uuid::new_v4().to_string()).expect("a UUID is ASCII");
        let base = self.url.trim_end_matches('/');
        Ok(Arc::new(Splunk {
            client: http::client(&self.tls, making.secrets, making.timeout)?,
            event_url: format!("{base}/services/collector/event"),
            ack_url: format!("{base}/services/collector/ack"),
            authorization: http::secret_header("token", "Splunk ", &token)?,
            channel,
            settings: self.clone(),
            link: making.link.to_owned(),
            timeout: making.timeout,
            taken: Mutex::new(HashMap::new()),
        }))
    }
}

/// An event that was taken and is not known to be indexed.
#[derive(Clone, Copy, Debug)]
struct Taken {
    ack_id: u64,
    since: Instant,
}

#[derive(Debug)]
struct Splunk {
    client: Client,
    event_url: String,
    ack_url: String,
    authorization: HeaderValue,
    /// Acknowledgements are numbered within a channel; this one is new with each start.
    channel: HeaderValue,
    settings: SplunkSettings,
    link: String,
    timeout: Duration,
    /// By event key. What is lost of it by a restart is sent again.
    taken: Mutex<HashMap<String, Taken>>,
}

#[async_trait]
impl Sink for Splunk {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let deadline = Instant::now() + self.timeout;
        let mut answers = vec![None; messages.len()];
        let mut items = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            match self.event(message) {
                Ok(bytes) if !self.is_taken(&message.event_key()) => {
                    items.push(Item { place, key: message.event_key(), bytes });
                }
                Ok(_) => answers[place] = Some(Answer::Delivered("taken before".to_owned())),
                Err(refused) => answers[place] = Some(refused),
            }
        }
        let limits = Limits { bytes_max: REQUEST_BYTES_MAX, between: 0 };
        batch::send(self, items, limits, deadline, &mut answers).await;
        self.acknowledge(messages, deadline, &mut answers).await;
        batch::finished(answers)
    }
}

#[async_trait]
impl Post for Splunk {
    async fn post(&self, items: &[Item]) -> Sent {
        let body: Vec<u8> = items.iter().flat_map(|item| item.bytes.iter().copied()).collect();
        let request = self.request(&self.event_url).body(body);
        let said = match http::send(request).await {
            Ok(said) => said,
            Err(answer) => return Sent::All(answer),
        };
        let sent = sent(&said);
        let ack_id = said.json().and_then(|said| said["ackId"].as_u64());
        if let (Sent::All(Answer::Delivered(_)), Some(ack_id), true) = (&sent, ack_id, self.settings.acknowledge) {
            let since = Instant::now();
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.retain(|_, taken| since.duration_since(taken.since) < 2 * ACKNOWLEDGED_WITHIN);
            taken.extend(items.iter().map(|item| (item.key.clone(), Taken { ack_id, since })));
        }
        sent
    }
}

impl Splunk {
    fn request(&self, url: &str) -> reqwest::RequestBuilder {
        self.client
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("X-Splunk-Request-Channel", self.channel.clone())
    }

    /// Whether it was sent not long ago, and waits for its acknowledgement.
    fn is_taken(&self, key: &str) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = taken.get(key).is_some_and(|taken| taken.since.elapsed() < ACKNOWLEDGED_WITHIN);
        if !is_recent {
            taken.remove(key);
        }
        is_recent
    }

    /// Waits until what was taken is indexed; what is not in time comes later, and then is asked for again.
    async fn acknowledge(&self, messages: &[Message], deadline: Instant, answers: &mut [Option<Answer>]) {
        let mut pause = ASK.0;
        loop {
            let waiting: Vec<(usize, String, u64)> = {
                let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                let keys = messages.iter().map(Message::event_key).enumerate();
                keys.filter_map(|(place, key)| taken.get(&key).map(|taken| (place, key.clone(), taken.ack_id)))
                    .collect()
            };
            if waiting.is_empty() {
                return;
            }
            let ids: BTreeSet<u64> = waiting.iter().map(|(_, _, ack_id)| *ack_id).collect();
            let reason = match timeout_at(deadline, self.ask(&ids)).await {
                Ok(Ok(indexed)) => {
                    let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                    for (place, key, ack_id) in &waiting {
                        if let Some(said) = indexed.get(ack_id) {
                            taken.remove(key);
                            answers[*place] = Some(Answer::Delivered((*said).to_owned()));
                        }
                    }
                    drop(taken);
                    None
                }
                Ok(Err(reason)) => Some(reason),
                Err(_) => None,
            };
            if Instant::now() + pause >= deadline {
                let reason = reason.unwrap_or_else(|| "taken, but not indexed in time".to_owned());
                let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                for (place, key, _) in waiting {
                    if taken.contains_key(&key) {
                        answers[place] = Some(Answer::Later { reason: reason.clone(), after: None, is_general: false });
                    }
                }
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(ASK.1);
        }
    }

    /// Which of these are indexed.
    async fn ask(&self, ids: &BTreeSet<u64>) -> Result<HashMap<u64, &'static str>, String> {
        let request = self.request(&self.ack_url).body(json!({ "acks": ids }).to_string());
        let said = http::send(request).await.map_err(|answer| match answer {
            Answer::Later { reason, .. } | Answer::Refused(reason) | Answer::Delivered(reason) => reason,
        })?;
        let body = said.json().unwrap_or_default();
        // 14: acknowledgement was switched off since.
        if body["code"].as_u64() == Some(14) {
            return Ok(ids.iter().map(|id| (*id, "taken; the token has no acknowledgement any more")).collect());
        }
        if !said.status.is_success() || !body["acks"].is_object() {
            return Err(said.words());
        }
        let is_indexed = |id: &u64| body["acks"][id.to_string()].as_bool() == Some(true);
        Ok(ids.iter().filter(|id| is_indexed(id)).map(|id| (*id, "indexed")).collect())
    }

    fn event(&self, message: &Message) -> Result<Vec<u8>, Answer> {
        match message {
            Message::Alert(alert) => {
                let room = self.settings.event_bytes_max;
                let bytes = record::fitting(alert, room, |most| Value::Object(record::alert(alert, &self.link, most)));
                Ok(self.envelope(message, &bytes, &["incident_id", "action", "origin", "severity", "entity"]))
            }
            Message::Heartbeat(heartbeat) => {
                let bytes = Value::Object(record::heartbeat(message, heartbeat)).to_string().into_bytes();
                Ok(self.envelope(message, &bytes, &["severity"]))
            }
            Message::Digest(_) => Err(Answer::Refused(record::NO_DIGEST.to_owned())),
        }
    }

    /// The record with what Splunk keeps beside it. Values of `fields` are texts; they are indexed, so that searches are fast.
    fn envelope(&self, message: &Message, record: &[u8], indexed: &[&str]) -> Vec<u8> {
        let record: Value = serde_json::from_slice(record).unwrap_or_default();
        let named = ["kind", "event_key"].iter().chain(indexed);
        let fields: Map<String, Value> =
            named.filter_map(|&name| Some((name.to_owned(), json!(record[name].as_str()?)))).collect();
        let mut envelope = json!({
            "time": seconds(record::time(message)),
            "host": self.settings.host,
            "source": self.settings.source,
            "sourcetype": self.settings.sourcetype,
            "event": record,
            "fields": fields,
        });
        if let Some(index) = &self.settings.index {
            envelope["index"] = json!(index);
        }
        envelope.to_string().into_bytes()
    }
}

/// Seconds with milliseconds: `<sec>.<ms>`. Exact: milliseconds of this century are far below 2^53.
fn seconds(micros: i64) -> Value {
    json!(micros.div_euclid(1000) as f64 / 1000.0)
}

/// What an answer means by its code: 0 to 22 as Splunk lists them; 1 and 4 come with 403, 2 and 3 with 401, 8 with 500, and 9, 18, 19
/// and 20 with 503, whose status says enough.
fn sent(said: &Said) -> Sent {
    if said.status.as_u16() != 400 {
        return Sent::All(said.answer());
    }
    let body = said.json().unwrap_or_default();
    match body["code"].as_u64() {
        // The token, the index or the channel: a person has to mend it, and no event is at fault.
        Some(2 | 3 | 4 | 7 | 10 | 11 | 16 | 21 | 22) => Sent::All(said.later(true)),
        // An event that is none, with the number of the first such one.
        Some(6 | 12 | 13 | 15) => match body["invalid-event-number"].as_u64().map(usize::try_from) {
            Some(Ok(place)) => Sent::Bad(place, Answer::Refused(said.words())),
            _ => Sent::All(Answer::Refused(said.words())),
        },
        _ => Sent::All(said.answer()),
    }
}

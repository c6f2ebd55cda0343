//! Elasticsearch and OpenSearch: a document in ECS for each state of an incident, created in a data stream.
//!
//! Source: <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk> (requests and answers),
//! <https://www.elastic.co/docs/manage-data/data-store/data-streams/failure-store>.

use super::batch::{self, Item, Limits, Post, Sent};
use super::{Abilities, Answer, Making, Sink, SinkConfig, ecs, record};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::http::{self, TlsSettings};
use crate::secret::SecretSource;
use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of a request at most; `http.max_content_length` is 100 MB, hosted services have 10 MB.
const REQUEST_BYTES_MAX: usize = 5_000_000;
/// Bytes of a document at most.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an `_id` at most: <https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/mapping-id-field>.
const ID_BYTES_MAX: usize = 512;

/// A sink of `type = "elastic"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElasticSettings {
    /// Where the cluster listens, such as `https://elastic.example.com:9200`.
    pub url: String,
    /// The data stream: type, dataset and namespace. Default `logs-tradewind.incidents-default`.
    #[serde(default = "data_stream")]
    pub data_stream: String,
    /// An API key as Elasticsearch gives it out (`encoded`).
    #[serde(default)]
    pub api_key: Option<SecretSource>,
    /// A user, where there is no API key: OpenSearch.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// How its certificate is checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

fn data_stream() -> String {
    "logs-tradewind.incidents-default".to_owned()
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

impl SinkConfig for ElasticSettings {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, faults: &mut Vec<String>) {
        http::check_url("url", &self.url, faults);
        if ecs::Stream::new(&self.data_stream).is_none() {
            faults.push(format!(
                "`data_stream` is `{}`: use `type-dataset-namespace` in small letters, such as `{}`",
                self.data_stream,
                data_stream()
            ));
        }
        match (&self.api_key, &self.username, &self.password) {
            (Some(_), None, None) | (None, Some(_), Some(_)) | (None, None, None) => {}
            (Some(_), ..) => faults.push("`api_key` excludes `username` and `password`: use one of the two".to_owned()),
            (None, ..) => faults.push("`username` and `password` belong together".to_owned()),
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let read = |what: &str, source: &Option<SecretSource>| {
            source.as_ref().map(|source| making.secrets.read(what, source)).transpose()
        };
        let api_key = read("api_key", &self.api_key)?;
        let access = match (api_key, &self.username, read("password", &self.password)?) {
            (Some(key), ..) => Access::Key(http::secret_header("api_key", "ApiKey ", &key)?),
            (None, Some(user), Some(password)) => Access::Password(user.clone(), password),
            _ => Access::Nothing,
        };
        let stream = ecs::Stream::new(&self.data_stream)
            .ok_or_else(|| NotifyError::Settings { message: format!("`data_stream` is `{}`", self.data_stream) })?;
        Ok(Arc::new(Elastic {
            client: http::client(&self.tls, making.secrets, making.timeout)?,
            url: format!("{}/{}/_bulk", self.url.trim_end_matches('/'), self.data_stream),
            access,
            stream,
            link: making.link.to_owned(),
            timeout: making.timeout,
        }))
    }
}

#[derive(Debug)]
enum Access {
    Key(HeaderValue),
    Password(String, SecretString),
    Nothing,
}

#[derive(Debug)]
struct Elastic {
    client: Client,
    url: String,
    access: Access,
    stream: ecs::Stream,
    link: String,
    timeout: Duration,
}

#[async_trait]
impl Sink for Elastic {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let deadline = Instant::now() + self.timeout;
        let mut answers = vec![None; messages.len()];
        let mut items = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            match self.lines(message) {
                Ok(bytes) => items.push(Item { place, key: message.event_key(), bytes }),
                Err(refused) => answers[place] = Some(refused),
            }
        }
        let limits = Limits { bytes_max: REQUEST_BYTES_MAX, between: 0 };
        batch::send(self, items, limits, deadline, &mut answers).await;
        batch::finished(answers)
    }
}

#[async_trait]
impl Post for Elastic {
    async fn post(&self, items: &[Item]) -> Sent {
        let body: Vec<u8> = items.iter().flat_map(|item| item.bytes.iter().copied()).collect();
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/x-ndjson").body(body);
        let request = match &self.access {
            Access::Key(key) => request.header(AUTHORIZATION, key.clone()),
            Access::Password(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Access::Nothing => request,
        };
        let said = match http::send(request).await {
            Ok(said) => said,
            Err(answer) => return Sent::All(answer),
        };
        if !said.status.is_success() {
            return Sent::All(said.answer());
        }
        let body = said.json().unwrap_or_default();
        match body["items"].as_array() {
            Some(each) if each.len() == items.len() => Sent::Each(each.iter().map(answer).collect()),
            // It may have taken some; those will be known as duplicates.
            _ => Sent::All(said.later(false)),
        }
    }
}

impl Elastic {
    /// The two lines of a message. The id is the same when it is sent again, and then is refused as a duplicate.
    fn lines(&self, message: &Message) -> Result<Vec<u8>, Answer> {
        let document = match message {
            Message::Alert(alert) => {
                record::fitting(alert, DOCUMENT_BYTES_MAX, |most| ecs::alert(alert, &self.stream, &self.link, most))
            }
            Message::Heartbeat(heartbeat) => ecs::heartbeat(message, heartbeat, &self.stream).to_string().into_bytes(),
            Message::Digest(_) => return Err(Answer::Refused(record::NO_DIGEST.to_owned())),
        };
        let mut id = message.event_key();
        if id.len() > ID_BYTES_MAX {
            id = blake3::hash(id.as_bytes()).to_hex().to_string();
        }
        let mut lines = json!({ "create": { "_id": id } }).to_string().into_bytes();
        lines.push(b'\n');
        lines.extend(document);
        lines.push(b'\n');
        Ok(lines)
    }
}

/// What became of one item.
fn answer(item: &Value) -> Answer {
    let item = &item["create"];
    let (kind, reason) = (&item["error"]["type"], &item["error"]["reason"]);
    let cause = &item["error"]["caused_by"]["reason"];
    let told: Vec<&str> = [kind, reason, cause].iter().filter_map(|text| text.as_str()).collect();
    let status = item["status"].as_u64().unwrap_or_default();
    let said = record::line(&format!("{status} {}", told.join(": ")), 500).trim().to_owned();
    let later = |is_general| Answer::Later { reason: said.clone(), after: None, is_general };
    match status {
        // It was not fit for the data stream, and was put aside in its failure store.
        200..=299 if item["failure_store"] == "used" => {
            Answer::Refused(format!("{status} in the failure store of the data stream, where nobody looks for it"))
        }
        200..=299 => Answer::Delivered(format!("{status} created")),
        409 => Answer::Delivered("409 it was there already".to_owned()),
        408 | 429 => later(false),
        // No right to write, no data stream, an index that is closed or whose disk is full.
        401 | 403 | 404 => later(true),
        0 | 500..=599 => later(false),
        _ => Answer::Refused(said),
    }
}

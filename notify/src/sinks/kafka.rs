//! A topic of Apache Kafka: a record for each alert, OCSF or JSON, in the order of each incident. The cluster is the user's, and
//! need not be the one that Tradewind keeps its own log on.

use super::{Abilities, Answer, Making, Sink, SinkConfig, record};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::record::RecordFormat;
use crate::secret::SecretSource;
use crate::settings::check_range;
use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tradewind_transport::kafka::{
    Compression, KafkaSettings, Outlet, Placed, SaslMechanism, SaslSettings, Secret, SecurityProtocol,
};
use tradewind_transport::{LogError, Record};

/// What a record takes beside its value: key, headers, and Kafka's own fields.
const BESIDE_VALUE: usize = 1_024;
/// No record is made smaller than this, whatever the topic takes.
const VALUE_BYTES_MIN: usize = 1_024;
/// The least `timeout_ms`: questions and the write each take their part.
const TIMEOUT_MIN: Duration = Duration::from_secs(3);

/// A sink of `type = "kafka"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSinkSettings {
    /// Brokers to ask first, each `host:port`.
    pub brokers: Vec<String>,
    /// The topic; it is not made.
    pub topic: String,
    /// `ocsf` or `json`. Default: `ocsf`.
    #[serde(default)]
    pub format: RecordFormat,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`. Default: `plaintext`.
    #[serde(default)]
    pub security_protocol: SecurityProtocol,
    /// Who the client is, with `sasl_plaintext` and `sasl_ssl`.
    #[serde(default)]
    pub sasl: Option<KafkaSaslSettings>,
    /// Certificates and keys, with `ssl` and `sasl_ssl`.
    #[serde(default)]
    pub tls: KafkaTlsSettings,
    /// Name of this client in the brokers' logs and quotas. Default: `tradewind-notify`.
    #[serde(default = "client_id")]
    pub client_id: String,
    /// `none`, `lz4` or `zstd`. Default: `zstd`.
    #[serde(default)]
    pub compression: Compression,
    /// Alerts are made smaller until their records have no more bytes, also where the topic would take more. Default: 1,000,000.
    #[serde(default = "record_bytes_max")]
    pub record_bytes_max: usize,
    /// Properties of librdkafka by their own names, for what is not above. Default: none.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// Who the client is to the brokers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSaslSettings {
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`. Default: `SCRAM-SHA-512`.
    #[serde(default)]
    pub mechanism: SaslMechanism,
    /// The user; with `OAUTHBEARER` the id of the client.
    pub user: String,
    /// Its password; with `OAUTHBEARER` the secret of the client.
    pub password: SecretSource,
    /// `OAUTHBEARER`: where tokens are asked for.
    #[serde(default)]
    pub token_endpoint_url: Option<String>,
    /// `OAUTHBEARER`: the scope to ask for.
    #[serde(default)]
    pub scope: Option<String>,
    /// `OAUTHBEARER`: further `name=value` pairs for the broker, divided by commas.
    #[serde(default)]
    pub extensions: Option<String>,
}

/// Certificates and keys, PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaTlsSettings {
    /// Certificates of the authorities that the brokers' certificates are checked against. Left out: those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Certificate of this client with its chain.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// Private key of this client.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

fn client_id() -> String {
    "tradewind-notify".to_owned()
}

const fn record_bytes_max() -> usize {
    1_000_000
}

impl SinkConfig for KafkaSinkSettings {
    fn abilities(&self) -> Abilities {
        Abilities { batch_max: 500, can_heartbeat: self.format.can_heartbeat(), ..Abilities::default() }
    }

    fn check(&self, faults: &mut Vec<String>) {
        const TOPIC_MAX: usize = 249;
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.topic.is_empty() || self.topic.len() > TOPIC_MAX || !self.topic.bytes().all(is_good) {
            let topic = &self.topic;
            faults.push(format!("`topic` is `{topic}`: a name has 1 to {TOPIC_MAX} letters, digits, `.`, `_` or `-`"));
        }
        let is_sasl = matches!(self.security_protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl);
        if let (Some(sasl), SecurityProtocol::SaslPlaintext) = (&self.sasl, self.security_protocol)
            && matches!(sasl.mechanism, SaslMechanism::Plain | SaslMechanism::OauthBearer)
            && !self.brokers.iter().all(|broker| is_loopback(broker))
        {
            faults.push("`sasl.mechanism`: the password would travel readable, use `sasl_ssl`".to_owned());
        }
        if is_sasl != self.sasl.is_some() {
            faults.push(
                "`sasl` goes with `security_protocol = \"sasl_ssl\"` or `\"sasl_plaintext\"`, and they with it"
                    .to_owned(),
            );
        }
        if let Some(url) = self.sasl.as_ref().and_then(|sasl| sasl.token_endpoint_url.as_ref()) {
            crate::http::check_url("sasl.token_endpoint_url", url, faults);
        }
        check_range("record_bytes_max", self.record_bytes_max, (4_096, 100_000_000), faults);
        for name in self.properties.keys().filter(|name| is_kept(name)) {
            faults.push(format!("`properties`: `{name}` would be readable in the settings, or would turn a check off"));
        }
        // The password is not read here.
        let password = || Ok(Secret::new("unread"));
        match self.kafka(&|path| path.clone(), password, Duration::from_secs(10)) {
            Ok(kafka) => faults.extend(kafka.faults()),
            Err(error) => faults.push(error.to_string()),
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let fault = |message: String| NotifyError::Settings { message };
        if making.timeout < TIMEOUT_MIN {
            return Err(fault(format!("`timeout_ms`: Kafka takes {} at least", TIMEOUT_MIN.as_millis())));
        }
        let sasl = self.sasl.as_ref();
        let password = || match sasl {
            Some(sasl) => {
                let secret = making.secrets.read("sasl.password", &sasl.password)?;
                Ok(Secret::new(secret.expose_secret()))
            }
            None => Ok(Secret::new("")),
        };
        let tls = &self.tls;
        for (what, file) in
            [("ca_file", &tls.ca_file), ("certificate_file", &tls.certificate_file), ("key_file", &tls.key_file)]
        {
            let Some(path) = file.as_ref().map(|file| making.secrets.path(file)) else { continue };
            File::open(&path).map_err(|error| fault(format!("`tls.{what}` {}: {error}", path.display())))?;
        }
        let settings = self.kafka(&|path| making.secrets.path(path), password, making.timeout)?;
        // A third for questions, the rest for the write and its reports.
        let outlet = Outlet::open(&settings, making.timeout / 2).map_err(|error| fault(error.to_string()))?;
        Ok(Arc::new(KafkaSink {
            outlet: Arc::new(Mutex::new(outlet)),
            settings: self.clone(),
            link: making.link.to_owned(),
        }))
    }
}

impl KafkaSinkSettings {
    fn kafka(
        &self,
        path: &dyn Fn(&PathBuf) -> PathBuf,
        password: impl Fn() -> Result<Secret, NotifyError>,
        timeout: Duration,
    ) -> Result<KafkaSettings, NotifyError> {
        let sasl = match &self.sasl {
            Some(sasl) => SaslSettings {
                mechanism: sasl.mechanism,
                user: Some(sasl.user.clone()),
                password_file: None,
                password: Some(password()?),
                token_endpoint_url: sasl.token_endpoint_url.clone(),
                scope: sasl.scope.clone(),
                extensions: sasl.extensions.clone(),
            },
            None => SaslSettings::default(),
        };
        Ok(KafkaSettings {
            brokers: self.brokers.clone(),
            client_id: self.client_id.clone(),
            security_protocol: self.security_protocol,
            ca_file: self.tls.ca_file.as_ref().map(path),
            certificate_file: self.tls.certificate_file.as_ref().map(path),
            key_file: self.tls.key_file.as_ref().map(path),
            sasl,
            request_timeout_ms: u32::try_from(timeout.as_millis() / 3).unwrap_or(u32::MAX).clamp(1_000, 30_000),
            compression: self.compression,
            properties: self.properties.clone(),
            ..KafkaSettings::default()
        })
    }
}

/// Secrets, and what has certificates believed unseen.
fn is_kept(name: &str) -> bool {
    let parts =
        ["password", "secret", "key.pem", "oauthbearer.config", "certificate.verification", "endpoint.identification"];
    parts.iter().any(|part| name.contains(part))
}

fn is_loopback(broker: &str) -> bool {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

struct KafkaSink {
    outlet: Arc<Mutex<Outlet>>,
    settings: KafkaSinkSettings,
    link: String,
}

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KafkaSink").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for KafkaSink {
    fn abilities(&self) -> Abilities {
        self.settings.abilities()
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let (outlet, settings, link) = (Arc::clone(&self.outlet), self.settings.clone(), self.link.clone());
        let owned = messages.to_vec();
        let written = tokio::task::spawn_blocking(move || {
            let mut outlet = outlet.lock().unwrap_or_else(PoisonError::into_inner);
            write(&mut outlet, &settings, &link, &owned)
        });
        match written.await {
            Ok(answers) => answers,
            Err(error) => vec![Answer::unreachable(error); messages.len()],
        }
    }
}

fn write(outlet: &mut Outlet, settings: &KafkaSinkSettings, link: &str, messages: &[Message]) -> Vec<Answer> {
    let mut answers = vec![Answer::unreachable("not tried"); messages.len()];
    let mut left: Vec<usize> = (0..messages.len()).collect();
    let mut known = usize::MAX;
    while !left.is_empty() {
        let limit = match outlet.record_bytes_max(&settings.topic) {
            Ok(limit) => limit.unwrap_or(usize::MAX).min(settings.record_bytes_max),
            Err(error) => {
                let answer = answer(Err(error));
                left.into_iter().for_each(|place| answers[place] = answer.clone());
                break;
            }
        };
        // What the topic took was known, and takes no less by now: its refusal stands.
        if limit >= known {
            break;
        }
        known = limit;
        let value_max = limit.saturating_sub(BESIDE_VALUE).max(VALUE_BYTES_MIN);
        let mut records = Vec::with_capacity(left.len());
        let mut places = Vec::with_capacity(left.len());
        for place in left.drain(..) {
            match record_of(&messages[place], settings.format, link, value_max) {
                Ok(record) => {
                    records.push(record);
                    places.push(place);
                }
                Err(refused) => answers[place] = Answer::Refused(refused),
            }
        }
        for (place, written) in places.into_iter().zip(outlet.write(&settings.topic, &records)) {
            answers[place] = answer(written);
            if matches!(answers[place], Answer::Refused(_)) {
                left.push(place);
            }
        }
    }
    answers
}

fn answer(written: Result<Placed, LogError>) -> Answer {
    match written {
        Ok((partition, offset)) => Answer::Delivered(format!("partition {partition}, offset {offset}")),
        Err(LogError::Record { detail, .. }) => Answer::Refused(detail),
        // The brokers as a whole, the topic, or who we are: a person mends it, or time does.
        Err(error) => Answer::unreachable(error),
    }
}

/// The record of a message: its key is the incident, so that its states keep their order.
fn record_of(message: &Message, format: RecordFormat, link: &str, value_max: usize) -> Result<Record, String> {
    if matches!(message, Message::Digest(_)) {
        return Err(record::NO_DIGEST.to_owned());
    }
    let made = format.records(message, link, value_max)?;
    let Some(made) = made.into_iter().next() else { return Err("there is nothing in it".to_owned()) };
    let mut kafka = Record {
        key: made.key.as_ref().map(|key| key.clone().into_bytes().into()),
        value: made.line().into_bytes().into(),
        timestamp: made.time,
        ..Record::default()
    };
    kafka.add_header("content-type", "application/json");
    kafka.add_header("event_key", message.event_key());
    if let Message::Alert(alert) = message {
        kafka.add_header("action", alert.action.as_str());
        kafka.add_header("origin", record::origin(alert.origin));
    }
    Ok(kafka)
}

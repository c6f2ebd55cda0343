//! Sinks: each takes messages to one kind of receiver and says what that one answered. A sink keeps nothing: order, retries and
//! what is delivered already are the outbox's and the courier's.

mod alertmanager;
mod batch;
mod ecs;
mod elastic;
mod email;
mod file;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "object-store")]
mod object_store;
mod otlp;
mod pagerduty;
mod record;
mod sentinel;
mod slack;
mod splunk;
mod stdout;
mod syslog;
mod webhook;

pub use alertmanager::AlertmanagerSettings;
pub use elastic::ElasticSettings;
pub use email::{EmailSecurity, EmailSettings};
pub use file::FileSettings;
#[cfg(feature = "kafka")]
pub use kafka::{KafkaSaslSettings, KafkaSinkSettings, KafkaTlsSettings};
#[cfg(feature = "object-store")]
pub use object_store::{
    AssumeRoleSettings, LineCompression, ObjectFormat, ObjectStoreSettings, OcsfVersion, OptionSource,
    SecurityLakeSettings,
};
pub use otlp::OtlpSettings;
pub use pagerduty::PagerDutySettings;
pub use sentinel::SentinelSettings;
pub use slack::SlackSettings;
pub use splunk::SplunkSettings;
pub use stdout::StdoutSettings;
pub use syslog::{SyslogFormat, SyslogSettings, SyslogTls, SyslogTransport};
pub use webhook::WebhookSettings;

use crate::alert::Message;
use crate::error::NotifyError;
use crate::secret::Secrets;
use async_trait::async_trait;
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tradewind_model::Clock;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The other side has it. With what it said, for people.
    Delivered(String),
    /// The other side will never take this message: it goes to the dead letters with what the other side said.
    Refused(String),
    /// The other side may take it later.
    Later {
        /// Why.
        reason: String,
        /// How long the other side asks to be left alone.
        after: Option<Duration>,
        /// Whether this concerns the other side as a whole (it cannot be reached, it is too busy, it does not know us), and not
        /// this message alone.
        is_general: bool,
    },
}

impl Answer {
    /// A receiver that cannot be reached at all.
    #[must_use]
    pub fn unreachable(reason: impl fmt::Display) -> Self {
        Self::Later { reason: reason.to_string(), after: None, is_general: true }
    }
}

/// What a sink can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Messages of one delivery at most. More than one: their answers come together.
    pub batch_max: usize,
    /// Deliveries at the same time at most; of one incident there never is more than one.
    pub concurrency: usize,
    /// Whether several alerts may be put into one message.
    pub can_digest: bool,
    /// Whether it takes signs of life.
    pub can_heartbeat: bool,
    /// Whether its receiver keeps findings, so that each has to reach it; else it only has to know how the incident stands.
    pub carries_all: bool,
    /// Whether it wakes people: then it gets nothing of long ago.
    pub is_paging: bool,
    /// Alerts that go on are sent again after this time, because the other side forgets them.
    pub repeat: Option<Duration>,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            batch_max: 1,
            concurrency: 1,
            can_digest: false,
            can_heartbeat: true,
            carries_all: true,
            is_paging: false,
            repeat: None,
        }
    }
}

/// Takes messages somewhere.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync {
    /// What it can do; always the same.
    fn abilities(&self) -> Abilities;

    /// Delivers messages in their order. One answer for each, in the same order. Every call comes back within a bounded time.
    async fn deliver(&self, messages: &[Message]) -> Vec<Answer>;
}

/// What sinks are made of, beside their own settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making<'a> {
    pub(crate) secrets: &'a Secrets<'a>,
    /// How long one delivery may take.
    pub(crate) timeout: Duration,
    /// Address of an incident for people, with `{incident}` for its id; empty: none.
    pub(crate) link: &'a str,
    /// Tells the time of attempts, which some receivers ask for.
    pub(crate) clock: &'a Arc<dyn Clock>,
    /// How often there is a sign of life; zero: never.
    pub(crate) heartbeat: Duration,
}

/// The settings of one kind of sink.
pub(crate) trait SinkConfig {
    /// What it can do.
    fn abilities(&self) -> Abilities;
    /// How long an alert waits for others, to go out in one delivery with them. Each has an answer of its own all the same. Zero:
    /// not at all.
    fn gather(&self) -> Duration {
        Duration::ZERO
    }
    /// What cannot work, each with what to do.
    fn check(&self, faults: &mut Vec<String>);
    /// Makes it.
    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError>;
}

/// What a sink is, by its `type`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SinkKind {
    /// Prometheus Alertmanager, API v2.
    Alertmanager(AlertmanagerSettings),
    /// Elasticsearch or OpenSearch, a data stream.
    Elastic(ElasticSettings),
    /// Mail by SMTP.
    Email(EmailSettings),
    /// A file of lines of JSON or OCSF.
    File(FileSettings),
    /// A topic of Apache Kafka.
    #[cfg(feature = "kafka")]
    Kafka(KafkaSinkSettings),
    /// An object store, such as Amazon Security Lake.
    #[cfg(feature = "object-store")]
    #[serde(rename = "object_store")]
    ObjectStore(ObjectStoreSettings),
    /// OpenTelemetry, log records.
    Otlp(OtlpSettings),
    /// PagerDuty, Events API v2.
    PagerDuty(PagerDutySettings),
    /// Microsoft Sentinel, Logs Ingestion API.
    Sentinel(SentinelSettings),
    /// Slack, by an incoming webhook.
    Slack(SlackSettings),
    /// Splunk, HTTP Event Collector.
    Splunk(SplunkSettings),
    /// Lines of JSON on standard output.
    Stdout(StdoutSettings),
    /// Syslog with CEF, LEEF or JSON.
    Syslog(SyslogSettings),
    /// JSON by HTTP to whatever takes it.
    Webhook(WebhookSettings),
}

impl SinkKind {
    /// Its word in the settings.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Alertmanager(_) => "alertmanager",
            Self::Elastic(_) => "elastic",
            Self::Email(_) => "email",
            Self::File(_) => "file",
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => "kafka",
            #[cfg(feature = "object-store")]
            Self::ObjectStore(_) => "object_store",
            Self::Otlp(_) => "otlp",
            Self::PagerDuty(_) => "pagerduty",
            Self::Sentinel(_) => "sentinel",
            Self::Slack(_) => "slack",
            Self::Splunk(_) => "splunk",
            Self::Stdout(_) => "stdout",
            Self::Syslog(_) => "syslog",
            Self::Webhook(_) => "webhook",
        }
    }

    fn config(&self) -> &dyn SinkConfig {
        match self {
            Self::Alertmanager(settings) => settings,
            Self::Elastic(settings) => settings,
            Self::Email(settings) => settings,
            Self::File(settings) => settings,
            #[cfg(feature = "kafka")]
            Self::Kafka(settings) => settings,
            #[cfg(feature = "object-store")]
            Self::ObjectStore(settings) => settings,
            Self::Otlp(settings) => settings,
            Self::PagerDuty(settings) => settings,
            Self::Sentinel(settings) => settings,
            Self::Slack(settings) => settings,
            Self::Splunk(settings) => settings,
            Self::Stdout(settings) => settings,
            Self::Syslog(settings) => settings,
            Self::Webhook(settings) => settings,
        }
    }

    /// What it can do.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.config().abilities()
    }

    /// How long an alert waits for others; each has an answer of its own.
    pub(crate) fn gather(&self) -> Duration {
        self.config().gather()
    }

    pub(crate) fn check(&self, faults: &mut Vec<String>) {
        self.config().check(faults);
    }

    pub(crate) fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        self.config().make(making)
    }
}

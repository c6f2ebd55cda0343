//! The sections of the streaming service: `run`, `transport`, `store`, `detection`, `[[topic]]`.

use crate::stages::Stage;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use tradewind_collect::FramingSetting;
use tradewind_transport::embedded::EmbeddedSettings;
use tradewind_transport::envelope::{Framing, RawEnvelope};
use tradewind_transport::kafka::KafkaSettings;

/// Section `run`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunSettings {
    pub(crate) stages: Vec<Stage>,
    pub(crate) instance: String,
    pub(crate) normalisers: usize,
    pub(crate) grace_s: u64,
    pub(crate) idle_s: u64,
    pub(crate) listen: SocketAddr,
}

/// Which log there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogKind {
    Embedded,
    Kafka,
}

/// Section `transport`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransportSettings {
    pub(crate) log: LogKind,
    pub(crate) path: PathBuf,
    pub(crate) topic_prefix: String,
    pub(crate) raw_partitions: i32,
    pub(crate) flow_partitions: i32,
    pub(crate) replication: i32,
    pub(crate) retention_h: u64,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) message_bytes_max: usize,
    #[serde(default)]
    pub(crate) embedded: EmbeddedSettings,
    #[serde(default)]
    pub(crate) kafka: KafkaSettings,
}

/// Section `store`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSettings {
    pub(crate) rows_max: usize,
    pub(crate) interval_ms: u64,
}

/// Section `detection`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetectionSettings {
    pub(crate) snapshot_s: u64,
}

/// Section `telemetry`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetrySettings {
    /// Empty: nothing is sent.
    pub(crate) otlp_endpoint: String,
    pub(crate) interval_s: u64,
}

/// A section `[[topic]]`: raw records of a third-party producer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicSettings {
    /// Name of the topic.
    pub(crate) name: String,
    /// Format, `NAME` or `NAME:LAYOUT`. Default: `auto`.
    pub(crate) format: Option<String>,
    /// How records lie in the value: `lines` (default), `one` or `json_array`.
    #[serde(default)]
    pub(crate) framing: FramingSetting,
    /// Who saw the traffic. Default: the log itself says.
    pub(crate) observer: Option<String>,
    /// Address space of the addresses. Default: the default one.
    pub(crate) network: Option<String>,
}

impl TopicSettings {
    /// What records of the topic that say nothing themselves are.
    pub(crate) fn envelope(&self) -> RawEnvelope {
        RawEnvelope {
            observer: self.observer.clone(),
            network: self.network.clone(),
            format: self.format.clone(),
            framing: Framing::from(self.framing),
            ..RawEnvelope::default()
        }
    }
}

impl super::Settings {
    /// What has the right type but a value that cannot be: the setting and what is wrong with it.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut need = |is_sound: bool, path: &str, message: &str| {
            if !is_sound {
                faults.push((path.to_owned(), message.to_owned()));
            }
        };
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let name = "use 1 to 64 letters, digits, `-`, `_` or `.`";
        need(is_name(&self.transport.topic_prefix), "transport.topic_prefix", name);
        need(is_name(&self.run.instance), "run.instance", name);
        need(!self.run.stages.is_empty(), "run.stages", "name at least one stage");
        need((1..=64).contains(&self.run.normalisers), "run.normalisers", "use 1 to 64");
        need((1..=1024).contains(&self.transport.raw_partitions), "transport.raw_partitions", "use 1 to 1024");
        need((1..=1024).contains(&self.transport.flow_partitions), "transport.flow_partitions", "use 1 to 1024");
        need((1..=10).contains(&self.transport.replication), "transport.replication", "use 1 to 10");
        need(self.transport.retention_h >= 1, "transport.retention_h", "use 1 or more");
        let bytes = 64 << 10..=512 << 20;
        need(bytes.contains(&self.transport.message_bytes_max), "transport.message_bytes_max", "use 64 KiB to 512 MiB");
        need((1..=4_000_000).contains(&self.store.rows_max), "store.rows_max", "use 1 to 4,000,000");
        need((10..=600_000).contains(&self.store.interval_ms), "store.interval_ms", "use 10 to 600,000");
        need((1..=3600).contains(&self.telemetry.interval_s), "telemetry.interval_s", "use 1 to 3600");
        for topic in &self.topics {
            need(!topic.name.is_empty(), "topic", "a topic has no name");
            let format = topic.format.as_deref().unwrap_or("auto").parse::<tradewind_formats::FormatChoice>();
            if let Err(error) = format {
                need(false, "topic", &format!("topic `{}`: {error}", topic.name));
            }
        }
        faults
    }
}

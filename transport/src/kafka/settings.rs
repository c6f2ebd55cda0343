//! How to reach Kafka, and how much to ask of it at a time. What is absent: reading a configuration file; the caller does.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A password or client secret. Never shown by `Debug`, never written out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl Secret {
    /// This secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL, not encrypted.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    pub(super) const fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How the client says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// User and password as they are: only over TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Salted challenge and response with SHA-256 (RFC 7677).
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with SHA-512.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// A token of an OpenID Connect provider (RFC 7628), got with the client credentials grant.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl SaslMechanism {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// How batches of records are compressed, in the order of the CPU that it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4: least CPU.
    Lz4,
    /// Zstandard: least bytes.
    #[default]
    Zstd,
}

impl Compression {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Who the client is to the brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SaslSettings {
    /// The mechanism: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`. Default: `SCRAM-SHA-512`.
    pub mechanism: SaslMechanism,
    /// The user; with `OAUTHBEARER` the id of the client. Default: none, and needed.
    pub user: Option<String>,
    /// A file with the password of the user, or the secret of the client; one line end is taken off its end. Default: none.
    pub password_file: Option<PathBuf>,
    /// The same from a caller that keeps secrets itself; it comes before the file. Not part of a configuration file.
    #[serde(skip)]
    pub password: Option<Secret>,
    /// `OAUTHBEARER`: where tokens are asked for, an `https` address. Default: none.
    pub token_endpoint_url: Option<String>,
    /// `OAUTHBEARER`: the scope to ask for. Default: none.
    pub scope: Option<String>,
    /// `OAUTHBEARER`: further `name=value` pairs for the broker, divided by commas. Default: none.
    pub extensions: Option<String>,
}

/// How to reach Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// Brokers to ask first, each `host:port`. Default: `["127.0.0.1:9092"]`.
    pub brokers: Vec<String>,
    /// Name of this client in the brokers' logs and quotas. Default: `tradewind`.
    pub client_id: String,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`. Default: `plaintext`.
    pub security_protocol: SecurityProtocol,
    /// Certificates of the authorities that the brokers' certificates are checked against, PEM. Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificate of this client with its chain, PEM. Default: none.
    pub certificate_file: Option<PathBuf>,
    /// Private key of this client, PEM. Default: none.
    pub key_file: Option<PathBuf>,
    /// Who the client is, with `sasl_plaintext` and `sasl_ssl`.
    pub sasl: SaslSettings,
    /// How long a broker may take to answer, in milliseconds. Default: 30,000.
    pub request_timeout_ms: u32,
    /// How long a member of a group may be silent before its partitions are given to others, in milliseconds; how long a member
    /// that ended may take to come back and keep them. The brokers' `group.min.session.timeout.ms` and `group.max.…` bound it.
    /// Default: 45,000.
    pub session_timeout_ms: u32,
    /// How long the other members of a group wait for one that does not take its partitions, in milliseconds. Default: 300,000.
    pub rebalance_timeout_ms: u32,
    /// How long a write may take before it is given up, in milliseconds. The brokers' `transaction.max.timeout.ms` bounds it.
    /// Readers wait as long for a producer that was killed within a write and did not come back. Default: 60,000.
    pub transaction_timeout_ms: u32,
    /// Whether a write that has no inputs commits a note of itself for the group `<name of the producer>.writes`. By it a commit
    /// whose answer was lost is told from one that failed. Needs the right to read that group and the topics written to.
    /// Default: true.
    pub note_writes: bool,
    /// `none`, `lz4` or `zstd`. Batches of flows are compressed by themselves, so that they get `lz4` at most. Default: `zstd`.
    pub compression: Compression,
    /// How long records wait for others of their partition to go in one batch, in milliseconds. A write is flushed at its end, so
    /// this bounds nothing but the first records of a large one. Default: 5.
    pub linger_ms: u32,
    /// Bytes that a broker waits for before it answers a fetch. Default: 1.
    pub fetch_bytes_min: u32,
    /// How long a broker waits for those, in milliseconds. Default: 100.
    pub fetch_wait_ms: u32,
    /// Bytes of one fetch from a broker, and of those that wait within the client. Default: 16,777,216.
    pub fetch_bytes_max: u32,
    /// Bytes of one fetch from a partition. Default: 4,194,304.
    pub fetch_partition_bytes_max: u32,
    /// Bytes of records that wait for the stage, beyond those within the client. Default: 33,554,432.
    pub buffer_bytes_max: u32,
    /// Records of one batch. Default: 1,000.
    pub batch_records_max: u32,
    /// Bytes of one batch, unless a single record has more. Default: 4,194,304.
    pub batch_bytes_max: u32,
    /// Properties of librdkafka by their own names, for what is not above; they come last and so prevail. Default: none.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: vec!["127.0.0.1:9092".to_owned()],
            client_id: "tradewind".to_owned(),
            security_protocol: SecurityProtocol::default(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            sasl: SaslSettings::default(),
            request_timeout_ms: 30_000,
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            transaction_timeout_ms: 60_000,
            note_writes: true,
            compression: Compression::default(),
            linger_ms: 5,
            fetch_bytes_min: 1,
            fetch_wait_ms: 100,
            fetch_bytes_max: 16 << 20,
            fetch_partition_bytes_max: 4 << 20,
            buffer_bytes_max: 32 << 20,
            batch_records_max: 1_000,
            batch_bytes_max: 4 << 20,
            properties: BTreeMap::new(),
        }
    }
}

/// Properties that the delivery promise rests on; a caller may not set them.
const KEPT_PROPERTIES: [&str; 11] = [
    "acks",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "partition.assignment.strategy",
    "transactional.id",
];

impl KafkaSettings {
    /// How long a broker may take to answer.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms.into())
    }

    /// How long a write may take.
    #[must_use]
    pub fn transaction_timeout(&self) -> Duration {
        Duration::from_millis(self.transaction_timeout_ms.into())
    }

    /// What this client says it is and where it goes, for messages: `alice by SCRAM-SHA-256 at kafka:9092`.
    #[must_use]
    pub fn place(&self) -> String {
        let brokers = self.brokers.join(",");
        match (&self.sasl.user, self.security_protocol.is_sasl()) {
            (Some(user), true) => format!("{brokers} as `{user}` by {}", self.sasl.mechanism.name()),
            _ => brokers,
        }
    }

    /// Everything that can be wrong without asking a broker, each with what to do.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.brokers.is_empty() {
            faults.push("brokers: give at least one `host:port`".to_owned());
        }
        for broker in &self.brokers {
            let port = broker.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            if port.is_none_or(|port| port.parse::<u16>().is_err()) {
                faults.push(format!("brokers: `{broker}` is not a `host:port`"));
            }
        }
        if self.security_protocol.is_sasl() {
            if self.sasl.user.is_none() {
                faults.push("sasl.user: needed with this security_protocol".to_owned());
            }
            if self.sasl.password.is_none() && self.sasl.password_file.is_none() {
                faults.push("sasl.password_file: needed with this security_protocol".to_owned());
            }
            if self.sasl.mechanism == SaslMechanism::OauthBearer && self.sasl.token_endpoint_url.is_none() {
                faults.push("sasl.token_endpoint_url: needed with OAUTHBEARER".to_owned());
            }
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            faults.push("certificate_file, key_file: give both or neither".to_owned());
        }
        for (name, value) in [
            ("request_timeout_ms", self.request_timeout_ms),
            ("session_timeout_ms", self.session_timeout_ms),
            ("rebalance_timeout_ms", self.rebalance_timeout_ms),
            ("transaction_timeout_ms", self.transaction_timeout_ms),
        ] {
            if !(1_000..=3_600_000).contains(&value) {
                faults.push(format!("{name}: {value} is not between 1,000 and 3,600,000"));
            }
        }
        if self.rebalance_timeout_ms < self.session_timeout_ms {
            faults.push("rebalance_timeout_ms: must be at least session_timeout_ms".to_owned());
        }
        for (name, value) in [
            ("fetch_bytes_max", self.fetch_bytes_max),
            ("fetch_partition_bytes_max", self.fetch_partition_bytes_max),
            ("buffer_bytes_max", self.buffer_bytes_max),
            ("batch_bytes_max", self.batch_bytes_max),
        ] {
            if !(1_024..=1_000_000_000).contains(&value) {
                faults.push(format!("{name}: {value} is not between 1,024 and 1,000,000,000"));
            }
        }
        if self.batch_records_max == 0 {
            faults.push("batch_records_max: must be at least 1".to_owned());
        }
        for name in self.properties.keys().filter(|name| KEPT_PROPERTIES.contains(&name.as_str())) {
            faults.push(format!("properties: `{name}` is what the delivery promise rests on and cannot be set"));
        }
        faults
    }
}

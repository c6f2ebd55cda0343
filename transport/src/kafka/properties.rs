//! Settings as librdkafka's properties (`CONFIGURATION.md` of librdkafka), for each kind of client.

use super::settings::{Compression, KafkaSettings, SaslMechanism};
use crate::error::LogError;
use rdkafka::ClientConfig;
use std::path::Path;
use std::time::Duration;

impl KafkaSettings {
    /// What every client is made with. Reads the password's file.
    pub(super) fn client(&self) -> Result<ClientConfig, LogError> {
        let faults = self.faults();
        if !faults.is_empty() {
            return Err(LogError::Settings(format!("the settings for Kafka cannot work: {}", faults.join("; "))));
        }
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", &self.client_id)
            .set("security.protocol", self.security_protocol.name())
            .set("socket.timeout.ms", self.request_timeout_ms.to_string())
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set("allow.auto.create.topics", "false")
            .set("receive.message.max.bytes", "1000000512")
            .set("log.connection.close", "false");
        for (name, file) in [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
        ] {
            if let Some(file) = file {
                config.set(name, text(file)?);
            }
        }
        if self.security_protocol.is_sasl() {
            self.authenticate(&mut config)?;
        }
        Ok(config)
    }

    fn authenticate(&self, config: &mut ClientConfig) -> Result<(), LogError> {
        let sasl = &self.sasl;
        let user = sasl.user.as_deref().unwrap_or_default();
        let password = self.password()?;
        config.set("sasl.mechanism", sasl.mechanism.name());
        if sasl.mechanism != SaslMechanism::OauthBearer {
            config.set("sasl.username", user).set("sasl.password", password);
            return Ok(());
        }
        config
            .set("sasl.oauthbearer.method", "oidc")
            .set("sasl.oauthbearer.client.id", user)
            .set("sasl.oauthbearer.client.secret", password);
        for (name, value) in [
            ("sasl.oauthbearer.token.endpoint.url", &sasl.token_endpoint_url),
            ("sasl.oauthbearer.scope", &sasl.scope),
            ("sasl.oauthbearer.extensions", &sasl.extensions),
        ] {
            if let Some(value) = value {
                config.set(name, value);
            }
        }
        Ok(())
    }

    fn password(&self) -> Result<String, LogError> {
        if let Some(password) = &self.sasl.password {
            return Ok(password.0.clone());
        }
        let Some(file) = &self.sasl.password_file else { return Ok(String::new()) };
        let read = std::fs::read_to_string(file).map_err(|error| {
            LogError::Settings(format!("sasl.password_file: {} cannot be read: {error}", file.display()))
        })?;
        let line = read.strip_suffix('\n').unwrap_or(&read);
        Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }

    /// A consumer's configuration for a group; with a name for a member that shares its partitions.
    pub(super) fn consumer(&self, group: &str, member: Option<&str>) -> Result<ClientConfig, LogError> {
        let mut config = self.client()?;
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_timeout_ms / 10).clamp(300, 3_000).to_string())
            .set("max.poll.interval.ms", self.rebalance_timeout_ms.to_string())
            .set("fetch.min.bytes", self.fetch_bytes_min.to_string())
            .set("fetch.wait.max.ms", self.fetch_wait_ms.to_string())
            // librdkafka asks for this one not to be over the next, though it is about producers.
            .set("message.max.bytes", self.fetch_bytes_max.min(1_000_000).to_string())
            .set("fetch.max.bytes", self.fetch_bytes_max.to_string())
            .set("fetch.message.max.bytes", self.fetch_partition_bytes_max.min(self.fetch_bytes_max).to_string())
            .set("queued.max.messages.kbytes", (self.fetch_bytes_max >> 10).max(1).to_string())
            .set("fetch.error.backoff.ms", "100");
        if let Some(member) = member {
            config.set("group.instance.id", member);
        }
        self.add_properties(&mut config);
        Ok(config)
    }

    /// A transactional producer's configuration. `batch_bytes` is what the broker takes of one batch.
    pub(super) fn producer(
        &self,
        name: &str,
        compression: Compression,
        batch_bytes: usize,
    ) -> Result<ClientConfig, LogError> {
        let mut config = self.client()?;
        config
            .set("transactional.id", name)
            .set("transaction.timeout.ms", self.transaction_timeout_ms.to_string())
            .set("delivery.timeout.ms", self.transaction_timeout_ms.to_string())
            .set("request.timeout.ms", self.request_timeout_ms.min(self.transaction_timeout_ms).to_string())
            .set("compression.type", compression.name())
            .set("linger.ms", self.linger_ms.to_string())
            .set("message.max.bytes", "1000000000")
            .set("batch.size", batch_bytes.to_string())
            .set("queue.buffering.max.messages", "1000000")
            .set("queue.buffering.max.kbytes", "1048576");
        self.add_properties(&mut config);
        Ok(config)
    }

    /// The configuration of a producer without transactions, that writes what is others' to read. `within` is how long a record
    /// may take. Partitions are chosen as Java's clients do, so that keys meet those of other producers.
    pub(super) fn outlet(&self, within: Duration, batch_bytes: usize) -> Result<ClientConfig, LogError> {
        let mut config = self.client()?;
        let within = within.as_millis().clamp(1_000, 3_600_000);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("delivery.timeout.ms", within.to_string())
            .set("request.timeout.ms", u128::from(self.request_timeout_ms).min(within).to_string())
            .set("compression.type", self.compression.name())
            .set("linger.ms", self.linger_ms.to_string())
            .set("message.max.bytes", "1000000000")
            .set("batch.size", batch_bytes.to_string());
        self.add_properties(&mut config);
        Ok(config)
    }

    fn add_properties(&self, config: &mut ClientConfig) {
        for (name, value) in &self.properties {
            config.set(name, value);
        }
    }
}

fn text(file: &Path) -> Result<&str, LogError> {
    file.to_str().ok_or_else(|| LogError::Settings(format!("the path {} is not UTF-8", file.display())))
}

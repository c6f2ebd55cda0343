//! `[[source]]` of `type = "http"`.

use crate::http::credentials::CredentialSettings;
use crate::origin::FramingSetting;
use crate::settings::check_range;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};

/// Requests that bring data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Name of the source.
    pub name: String,
    /// Who saw the traffic, for requests that do not say it. Default: the only one that their credential names, else the log
    /// itself says.
    #[serde(default)]
    pub observer: Option<String>,
    /// Format, `NAME` or `NAME:LAYOUT`, for requests that do not say it. Default: `auto`.
    #[serde(default = "crate::origin::auto")]
    pub format: String,
    /// Address space of the addresses. Default: the default one.
    #[serde(default)]
    pub network: Option<String>,
    /// How records lie in bodies whose request and type do not say it. Default: `lines`.
    #[serde(default)]
    pub framing: FramingSetting,
    /// Raw topic. Default: the one of all sources.
    #[serde(default)]
    pub topic: Option<String>,
    /// Address and port to listen at. Default: 127.0.0.1:4319. Other machines only reach another address than 127.0.0.1; put
    /// a proxy with TLS before it then.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// Who may push, and what. Default: nobody.
    #[serde(default)]
    pub credentials: Vec<CredentialSettings>,
    /// Takes requests without a credential too, from this machine only. Default: false.
    #[serde(default)]
    pub anonymous: bool,
    /// Longest body as it is sent, in bytes. Default: 16 MiB.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: usize,
    /// Longest body after unpacking, in bytes. Default: 128 MiB.
    #[serde(default = "unpacked_bytes_max")]
    pub unpacked_bytes_max: usize,
    /// How many times its size a body over 1 MiB may unpack to. Default: 500.
    #[serde(default = "unpacked_ratio_max")]
    pub unpacked_ratio_max: usize,
    /// Longest record, in bytes: a line, or the whole body where it is one record or a JSON array. Default: 16 MiB.
    #[serde(default = "record_bytes_max")]
    pub record_bytes_max: usize,
    /// Bytes of all bodies that are held at a time; what does not fit is answered with 503. Default: 256 MiB.
    #[serde(default = "memory_bytes_max")]
    pub memory_bytes_max: usize,
    /// Requests that wait for the log at a time; more are answered with 429. Default: 1,024.
    #[serde(default = "queue_max")]
    pub queue_max: usize,
    /// Connections at a time; more wait until one is closed. Default: 512.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// How long the head of a request may take, in milliseconds. Default: 10,000.
    #[serde(default = "head_timeout_ms")]
    pub head_timeout_ms: u64,
    /// How long the body of a request may take, in milliseconds. Default: 60,000.
    #[serde(default = "body_timeout_ms")]
    pub body_timeout_ms: u64,
    /// How long a connection may wait for its next request, or for its answer to be read, in milliseconds. Default: 60,000.
    #[serde(default = "idle_timeout_ms")]
    pub idle_timeout_ms: u64,
    /// How long the log may fail before waiting requests are answered with 503, in milliseconds. Default: 20,000.
    #[serde(default = "write_timeout_ms")]
    pub write_timeout_ms: u64,
    /// How long an `Idempotency-Key` is remembered, in seconds. Default: 86,400.
    #[serde(default = "key_window_s")]
    pub key_window_s: u64,
    /// Most idempotency keys that are remembered; the oldest go first. Default: 100,000.
    #[serde(default = "keys_max")]
    pub keys_max: usize,
}

const fn listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4319)
}

const fn body_bytes_max() -> usize {
    16 * 1024 * 1024
}

const fn unpacked_bytes_max() -> usize {
    128 * 1024 * 1024
}

const fn unpacked_ratio_max() -> usize {
    500
}

const fn record_bytes_max() -> usize {
    crate::lines::LINE_BYTES_MAX
}

const fn memory_bytes_max() -> usize {
    256 * 1024 * 1024
}

const fn queue_max() -> usize {
    1_024
}

const fn connections_max() -> usize {
    512
}

const fn head_timeout_ms() -> u64 {
    10_000
}

const fn body_timeout_ms() -> u64 {
    60_000
}

const fn idle_timeout_ms() -> u64 {
    60_000
}

const fn write_timeout_ms() -> u64 {
    20_000
}

const fn key_window_s() -> u64 {
    86_400
}

const fn keys_max() -> usize {
    100_000
}

impl HttpSettings {
    pub(crate) fn check(&self, faults: &mut Vec<String>) {
        if self.credentials.is_empty() && !self.anonymous {
            faults.push(
                "nobody may push: add `[[source.credentials]]`, or set `anonymous = true` for this machine".to_owned(),
            );
        }
        if self.anonymous && !self.listen.ip().is_loopback() {
            faults.push(format!("`anonymous` only goes with a loopback address, and `listen` is {}", self.listen));
        }
        crate::http::credentials::check(&self.credentials, faults);
        let gigabyte = 1024 * 1024 * 1024;
        check_range("body_bytes_max", self.body_bytes_max, (1024, gigabyte), faults);
        check_range("unpacked_bytes_max", self.unpacked_bytes_max, (self.body_bytes_max, 2 * gigabyte), faults);
        check_range("unpacked_ratio_max", self.unpacked_ratio_max, (1, 1_000_000), faults);
        check_range("record_bytes_max", self.record_bytes_max, (1024, crate::lines::LINE_BYTES_MAX), faults);
        check_range("memory_bytes_max", self.memory_bytes_max, (self.body_bytes_max, 64 * gigabyte), faults);
        check_range("queue_max", self.queue_max, (1, 100_000), faults);
        check_range("connections_max", self.connections_max, (1, 100_000), faults);
        check_range("keys_max", self.keys_max, (1, 10_000_000), faults);
        for (what, value) in [
            ("head_timeout_ms", self.head_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("write_timeout_ms", self.write_timeout_ms),
        ] {
            check_range(what, value, (10, 3_600_000), faults);
        }
    }
}

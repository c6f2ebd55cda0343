//! The raw envelope, version 1: bytes as a collector received them, with what a normaliser needs to decode them.
//!
//! Headers of the record say what its value is; `docs/specs/raw-envelope.md` is the specification, and a test holds this
//! file to it. It knows no format: the name of one is passed on as it is.

use crate::record::{Header, Record};
use bytes::Bytes;
use std::str::FromStr;
use thiserror::Error;

/// The version that is written. Records of another one are rejected by normalisers, and kept.
pub const VERSION: &str = "1";
/// The longest preamble, in bytes.
pub const PREAMBLE_BYTES_MAX: usize = 8 * 1024;

/// Header: [`VERSION`].
pub const HEADER_VERSION: &str = "tw-version";
/// Header: name of the collector.
pub const HEADER_COLLECTOR: &str = "tw-collector";
/// Header: who saw the traffic, where the collector knows.
pub const HEADER_OBSERVER: &str = "tw-observer";
/// Header: address space of the addresses.
pub const HEADER_NETWORK: &str = "tw-network";
/// Header: format with its options.
pub const HEADER_FORMAT: &str = "tw-format";
/// Header: how records lie in the value.
pub const HEADER_FRAMING: &str = "tw-framing";
/// Header: when the collector received the bytes.
pub const HEADER_RECEIVED: &str = "tw-received";
/// Header: where the bytes come from.
pub const HEADER_SOURCE: &str = "tw-source";
/// Header: how the value is packed.
pub const HEADER_ENCODING: &str = "tw-encoding";
/// Header: lines that come before the value's in its source and say what these mean.
pub const HEADER_PREAMBLE: &str = "tw-preamble";

/// How records lie in the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Lines, each a record; the last one may lack its line feed.
    #[default]
    Lines,
    /// The whole value is one record.
    One,
    /// A JSON array, each element a record.
    JsonArray,
}

impl Framing {
    /// The word in the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::One => "one",
            Self::JsonArray => "json_array",
        }
    }
}

impl FromStr for Framing {
    type Err = EnvelopeError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "lines" => Ok(Self::Lines),
            "one" => Ok(Self::One),
            "json_array" => Ok(Self::JsonArray),
            _ => Err(EnvelopeError::Header { name: HEADER_FRAMING, detail: "known are lines, one, json_array" }),
        }
    }
}

/// How the value is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    #[default]
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Encoding {
    /// The word in the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl FromStr for Encoding {
    type Err = EnvelopeError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "identity" => Ok(Self::Identity),
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(EnvelopeError::Header { name: HEADER_ENCODING, detail: "known are identity, gzip, zstd" }),
        }
    }
}

/// A record is not a raw envelope that this version reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// It says another version.
    #[error("the raw envelope has a version that is not known here; this program reads version {VERSION}")]
    Version,
    /// A header that cannot be read.
    #[error("header `{name}` cannot be read: {detail}")]
    Header {
        /// Which.
        name: &'static str,
        /// Why.
        detail: &'static str,
    },
}

/// What is known of raw bytes. For records of third-party producers, the configuration says it for the whole topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawEnvelope {
    /// Name of the collector that received the bytes. None: a third-party producer.
    pub collector: Option<String>,
    /// Who saw the traffic: a host, a proxy, an account. None: the log itself says, or nobody does.
    pub observer: Option<String>,
    /// Address space of the addresses: a VPC, cluster or site. None: the default one.
    pub network: Option<String>,
    /// `auto`, a format's name, or `NAME:LAYOUT`. None: `auto`.
    pub format: Option<String>,
    /// How records lie in the value.
    pub framing: Framing,
    /// When the bytes were received. Microseconds UTC. None: the timestamp of the record stands for it.
    pub received_time: Option<i64>,
    /// Where the bytes come from: file identity and range, object and ETag, idempotency key. For people and audits.
    pub source: Option<String>,
    /// How the value is packed.
    pub encoding: Encoding,
    /// Lines that come before the value's in its source and say what these mean, such as the header of a file: they are
    /// decoded with each value, and are not records. At most [`PREAMBLE_BYTES_MAX`].
    pub preamble: Option<Bytes>,
}

impl RawEnvelope {
    /// The record that carries `value`.
    #[must_use]
    pub fn record(&self, value: Bytes, timestamp: i64) -> Record {
        let mut record = Record { key: None, headers: Vec::with_capacity(10), value, timestamp };
        let texts = [
            (HEADER_VERSION, Some(VERSION)),
            (HEADER_COLLECTOR, self.collector.as_deref()),
            (HEADER_OBSERVER, self.observer.as_deref()),
            (HEADER_NETWORK, self.network.as_deref()),
            (HEADER_FORMAT, self.format.as_deref()),
            (HEADER_FRAMING, Some(self.framing.as_str())),
            (HEADER_SOURCE, self.source.as_deref()),
            (HEADER_ENCODING, (self.encoding != Encoding::Identity).then_some(self.encoding.as_str())),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                record.add_header(name, Bytes::copy_from_slice(text.as_bytes()));
            }
        }
        if let Some(time) = self.received_time {
            record.add_header(HEADER_RECEIVED, time.to_string());
        }
        if let Some(preamble) = &self.preamble {
            record.add_header(HEADER_PREAMBLE, preamble.clone());
        }
        record
    }

    /// What the headers of a record say; what they do not say is taken from `defaults`.
    ///
    /// # Errors
    /// Headers that cannot be read. The value is kept as it is by the caller, as a dead letter.
    pub fn of(record: &Record, defaults: &Self) -> Result<Self, EnvelopeError> {
        let mut envelope = defaults.clone();
        for Header { name, value } in &record.headers {
            match name.as_str() {
                HEADER_VERSION if value.as_ref() != VERSION.as_bytes() => return Err(EnvelopeError::Version),
                HEADER_COLLECTOR => envelope.collector = Some(text(HEADER_COLLECTOR, value)?.to_owned()),
                HEADER_OBSERVER => envelope.observer = Some(text(HEADER_OBSERVER, value)?.to_owned()),
                HEADER_NETWORK => envelope.network = Some(text(HEADER_NETWORK, value)?.to_owned()),
                HEADER_FORMAT => envelope.format = Some(text(HEADER_FORMAT, value)?.to_owned()),
                HEADER_SOURCE => envelope.source = Some(text(HEADER_SOURCE, value)?.to_owned()),
                HEADER_FRAMING => envelope.framing = text(HEADER_FRAMING, value)?.parse()?,
                HEADER_ENCODING => envelope.encoding = text(HEADER_ENCODING, value)?.parse()?,
                HEADER_RECEIVED => {
                    let detail = "it is a whole number of microseconds since 1970-01-01 UTC";
                    let time = text(HEADER_RECEIVED, value)?.parse();
                    envelope.received_time =
                        Some(time.map_err(|_| EnvelopeError::Header { name: HEADER_RECEIVED, detail })?);
                }
                HEADER_PREAMBLE if value.len() > PREAMBLE_BYTES_MAX => {
                    return Err(EnvelopeError::Header { name: HEADER_PREAMBLE, detail: "it is longer than 8 KiB" });
                }
                HEADER_PREAMBLE => envelope.preamble = Some(value.clone()),
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// Header texts are names and numbers: short, and text.
fn text<'a>(name: &'static str, value: &'a Bytes) -> Result<&'a str, EnvelopeError> {
    const BYTES_MAX: usize = 8 * 1024;
    if value.len() > BYTES_MAX {
        return Err(EnvelopeError::Header { name, detail: "it is longer than 8 KiB" });
    }
    std::str::from_utf8(value).map_err(|_| EnvelopeError::Header { name, detail: "it is not UTF-8" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn envelope() -> RawEnvelope {
        RawEnvelope {
            collector: Some("edge-1".to_owned()),
            observer: Some("gateway".to_owned()),
            network: Some("vpc-1".to_owned()),
            format: Some("envoy:[%START_TIME%]".to_owned()),
            framing: Framing::JsonArray,
            received_time: Some(1_700_000_000_000_001),
            source: Some("file 8:1/77 0-10".to_owned()),
            encoding: Encoding::Zstd,
            preamble: Some(Bytes::from_static(b"#fields\n")),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for envelope in [envelope(), RawEnvelope::default()] {
            let record = envelope.record(Bytes::from_static(b"x"), 5);
            assert_eq!(RawEnvelope::of(&record, &RawEnvelope::default()), Ok(envelope));
        }
    }

    #[test]
    fn headers_that_are_missing_are_taken_from_the_topic() {
        let record = Record { value: Bytes::from_static(b"x"), ..Record::default() };
        assert_eq!(RawEnvelope::of(&record, &envelope()), Ok(envelope()));
    }

    #[test]
    fn bad_headers_are_told() {
        let check = |name: &str, value: &[u8], expected: &str| {
            let mut record = Record::default();
            record.add_header(name, Bytes::copy_from_slice(value));
            let error = RawEnvelope::of(&record, &RawEnvelope::default()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(HEADER_VERSION, b"2", "version");
        check(HEADER_FRAMING, b"csv", "json_array");
        check(HEADER_ENCODING, b"br", "zstd");
        check(HEADER_RECEIVED, b"soon", "microseconds");
        check(HEADER_FORMAT, b"\xff", "UTF-8");
        check(HEADER_FORMAT, &[b'a'; 9000], "8 KiB");
        check(HEADER_PREAMBLE, &[b'#'; 9000], "8 KiB");
    }

    /// The specification lists each header, and no other.
    #[test]
    fn the_specification_names_each_header() {
        let specification = include_str!("../../docs/specs/raw-envelope.md");
        let listed: Vec<&str> = specification
            .lines()
            .filter_map(|line| line.strip_prefix("| `tw-")?.split_once('`'))
            .map(|(name, _)| name)
            .collect();
        let mut all = envelope().record(Bytes::new(), 0).headers;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        let mut listed: Vec<String> = listed.into_iter().map(|name| format!("tw-{name}")).collect();
        listed.sort();
        assert_eq!(listed, all.into_iter().map(|header| header.name).collect::<Vec<_>>());
        for word in ["`lines`", "`one`", "`json_array`", "`identity`", "`gzip`", "`zstd`"] {
            assert!(specification.contains(word), "{word}");
        }
    }
}

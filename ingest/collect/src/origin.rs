//! What a source says of its bytes: observer, address space, format, framing. It is passed on as it is.

use bytes::Bytes;
use serde::Deserialize;
use tradewind_transport::Record;
use tradewind_transport::envelope::{Framing, RawEnvelope};

/// How records lie in the bytes, as a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FramingSetting {
    /// Lines, each a record.
    #[default]
    Lines,
    /// All of it is one record.
    One,
    /// A JSON array, each element a record.
    JsonArray,
}

impl From<FramingSetting> for Framing {
    fn from(setting: FramingSetting) -> Self {
        match setting {
            FramingSetting::Lines => Self::Lines,
            FramingSetting::One => Self::One,
            FramingSetting::JsonArray => Self::JsonArray,
        }
    }
}

/// What raw records of one source have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Name of the collector.
    pub collector: String,
    /// Who saw the traffic.
    pub observer: Option<String>,
    /// Address space of the addresses.
    pub network: Option<String>,
    /// `auto`, a format's name, or `NAME:LAYOUT`.
    pub format: String,
}

impl Origin {
    /// The raw record that carries `value`. Times are microseconds UTC.
    #[must_use]
    pub fn record(
        &self,
        value: Bytes,
        framing: Framing,
        source: String,
        preamble: Option<Bytes>,
        received_time: i64,
    ) -> Record {
        let envelope = RawEnvelope {
            collector: Some(self.collector.clone()),
            observer: self.observer.clone(),
            network: self.network.clone(),
            format: Some(self.format.clone()),
            framing,
            received_time: Some(received_time),
            source: Some(source),
            preamble,
            ..RawEnvelope::default()
        };
        envelope.record(value, received_time)
    }
}

/// The default of `format`.
pub(crate) fn auto() -> String {
    "auto".to_owned()
}

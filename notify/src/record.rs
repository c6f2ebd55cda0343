//! Records for machines, as the sinks file, object store and Kafka write them: one JSON object for each alert, on one line. Not
//! where they go.

use crate::alert::{Alert, Message};
use crate::fit::fitting;
use crate::ocsf;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordFormat {
    /// OCSF 1.8 Detection Finding.
    #[default]
    Ocsf,
    /// The alert as Tradewind writes it, the same as on standard output.
    Json,
}

/// A record that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The incident; none for a sign of life.
    pub(crate) key: Option<String>,
    /// When it was written, microseconds UTC.
    pub(crate) time: i64,
    /// What.
    pub(crate) value: Value,
}

impl Record {
    /// Its line, without the end of it.
    pub(crate) fn line(&self) -> String {
        self.value.to_string()
    }
}

impl RecordFormat {
    /// Whether a sign of life has a form in it.
    pub(crate) const fn can_heartbeat(self) -> bool {
        matches!(self, Self::Json)
    }

    /// The records of a message; a digest has one for each alert. `bytes_max` is the longest line that is taken.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn records(self, message: &Message, link: &str, bytes_max: usize) -> Result<Vec<Record>, String> {
        match (message, self) {
            (Message::Heartbeat(_), Self::Ocsf) => Err("OCSF has no finding for a sign of life".to_owned()),
            (Message::Heartbeat(heartbeat), Self::Json) => {
                Ok(vec![Record { key: None, time: heartbeat.time, value: json!({ "heartbeat": heartbeat }) }])
            }
            _ => message.alerts().iter().map(|alert| self.record(alert, link, bytes_max)).collect(),
        }
    }

    fn record(self, alert: &Alert, link: &str, bytes_max: usize) -> Result<Record, String> {
        let make = |alert: &Alert| match self {
            Self::Ocsf => ocsf::event(alert, link),
            Self::Json => json!({ "alert": alert }),
        };
        let value = fitting(alert, make, |value| value.to_string().len() <= bytes_max)
            .ok_or_else(|| format!("it is longer than {bytes_max} bytes, however much is left out"))?;
        Ok(Record { key: Some(alert.key().to_owned()), time: alert.recorded_time, value })
    }
}

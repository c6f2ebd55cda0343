//! CloudWatch Logs envelopes, as a subscription delivers them: JSON objects with log lines in them.
//!
//! `{"messageType":"DATA_MESSAGE","owner":…,"logStream":…,"logEvents":[{"id":…,"timestamp":ms,"message":"line"}]}`, often
//! many without anything between them (AWS, "Real-time processing of log data with subscriptions"). The envelope does not
//! tell the layout of the lines. A `CONTROL_MESSAGE` brings a check of the destination in place of lines.

use super::row::{Origin, Rows, no_words};
use super::text::unusual_line;
use super::{Layout, NAME};
use crate::contract::{Decoded, Format, Reason};
use crate::framing::Records;
use crate::record_ends;
use serde::Deserialize;
use std::borrow::Cow;
use tradewind_model::NULL_NUM;

/// How the one event of a control message begins: it asks whether the destination can be reached, and is no record.
const HEALTH_CHECK: &str = "CWL CONTROL MESSAGE";
/// The last millisecond of the year 9999.
const MILLIS_MAX: i64 = 253_402_300_799_999;

/// Envelopes whose lines have one layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudWatch {
    layout: Layout,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default)]
    message_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    owner: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    log_stream: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    log_events: Option<Vec<Event<'a>>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

impl CloudWatch {
    /// Envelopes whose lines have this layout.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    fn object(&self, object: &[u8], offset: u64, rows: &mut Rows<'_>, out: &mut Decoded) {
        let text = match std::str::from_utf8(object) {
            Ok(text) => text,
            Err(error) => {
                let detail = format!("byte {} of the object is not UTF-8", error.valid_up_to());
                return out.reject(Reason::InvalidUtf8, detail, offset, object);
            }
        };
        let envelope: Envelope<'_> = match serde_json::from_str(text) {
            Ok(envelope) => envelope,
            Err(error) => return out.reject(Reason::BadJson, error.to_string(), offset, object),
        };
        let is_control = envelope.message_type.as_deref() == Some("CONTROL_MESSAGE");
        let Some(events) = &envelope.log_events else {
            if is_control {
                return;
            }
            let detail = "not a CloudWatch Logs envelope: no `logEvents`".to_owned();
            return out.reject(Reason::BadJson, detail, offset, object);
        };
        for (index, event) in (0..).zip(events) {
            // Whatever else is under that name counts as any other event.
            if is_control && event.message.starts_with(HEALTH_CHECK) {
                continue;
            }
            let logged_time = event.timestamp.filter(|millis| (0..=MILLIS_MAX).contains(millis));
            let origin = Origin {
                offset,
                index: Some(index),
                logged_time: logged_time.map_or(NULL_NUM, |millis| millis * 1000),
                account: present(envelope.owner.as_deref()),
                observer: present(envelope.log_stream.as_deref().map(interface_of)),
            };
            unusual_line(&self.layout, rows, &mut no_words(), &event.message, &origin, out);
        }
    }
}

impl Format for CloudWatch {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(&self.layout, out);
        for (start, object) in record_ends::records(input, Records::JsonObjects) {
            self.object(object, offset + start as u64, &mut rows, out);
        }
        rows.finish(out);
    }
}

fn present(word: Option<&str>) -> &str {
    word.filter(|word| !word.is_empty()).unwrap_or("-")
}

/// The stream of an interface is named `eni-…-all`, `-accept` or `-reject` (AWS, "Publish flow logs to CloudWatch Logs").
fn interface_of(stream: &str) -> &str {
    if !stream.starts_with("eni-") {
        return stream;
    }
    ["-all", "-accept", "-reject"].iter().find_map(|suffix| stream.strip_suffix(suffix)).unwrap_or(stream)
}

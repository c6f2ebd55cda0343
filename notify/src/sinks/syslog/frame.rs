//! Messages of syslog: the header of RFC 5424 and its structured data. Not what follows them.
//!
//! Source: RFC 5424 section 6, <https://www.rfc-editor.org/rfc/rfc5424#section-6>. There is no BOM: the text is `MSG-ANY`, and what
//! reads CEF or JSON does not expect one.

use crate::alert::{Alert, Message, Origin};
use jiff::Timestamp;
use tradewind_model::Severity;

/// What stays the same in all headers.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Numerical code of the facility.
    pub(super) facility: u8,
    /// `HOSTNAME`.
    pub(super) hostname: String,
    /// `SD-ID`.
    pub(super) data_id: String,
}

impl Header {
    /// A whole message with this text.
    pub(super) fn message(&self, message: &Message, text: &str) -> String {
        let alert = message.alerts().first();
        let priority = self.facility * 8 + alert.map_or(6, |alert| severity(alert.severity()));
        let (kind, time) = match message {
            Message::Heartbeat(heartbeat) => ("heartbeat", heartbeat.time),
            _ => ("alert", alert.map_or(0, |alert| alert.recorded_time)),
        };
        let data = self.data(message, alert);
        format!("<{priority}>1 {} {} tradewind - {kind} {data} {text}", timestamp(time), self.hostname)
    }

    fn data(&self, message: &Message, alert: Option<&Alert>) -> String {
        let mut data = format!("[{} event=\"{}\"", self.data_id, value(&message.event_key()));
        if let Some(alert) = alert {
            let origin = match alert.origin {
                Origin::Live => "live",
                Origin::Retrospective => "retrospective",
                Origin::Test => "test",
            };
            let severity = alert.severity().as_str();
            let (key, action) = (value(alert.key()), alert.action.as_str());
            data.push_str(&format!(
                " incident=\"{key}\" action=\"{action}\" origin=\"{origin}\" severity=\"{severity}\""
            ));
        }
        data.push(']');
        data
    }
}

/// `PARAM-VALUE`: `"`, `\` and `]` are escaped.
fn value(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(if char.is_control() { ' ' } else { char });
    }
    escaped
}

/// RFC 5424 section 6.2.3, to the millisecond; `-` for what no calendar holds.
fn timestamp(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(|_| "-".to_owned(), |time| format!("{time:.3}"))
}

/// RFC 5424 section 6.2.1: critical, error, warning, notice, informational.
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::alert;

    #[test]
    fn headers_are_those_of_the_rfc() {
        let header = Header { facility: 16, hostname: "-".to_owned(), data_id: "tradewind@32473".to_owned() };
        let text = header.message(&Message::Alert(Box::new(alert("a]\"\\\nb"))), "text");
        assert_eq!(
            text,
            "<131>1 2026-03-04T12:00:00.000Z - tradewind - alert [tradewind@32473 \
             event=\"a\\]\\\"\\\\ b-1772625600000000-open\" incident=\"a\\]\\\"\\\\ b\" action=\"open\" origin=\"live\" \
             severity=\"high\"] text"
        );
    }
}

//! Network Load Balancers: one TLS connection a line.

use super::{Fields, end};
use crate::contract::{Fault, Reason};
use crate::number;
use crate::rows::{Rows, Side, Written};
use crate::text::time;
use tradewind_model::flow::{
    BYTES_IN, BYTES_OUT, ENCRYPTION, OBSERVER, OUTCOME_REASON, SERVER_NAME, STATUS_CODE, TLS_VERSION,
};
use tradewind_model::outcome::ConnectionResult;
use tradewind_model::protocol;

/// Whether a line is one: `tls`, a version, an ISO time and `net/`.
pub(super) fn is_line(line: &str) -> bool {
    let mut fields = Fields::new(line);
    let is_type = fields.optional() == Some("tls");
    let is_version = fields.optional().is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()));
    is_type
        && is_version
        && fields.optional().is_some_and(|at| time::iso(at).is_some())
        && fields.optional().is_some_and(|name| name.starts_with("net/"))
}

/// Sets the columns of the row at hand.
pub(super) fn write(line: &str, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    let mut fields = Fields::new(line);
    let kind = fields.next("type")?;
    if kind != "tls" {
        return Err(Fault::value(Reason::BadValue, "type", kind, "tls"));
    }
    fields.next("version")?;
    let at = fields.next("time")?;
    rows.text(OBSERVER, fields.next("elb")?);
    rows.unmapped.optional("listener", Some(fields.next("listener")?));
    end(Side::Src, "client:port", fields.next("client:port")?, rows)?;
    end(Side::Dst, "destination:port", fields.next("destination:port")?, rows)?;
    let connection = fields.next("connection_time")?;
    let handshake = fields.next("tls_handshake_time")?;
    rows.number(BYTES_OUT, count("received_bytes", fields.next("received_bytes")?)?);
    rows.number(BYTES_IN, count("sent_bytes", fields.next("sent_bytes")?)?);
    let alert = fields.next("incoming_tls_alert")?;
    fields.next("chosen_cert_arn")?;
    fields.next("chosen_cert_serial")?;
    rows.unmapped.optional("tls_cipher", Some(fields.next("tls_cipher")?));
    rows.text(TLS_VERSION, fields.next("tls_protocol_version")?);
    rows.unmapped.optional("tls_named_group", fields.optional());
    rows.optional(SERVER_NAME, fields.optional());
    for name in ["alpn_fe_protocol", "alpn_be_protocol"] {
        rows.unmapped.optional(name, fields.optional());
    }
    let created = preferences_and_creation(fields.scan.rest(), rows);
    times(at, created, connection, rows)?;
    rows.protocol(protocol::TCP);
    rows.unmapped.optional("tls_handshake_time", Some(handshake));
    // A handshake that was not finished has no time; an alert of the client ends it.
    let result = if alert != "-" {
        rows.text(OUTCOME_REASON, "an alert of the client's TLS");
        rows.text(STATUS_CODE, alert);
        ConnectionResult::Error
    } else if handshake == "-" {
        rows.text(OUTCOME_REASON, "the TLS handshake was not finished");
        ConnectionResult::Error
    } else {
        rows.text(ENCRYPTION, "tls");
        ConnectionResult::Established
    };
    rows.judge(None, Some(result));
    Ok(Written::Row)
}

/// `"h2","http/1.1" 2020-04-01T08:51:20`: a list of quoted names with commas and no blanks, and the time of creation.
fn preferences_and_creation<'a>(rest: &'a str, rows: &mut Rows<'_, '_>) -> Option<&'a str> {
    let (list, created) = rest.split_once(' ').unwrap_or((rest, ""));
    rows.unmapped.optional("alpn_client_preference_list", Some(list));
    Some(created.split(' ').next().unwrap_or_default()).filter(|created| !matches!(*created, "" | "-"))
}

/// The connection began when its TLS part was created, else as long before its end as it lasted.
fn times(at: &str, created: Option<&str>, connection: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let read =
        |name: &str, text: &str| time::iso(text).ok_or_else(|| Fault::value(Reason::BadTime, name, text, "ISO 8601"));
    let end = read("time", at)?;
    let length = count("connection_time", connection)?.unwrap_or(0).saturating_mul(1_000);
    let start = match created {
        Some(created) => read("tls_connection_creation_time", created)?,
        None => end.saturating_sub(length).max(0),
    };
    rows.times(start.min(end), end);
    Ok(())
}

fn count(name: &str, text: &str) -> Result<Option<i64>, Fault> {
    if text == "-" {
        return Ok(None);
    }
    number::digits(text.as_bytes())
        .map(Some)
        .ok_or_else(|| Fault::value(Reason::BadNumber, name, text, "a whole number"))
}

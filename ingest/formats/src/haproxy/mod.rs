//! HAProxy: the HTTP, HTTPS, TCP, default and error formats, with or without a `haproxy[PID]: ` before them. Not formats of a
//! user's own `log-format`.

mod line;
mod page;
mod termination;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, first_lines};
use crate::framing::Records;
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::scan;
use crate::{endpoint, http, number};
use line::{Line, Session};
use std::sync::Arc;
use tradewind_model::flow::{
    BYTES_IN, ENCRYPTION, OUTCOME_REASON, RESPONSE_LATENCY_US, SERVER_NAME, STATUS_CODE, TLS_VERSION,
};
use tradewind_model::outcome::ConnectionResult;
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "haproxy";

/// HAProxy's logs.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "HAProxy logs: httplog, httpslog, tcplog, default and errors",
    page: page::PAGE,
    decoders: || vec![(Arc::new(HaProxy), Records::Lines)],
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |_, _| Ok(Chosen::text(HaProxy, Records::Lines, "as asked for")),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "connection", vantage: Some("proxy"), orientation: "log" };

/// Lines of all formats: frontends of one process log in several of them.
#[derive(Clone, Copy, Debug)]
struct HaProxy;

impl Format for HaProxy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        rows.each_line(input, offset, |rows, text| {
            match line::read(text)? {
                Line::Session(session) => write_session(&session, rows)?,
                Line::Connect { client, server, frontend, mode } => {
                    write_connect(client, server, frontend, mode, rows)?
                }
                Line::Error { client, time, frontend, text } => write_error(client, time, frontend, text, rows)?,
            }
            Ok(Written::Row)
        });
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let reason = first_lines(head).find_map(|text| match line::read(text).ok()? {
        Line::Session(session) if session.status.is_some() => Some("lines in HAProxy's HTTP format"),
        Line::Session(_) => Some("lines in HAProxy's TCP format"),
        Line::Connect { .. } => Some("lines in HAProxy's default format"),
        Line::Error { .. } => Some("lines in HAProxy's error format"),
    })?;
    Some(Chosen::text(HaProxy, Records::Lines, reason))
}

/// The initiator; `-` and socket paths are none.
fn client_end(client: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    // A bare IPv6 address has its port behind the last colon.
    let (address, port) = client.rsplit_once(':').unwrap_or((client, ""));
    if address == "-" || address.starts_with("unix") {
        rows.unmapped.text("client", client);
        return rows.port_text(Side::Src, "client port", if address == "-" { port } else { "" });
    }
    let address = address.trim_start_matches('[').trim_end_matches(']');
    rows.address(Side::Src, "client", address)?;
    rows.port_text(Side::Src, "client port", port)
}

fn write_session(session: &Session<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    client_end(session.client, rows)?;
    server_end(session.server, rows)?;
    let total = session.timers.last().copied().unwrap_or(0).max(0);
    let micros = total
        .checked_mul(1_000)
        .ok_or_else(|| Fault::value(Reason::BadNumber, "total time", &total.to_string(), "a number of milliseconds"))?;
    rows.times(session.time, session.time.saturating_add(micros));
    rows.protocol(protocol::TCP);
    let read = session.bytes_read.strip_prefix('+').unwrap_or(session.bytes_read);
    let read = number::digits(read.as_bytes())
        .ok_or_else(|| Fault::value(Reason::BadNumber, "bytes_read", session.bytes_read, "a whole number"))?;
    rows.number(BYTES_IN, Some(read));
    let status = session.status.and_then(|status| number::digits(status.as_bytes()));
    if session.status.is_some() {
        request(session, rows);
    }
    let judgement = termination::judge(session.state, status);
    rows.judge(judgement.verdict, judgement.result);
    rows.optional(OUTCOME_REASON, judgement.reason);
    rows.text(STATUS_CODE, session.state);
    security(session, rows);
    rows.unmapped.text("frontend", session.frontend);
    rows.unmapped.text("backend", session.backend);
    rows.unmapped.text("server", session.server);
    rows.unmapped.text("connections", session.connections);
    rows.unmapped.optional("queues", Some(session.queues).filter(|queues| *queues != "0/0"));
    if session.is_early {
        rows.unmapped.json("logged_before_end", |json| json.push_str("true"));
    }
    for (name, headers) in
        [("request_headers", session.request_headers), ("response_headers", session.response_headers)]
    {
        let has_any = |headers: &&str| headers.bytes().any(|byte| byte != b'|');
        rows.unmapped.optional(name, headers.filter(has_any));
    }
    Ok(())
}

/// A server's name is the operator's choice; some put the address into it: `pod:NAME:10.0.0.1:9200`.
fn server_end(server: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let mut parts = server.rsplitn(3, ':');
    if let (Some(port), Some(address)) = (parts.next(), parts.next())
        && let Ok(address) = address.parse::<std::net::Ipv4Addr>()
        && let Some(port) = number::digits(port.as_bytes()).filter(|port| *port <= i64::from(u16::MAX))
    {
        rows.address(Side::Dst, "server", &address.to_string())?;
        rows.port(Side::Dst, "server", Some(port))?;
    }
    Ok(())
}

fn request(session: &Session<'_>, rows: &mut Rows<'_, '_>) {
    rows.nature.kind = "request";
    let request = session.request.map(scan::unescape);
    let line = request.as_deref().and_then(http::request_line);
    let (method, target) = line.map_or(("", ""), |line| (line.method, line.target));
    rows.http("http", method, target, session.status.filter(|status| *status != "-1").unwrap_or_default());
    // The fourth timer is the server's: it is minus one where no answer came.
    let response = session.timers.get(3).copied().filter(|&millis| millis >= 0);
    rows.number(RESPONSE_LATENCY_US, response.and_then(|millis| millis.checked_mul(1_000)));
    if let Some((_, rest)) = line.and_then(|line| line.target.split_once("://")) {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rows.text(SERVER_NAME, endpoint::host_of_authority(&rest[..end]));
    }
}

fn security(session: &Session<'_>, rows: &mut Rows<'_, '_>) {
    if let Some(tls) = session.tls {
        rows.text(TLS_VERSION, tls.version);
        rows.text(SERVER_NAME, tls.name);
        rows.unmapped.optional("tls_cipher", Some(tls.cipher));
        rows.unmapped.optional(
            "tls_errors",
            Some(tls.errors).filter(|errors| errors.bytes().any(|byte| !matches!(byte, b'0' | b'/' | b'-'))),
        );
    }
    if session.is_tls || session.tls.is_some_and(|tls| !matches!(tls.version, "" | "-")) {
        rows.text(ENCRYPTION, "tls");
    }
}

fn write_connect(client: &str, server: &str, frontend: &str, mode: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    client_end(client, rows)?;
    let (address, port) = server.rsplit_once(':').ok_or_else(|| Fault::syntax("an address with a port", server))?;
    rows.address(Side::Dst, "server", address)?;
    rows.port_text(Side::Dst, "server port", port)?;
    rows.protocol(protocol::TCP);
    // It is logged when the connection was accepted, before anything is known of the server.
    rows.judge(None, Some(ConnectionResult::Established));
    rows.unmapped.text("frontend", frontend);
    rows.unmapped.text("mode", mode);
    Ok(())
}

fn write_error(client: &str, time: i64, frontend: &str, text: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    client_end(client, rows)?;
    rows.times(time, time);
    rows.nature.kind = "event";
    rows.protocol(protocol::TCP);
    let result = match text {
        text if text.contains("imeout") => ConnectionResult::Timeout,
        text if text.contains("closed") || text.contains("aborted") => ConnectionResult::Reset,
        _ => ConnectionResult::Error,
    };
    rows.judge(None, Some(result));
    rows.text(OUTCOME_REASON, text.trim_end());
    rows.unmapped.text("frontend", frontend);
    Ok(())
}

#[cfg(test)]
mod tests;

//! Traefik's access logs: JSON and the common log format with Traefik's own fields behind. Not Traefik's own messages.
//!
//! Source: Traefik, "Access Logs" (fields of the JSON format; CLF). Versions before 2 say frontend and backend for router and
//! service. Sizes are of bodies. `RequestPath` has the query, which is cut; `ServiceURL` is a text or an object of its parts.

mod page;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, first_lines};
use crate::framing::Records;
use crate::json::{Doc, Value};
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::{duration, scan, scan::Scan, time};
use crate::{endpoint, http, number};
use std::sync::Arc;
use tradewind_model::flow::{
    BYTES_IN, BYTES_OUT, ENCRYPTION, OUTCOME_REASON, RESPONSE_LATENCY_US, SERVER_NAME, SRC_PRINCIPAL, STATUS_CODE,
    TLS_VERSION, TRACE_ID,
};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "traefik";

/// Traefik's access logs.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "Traefik access logs: JSON and common log format",
    page: page::PAGE,
    decoders: || vec![(Arc::new(Traefik), Records::Lines)],
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |_, _| Ok(Chosen::text(Traefik, Records::Lines, "as asked for")),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "request", vantage: Some("proxy"), orientation: "log" };

/// Lines of both formats.
#[derive(Clone, Copy, Debug)]
struct Traefik;

impl Format for Traefik {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        let mut doc = Doc::new();
        rows.each_line(input, offset, |rows, line| {
            if line.starts_with('{') {
                doc.parse(line)?;
                json(doc.root(), rows)
            } else {
                common(&Common::read(line)?, rows)
            }
        });
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let reason = first_lines(head).find_map(|line| {
        if !line.starts_with('{') {
            return Common::read(line).is_ok().then_some("lines in Traefik's common log format");
        }
        let mut doc = Doc::new();
        doc.parse(line).ok()?;
        is_access(doc.root()).then_some("JSON with Traefik's keys DownstreamStatus and ClientHost")
    })?;
    Some(Chosen::text(Traefik, Records::Lines, reason))
}

/// A user may leave out fields, but hardly these together.
fn is_access(record: Value<'_>) -> bool {
    let has = |key: &str| record.get(key).is_some();
    (has("DownstreamStatus") || has("OriginStatus")) && (has("ClientHost") || has("ClientAddr") || has("RequestMethod"))
}

/// What both formats say of the end of a request.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    status: Option<i64>,
    /// What the service answered; none where Traefik answered by itself.
    origin: Option<i64>,
    /// Whether the log tells what the service answered.
    has_origin: bool,
    has_router: bool,
}

type Judgement = (Option<Verdict>, Option<ConnectionResult>, Option<&'static str>);

fn judge(end: End) -> Judgement {
    use ConnectionResult::{Error, Established, Reset, Timeout};
    const DENIED: Option<Verdict> = Some(Verdict::Denied);
    match end.status {
        _ if end.origin.is_some() => (None, Some(Established), None),
        None | Some(0) => (None, None, None),
        Some(504) => (None, Some(Timeout), Some("the service did not answer in time")),
        Some(502) => (None, Some(Error), Some("the service could not be reached")),
        Some(503) => (None, Some(Error), Some("no server of the service is there")),
        Some(499) => (None, Some(Reset), Some("the client went away before the answer")),
        Some(404) if !end.has_router => (None, Some(Error), Some("no router matches")),
        Some(401 | 403) if end.has_origin => (DENIED, None, Some("refused by Traefik")),
        Some(429) if end.has_origin => (DENIED, None, Some("limited by Traefik")),
        Some(_) => (None, Some(Established), None),
    }
}

fn write_end(end: End, status: &str, rows: &mut Rows<'_, '_>) {
    let (verdict, result, reason) = judge(end);
    rows.judge(verdict, result);
    rows.optional(OUTCOME_REASON, reason);
    if reason.is_some() {
        rows.text(STATUS_CODE, status);
    }
    rows.protocol(protocol::TCP);
}

fn json(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    if !is_access(record) {
        return Err(Fault::other_log("no access log of Traefik: `DownstreamStatus` or `ClientHost` is missing"));
    }
    json_times(record, rows)?;
    json_ends(record, rows)?;
    let text = |key| record.text(key).unwrap_or_default();
    let status = text("DownstreamStatus");
    record.take_at("RequestLine");
    record.take_at("ClientUsername");
    rows.http("http", text("RequestMethod"), text("RequestPath"), status);
    let host = record.text("RequestHost").or_else(|| record.peek("RequestAddr"));
    rows.optional(SERVER_NAME, host.map(endpoint::host_of_authority));
    rows.number(BYTES_OUT, size(record, "RequestContentSize")?);
    rows.number(BYTES_IN, size(record, "DownstreamContentSize")?);
    rows.unique(TRACE_ID, record.text("TraceId"));
    let latency = record.integer("OriginDuration")?.map(|nanos| nanos / 1_000);
    rows.number(RESPONSE_LATENCY_US, latency.filter(|&micros| micros > 0));
    let version = record.text("TLSVersion");
    rows.optional(TLS_VERSION, version);
    match record.text("TLSClientSubject") {
        Some(subject) => {
            rows.text(SRC_PRINCIPAL, subject);
            rows.text(ENCRYPTION, "mtls");
        }
        None if version.is_some() => rows.text(ENCRYPTION, "tls"),
        None => {}
    }
    let router = record.peek("RouterName").or_else(|| record.peek("FrontendName"));
    let end = End {
        status: number::digits(status.as_bytes()),
        origin: record.integer("OriginStatus")?.filter(|&status| status > 0),
        // A field of no value is left out, so that one which is there at all shows nothing more.
        has_origin: true,
        has_router: router.is_some_and(|name| !matches!(name, "-" | "backend not found")),
    };
    write_end(end, status, rows);
    record.leave(&mut rows.unmapped);
    Ok(Written::Row)
}

fn json_times(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let length = record.integer("Duration")?.unwrap_or(0) / 1_000;
    record.take_at("StartLocal");
    let (text, is_end) = match (record.text("StartUTC"), record.text("time")) {
        (Some(text), _) => (text, false),
        // The line is written when the request ends.
        (None, Some(text)) => (text, true),
        (None, None) => return Ok(()),
    };
    let at = time::rfc3339(text).ok_or_else(|| Fault::value(Reason::BadTime, "StartUTC", text, "RFC 3339"))?;
    let start = if is_end { at.saturating_sub(length).max(0) } else { at };
    rows.times(start, start.saturating_add(length).min(time::MICROS_MAX));
    Ok(())
}

fn json_ends(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let address = record.text("ClientAddr");
    if let Some(host) = record.text("ClientHost") {
        // `ClientHost` is of a forwarded header where Traefik was told to believe it; the peer is in `ClientAddr`.
        let peer = address.and_then(|address| endpoint::parse(address).ok().flatten());
        match peer {
            Some(peer) => {
                rows.address(Side::Src, "ClientAddr", &peer.ip)?;
                rows.port(Side::Src, "ClientAddr", peer.port.map(i64::from))?;
                record.take_at("ClientPort");
                if *peer.ip != *host {
                    rows.unmapped.text("ClientHost", host);
                }
            }
            None => {
                if !rows.endpoint(Side::Src, "ClientHost", host)? {
                    rows.unmapped.text("ClientHost", host);
                }
                rows.port_text(Side::Src, "ClientPort", record.text("ClientPort").unwrap_or_default())?;
            }
        }
    } else if let Some(address) = address {
        rows.endpoint(Side::Src, "ClientAddr", address)?;
    }
    let url = ["ServiceURL", "BackendURL"].into_iter().find_map(|key| record.at(key));
    let host = url.and_then(|url| url.peek("Host").or_else(|| url.scalar()));
    if let Some(url) = url {
        url.take();
    }
    let server = record.text("ServiceAddr").or_else(|| record.text("BackendAddr")).or(host);
    if let Some(server) = server {
        let server = host_of_url(server);
        if !rows.endpoint(Side::Dst, "ServiceAddr", server)? {
            rows.unmapped.text("ServiceAddr", server);
        }
    }
    Ok(())
}

/// Host and port of a URL, or the text itself.
fn host_of_url(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// A size; Traefik writes minus one where it does not know.
fn size(record: Value<'_>, key: &str) -> Result<Option<i64>, Fault> {
    if record.peek(key) == Some("-1") {
        record.take_at(key);
        return Ok(None);
    }
    record.integer(key)
}

/// A line of the common log format: `client - user [time] "request" status size "referer" "agent" count "router" "url" Nms`.
struct Common<'a> {
    client: &'a str,
    time: i64,
    request: &'a str,
    status: &'a str,
    size: &'a str,
    agent: &'a str,
    count: &'a str,
    router: &'a str,
    url: &'a str,
    micros: i64,
}

impl<'a> Common<'a> {
    fn read(line: &'a str) -> Result<Self, Fault> {
        let (head, tail) = line.split_once(" [").ok_or_else(|| Fault::syntax("a time in brackets", line))?;
        let client = head.split(' ').next().unwrap_or_default();
        let (at, tail) = tail.split_once("] ").ok_or_else(|| Fault::syntax("a time in brackets", tail))?;
        let time = time::common_log(at)
            .ok_or_else(|| Fault::value(Reason::BadTime, "time", at, "a time such as 10/Oct/2000:13:55:36 -0700"))?;
        let mut scan = Scan::new(tail);
        let found = (|| {
            let request = scan.quoted()?;
            let (status, size) = (scan.word()?, scan.word()?);
            let _referer = scan.quoted()?;
            let agent = scan.quoted()?;
            let count = scan.word()?;
            let (router, url) = (scan.quoted()?, scan.quoted()?);
            let micros = duration::with_unit(scan.rest().trim_end())?;
            Some(Self { client, time, request, status, size, agent, count, router, url, micros })
        })();
        found.ok_or_else(|| Fault::syntax("Traefik's fields `COUNT \"ROUTER\" \"URL\" Nms` at the end", scan.rest()))
    }
}

fn common(line: &Common<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    rows.times(line.time, line.time.saturating_add(line.micros).min(time::MICROS_MAX));
    if !rows.endpoint(Side::Src, "client", line.client)? {
        rows.unmapped.optional("client", Some(line.client));
    }
    let server = host_of_url(line.url);
    if !rows.endpoint(Side::Dst, "url", server)? {
        rows.unmapped.optional("url", Some(server));
    }
    let request = scan::unescape(line.request);
    let parts = http::request_line(&request);
    let (method, target) = parts.map_or(("", ""), |parts| (parts.method, parts.target));
    rows.http("http", method, target, line.status);
    let size = if line.size == "-" {
        None
    } else {
        Some(
            number::digits(line.size.as_bytes())
                .ok_or_else(|| Fault::value(Reason::BadNumber, "size", line.size, "a whole number"))?,
        )
    };
    rows.number(BYTES_IN, size);
    rows.unmapped.optional("user_agent", Some(line.agent));
    rows.unmapped.text("count", line.count);
    rows.unmapped.optional("router", Some(line.router));
    // Whose answer it was is not logged; where no server was chosen, it was Traefik's.
    let has_server = !matches!(line.url, "" | "-" | "/");
    let status = number::digits(line.status.as_bytes());
    let end = End {
        status,
        origin: None,
        has_origin: !has_server,
        has_router: !matches!(line.router, "" | "-" | "backend not found"),
    };
    write_end(end, line.status, rows);
    Ok(Written::Row)
}

#[cfg(test)]
mod tests;

//! Linkerd's access logs: the proxy beside the server, in the apache and the JSON format. Not Linkerd's debug logs.
//!
//! Source: Linkerd, "Access Logging"; the fields are written by `linkerd/http/access-log` of linkerd2-proxy. A client that was
//! identified by mutual TLS has its identity in `client.id`; the log knows neither the pod it is about nor a policy's word.

mod page;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, first_lines};
use crate::framing::Records;
use crate::json::{Doc, Value};
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::{scan::Scan, time};
use crate::{endpoint, http};
use std::sync::Arc;
use tradewind_model::flow::{
    BYTES_IN, BYTES_OUT, ENCRYPTION, RESPONSE_LATENCY_US, SERVER_NAME, SRC_PRINCIPAL, SRC_VERIFIED, TRACE_ID,
};
use tradewind_model::outcome::ConnectionResult;
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "linkerd";

/// Linkerd's access logs.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "Linkerd access logs: apache and JSON",
    page: page::PAGE,
    decoders: || vec![(Arc::new(Linkerd), Records::Lines)],
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |_, _| Ok(Chosen::text(Linkerd, Records::Lines, "as asked for")),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "request", vantage: Some("destination"), orientation: "log" };

/// Lines of both formats: a file may change from one to the other when the proxy starts anew.
#[derive(Clone, Copy, Debug)]
struct Linkerd;

impl Format for Linkerd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        let mut doc = Doc::new();
        rows.each_line(input, offset, |rows, line| {
            if line.starts_with('{') {
                doc.parse(line)?;
                json(rows, doc.root())
            } else {
                apache(rows, line)
            }
        });
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let reason = first_lines(head).find_map(|line| {
        if line.starts_with('{') {
            return is_json(line).then_some("JSON with Linkerd's keys client.addr and processing_ns");
        }
        // A common log has three words before its time as well; only Linkerd's has a port and an ISO time.
        Apache::read(line).is_ok().then_some("lines in Linkerd's apache format")
    })?;
    Some(Chosen::text(Linkerd, Records::Lines, reason))
}

fn is_json(line: &str) -> bool {
    let mut doc = Doc::new();
    doc.parse(line).is_ok() && ["client.addr", "processing_ns"].iter().all(|key| doc.root().get(key).is_some())
}

/// `client.addr client.id - [timestamp] "METHOD uri VERSION" status`.
struct Apache<'a> {
    client: &'a str,
    identity: &'a str,
    time: i64,
    request: &'a str,
    status: &'a str,
}

impl<'a> Apache<'a> {
    fn read(line: &'a str) -> Result<Self, Fault> {
        let expected = |what: &str, scan: &Scan<'_>| Fault::syntax(what, scan.rest());
        let mut scan = Scan::new(line);
        let client = scan
            .word()
            .filter(|word| word.contains(':'))
            .ok_or_else(|| expected("an address with a port", &Scan::new(line)))?;
        let identity = scan.word().ok_or_else(|| expected("an identity", &scan))?;
        scan.literal("- ").ok_or_else(|| expected("`-`", &scan))?;
        let time = scan.bracketed().ok_or_else(|| expected("a time in brackets", &scan))?;
        let time = time::rfc3339(time).ok_or_else(|| Fault::value(Reason::BadTime, "timestamp", time, "RFC 3339"))?;
        let request = scan.quoted().ok_or_else(|| expected("a request in quotes", &scan))?;
        let status = scan.rest().trim_end();
        if status.len() != 3 || !status.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(expected("a status", &scan));
        }
        Ok(Self { client, identity, time, request, status })
    }
}

fn apache(rows: &mut Rows<'_, '_>, line: &str) -> Result<Written, Fault> {
    let Apache { client, identity, time, request, status } = Apache::read(line)?;
    rows.times(time, time);
    let line = http::request_line(request).ok_or_else(|| Fault::syntax("a request line", request))?;
    rows.http("http", line.method, line.target, status);
    authority(rows, line.target);
    client_end(rows, client, identity)?;
    Ok(Written::Row)
}

fn json(rows: &mut Rows<'_, '_>, record: Value<'_>) -> Result<Written, Fault> {
    let (Some(client), Some(time)) = (record.text("client.addr"), record.text("timestamp")) else {
        return Err(Fault::other_log("no access log: `client.addr` or `timestamp` is missing"));
    };
    let start = time::rfc3339(time).ok_or_else(|| Fault::value(Reason::BadTime, "timestamp", time, "RFC 3339"))?;
    let total = record.integer("total_ns")?.unwrap_or(0) / 1_000;
    rows.times(start, start.saturating_add(total).min(time::MICROS_MAX));
    let target = record.text("uri").unwrap_or_default();
    let text = |key| record.text(key).unwrap_or_default();
    rows.http("http", text("method"), target, text("status"));
    match record.text("host") {
        Some(host) => rows.text(SERVER_NAME, endpoint::host_of_authority(host)),
        None => authority(rows, target),
    }
    rows.number(BYTES_OUT, record.integer("request_bytes")?);
    rows.number(BYTES_IN, record.integer("response_bytes")?);
    rows.number(RESPONSE_LATENCY_US, record.integer("total_ns")?.map(|nanos| nanos / 1_000));
    rows.unique(TRACE_ID, record.text("trace_id"));
    client_end(rows, client, text("client.id"))?;
    record.leave(&mut rows.unmapped);
    Ok(Written::Row)
}

/// The name that was asked for, in a target of absolute form.
fn authority(rows: &mut Rows<'_, '_>, target: &str) {
    if let Some((_, rest)) = target.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        rows.text(SERVER_NAME, endpoint::host_of_authority(&rest[..end]));
    }
}

/// The initiator, and what every record says: the proxy saw the whole exchange, and an identity is there only with mutual TLS.
fn client_end(rows: &mut Rows<'_, '_>, client: &str, identity: &str) -> Result<(), Fault> {
    if !rows.endpoint(Side::Src, "client.addr", client)? {
        rows.unmapped.optional("client.addr", Some(client));
    }
    rows.protocol(protocol::TCP);
    if !matches!(identity, "" | "-") {
        rows.text(SRC_PRINCIPAL, identity);
        rows.number(SRC_VERIFIED, Some(1));
        rows.text(ENCRYPTION, "mtls");
    }
    rows.judge(None, Some(ConnectionResult::Established));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let mut out = Decoded::default();
        Linkerd.decode(line.as_bytes(), 0, &mut out);
        let found = match out.rejects.first() {
            Some(reject) => format!("{} {}", reject.reason.as_str(), reject.detail),
            None => serde_json::to_string(&out.flows.row_json(0)).unwrap_or_default(),
        };
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn both_formats() {
        check(
            "10.42.0.63:51160 web.shop.serviceaccount.identity.linkerd.cluster.local - [2022-08-23T20:28:20.071809491Z] \
             \"GET http://api:7000/a?b=c HTTP/2.0\" 200",
            r#"{"app_protocol":"http","encryption":"mtls","end_time":"2022-08-23T20:28:20.071809Z","is_src_dst_assignment_known":true,"operation":"GET","operation_status":"200","orientation":"log","outcome":"allowed","position_offset":0,"protocol":"tcp","protocol_num":6,"record_kind":"request","resource":"/a","result":"established","server_name":"api","source":"linkerd","src_ip":"10.42.0.63","src_port":51160,"src_principal":"web.shop.serviceaccount.identity.linkerd.cluster.local","src_verified":true,"start_time":"2022-08-23T20:28:20.071809Z","vantage":"destination"}"#,
        );
        check(
            r#"{"client.addr":"10.42.0.70:32996","client.id":"-","host":"api:7000","method":"POST","processing_ns":"30036","request_bytes":"33","response_bytes":"","status":503,"timestamp":"2022-08-23T20:33:42.436Z","total_ns":"14122403","trace_id":"","uri":"/a","version":"HTTP/2.0"}"#,
            r#"{"app_protocol":"http","bytes_out":33,"end_time":"2022-08-23T20:33:42.450122Z","is_src_dst_assignment_known":true,"operation":"POST","operation_status":"503","orientation":"log","outcome":"allowed","position_offset":0,"protocol":"tcp","protocol_num":6,"record_kind":"request","resource":"/a","response_latency_us":14122,"result":"established","server_name":"api","source":"linkerd","src_ip":"10.42.0.70","src_port":32996,"start_time":"2022-08-23T20:33:42.436Z","unmapped":"{\"processing_ns\":\"30036\",\"version\":\"HTTP/2.0\"}","vantage":"destination"}"#,
        );
    }

    #[test]
    fn what_is_no_access_log() {
        check("what is this", "bad_syntax expected an address with a port, found `what is this`");
        check("10.0.0.1:80 - - [now] \"GET / HTTP/1.1\" 200", "bad_time timestamp: `now` is not RFC 3339");
        check(r#"{"level":"INFO"}"#, "other_log no access log: `client.addr` or `timestamp` is missing");
        check(
            r#"{"client.addr":"10.0.0.1:80","timestamp":"2022-08-23T20:33:42Z","request_bytes":"-1"}"#,
            "bad_number request_bytes: `-1` is not a whole number",
        );
        check("{", "bad_json byte 1 of the record: expected a key in quotes");
    }
}

//! Caddy's access logs in JSON, and what its error log says of requests. Not Caddy's own messages, and not the console format.
//!
//! Source: Caddy, "How logging works", `log` directive, and `LoggableHTTPRequest`, `LoggableTLSConnState` of caddyhttp: `ts` is when
//! the line was written, after the answer; `duration` is in seconds, or a text where the encoder was told so; `tls.version` is the number
//! of RFC 8446, section 4.2.1. `remote_ip` is the peer; `client_ip` may be of a trusted header.

mod page;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, first_lines};
use crate::framing::Records;
use crate::json::{Doc, Value};
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::{duration, time};
use crate::{endpoint, redact};
use std::sync::Arc;
use tradewind_model::flow::{BYTES_IN, BYTES_OUT, ENCRYPTION, OUTCOME_REASON, SERVER_NAME, STATUS_CODE, TLS_VERSION};
use tradewind_model::outcome::ConnectionResult;
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "caddy";

/// Caddy's logs.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "Caddy access logs and request errors in JSON",
    page: page::PAGE,
    decoders: || vec![(Arc::new(Caddy), Records::Lines)],
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |_, _| Ok(Chosen::text(Caddy, Records::Lines, "as asked for")),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "request", vantage: Some("proxy"), orientation: "log" };

/// Lines of JSON.
#[derive(Clone, Copy, Debug)]
struct Caddy;

impl Format for Caddy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        rows.each_json(input, offset, Records::Lines, |rows, record| write(record, rows));
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let is_access = |line: &str| {
        let mut doc = Doc::new();
        line.starts_with('{') && doc.parse(line).is_ok() && is_request(doc.root())
    };
    first_lines(head)
        .any(is_access)
        .then(|| Chosen::text(Caddy, Records::Lines, "JSON with Caddy's request and status"))
}

/// Whether the record is about a request.
fn is_request(record: Value<'_>) -> bool {
    let is_of_http =
        record.peek("logger").is_none_or(|logger| logger.starts_with("http.log.") || logger.contains("access"));
    is_of_http
        && record
            .at("request")
            .is_some_and(|request| request.has("method") && (request.has("remote_ip") || request.has("remote_addr")))
}

fn write(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    if !is_request(record) {
        return Err(Fault::other_log("no access log of Caddy: it is about no request"));
    }
    let is_error = record.peek("logger").is_some_and(|logger| logger.starts_with("http.log.error"));
    times(record, rows)?;
    source(record, rows)?;
    let text = |key| record.text(key).unwrap_or_default();
    let status = text("status");
    rows.http("http", text("request.method"), text("request.uri"), status);
    let version = text("request.proto");
    rows.protocol(if version.starts_with("HTTP/3") { protocol::UDP } else { protocol::TCP });
    let name = record.text("request.tls.server_name").or_else(|| record.text("request.host"));
    rows.optional(SERVER_NAME, name.map(endpoint::host_of_authority));
    rows.number(BYTES_OUT, record.integer("bytes_read")?);
    rows.number(BYTES_IN, record.integer("size")?);
    tls(record, rows)?;
    for key in [
        "user_id",
        "request.headers.Referer",
        "request.headers.Authorization",
        "request.headers.Cookie",
        "resp_headers.Set-Cookie",
    ] {
        record.take_at(key);
    }
    let message = if is_error { record.text("msg") } else { None };
    if let Some(message) = message {
        rows.nature.kind = "event";
        rows.text(OUTCOME_REASON, &redact::text(&message[..message.floor_char_boundary(REASON_BYTES_MAX)]));
        dialled(message, rows)?;
    }
    let (result, reason) = judge(status, message);
    rows.judge(None, result);
    if message.is_none() {
        rows.optional(OUTCOME_REASON, reason);
    }
    if result != Some(ConnectionResult::Established) {
        rows.text(STATUS_CODE, status);
    }
    record.leave(&mut rows.unmapped);
    Ok(Written::Row)
}

/// Most bytes of a message that are kept.
const REASON_BYTES_MAX: usize = 256;

fn times(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let length = match record.text("duration") {
        Some(text) => duration::seconds(text)
            .or_else(|| duration::with_unit(text))
            .ok_or_else(|| Fault::value(Reason::BadNumber, "duration", text, "seconds"))?,
        None => 0,
    };
    if let Some(text) = record.text("ts") {
        let end = time::epoch_seconds(text)
            .or_else(|| time::iso(text))
            .ok_or_else(|| Fault::value(Reason::BadTime, "ts", text, "seconds since 1970 or ISO 8601"))?;
        rows.times(end.saturating_sub(length).max(0), end);
    }
    Ok(())
}

fn source(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    if let Some(address) = record.text("request.remote_ip") {
        // A zone is of the proxy's own link and says nothing elsewhere.
        let address = address.split_once('%').map_or(address, |(address, _)| address);
        rows.address(Side::Src, "request.remote_ip", address)?;
        rows.port_text(Side::Src, "request.remote_port", record.text("request.remote_port").unwrap_or_default())?;
        if record.peek("request.client_ip") == Some(address) {
            record.take_at("request.client_ip");
        }
    } else if let Some(address) = record.text("request.remote_addr") {
        rows.endpoint(Side::Src, "request.remote_addr", address)?;
    }
    Ok(())
}

fn tls(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    if !record.has("request.tls") {
        return Ok(());
    }
    let has_certificate = record.has("request.tls.client_serial") || record.has("request.tls.client_common_name");
    rows.text(ENCRYPTION, if has_certificate { "mtls" } else { "tls" });
    let name = match record.integer("request.tls.version")? {
        Some(0x0304) => "TLSv1.3",
        Some(0x0303) => "TLSv1.2",
        Some(0x0302) => "TLSv1.1",
        Some(0x0301) => "TLSv1.0",
        _ => "",
    };
    rows.text(TLS_VERSION, name);
    Ok(())
}

/// The upstream in Go's message `dial tcp 10.0.0.1:80: connect: connection refused`.
fn dialled(message: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let Some(rest) = message.split_once("dial tcp ").map(|(_, rest)| rest) else { return Ok(()) };
    let address = rest.split(": ").next().unwrap_or_default();
    let parsed = endpoint::parse(address).ok().flatten();
    if let Some(parsed) = parsed {
        rows.address(Side::Dst, "msg", &parsed.ip)?;
        rows.port(Side::Dst, "msg", parsed.port.map(i64::from))?;
    }
    Ok(())
}

/// Result and why. Caddy does not log whose answer it was, so that only what a proxy alone answers is a failure.
fn judge(status: &str, message: Option<&str>) -> (Option<ConnectionResult>, Option<&'static str>) {
    use ConnectionResult::{Error, Established, Refused, Reset, Timeout};
    if let Some(message) = message {
        let result = match message {
            message if message.contains("connection refused") => Refused,
            message if message.contains("timeout") || message.contains("deadline exceeded") => Timeout,
            message
                if message.contains("context canceled")
                    || message.contains("connection reset")
                    || message.contains("EOF") =>
            {
                Reset
            }
            _ if matches!(status, "502" | "503" | "504") => Error,
            _ => Established,
        };
        return (Some(result), None);
    }
    match status {
        "502" => (Some(Error), Some("no valid answer of an upstream")),
        "503" => (Some(Error), Some("no upstream is there")),
        "504" => (Some(Timeout), Some("the upstream did not answer in time")),
        "499" | "0" => (Some(Reset), Some("ended before the answer")),
        "" => (None, None),
        _ => (Some(Established), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_row, decode_line};
    use serde_json::json;

    fn access(status: u16) -> String {
        format!(
            r#"{{"level":"info","ts":1646861401.5241024,"logger":"http.log.access.log0","msg":"handled request","request":{{"remote_ip":"127.0.0.1","remote_port":"41342","client_ip":"127.0.0.1","proto":"HTTP/2.0","method":"GET","host":"localhost:8443","uri":"/a?x=1","headers":{{"User-Agent":["curl/7.82.0"],"Cookie":["a=b"],"Referer":["http://h/?q"]}},"tls":{{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"shop.example"}}}},"bytes_read":5,"user_id":"alice","duration":0.5,"size":10900,"status":{status},"resp_headers":{{"Server":["Caddy"]}}}}"#
        )
    }

    #[test]
    fn access_logs() {
        check_row(
            &Caddy,
            &access(200),
            json!({
                "src_ip": "127.0.0.1", "src_port": 41342, "operation": "GET", "resource": "/a", "operation_status": "200", "bytes_out": 5,
                "bytes_in": 10900, "server_name": "shop.example", "encryption": "tls", "tls_version": "TLSv1.3", "outcome": "allowed",
                "start_time": "2022-03-09T21:30:01.024102Z", "end_time": "2022-03-09T21:30:01.524102Z", "record_kind": "request",
                "unmapped.request.headers.User-Agent": ["curl/7.82.0"], "unmapped.request.headers.Cookie": null,
                "unmapped.user_id": null, "unmapped.request.headers.Referer": null
            }),
        );
        for (status, outcome) in
            [(403, "allowed"), (502, "failed"), (503, "failed"), (504, "failed"), (499, "failed"), (0, "failed")]
        {
            check_row(&Caddy, &access(status), json!({"outcome": outcome}));
        }
        let mutual =
            access(200).replace("\"resumed\"", "\"client_common_name\":\"web\",\"client_serial\":\"1\",\"resumed\"");
        check_row(&Caddy, &mutual, json!({"encryption": "mtls", "unmapped.request.tls.client_common_name": "web"}));
    }

    #[test]
    fn errors_of_requests() {
        for (message, result) in [
            ("dial tcp 10.0.0.2:9000: connect: connection refused", "refused"),
            ("dial tcp 10.0.0.2:9000: i/o timeout", "timeout"),
            ("context canceled", "reset"),
            ("no upstreams available", "error"),
        ] {
            let line = format!(
                r#"{{"level":"error","ts":"2022-03-09T21:30:01Z","logger":"http.log.error","msg":"{message}","request":{{"remote_addr":"10.0.0.1:5000","method":"GET","uri":"/"}},"status":502}}"#
            );
            let has_upstream = message.starts_with("dial");
            check_row(
                &Caddy,
                &line,
                json!({
                    "result": result, "outcome": "failed", "src_ip": "10.0.0.1", "record_kind": "event", "outcome_reason": message,
                    "dst_ip": if has_upstream { json!("10.0.0.2") } else { json!(null) }
                }),
            );
        }
    }

    #[test]
    fn what_cannot_be_read() {
        for (line, fault) in [
            ("{\"level\":\"info\",\"ts\":1,\"msg\":\"serving\"}", "other_log"),
            ("what", "bad_json"),
            ("{\"request\":{\"method\":\"GET\",\"remote_ip\":\"x\"}}", "bad_address"),
            ("{\"ts\":\"never\",\"request\":{\"method\":\"GET\",\"remote_ip\":\"::1\"}}", "bad_time"),
            ("{\"duration\":\"long\",\"request\":{\"method\":\"GET\",\"remote_ip\":\"::1\"}}", "bad_number"),
        ] {
            let found = decode_line(&Caddy, line).err().unwrap_or_default();
            assert!(found.starts_with(fault), "{line}: {found}");
        }
        assert!(by_content(access(200).as_bytes()).is_some());
        assert!(by_content(b"{\"request\":{\"method\":\"GET\"},\"status\":200}").is_none());
    }
}

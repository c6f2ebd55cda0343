//! The error log, as far as it tells of connections: clients that were refused and upstreams that could not be reached. Every
//! other line is no connection.
//!
//! Source: nginx, "ngx_log.c", "ngx_http_access_module.c", "ngx_event_connect.c", "ngx_http_upstream.c",
//! "ngx_http_limit_req_module.c", "ngx_http_limit_conn_module.c", "ngx_http_auth_basic_module.c".

use super::record::Record;
use crate::contract::{Fault, Reason};
use crate::http;
use crate::rows::{Rows, Side, Written};
use crate::text::time;
use crate::{endpoint, text::scan};
use tradewind_model::flow::{OUTCOME_REASON, SERVER_NAME, STATUS_CODE};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// Whether a line begins as those of the error log do: `2021/04/01 13:02:31 [`.
pub(super) fn is_line(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() > 21
        && bytes[4] == b'/'
        && bytes[7] == b'/'
        && bytes[10] == b' '
        && bytes[13] == b':'
        && bytes[20] == b'['
}

/// Puts the whole line into the record; [`write`] reads it.
///
/// # Errors
/// None: the signature is that of the other readers.
pub(super) fn read<'a>(line: &'a str, record: &mut Record<'a>) -> Result<(), Fault> {
    record.extras.push((LINE, line));
    Ok(())
}

/// The name under which the record holds a line of the error log.
const LINE: &str = "error_log";

/// The line of the error log in the record, if it is one.
pub(super) fn line_of<'a>(record: &Record<'a>) -> Option<&'a str> {
    record.extras.first().filter(|(name, _)| *name == LINE).map(|(_, line)| *line)
}

/// A message and what follows from it.
struct Sign {
    message: &'static str,
    verdict: Option<Verdict>,
    result: Option<ConnectionResult>,
}

const fn denied(message: &'static str) -> Sign {
    Sign { message, verdict: Some(Verdict::Denied), result: None }
}

const fn failed(message: &'static str, result: ConnectionResult) -> Sign {
    Sign { message, verdict: None, result: Some(result) }
}

/// The messages about connections, the more particular ones first.
const SIGNS: [Sign; 16] = [
    denied("access forbidden by rule"),
    denied("limiting requests"),
    denied("limiting connections"),
    denied("no user/password was provided"),
    denied("password mismatch"),
    denied("auth request unexpected status"),
    denied("client SSL certificate verify error"),
    denied("client sent no required SSL certificate"),
    failed("failed (111", ConnectionResult::Refused),
    failed("failed (110", ConnectionResult::Timeout),
    failed("failed (113", ConnectionResult::Error),
    failed("failed (101", ConnectionResult::Error),
    failed("failed (104", ConnectionResult::Reset),
    failed("upstream timed out", ConnectionResult::Timeout),
    failed("upstream prematurely closed connection", ConnectionResult::Reset),
    failed("SSL_do_handshake() failed", ConnectionResult::Error),
];

/// Sets the columns of the row at hand from a line of the error log.
///
/// # Errors
/// `other_log` for a line that is about no connection.
pub(super) fn write(line: &str, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    let (at, rest) = line.split_at(19);
    let rest = rest.strip_prefix(" [").unwrap_or(rest);
    let (level, message) = rest.split_once("] ").ok_or_else(|| Fault::syntax("a level in brackets", rest))?;
    // What follows the message names the ends; a request may hold any text, so the first mark counts.
    let (message, context) = message
        .split_once(", client: ")
        .ok_or_else(|| Fault::other_log("a line of nginx's error log that is about no client"))?;
    let is_message = |sign: &&Sign| message.contains(sign.message);
    let sign = SIGNS
        .iter()
        .find(is_message)
        .ok_or_else(|| Fault::other_log("a line of nginx's error log that is about no refusal"))?;
    let time = time::local(at).ok_or_else(|| Fault::value(Reason::BadTime, "time", at, "YYYY/MM/DD hh:mm:ss"))?;
    rows.times(time, time);
    rows.nature.kind = "event";
    rows.judge(sign.verdict, sign.result);
    rows.text(STATUS_CODE, level);
    // Behind the process and connection numbers, without the names of files and users in it.
    rows.text(OUTCOME_REASON, sign.message);
    let client = context.split([',', ' ']).next().unwrap_or_default();
    if !rows.endpoint(Side::Src, "client", client)? {
        rows.unmapped.text("client", client);
    }
    rows.protocol(protocol::TCP);
    if let Some(request) = quoted_after(context, "request: ") {
        let request = scan::unescape(request);
        if let Some(line) = http::request_line(&request) {
            rows.http("http", line.method, line.target, "");
        }
    }
    if let Some(upstream) = quoted_after(context, "upstream: ") {
        let address = upstream.split_once("://").map_or(upstream, |(_, rest)| rest);
        let address = &address[..address.find('/').unwrap_or(address.len())];
        if !rows.endpoint(Side::Dst, "upstream", address)? {
            rows.unmapped.text("upstream", address);
        }
    }
    if let Some(host) = quoted_after(context, "host: ") {
        rows.text(SERVER_NAME, endpoint::host_of_authority(host));
    }
    Ok(Written::Row)
}

/// The text in quotes behind a mark.
fn quoted_after<'a>(context: &'a str, mark: &str) -> Option<&'a str> {
    let at = context.find(mark)? + mark.len();
    scan::Scan::new(&context[at..]).quoted()
}

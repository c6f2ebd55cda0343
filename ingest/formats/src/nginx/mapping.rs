//! From a record's values to the columns of a row. Not the reading of text or JSON.
//!
//! **Ends.** `src` is `$remote_addr`, the peer that nginx believes (with the module realip it may be of a header: then
//! `$realip_remote_addr`, if logged, is the peer). `dst` is the upstream that was tried last, else nginx's own address.
//!
//! **Time.** nginx logs when a request ends: it began `$request_time` or `$session_time` before.
//!
//! **Outcome.** Source: nginx, "ngx_http_request.h" (444, 494 to 499) and the directives that answer 403, 401 and 429
//! themselves (`deny`, `auth_basic`, `auth_request`, `limit_req_status`): nginx's own answer has an upstream `-`. Where the log
//! has no upstream at all, nobody can tell whose answer it is, and the connection counts as established.

use super::record::{Record, count_of};
use super::variable::{Variable, is_kept};
use crate::contract::{Fault, Reason};
use crate::rows::{Rows, Side, Written};
use crate::text::{duration, scan, time};
use crate::{endpoint, http};
use tradewind_model::flow::{
    BYTES_IN, BYTES_OUT, ENCRYPTION, OBSERVER, OUTCOME_REASON, RESPONSE_LATENCY_US, SERVER_NAME, SRC_PRINCIPAL,
    SRC_VERIFIED, STATUS_CODE, TLS_VERSION, TRACE_ID,
};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// Sets the columns of the row at hand.
pub(super) fn write(record: &Record<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    times(record, rows)?;
    ends(record, rows)?;
    if record.is_stream {
        connection(record, rows)?;
    } else {
        request(record, rows)?;
    }
    security(record, rows);
    rows.optional(OBSERVER, record.get(Variable::Hostname));
    for (name, value) in &record.extras {
        if is_kept(name) {
            rows.unmapped.optional(name, Some(&scan::unescape(value)));
        }
    }
    Ok(Written::Row)
}

fn times(record: &Record<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let bad = |variable: Variable, text: &str| {
        Fault::value(Reason::BadTime, variable.name(), text, "a time as nginx writes it")
    };
    let end = if let Some(text) = record.get(Variable::Msec) {
        Some(time::epoch_seconds(text).ok_or_else(|| bad(Variable::Msec, text))?)
    } else if let Some(text) = record.get(Variable::TimeIso) {
        let read = time::iso(text).or_else(|| time::epoch_seconds(text)).or_else(|| time::common_log(text));
        Some(read.ok_or_else(|| bad(Variable::TimeIso, text))?)
    } else if let Some(text) = record.get(Variable::TimeLocal) {
        Some(time::common_log(text).ok_or_else(|| bad(Variable::TimeLocal, text))?)
    } else {
        None
    };
    let length = match record.seconds(Variable::RequestTime)? {
        Some(length) => length,
        None => record.seconds(Variable::SessionTime)?.unwrap_or(0),
    };
    if let Some(end) = end {
        rows.times(end.saturating_sub(length).max(0), end);
    }
    Ok(())
}

fn ends(record: &Record<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let (peer, port) = match record.get(Variable::RealipRemoteAddr) {
        Some(peer) => (Some(peer), record.get(Variable::RealipRemotePort)),
        None => (record.get(Variable::RemoteAddr), record.get(Variable::RemotePort)),
    };
    if let Some(peer) = peer {
        if rows.endpoint(Side::Src, Variable::RemoteAddr.name(), peer)? {
            rows.port_text(Side::Src, Variable::RemotePort.name(), port.unwrap_or_default())?;
        } else {
            rows.unmapped.text(Variable::RemoteAddr.name(), peer);
        }
    }
    if record.get(Variable::RealipRemoteAddr).is_some() {
        rows.unmapped.optional(Variable::RemoteAddr.name(), record.get(Variable::RemoteAddr));
    }
    let upstream = record.last(Variable::UpstreamAddr);
    let is_address = match upstream {
        Some(upstream) => rows.endpoint(Side::Dst, Variable::UpstreamAddr.name(), upstream)?,
        None => false,
    };
    let list = record.get(Variable::UpstreamAddr).filter(|list| !is_address || count_of(list) > 1);
    rows.unmapped.optional(Variable::UpstreamAddr.name(), list);
    if upstream.is_none()
        && let Some(address) = record.get(Variable::ServerAddr)
    {
        rows.address(Side::Dst, Variable::ServerAddr.name(), address)?;
        rows.port_text(Side::Dst, Variable::ServerPort.name(), record.get(Variable::ServerPort).unwrap_or_default())?;
    }
    Ok(())
}

fn request(record: &Record<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let status = record.number(Variable::Status)?;
    let line = record.get(Variable::Request).map(scan::unescape);
    let line = line.as_deref().and_then(http::request_line);
    let version = line.map(|line| line.version).or_else(|| record.get(Variable::ServerProtocol)).unwrap_or_default();
    rows.protocol(if version.starts_with("HTTP/3") { protocol::UDP } else { protocol::TCP });
    let method = line.map(|line| line.method).or_else(|| record.get(Variable::RequestMethod)).unwrap_or_default();
    let target =
        line.map(|line| line.target).or_else(|| record.get(Variable::RequestUri)).or_else(|| record.get(Variable::Uri));
    let app_protocol = http::app_protocol(record.get(Variable::ContentType).unwrap_or_default());
    rows.http(app_protocol, method, target.unwrap_or_default(), record.get(Variable::Status).unwrap_or_default());
    let name = record
        .get(Variable::SslServerName)
        .or_else(|| record.get(Variable::Host))
        .or_else(|| record.get(Variable::ServerName));
    rows.optional(SERVER_NAME, name.map(endpoint::host_of_authority).filter(|name| *name != "_"));
    rows.unique(TRACE_ID, record.get(Variable::RequestId));
    rows.number(BYTES_OUT, record.number(Variable::RequestLength)?);
    let sent = match record.number(Variable::BytesSent)? {
        Some(sent) => Some(sent),
        None => record.number(Variable::BodyBytesSent)?,
    };
    rows.number(BYTES_IN, sent);
    rows.number(RESPONSE_LATENCY_US, record.last(Variable::UpstreamResponseTime).and_then(duration::seconds));
    let is_empty = line.is_none() && method.is_empty();
    let upstreams = Upstreams::of(record);
    let (verdict, result, reason) = judge_request(status, is_empty, upstreams, record.get(Variable::SslClientVerify));
    rows.judge(verdict, result);
    rows.optional(OUTCOME_REASON, reason);
    if result != Some(ConnectionResult::Established) || verdict.is_some() {
        rows.optional(STATUS_CODE, record.get(Variable::Status));
    }
    let tried = record.get(Variable::UpstreamStatus).filter(|list| count_of(list) > 1);
    rows.unmapped.optional(Variable::UpstreamStatus.name(), tried);
    Ok(())
}

/// What the log says of upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upstreams {
    /// It has no field for them.
    NotLogged,
    /// It has, and none was asked: nginx answered by itself.
    None,
    /// The last one that was tried did not answer.
    Silent,
    Answered,
}

impl Upstreams {
    fn of(record: &Record<'_>) -> Self {
        let variables = [Variable::UpstreamAddr, Variable::UpstreamStatus];
        if !variables.iter().any(|&variable| record.is_logged(variable)) {
            return Self::NotLogged;
        }
        let is_asked = variables.iter().any(|&variable| record.get(variable).is_some());
        match record.last(Variable::UpstreamStatus) {
            Some(_) => Self::Answered,
            None if is_asked && record.is_logged(Variable::UpstreamStatus) => Self::Silent,
            None if is_asked => Self::Answered,
            None => Self::None,
        }
    }
}

type Judgement = (Option<Verdict>, Option<ConnectionResult>, Option<&'static str>);

/// Verdict, result, and why.
fn judge_request(status: Option<i64>, is_empty: bool, upstreams: Upstreams, certificate: Option<&str>) -> Judgement {
    use ConnectionResult::{Error, Established, Reset, Timeout};
    const DENIED: Option<Verdict> = Some(Verdict::Denied);
    if certificate.is_some_and(|verify| verify.starts_with("FAILED")) {
        return (DENIED, None, Some("the client's certificate was refused"));
    }
    match status {
        Some(444) => (DENIED, None, Some("closed without an answer")),
        Some(495 | 496) => (DENIED, None, Some("the client's certificate was refused or is missing")),
        Some(401 | 403) if upstreams == Upstreams::None => (DENIED, None, Some("refused by nginx")),
        Some(429) if upstreams == Upstreams::None => (DENIED, None, Some("limited by nginx")),
        Some(499) => (None, Some(Reset), Some("the client went away before the answer")),
        Some(504) => (None, Some(Timeout), Some("the upstream did not answer in time")),
        Some(408) => (None, Some(Timeout), Some("the client did not send its request in time")),
        Some(502) => (None, Some(Error), Some("no valid answer of an upstream")),
        Some(503) => (None, Some(Error), Some("no upstream is there")),
        Some(400 | 494 | 497) if is_empty => (None, Some(Error), Some("no valid request")),
        Some(0) | None => (None, None, None),
        _ if upstreams == Upstreams::Silent => (None, Some(Error), Some("the upstream did not answer")),
        _ => (None, Some(Established), None),
    }
}

/// The stream module: a TCP or UDP session.
fn connection(record: &Record<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    rows.nature.kind = "connection";
    rows.protocol(match record.get(Variable::Protocol) {
        Some("UDP") => protocol::UDP,
        _ => protocol::TCP,
    });
    rows.number(BYTES_IN, record.number(Variable::BytesSent)?);
    rows.number(BYTES_OUT, record.number(Variable::BytesReceived)?);
    rows.optional(SERVER_NAME, record.get(Variable::SslServerName));
    rows.optional(STATUS_CODE, record.get(Variable::Status));
    let (verdict, result, reason) = judge_connection(record.number(Variable::Status)?);
    rows.judge(verdict, result);
    rows.optional(OUTCOME_REASON, reason);
    Ok(())
}

/// Source: nginx, "Module ngx_stream_core_module", `$status`.
fn judge_connection(status: Option<i64>) -> Judgement {
    use ConnectionResult::{Error, Established};
    match status {
        Some(200) => (None, Some(Established), None),
        Some(403) => (Some(Verdict::Denied), None, Some("access forbidden")),
        Some(400) => (None, Some(Error), Some("the client's data cannot be read")),
        Some(500) => (None, Some(Error), Some("internal error")),
        Some(502) => (None, Some(Error), Some("no upstream could be reached")),
        Some(503) => (None, Some(Error), Some("limited or not there")),
        _ => (None, None, None),
    }
}

fn security(record: &Record<'_>, rows: &mut Rows<'_, '_>) {
    let version = record.get(Variable::SslProtocol);
    rows.optional(TLS_VERSION, version);
    let is_verified = record.get(Variable::SslClientVerify) == Some("SUCCESS");
    if is_verified {
        rows.text(ENCRYPTION, "mtls");
        rows.number(SRC_VERIFIED, Some(1));
        rows.optional(SRC_PRINCIPAL, record.get(Variable::SslClientSubject));
    } else if version.is_some() || record.get(Variable::Scheme) == Some("https") {
        rows.text(ENCRYPTION, "tls");
    } else if record.is_logged(Variable::SslProtocol) || record.get(Variable::Scheme) == Some("http") {
        rows.text(ENCRYPTION, "none");
    }
    rows.unmapped
        .optional(Variable::SslClientVerify.name(), record.get(Variable::SslClientVerify).filter(|_| !is_verified));
}

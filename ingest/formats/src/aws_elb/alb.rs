//! Application Load Balancers: one request a line.
//!
//! **Outcome.** A target's status shows that it answered. Without one the load balancer answered by itself: by the action of a rule, or since
//! something failed ("Troubleshoot your Application Load Balancers" lists its statuses).

use super::{Fields, end};
use crate::contract::{Fault, Reason};
use crate::rows::{Rows, Side, Written};
use crate::text::{duration, time};
use crate::{endpoint, http, number};
use tradewind_model::flow::{
    BYTES_IN, BYTES_OUT, ENCRYPTION, OBSERVER, OUTCOME_REASON, RESPONSE_LATENCY_US, SERVER_NAME, STATUS_CODE,
    TLS_VERSION, TRACE_ID,
};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// Whether a line is one: a type, an ISO time and `app/`.
pub(super) fn is_line(line: &str) -> bool {
    let mut fields = Fields::new(line);
    let is_type =
        fields.optional().is_some_and(|kind| matches!(kind, "http" | "https" | "h2" | "grpcs" | "ws" | "wss"));
    is_type
        && fields.optional().is_some_and(|at| time::rfc3339(at).is_some())
        && fields.optional().is_some_and(|name| name.starts_with("app/"))
}

/// Sets the columns of the row at hand.
pub(super) fn write(line: &str, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    let mut fields = Fields::new(line);
    let kind = fields.next("type")?;
    let at = fields.next("time")?;
    rows.text(OBSERVER, fields.next("elb")?);
    end(Side::Src, "client:port", fields.next("client:port")?, rows)?;
    let target = fields.next("target:port")?;
    end(Side::Dst, "target:port", target, rows)?;
    let processing = [
        fields.next("request_processing_time")?,
        fields.next("target_processing_time")?,
        fields.next("response_processing_time")?,
    ];
    let status = fields.next("elb_status_code")?;
    let target_status = fields.next("target_status_code")?;
    rows.number(BYTES_OUT, Some(count("received_bytes", fields.next("received_bytes")?)?));
    rows.number(BYTES_IN, Some(count("sent_bytes", fields.next("sent_bytes")?)?));
    let request = fields.next("request")?;
    rows.unmapped.optional("user_agent", Some(fields.next("user_agent")?));
    rows.unmapped.optional("ssl_cipher", Some(fields.next("ssl_cipher")?));
    let version = fields.next("ssl_protocol")?;
    rows.text(TLS_VERSION, version);
    if matches!(kind, "https" | "h2" | "grpcs" | "wss") || version != "-" {
        rows.text(ENCRYPTION, "tls");
    }
    rows.unmapped.optional("target_group_arn", Some(fields.next("target_group_arn")?));
    rows.unique(TRACE_ID, Some(fields.next("trace_id")?));
    let domain = fields.next("domain_name")?;
    fields.next("chosen_cert_arn")?;
    let rule = fields.next("matched_rule_priority")?;
    rows.unmapped.optional("matched_rule_priority", Some(rule));
    let created = fields.next("request_creation_time")?;
    // What follows came later, and more may follow.
    let actions = fields.optional().unwrap_or("-");
    let _redirect_url = fields.optional();
    let error = fields.optional().unwrap_or("-");
    rows.unmapped.optional("actions_executed", Some(actions));
    let [_targets, _statuses, classification, reason, connection] =
        std::array::from_fn(|_| fields.optional().unwrap_or("-"));
    rows.unmapped.optional("classification", Some(classification));
    rows.unmapped.optional("classification_reason", Some(reason));
    rows.unmapped.optional("conn_trace_id", Some(connection));

    times(at, created, rows)?;
    rows.protocol(protocol::TCP);
    asked(kind, request, domain, status, rows);
    rows.number(RESPONSE_LATENCY_US, duration::seconds(processing[1]));
    let (verdict, result, why) = judge(status, target_status != "-", actions, processing.contains(&"-1"));
    rows.judge(verdict, result);
    rows.optional(OUTCOME_REASON, Some(error).filter(|error| *error != "-").or(why));
    if why.is_some() {
        rows.text(STATUS_CODE, status);
    }
    Ok(Written::Row)
}

/// The time of the line is when the answer was given.
fn times(at: &str, created: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let read = |name: &str, text: &str| {
        time::rfc3339(text).ok_or_else(|| Fault::value(Reason::BadTime, name, text, "RFC 3339"))
    };
    let end = read("time", at)?;
    let start = if created == "-" { end } else { read("request_creation_time", created)? };
    rows.times(start.min(end), end);
    Ok(())
}

fn asked(kind: &str, request: &str, domain: &str, status: &str, rows: &mut Rows<'_, '_>) {
    let line = http::request_line(request);
    let (method, target) = line.map_or(("", ""), |line| (line.method, line.target));
    // `- http://host:80- -` stands for a request that could not be read.
    let is_request = method != "-";
    let name = if kind == "grpcs" { "grpc" } else { "http" };
    rows.http(name, if is_request { method } else { "" }, if is_request { target } else { "" }, status);
    let authority = target.split_once("://").map(|(_, rest)| &rest[..rest.find(['/', '?']).unwrap_or(rest.len())]);
    let asked_for = Some(domain).filter(|domain| *domain != "-").or(authority.filter(|_| is_request));
    rows.optional(SERVER_NAME, asked_for.map(endpoint::host_of_authority));
}

type Judgement = (Option<Verdict>, Option<ConnectionResult>, Option<&'static str>);

fn judge(status: &str, has_answer: bool, actions: &str, is_cut: bool) -> Judgement {
    use ConnectionResult::{Error, Established, Refused, Reset, Timeout};
    const DENIED: Option<Verdict> = Some(Verdict::Denied);
    if has_answer {
        return (None, Some(Established), None);
    }
    let has = |action: &str| actions.split(',').any(|done| done == action);
    match status {
        "403" if has("waf") => (DENIED, None, Some("blocked by AWS WAF")),
        "401" | "561" if has("authenticate") => (DENIED, None, Some("not authenticated")),
        "460" => (None, Some(Reset), Some("the client went away before the answer")),
        "400" => (None, Some(Error), Some("no valid request")),
        "408" => (None, Some(Timeout), Some("the client did not send its request in time")),
        "502" => (None, Some(Refused), Some("the target closed or refused the connection")),
        "503" => (None, Some(Error), Some("no target is there")),
        "504" => (None, Some(Timeout), Some("the target did not answer in time")),
        _ if has("fixed-response") || has("redirect") || has("waf") && !is_cut => (None, Some(Established), None),
        status if status.starts_with(['4', '5']) => (None, Some(Error), Some("answered by the load balancer")),
        "-" => (None, None, None),
        _ if is_cut => (None, Some(Error), Some("the target was not reached")),
        _ => (None, Some(Established), None),
    }
}

fn count(name: &str, text: &str) -> Result<i64, Fault> {
    number::digits(text.as_bytes()).ok_or_else(|| Fault::value(Reason::BadNumber, name, text, "a whole number"))
}

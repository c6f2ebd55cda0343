//! What the reference tells of Traefik's access logs.

use crate::page::{Page, answer};
use tradewind_model::Verdict::Denied;
use tradewind_model::outcome::ConnectionResult::{Error, Established, Reset, Timeout};

pub(super) const PAGE: Page = Page {
    title: "Traefik access logs",
    about: "Recognised by JSON with `DownstreamStatus` and `ClientHost`, or by a common log with Traefik's router, server and duration \
            behind it. One record is one request.",
    sources: &["Traefik, \"Access Logs\""],
    columns: &[
        ("start_time", "`StartUTC`, else `time` less `Duration`"),
        ("end_time", "start + `Duration` (ns); start + `Nms`"),
        ("src_ip", "`ClientAddr`, else `ClientHost`"),
        ("src_port", "`ClientAddr`, else `ClientPort`"),
        ("src_principal", "`TLSClientSubject`"),
        ("dst_ip", "`ServiceAddr`, else the host of `ServiceURL`; `BackendAddr`, `BackendURL` before version 2"),
        ("dst_port", "of the same address"),
        ("protocol_num", "6"),
        ("protocol", "tcp"),
        ("app_protocol", "`http`"),
        ("operation", "`RequestMethod`"),
        ("resource", "path of `RequestPath`, without query"),
        ("operation_status", "`DownstreamStatus`"),
        ("server_name", "`RequestHost`, else `RequestAddr`, without port"),
        ("response_latency_us", "`OriginDuration`"),
        ("trace_id", "`TraceId`"),
        ("bytes_out", "`RequestContentSize`: the body"),
        ("bytes_in", "`DownstreamContentSize`: the body"),
        ("encryption", "`mtls` with `TLSClientSubject`, `tls` with `TLSVersion`; else null"),
        ("tls_version", "`TLSVersion`"),
        ("status_code", "`DownstreamStatus` where the request was denied or failed"),
        ("outcome_reason", "what the status says"),
        ("vantage", "`proxy`"),
        ("record_kind", "`request`"),
    ],
    not_mapped: &[
        ("all other fields, among them router, service, entry point, retries and logged headers", "in `unmapped`"),
        ("`ClientUsername`, `RequestLine`, parts of URLs, referrers, authorization, cookies, tokens", "never kept"),
    ],
    outcomes: &[
        answer("`OriginStatus` is there", None, Some(Established)),
        answer("no answer of the service: 504", None, Some(Timeout)),
        answer("no answer of the service: 502, 503; 404 without a router", None, Some(Error)),
        answer("499", None, Some(Reset)),
        answer("401, 403, 429 by Traefik itself", Some(Denied), None),
        answer("any other status", None, Some(Established)),
        answer("no status", None, None),
    ],
};

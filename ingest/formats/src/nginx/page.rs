//! What the reference tells of nginx's logs.

use crate::page::{Page, answer};
use tradewind_model::Verdict::Denied;
use tradewind_model::outcome::ConnectionResult::{Error, Established, Refused, Reset, Timeout};

pub(super) const PAGE: Page = Page {
    title: "nginx access and error logs",
    about: "Recognised line by line: combined (also with a virtual host or forwarded addresses before, or `X-Forwarded-For` behind), \
            ingress-nginx, the stream module's, JSON whose keys are nginx's variables, and the error log. `nginx:LOG FORMAT` takes \
            any `log_format`. One record is one request, or one session of the stream module. Error logs write local time without \
            a zone: it is taken as UTC. Apache's combined logs have the same form and are read as nginx's.",
    sources: &[
        "nginx, \"Alphabetical index of variables\"",
        "nginx, \"Module ngx_http_log_module\", \"Module ngx_stream_core_module\"",
        "ingress-nginx, \"Log format\"",
    ],
    columns: &[
        ("start_time", "the end, less `$request_time` or `$session_time`"),
        ("end_time", "`$msec`, else `$time_iso8601`, else `$time_local`"),
        ("src_ip", "`$realip_remote_addr`, else `$remote_addr`; forwarded addresses before it are not believed"),
        ("src_port", "`$realip_remote_port`, else `$remote_port`"),
        ("src_principal", "`$ssl_client_s_dn`, where `$ssl_client_verify` is SUCCESS"),
        ("src_verified", "true where `$ssl_client_verify` is SUCCESS"),
        ("dst_ip", "the last of `$upstream_addr`, else `$server_addr`"),
        ("dst_port", "of the same address"),
        ("protocol_num", "17 for HTTP/3 and UDP sessions, else 6"),
        ("protocol", "of the same number"),
        ("app_protocol", "`http`, or `grpc` by content type; null for sessions"),
        ("operation", "`$request`, else `$request_method`"),
        ("resource", "path of `$request`, else of `$request_uri` or `$uri`, without query"),
        ("operation_status", "`$status` of a request"),
        ("server_name", "`$ssl_server_name` or `$ssl_preread_server_name`, else `$host`, else `$server_name`"),
        ("response_latency_us", "the last of `$upstream_response_time`"),
        ("trace_id", "`$request_id`"),
        ("bytes_out", "`$request_length`; `$bytes_received` of a session"),
        ("bytes_in", "`$bytes_sent`, else `$body_bytes_sent`"),
        (
            "encryption",
            "`mtls`, `tls`, or `none` where `$ssl_protocol` is logged and empty or `$scheme` is http; else null",
        ),
        ("tls_version", "`$ssl_protocol`"),
        ("status_code", "`$status` where the request was denied or failed, and of sessions; the level of an error"),
        ("outcome_reason", "what the status says; the message of an error"),
        ("observer", "`$hostname`"),
        ("vantage", "`proxy`"),
        ("record_kind", "`request`; `connection` for sessions, `event` for the error log"),
    ],
    not_mapped: &[
        ("all other variables, lists of upstreams of which several were tried", "in `unmapped`"),
        ("`$remote_user`, `$http_referer`, `$args`, `$arg_…`, `$cookie_…`, authorization, tokens", "never kept"),
        ("lines of the error log that are about no refused client or upstream", "rejected as `other_log`"),
    ],
    outcomes: &[
        answer("444, 495, 496, `$ssl_client_verify` FAILED", Some(Denied), None),
        answer("401, 403, 429 where an upstream is logged and there was none", Some(Denied), None),
        answer("499", None, Some(Reset)),
        answer("504, 408", None, Some(Timeout)),
        answer("502, 503; 400, 494, 497 without a request; an upstream without an answer", None, Some(Error)),
        answer("any other status", None, Some(Established)),
        answer("session 200", None, Some(Established)),
        answer("session 403", Some(Denied), None),
        answer("session 400, 500, 502, 503", None, Some(Error)),
        answer("error log: access forbidden, limited, wrong password, client certificate", Some(Denied), None),
        answer("error log: connect() failed (111", None, Some(Refused)),
        answer("error log: failed (110, upstream timed out", None, Some(Timeout)),
        answer("error log: failed (104, upstream prematurely closed", None, Some(Reset)),
        answer("error log: failed (101, failed (113, handshake failed", None, Some(Error)),
    ],
};

//! What the reference tells of Caddy's logs.

use crate::page::{Page, answer};
use tradewind_model::outcome::ConnectionResult::{Error, Established, Refused, Reset, Timeout};

pub(super) const PAGE: Page = Page {
    title: "Caddy access logs",
    about: "Recognised by JSON with `request.method` and `request.remote_ip` (or `request.remote_addr` of versions before 2.5) from a logger \
            `http.log.…`. One record is one request; a record of `http.log.error` tells of a request that failed, beside its access log.",
    sources: &["Caddy, \"How logging works\"", "Caddy, `log` directive"],
    columns: &[
        ("start_time", "`ts` less `duration`"),
        ("end_time", "`ts`"),
        ("src_ip", "`request.remote_ip`, without zone"),
        ("src_port", "`request.remote_port`"),
        ("dst_ip", "of an error `dial tcp IP:PORT`; access logs name no upstream"),
        ("dst_port", "of the same address"),
        ("protocol_num", "17 for HTTP/3, else 6"),
        ("protocol", "of the same number"),
        ("app_protocol", "`http`"),
        ("operation", "`request.method`"),
        ("resource", "path of `request.uri`, without query"),
        ("operation_status", "`status`"),
        ("server_name", "`request.tls.server_name`, else `request.host` without port"),
        ("bytes_out", "`bytes_read`: the body"),
        ("bytes_in", "`size`: the body"),
        ("encryption", "`mtls` with a client's certificate in `request.tls`, else `tls` with `request.tls`; else null"),
        ("tls_version", "`request.tls.version`"),
        ("status_code", "`status` of a request that failed"),
        ("outcome_reason", "what the status says; `msg` of an error"),
        ("vantage", "`proxy`"),
        ("record_kind", "`request`, `event` for errors"),
    ],
    not_mapped: &[
        ("all other fields, among them headers and `request.client_ip` where it is another", "in `unmapped`"),
        ("`user_id`, referrers, authorization, cookies, tokens", "never kept"),
        ("other loggers", "rejected as `other_log`"),
    ],
    outcomes: &[
        answer("error: connection refused", None, Some(Refused)),
        answer("error: timeout, deadline exceeded; 504", None, Some(Timeout)),
        answer("error: context canceled, connection reset, EOF; 499, status 0", None, Some(Reset)),
        answer("502, 503", None, Some(Error)),
        answer("any other status: whose 401, 403 or 429 it is, is not logged", None, Some(Established)),
        answer("no status", None, None),
    ],
};

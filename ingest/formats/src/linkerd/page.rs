//! What the reference tells of Linkerd's access logs.

use crate::page::{Page, answer};
use tradewind_model::outcome::ConnectionResult::Established;

pub(super) const PAGE: Page = Page {
    title: "Linkerd access logs",
    about: "Recognised by JSON with `client.addr` and `processing_ns`, or by the apache format, which unlike a common log has a \
            port behind the client and an ISO time. One record is one request, seen by the proxy beside the server; which pod \
            that is, only the file's name or the container runtime tells.",
    sources: &["Linkerd, \"Access Logging\""],
    columns: &[
        ("start_time", "`timestamp`"),
        ("end_time", "`timestamp` + `total_ns`"),
        ("src_ip", "`client.addr`"),
        ("src_port", "`client.addr`"),
        ("src_principal", "`client.id`"),
        ("src_verified", "true with `client.id`"),
        ("encryption", "`mtls` with `client.id`; null otherwise"),
        ("protocol_num", "6"),
        ("protocol", "tcp"),
        ("app_protocol", "`http`"),
        ("operation", "`method`"),
        ("resource", "path of `uri`, without query"),
        ("operation_status", "`status`"),
        ("server_name", "`host`, else the authority of `uri`, without port"),
        ("response_latency_us", "`total_ns`"),
        ("trace_id", "`trace_id`"),
        ("bytes_out", "`request_bytes`"),
        ("bytes_in", "`response_bytes`"),
        ("vantage", "`destination`"),
        ("record_kind", "`request`"),
    ],
    not_mapped: &[("`processing_ns`, `user_agent`, `version`", "in `unmapped`")],
    outcomes: &[answer(
        "a logged request; a 403 of the policy controller cannot be told from the application's and stays in `operation_status`",
        None,
        Some(Established),
    )],
};

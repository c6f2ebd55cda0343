//! What the reference tells of events in the Elastic Common Schema.

use crate::page::{Page, answer};
use tradewind_model::Verdict::{Allowed, Denied};
use tradewind_model::outcome::ConnectionResult::{Error, Established};

pub(super) const PAGE: Page = Page {
    title: "Elastic Common Schema",
    about: "Recognised by JSON with `@timestamp`, an end (`source.ip`, `destination.ip`, …) and a field of the schema, nested or with dots, also in the `_source` of a \
            document. One record is one event.",
    sources: &["Elastic, \"ECS Field Reference\""],
    columns: &[
        ("start_time", "`event.start`, else `event.end` less `event.duration`, else `@timestamp`"),
        ("end_time", "`event.end`, else `event.start` + `event.duration`, else `@timestamp`"),
        ("logged_time", "`event.created`"),
        ("src_ip", "`source.ip`, else `client.ip`, else `source.address`"),
        ("src_port", "`source.port`, else `client.port`"),
        ("post_nat_src_ip", "`source.nat.ip`"),
        ("post_nat_src_port", "`source.nat.port`"),
        ("dst_ip", "`destination.ip`, else `server.ip`, else `destination.address`"),
        ("dst_port", "`destination.port`, else `server.port`"),
        ("post_nat_dst_ip", "`destination.nat.ip`"),
        ("post_nat_dst_port", "`destination.nat.port`"),
        ("account", "`cloud.account.id`"),
        ("region", "`cloud.region`"),
        ("protocol_num", "`network.iana_number`, else by `network.transport`"),
        ("protocol", "of the same number"),
        ("icmp_type", "`icmp.type`"),
        ("icmp_code", "`icmp.code`"),
        ("app_protocol", "`http` with a request, else `network.protocol`, `network.application`"),
        ("operation", "`http.request.method`"),
        ("resource", "`url.path`, else path of `url.original`, without query"),
        ("operation_status", "`http.response.status_code`"),
        ("server_name", "`tls.client.server_name`, `url.domain`, `destination.domain`"),
        ("tls_version", "`tls.version`"),
        ("trace_id", "`trace.id`"),
        ("bytes_out", "`source.bytes`"),
        ("bytes_in", "`destination.bytes`"),
        ("packets_out", "`source.packets`"),
        ("packets_in", "`destination.packets`"),
        ("policy", "`rule.name`, else `rule.id`"),
        ("status_code", "`event.action`"),
        ("outcome_reason", "`event.reason`"),
        ("observer", "`observer.name`, `observer.hostname`, `agent.name`, else `host.name`"),
        ("record_kind", "`connection` by `event.type`, else `event`"),
    ],
    not_mapped: &[
        ("all other fields, among them `network.bytes`, the sum of both ways", "in `unmapped`"),
        ("`message`, `event.original`, users, queries, bodies, referrer, `related`", "never kept"),
    ],
    outcomes: &[
        answer("`event.type` has denied", Some(Denied), None),
        answer("`event.type` has allowed", Some(Allowed), None),
        answer("`event.outcome` failure, without an answer of HTTP", None, Some(Error)),
        answer("`event.outcome` success, or failure with an answer of HTTP", None, Some(Established)),
        answer("nothing of this", None, None),
    ],
};

//! What the reference tells of OpenTelemetry log records.

use crate::page::{Page, answer};
use tradewind_model::outcome::ConnectionResult::{Error, Established, Timeout};

pub(super) const PAGE: Page = Page {
    title: "OpenTelemetry log records (OTLP JSON)",
    about: "Recognised by JSON with `resourceLogs` and `scopeLogs` (or the same with underscores). Each log record with an attribute of an end is one row. A record \
            without one whose body is a line of another format is read as that format, and its row says so in `source`; the records of a scope are \
            taken for one log. Others are rejected as `other_log`.",
    sources: &["opentelemetry-proto, `logs/v1/logs.proto`", "OpenTelemetry, \"Semantic conventions\""],
    columns: &[
        ("start_time", "`timeUnixNano`, else `observedTimeUnixNano`"),
        ("end_time", "the same"),
        ("logged_time", "`observedTimeUnixNano`"),
        ("src_ip", "`source.address`, else `client.address`"),
        ("src_port", "`source.port`, else `client.port`"),
        ("src_process", "`process.executable.name`"),
        ("dst_ip", "`destination.address`, else `server.address`"),
        ("dst_port", "`destination.port`, else `server.port`"),
        ("server_name", "`tls.client.server_name`; the same addresses, where they are names"),
        ("protocol_num", "`network.transport`"),
        ("protocol", "`network.transport`"),
        ("app_protocol", "`http`, `rpc.system`, `db.system.name`, else `network.protocol.name`"),
        ("operation", "`http.request.method`, `rpc.method`, `db.operation.name`"),
        ("resource", "`url.path` without query, `rpc.service`, `db.collection.name`"),
        ("operation_status", "`http.response.status_code`, `rpc.grpc.status_code`, `db.response.status_code`"),
        ("tls_version", "`tls.protocol.version`"),
        ("trace_id", "`traceId`"),
        ("outcome_reason", "`error.type`"),
        ("observer", "`service.instance.id`, `host.name`, else `service.name` of the resource"),
        ("record_kind", "`event`"),
    ],
    not_mapped: &[
        ("all other attributes of record and resource; those of the resource begin with `resource.`", "in `unmapped`"),
        ("bodies, lists, users, `url.query`, `url.full`, statements", "never kept"),
    ],
    outcomes: &[
        answer("a status of HTTP, RPC or database", None, Some(Established)),
        answer("`error.type` with timeout", None, Some(Timeout)),
        answer("any other `error.type`", None, Some(Error)),
        answer("nothing of this", None, None),
    ],
};

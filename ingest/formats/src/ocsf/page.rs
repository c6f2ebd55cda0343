//! What the reference tells of OCSF events.

use crate::page::{Page, answer};
use tradewind_model::Verdict::{Allowed, Audited, Denied};
use tradewind_model::outcome::ConnectionResult::{Error, Established, Refused, Reset};

pub(super) const PAGE: Page = Page {
    title: "OCSF Network Activity and HTTP Activity",
    about: "Recognised by JSON with `class_uid` and `src_endpoint` or `dst_endpoint`. One record is one event of class 4001 or 4002; other classes are rejected as \
            `other_log`. Names count over numbers, which moved between versions.",
    sources: &["OCSF schema 1.0 to 1.8, classes `network_activity` and `http_activity`"],
    columns: &[
        ("start_time", "`start_time`, else `time`; milliseconds, or `…_dt`"),
        ("end_time", "`end_time`, else `time`"),
        ("logged_time", "`metadata.logged_time`"),
        ("src_ip", "`src_endpoint.ip`"),
        ("src_port", "`src_endpoint.port`"),
        ("src_instance", "`src_endpoint.instance_uid`, else `src_endpoint.interface_uid`"),
        ("src_network", "`src_endpoint.vpc_uid`"),
        ("src_process", "`actor.process.name`"),
        ("dst_ip", "`dst_endpoint.ip`"),
        ("dst_port", "`dst_endpoint.port`"),
        ("dst_instance", "`dst_endpoint.instance_uid`, else `dst_endpoint.interface_uid`"),
        ("dst_network", "`dst_endpoint.vpc_uid`"),
        ("account", "`cloud.account.uid`"),
        ("region", "`cloud.region`"),
        ("protocol_num", "`connection_info.protocol_num`, else by `connection_info.protocol_name`"),
        ("protocol", "of the same number"),
        ("tcp_flags", "`connection_info.tcp_flags`"),
        ("app_protocol", "`http` with a request or response, else `app_name` or `app_protocol_name`"),
        ("operation", "`http_request.http_method`"),
        ("resource", "`http_request.url.path`, without query"),
        ("operation_status", "`http_response.code`"),
        ("server_name", "`tls.sni`, `http_request.url.hostname`, `dst_endpoint.domain` or `hostname`"),
        ("tls_version", "`tls.version`"),
        ("trace_id", "`metadata.correlation_uid`"),
        ("bytes_out", "`traffic.bytes_out`"),
        ("bytes_in", "`traffic.bytes_in`"),
        ("packets_out", "`traffic.packets_out`"),
        ("packets_in", "`traffic.packets_in`"),
        ("policy", "`firewall_rule.name`, else `policy.name`"),
        ("status_code", "`status_code`"),
        ("outcome_reason", "`status_detail`"),
        ("observer", "`device.name`, `device.hostname`, `device.uid`, else `metadata.log_provider`"),
        ("record_kind", "`interval` for Traffic, `connection` for Open and Close, else `event`"),
        ("orientation", "`unknown` where `is_src_dst_assignment_known` is false, else `log`"),
    ],
    not_mapped: &[
        ("all other fields, among them `traffic.bytes`, which does not say which way", "in `unmapped`"),
        ("`raw_data`, `message`, `observables`, `actor.user`, arguments, headers, cookies, referrer", "never kept"),
    ],
    outcomes: &[
        answer(
            "disposition Blocked, Quarantined, Dropped, Rejected, Unauthorized; else action Denied",
            Some(Denied),
            None,
        ),
        answer("activity Reset", None, Some(Reset)),
        answer("activity Fail, status Failure", None, Some(Error)),
        answer("activity Refuse", None, Some(Refused)),
        answer("disposition Allowed, else action Allowed", Some(Allowed), None),
        answer("disposition Logged, Alert, Detected, else action Observed", Some(Audited), None),
        answer("activity Open, Close, Traffic, status Success", None, Some(Established)),
        answer("nothing of this", None, None),
    ],
};

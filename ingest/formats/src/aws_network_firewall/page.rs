//! What the reference tells of AWS Network Firewall.

use crate::page::{Page, answer};
use tradewind_model::Verdict::{Allowed, Audited, Denied};
use tradewind_model::outcome::ConnectionResult::{Error, Established, Timeout};

pub(super) const PAGE: Page = Page {
    title: "AWS Network Firewall logs",
    about: "Recognised by JSON with `firewall_name` and `event`. One record is one way of a flow (`netflow`), a flow, an alert of a rule, or an event of TLS inspection.",
    sources: &["AWS, \"Contents of a Network Firewall log\"", "Suricata, \"EVE JSON format\""],
    columns: &[
        ("start_time", "`netflow.start`, `flow.start`, else `event.timestamp`"),
        ("end_time", "`netflow.end`, `flow.end`, else `event.timestamp`"),
        ("logged_time", "`event_timestamp`"),
        ("src_ip", "`event.src_ip`; `dest_ip` of an alert about a packet to the client"),
        ("src_port", "of the same end"),
        ("dst_ip", "`event.dest_ip`; `src_ip` of an alert about a packet to the client"),
        ("dst_port", "of the same end"),
        ("region", "`availability_zone` without its letter"),
        ("protocol_num", "`proto`"),
        ("protocol", "`proto`"),
        ("icmp_type", "`icmp_type`"),
        ("icmp_code", "`icmp_code`"),
        ("app_protocol", "`app_proto`"),
        ("operation", "`http.http_method`"),
        ("resource", "path of `http.url`, without query"),
        ("operation_status", "`http.status`"),
        ("server_name", "`tls.sni`, `http.hostname`"),
        ("bytes_out", "`netflow.bytes`, `flow.bytes_toserver`"),
        ("bytes_in", "`flow.bytes_toclient`"),
        ("packets_out", "`netflow.pkts`, `flow.pkts_toserver`"),
        ("packets_in", "`flow.pkts_toclient`"),
        ("tcp_flags", "`tcp.tcp_flags`"),
        ("encryption", "`tls` with `tls`; else null"),
        ("tls_version", "`tls.version`"),
        ("policy", "`alert.signature_id`"),
        ("status_code", "`verdict.action`, else `alert.action`; `flow.state`"),
        ("outcome_reason", "`alert.signature`; `flow.reason`; the fault of TLS inspection"),
        ("observer", "`firewall_name`"),
        ("vantage", "`network`"),
        ("record_kind", "`interval`, `connection` or `event`"),
    ],
    not_mapped: &[
        ("all other fields, among them `flow_id` and the availability zone", "in `unmapped`"),
        ("payload, packet, referrer", "never kept"),
        ("other events", "rejected as `other_log`"),
    ],
    outcomes: &[
        answer("alert blocked; verdict drop or reject; flow.action drop", Some(Denied), None),
        answer("verdict pass", Some(Allowed), None),
        answer("verdict alert", Some(Audited), None),
        answer("alert allowed, without a verdict: that rule did not stop it", None, None),
        answer("fault of TLS inspection", None, Some(Error)),
        answer("flow established or closed with packets back; tls, http, dns, ssh", None, Some(Established)),
        answer("flow of TCP that is new or without packets back", None, Some(Timeout)),
        answer("netflow: one way only", None, None),
    ],
};

//! What the reference tells of Google Cloud's logs.

use crate::page::{Page, answer};
use tradewind_model::Verdict::{Allowed, Denied};
use tradewind_model::outcome::ConnectionResult::Established;

pub(super) const VPC: Page = Page {
    title: "Google Cloud VPC flow logs",
    about: "Recognised by JSON with `connection.src_ip` and `reporter`, in `jsonPayload` of a log entry or alone, one a line, one after the other or \
            in arrays, also inside Pub/Sub messages. One record counts one way of a flow during an interval, so the other way stays null, and it does \
            not say who opened the connection. Both ends may report the same flow.",
    sources: &[
        "Google Cloud, \"VPC Flow Logs: record format\"",
        "Google Cloud, \"LogEntry\"",
        "Google Cloud, \"PubsubMessage\"",
    ],
    columns: &[
        ("start_time", "`start_time`"),
        ("end_time", "`end_time`"),
        ("logged_time", "`receiveTimestamp`, else `timestamp` of the entry"),
        ("src_ip", "`connection.src_ip`"),
        ("src_port", "`connection.src_port`"),
        ("src_network", "`src_vpc.project_id`/`src_vpc.vpc_name`"),
        ("src_instance", "`src_gke_details.pod.pod_name`, else `src_instance.vm_name`"),
        ("src_namespace", "`src_gke_details.pod.pod_namespace`"),
        ("dst_ip", "`connection.dest_ip`"),
        ("dst_port", "`connection.dest_port`"),
        ("dst_network", "`dest_vpc.project_id`/`dest_vpc.vpc_name`"),
        ("dst_instance", "`dest_gke_details.pod.pod_name`, else `dest_instance.vm_name`"),
        ("dst_namespace", "`dest_gke_details.pod.pod_namespace`"),
        ("account", "`resource.labels.project_id`"),
        ("region", "region of the reporting instance"),
        ("protocol_num", "`connection.protocol`"),
        ("protocol", "`connection.protocol`"),
        ("bytes_out", "`bytes_sent`"),
        ("packets_out", "`packets_sent`"),
        ("status_code", "`reporter`"),
        ("observer", "`vm_name` of the reporting instance"),
        ("vantage", "`reporter`: `source` for SRC, `destination` for DEST; else `network`"),
        ("record_kind", "`interval`"),
    ],
    not_mapped: &[(
        "all other fields, among them `rtt_msec`, locations, services, routing details, zones, labels",
        "in `unmapped`",
    )],
    outcomes: &[
        answer("reporter DEST, DEST_GATEWAY: the packets passed the destination's firewall", None, Some(Established)),
        answer("reporter SRC, SRC_GATEWAY: sampled before the egress firewall", None, None),
    ],
};

pub(super) const FIREWALL: Page = Page {
    title: "Google Cloud firewall rule logs",
    about: "Recognised by JSON with `connection.src_ip` and `disposition`, in `jsonPayload` of a log entry or alone, also inside Pub/Sub messages. One \
            record is one connection that a rule let pass or stopped; it has no sizes.",
    sources: &["Google Cloud, \"Firewall Rules Logging: record format\"", "Google Cloud, \"LogEntry\""],
    columns: &[
        ("start_time", "`timestamp` of the entry"),
        ("end_time", "`timestamp` of the entry"),
        ("logged_time", "`receiveTimestamp`"),
        ("src_ip", "`connection.src_ip`"),
        ("src_port", "`connection.src_port`"),
        ("src_network", "`vpc` of an egress rule, `remote_vpc` of an ingress rule"),
        ("src_instance", "`instance.vm_name` of an egress rule, `remote_instance.vm_name` of an ingress rule"),
        ("dst_ip", "`connection.dest_ip`"),
        ("dst_port", "`connection.dest_port`"),
        ("dst_network", "`remote_vpc` of an egress rule, `vpc` of an ingress rule"),
        ("dst_instance", "`remote_instance.vm_name` of an egress rule, `instance.vm_name` of an ingress rule"),
        ("account", "`resource.labels.project_id`"),
        ("region", "`instance.region`"),
        ("protocol_num", "`connection.protocol`"),
        ("protocol", "`connection.protocol`"),
        ("policy", "`rule_details.reference`"),
        ("status_code", "`disposition`"),
        ("observer", "`instance.vm_name`"),
        ("vantage", "`rule_details.direction`: `source` for EGRESS, else `destination`"),
        ("record_kind", "`connection`"),
    ],
    not_mapped: &[("all other fields, among them details of the rule, locations, zones, labels", "in `unmapped`")],
    outcomes: &[answer("disposition DENIED", Some(Denied), None), answer("disposition ALLOWED", Some(Allowed), None)],
};

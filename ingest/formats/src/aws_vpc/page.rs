//! What the reference tells of AWS flow logs.

use crate::page::{Page, answer};
use tradewind_model::Verdict::{Allowed, Denied};
use tradewind_model::outcome::ConnectionResult::{Error, Established};

pub(super) const PAGE: Page = Page {
    title: "AWS VPC and Transit Gateway flow logs",
    about: "Recognised by a header line, the CloudWatch Logs envelope, Parquet, or lines with the shape of a default layout; \
            `aws_vpc:FIELD FIELD …` gives the fields of lines without a header. One record counts one way of the traffic \
            during an interval, so the other way stays null, and it does not say who opened the connection.",
    sources: &["AWS, \"Flow log records\" (VPC user guide)", "AWS, \"Transit Gateway Flow Log records\""],
    columns: &[
        ("start_time", "`start`"),
        ("end_time", "`end`"),
        ("logged_time", "time of the CloudWatch event"),
        ("src_ip", "`pkt-srcaddr`, else `srcaddr`"),
        ("src_port", "`srcport`, not for ICMP"),
        ("dst_ip", "`pkt-dstaddr`, else `dstaddr`"),
        ("dst_port", "`dstport`, not for ICMP"),
        ("src_network", "`vpc-id`; `tgw-src-vpc-id`"),
        ("dst_network", "`vpc-id`; `tgw-dst-vpc-id`"),
        ("src_instance", "`instance-id` of an egress record"),
        ("dst_instance", "`instance-id` of an ingress record"),
        ("account", "`account-id`, else the owner in the envelope"),
        ("region", "`region`"),
        ("protocol_num", "`protocol`"),
        ("protocol", "`protocol`"),
        ("bytes_out", "`bytes`"),
        ("packets_out", "`packets`"),
        ("tcp_flags", "`tcp-flags`"),
        ("encryption", "`encryption-status`"),
        ("status_code", "`action`"),
        ("outcome_reason", "`reject-reason`; what a Transit Gateway lost packets for"),
        ("observer", "`interface-id`; `tgw-attachment-id`, else `tgw-id`; else the log stream"),
        (
            "vantage",
            "`flow-direction`: `source` for egress, `destination` for ingress; `network` for a Transit Gateway",
        ),
        ("record_kind", "`interval`"),
    ],
    not_mapped: &[
        (
            "subnet, zone, sublocation, AWS service, traffic path, ECS fields, interface type and the other ends of a Transit Gateway",
            "in `unmapped`, with AWS's names",
        ),
        ("`srcaddr`, `dstaddr` where they differ from the packet's", "in `unmapped`"),
        ("`version`, `type`, `log-status`", "said by other columns"),
        ("records with log-status NODATA, SKIPDATA", "no flows: counted as gaps in `coverage`"),
    ],
    outcomes: &[
        answer("REJECT", Some(Denied), None),
        answer("ACCEPT", Some(Allowed), None),
        answer("Transit Gateway, every packet lost", None, Some(Error)),
        answer("Transit Gateway, otherwise", None, Some(Established)),
        answer("no action", None, None),
    ],
};

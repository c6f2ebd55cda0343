//! What the reference tells of Azure's logs.

use crate::page::{Page, answer};
use tradewind_model::Verdict::{Allowed, Audited, Denied};
use tradewind_model::outcome::ConnectionResult::{Error, Established, Reset};

pub(super) const NSG: Page = Page {
    title: "Azure flow logs of network security groups",
    about: "Recognised by JSON with `flowTuples` below `mac` (or `portId` of Azure Stack); whole blobs `{\"records\":[…]}` or single records. One row is one \
            tuple: of version 1 one connection, of version 2 what a flow added since the tuple before.",
    sources: &["Microsoft, \"Flow logs for network security groups\""],
    columns: &[
        ("start_time", "time of the tuple"),
        ("end_time", "time of the tuple"),
        ("logged_time", "`time` of the record"),
        ("src_ip", "2nd field"),
        ("src_port", "4th field"),
        ("dst_ip", "3rd field"),
        ("dst_port", "5th field"),
        ("protocol_num", "6th field: T or U"),
        ("protocol", "6th field"),
        ("bytes_out", "11th field, version 2; null for state B"),
        ("bytes_in", "13th field, version 2; null for state B"),
        ("packets_out", "10th field, version 2; null for state B"),
        ("packets_in", "12th field, version 2; null for state B"),
        ("account", "subscription in `resourceId`"),
        ("policy", "`rule`"),
        ("status_code", "8th field: A or D"),
        ("observer", "`mac`; `portName`, else `portId` of Azure Stack"),
        ("vantage", "7th field: `destination` for I, `source` for O"),
        ("record_kind", "`interval`; `connection` of version 1"),
    ],
    not_mapped: &[
        ("state of the flow, name of the resource", "in `unmapped`"),
        ("`systemId`, `operationName`, `category`, `Version`", "said by the format"),
    ],
    outcomes: &[
        answer("D", Some(Denied), None),
        answer("A with packets back", Some(Allowed), Some(Established)),
        answer("A", Some(Allowed), None),
    ],
};

pub(super) const VNET: Page = Page {
    title: "Azure flow logs of virtual networks",
    about: "Recognised by JSON with `flowRecords` and `flowTuples`; whole blobs `{\"records\":[…]}` or single records. One row is one tuple: what a flow added \
            since the tuple before.",
    sources: &["Microsoft, \"Virtual network flow logs\""],
    columns: &[
        ("start_time", "time of the tuple"),
        ("end_time", "time of the tuple"),
        ("logged_time", "`time` of the record"),
        ("src_ip", "2nd field"),
        ("src_port", "4th field"),
        ("dst_ip", "3rd field"),
        ("dst_port", "5th field"),
        ("protocol_num", "6th field"),
        ("protocol", "6th field"),
        ("bytes_out", "11th field; null for states B and D"),
        ("bytes_in", "13th field; null for states B and D"),
        ("packets_out", "10th field; null for states B and D"),
        ("packets_in", "12th field; null for states B and D"),
        ("account", "subscription in `targetResourceID`"),
        ("policy", "`rule`"),
        ("status_code", "8th field: B, C, E or D"),
        ("outcome_reason", "9th field, where it decided"),
        (
            "encryption",
            "9th field: `vnet` for X, `none` for NX, NX_LOCAL_DST, NX_FALLBACK, NX_HW_NOT_SUPPORTED; else null",
        ),
        ("observer", "`macAddress`"),
        ("vantage", "7th field: `destination` for I, `source` for O"),
        ("record_kind", "`interval`"),
    ],
    not_mapped: &[
        ("`aclID`, 9th field, name of the resource", "in `unmapped`"),
        ("`flowLogGUID`, `flowLogResourceID`, `operationName`, `category`", "said by the format"),
    ],
    outcomes: &[
        answer("encryption NX_NOT_ACCEPTED, or state D", Some(Denied), None),
        answer("encryption NX_SW_NOT_READY, NX_NOT_SUPPORTED: dropped", Some(Allowed), Some(Error)),
        answer("B, C, E with packets back", Some(Allowed), Some(Established)),
        answer("B, C, E", Some(Allowed), None),
    ],
};

pub(super) const FIREWALL: Page = Page {
    title: "Azure Firewall logs",
    about: "Recognised by JSON with a category `AZFW…` (structured) or `AzureFirewall…` (legacy, whose facts are in a message); whole blobs or single \
            records. One row is one record. Categories about names and policies only are rejected as `other_log`.",
    sources: &["Microsoft, \"Azure Firewall: structured logs\"", "Microsoft, \"Legacy Azure Diagnostics logs\""],
    columns: &[
        ("start_time", "`time`"),
        ("end_time", "`time`"),
        ("src_ip", "`SourceIp`; in the message behind `from`"),
        ("src_port", "`SourcePort`"),
        ("dst_ip", "`DestinationIp`; in the message behind `to`"),
        ("dst_port", "`DestinationPort`"),
        ("post_nat_dst_ip", "`TranslatedIp`; in the message behind `DNAT'ed to`"),
        ("post_nat_dst_port", "`TranslatedPort`"),
        ("server_name", "`Fqdn`; a name in the message behind `to`"),
        ("resource", "path of `TargetUrl`, without query"),
        ("protocol_num", "`Protocol`"),
        ("protocol", "`Protocol`"),
        ("app_protocol", "`http` or `mssql`, where `Protocol` says so"),
        ("encryption", "`tls` for HTTPS or where `IsTlsInspected`; else null"),
        ("tcp_flags", "`Flag` of a flow trace"),
        ("account", "subscription in `resourceId`"),
        ("policy", "`RuleCollection`/`Rule`"),
        ("status_code", "`Action`; `Flag` of a flow trace"),
        ("outcome_reason", "`ActionReason`"),
        ("observer", "name of the firewall in `resourceId`"),
        ("vantage", "`network`"),
        ("record_kind", "`connection`; `packet` for a flow trace"),
    ],
    not_mapped: &[(
        "all other fields, among them policy, rule collection group, signature, web category",
        "in `unmapped`",
    )],
    outcomes: &[
        answer("Deny, Drop, Block", Some(Denied), None),
        answer("Allow; a translation (NAT rule)", Some(Allowed), None),
        answer("Alert: it is only told", Some(Audited), None),
        answer("flow trace SYN-ACK", None, Some(Established)),
        answer("flow trace RST", None, Some(Reset)),
        answer("other flow trace", None, None),
    ],
};

//! What the reference tells of ztunnel's access log.

use crate::page::{Page, answer};
use tradewind_model::Verdict::Denied;
use tradewind_model::outcome::ConnectionResult::{Error, Established, Refused, Reset, Timeout};

pub(super) const PAGE: Page = Page {
    title: "ztunnel (Istio ambient) access log",
    about: "Recognised by `connection complete` with `src.addr=`, or by JSON with `src.addr`, `dst.addr` and `bytes_recv`. One record is one \
            TCP connection; the ztunnels of both ends log it. `connection opened` (level debug) and other loggers are rejected as `other_log`.",
    sources: &["istio/ztunnel, `src/proxy/metrics.rs`, `src/telemetry.rs`", "Istio, \"Verify mutual TLS is enabled\""],
    columns: &[
        ("start_time", "time of the line less `duration`"),
        ("end_time", "time of the line"),
        ("src_ip", "`src.addr`"),
        ("src_port", "`src.addr`"),
        ("src_instance", "`src.workload`"),
        ("src_namespace", "`src.namespace`"),
        ("src_principal", "`src.identity`"),
        ("src_verified", "true with `src.identity`"),
        ("dst_ip", "`dst.hbone_addr` where `dst.addr` has the tunnel's port 15008, else `dst.addr`"),
        ("dst_port", "of the same address"),
        ("dst_instance", "`dst.workload`"),
        ("dst_namespace", "`dst.namespace`"),
        ("dst_principal", "`dst.identity`"),
        ("dst_verified", "true with `dst.identity`"),
        ("server_name", "`dst.hbone_addr` where it is a name"),
        ("protocol_num", "6"),
        ("protocol", "tcp"),
        ("bytes_out", "`bytes_sent` of outbound, `bytes_recv` of inbound records"),
        ("bytes_in", "`bytes_recv` of outbound, `bytes_sent` of inbound records"),
        ("encryption", "`mtls` with an identity; else null"),
        ("outcome_reason", "`error`"),
        ("policy", "the name behind `denied by:`"),
        ("vantage", "`direction`: `source` for outbound, `destination` for inbound"),
        ("record_kind", "`connection`"),
    ],
    not_mapped: &[(
        "`dst.service`, clusters, the other of `dst.addr` and `dst.hbone_addr`, all other fields",
        "in `unmapped`",
    )],
    outcomes: &[
        answer(
            "error: policy rejection, explicitly denied by, allow policies exist but none allowed, policy change",
            Some(Denied),
            None,
        ),
        answer("error with `refused`", None, Some(Refused)),
        answer("error with `deadline has elapsed`, `timed out`", None, Some(Timeout)),
        answer("error with `reset`", None, Some(Reset)),
        answer("any other error: connection failed, TLS, identity, http status, drain", None, Some(Error)),
        answer("no error", None, Some(Established)),
    ],
};

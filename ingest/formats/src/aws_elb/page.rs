//! What the reference tells of the logs of load balancers.

use crate::page::{Page, answer};
use tradewind_model::Verdict::Denied;
use tradewind_model::outcome::ConnectionResult::{Error, Established, Refused, Reset, Timeout};

pub(super) const ALB: Page = Page {
    title: "AWS Application Load Balancer access logs",
    about: "Recognised by a type, an ISO time and a name that begins with `app/`. One record is one request. Fields that AWS adds at the end are passed over.",
    sources: &[
        "AWS, \"Access logs for your Application Load Balancer\"",
        "AWS, \"Troubleshoot your Application Load Balancers\"",
    ],
    columns: &[
        ("start_time", "`request_creation_time`"),
        ("end_time", "`time`"),
        ("src_ip", "`client:port`"),
        ("src_port", "`client:port`"),
        ("dst_ip", "`target:port`"),
        ("dst_port", "`target:port`"),
        ("protocol_num", "6"),
        ("protocol", "tcp"),
        ("app_protocol", "`grpc` for grpcs, else `http`"),
        ("operation", "`request`"),
        ("resource", "path of `request`, without query"),
        ("operation_status", "`elb_status_code`"),
        ("server_name", "`domain_name` (SNI), else the host of `request`"),
        ("response_latency_us", "`target_processing_time`"),
        ("trace_id", "`trace_id`"),
        ("bytes_out", "`received_bytes`"),
        ("bytes_in", "`sent_bytes`"),
        ("encryption", "`tls` for https, h2, grpcs, wss; else null"),
        ("tls_version", "`ssl_protocol`"),
        ("status_code", "`elb_status_code` where the load balancer answered by itself"),
        ("outcome_reason", "`error_reason`, else what the status says"),
        ("observer", "`elb`"),
        ("vantage", "`proxy`"),
        ("record_kind", "`request`"),
    ],
    not_mapped: &[
        (
            "user agent, cipher, target group, priority of the rule, actions, classification, `conn_trace_id`",
            "in `unmapped`",
        ),
        ("`redirect_url`, certificate, lists of targets", "not kept"),
    ],
    outcomes: &[
        answer("a target's status is there", None, Some(Established)),
        answer("403 with action waf; 401, 561 with action authenticate", Some(Denied), None),
        answer("460", None, Some(Reset)),
        answer("408, 504", None, Some(Timeout)),
        answer("502", None, Some(Refused)),
        answer("400, 503, any other 4xx or 5xx without a target's status", None, Some(Error)),
        answer("fixed-response, redirect", None, Some(Established)),
    ],
};

pub(super) const NLB: Page = Page {
    title: "AWS Network Load Balancer access logs",
    about: "Recognised by `tls`, a version, an ISO time and a name that begins with `net/`. One record is one TLS connection; other listeners are not logged by AWS. \
            Times have no zone and are UTC.",
    sources: &["AWS, \"Access logs for your Network Load Balancer\""],
    columns: &[
        ("start_time", "`tls_connection_creation_time`, else `time` less `connection_time`"),
        ("end_time", "`time`"),
        ("src_ip", "`client:port`"),
        ("src_port", "`client:port`"),
        ("dst_ip", "`destination:port`"),
        ("dst_port", "`destination:port`"),
        ("protocol_num", "6"),
        ("protocol", "tcp"),
        ("server_name", "`domain_name` (SNI)"),
        ("bytes_out", "`received_bytes`"),
        ("bytes_in", "`sent_bytes`"),
        ("encryption", "`tls` where the handshake was finished; else null"),
        ("tls_version", "`tls_protocol_version`"),
        ("status_code", "`incoming_tls_alert`"),
        ("outcome_reason", "why the handshake failed"),
        ("observer", "`elb`"),
        ("vantage", "`proxy`"),
        ("record_kind", "`connection`"),
    ],
    not_mapped: &[
        ("listener, cipher, named group, ALPN, handshake time", "in `unmapped`"),
        ("certificate", "not kept"),
    ],
    outcomes: &[
        answer("an incoming TLS alert, or no handshake time", None, Some(Error)),
        answer("any other", None, Some(Established)),
    ],
};

//! The samples that have an expected parse, what of it is compared, and where it is wrong or another view.

use crate::expected::{Comparison, How, Pair};

const ENDS: &[Pair] = &[
    ("src_ip", "source.ip", How::Text),
    ("src_port", "source.port", How::Number),
    ("dst_ip", "destination.ip", How::Text),
    ("dst_port", "destination.port", How::Number),
];
const NETWORK: &[Pair] =
    &[("protocol_num", "network.iana_number", How::Number), ("protocol", "network.transport", How::Text)];
const SIZES: &[Pair] = &[
    ("bytes_out", "source.bytes", How::Number),
    ("bytes_in", "destination.bytes", How::Number),
    ("packets_out", "source.packets", How::Number),
    ("packets_in", "destination.packets", How::Number),
];
const SPAN: &[Pair] = &[("start_time", "event.start", How::Time), ("end_time", "event.end", How::Time)];
const STARTS: &[Pair] = &[("start_time", "@timestamp", How::Time)];
const ENDS_AT: &[Pair] = &[("end_time", "@timestamp", How::Time)];
const OUTCOME: &[Pair] = &[("outcome", "event.type", How::Outcome)];
const HTTP: &[Pair] = &[
    ("operation", "http.request.method", How::Text),
    ("resource", "url.path", How::Text),
    ("operation_status", "http.response.status_code", How::Number),
];

pub(crate) const COMPARISONS: &[Comparison] = &[
    Comparison {
        family: "nginx",
        sample: "nginx/nginx__test-access.log",
        pairs: &[ENDS, HTTP, ENDS_AT, &[("bytes_in", "http.response.body.bytes", How::Number)]],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "nginx",
        sample: "nginx/nginx__test-nginx.log",
        pairs: &[ENDS, HTTP, ENDS_AT, &[("bytes_in", "http.response.body.bytes", How::Number)]],
        faults: &[(Some(0), "src_ip", "a forwarded address, which anybody can write; the peer is the last one")],
        without_row: &[],
    },
    Comparison {
        family: "nginx",
        sample: "nginx/nginx_ingress_controller__test-ingest-raw-ipv6.log",
        pairs: &[
            ENDS,
            HTTP,
            ENDS_AT,
            &[
                ("bytes_in", "http.response.body.bytes", How::Number),
                ("bytes_out", "http.request.bytes", How::Number),
                ("trace_id", "http.request.id", How::Text),
                ("dst_ip", "nginx_ingress_controller.access.upstream.ip", How::Text),
                ("dst_port", "nginx_ingress_controller.access.upstream.port", How::Number),
            ],
        ],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "haproxy",
        sample: "haproxy/haproxy__test-haproxy.log",
        pairs: &[
            ENDS,
            HTTP,
            STARTS,
            &[
                ("bytes_in", "http.response.bytes", How::Number),
                ("status_code", "haproxy.termination_state", How::Text),
            ],
        ],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "haproxy",
        sample: "haproxy/haproxy__test-tcplog.log",
        pairs: &[
            ENDS,
            STARTS,
            &[("bytes_in", "haproxy.bytes_read", How::Number), ("status_code", "haproxy.termination_state", How::Text)],
        ],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "haproxy",
        sample: "haproxy/haproxy__test-error.log",
        pairs: &[ENDS, STARTS, &[("outcome_reason", "haproxy.error_message", How::Text)]],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "traefik",
        sample: "traefik/traefik__test-format-json.log",
        pairs: &[
            ENDS,
            HTTP,
            NETWORK,
            STARTS,
            &[
                ("bytes_in", "http.response.body.bytes", How::Number),
                ("bytes_out", "http.request.body.bytes", How::Number),
                ("server_name", "url.domain", How::Text),
            ],
        ],
        faults: &[
            (Some(4), "start_time", "theirs is when the line was written"),
            (Some(5), "src_ip", "`ClientHost` is of a forwarded header; the peer is in `ClientAddr`"),
        ],
        without_row: &[],
    },
    Comparison {
        family: "traefik",
        sample: "traefik/traefik__test-format-common.extract.log",
        pairs: &[ENDS, HTTP, NETWORK, STARTS, &[("bytes_in", "http.response.body.bytes", How::Number)]],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "gcp_vpc",
        sample: "gcp_vpc_flow/gcp__test-vpcflow.log",
        pairs: &[ENDS, NETWORK, SIZES, SPAN, &[("status_code", "gcp.vpcflow.reporter", How::Text)]],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "gcp_firewall",
        sample: "gcp_vpc_flow/gcp__test-firewall.log",
        pairs: &[
            ENDS,
            NETWORK,
            STARTS,
            OUTCOME,
            &[("policy", "rule.name", How::Text), ("region", "cloud.region", How::Text)],
        ],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "azure_firewall",
        sample: "azure_flow/azure__test-networkrule-structured-raw.log",
        pairs: &[
            ENDS,
            NETWORK,
            STARTS,
            &[
                ("observer", "observer.name", How::Text),
                ("status_code", "event.action", How::Text),
                ("outcome_reason", "event.reason", How::Text),
                ("account", "cloud.account.id", How::Text),
            ],
        ],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "aws_alb",
        sample: "aws_elb/aws__test-alb.log",
        pairs: &[
            ENDS,
            HTTP,
            SPAN,
            &[
                ("bytes_out", "http.request.body.bytes", How::Number),
                ("bytes_in", "http.response.body.bytes", How::Number),
                ("dst_ip", "aws.elb.backend.ip", How::Text),
                ("dst_port", "aws.elb.backend.port", How::Number),
                ("trace_id", "trace.id", How::Text),
                ("server_name", "url.domain", How::Text),
            ],
        ],
        faults: &[],
        without_row: &[],
    },
    Comparison {
        family: "aws_network_firewall",
        sample: "suricata/aws__test-firewall.log",
        pairs: &[
            ENDS,
            NETWORK,
            SIZES,
            OUTCOME,
            SPAN,
            &[
                ("region", "cloud.region", How::Text),
                ("observer", "observer.name", How::Text),
                ("policy", "rule.id", How::Text),
                ("operation", "http.request.method", How::Text),
                ("app_protocol", "network.protocol", How::Text),
            ],
        ],
        faults: &[(Some(1), "app_protocol", "`unknown` is no protocol")],
        without_row: &[],
    },
    Comparison {
        family: "ocsf",
        sample: "ocsf_ecs/amazon_security_lake__test-network-activity.log",
        pairs: &[
            ENDS,
            NETWORK,
            SPAN,
            OUTCOME,
            &[("account", "cloud.account.id", How::Text), ("region", "cloud.region", How::Text)],
        ],
        faults: &[],
        without_row: &[
            (2, "DNS"),
            (3, "DHCP"),
            (4, "RDP"),
            (5, "SMB"),
            (6, "another class"),
            (7, "another class"),
            (8, "another class"),
            (9, "another class"),
            (10, "e-mail file"),
            (11, "e-mail URL"),
        ],
    },
    Comparison {
        family: "envoy",
        sample: "envoy_istio/istio__test-access-logs.log",
        pairs: &[
            HTTP,
            STARTS,
            &[
                ("src_ip", "source.ip", How::Text),
                ("src_port", "source.port", How::Number),
                ("trace_id", "http.request.id", How::Text),
            ],
        ],
        faults: &[
            (Some(1), "src_ip", "port 0: the address is of X-Forwarded-For"),
            (Some(4), "src_ip", "port 0: the address is of X-Forwarded-For"),
        ],
        without_row: &[],
    },
];

//! How Envoy's access logs are chosen, and what the reference tells of them.

use super::mapping::SOURCE_NAME;
use super::{ENVOY_TEXT, ISTIO_TEXT, from_layout, json, sniff};
use crate::detect::{Chosen, Framing};
use crate::framing::Records;
use crate::page::{Page, answer};
use crate::registry::{Family, Recognised};
use tradewind_model::Verdict::Denied;
use tradewind_model::outcome::ConnectionResult::{Error, Established, Refused, Reset, Timeout};

/// Envoy's access logs.
pub(crate) static FAMILY: Family = Family {
    name: SOURCE_NAME,
    summary: "Envoy and Istio access logs: text and JSON; `envoy:FORMAT STRING` gives the text format",
    decoders: || {
        let text = |layout| from_layout(layout).expect("the default layout is valid");
        [text(ENVOY_TEXT), text(ISTIO_TEXT), json()].map(|format| (format, Records::Lines)).to_vec()
    },
    recognise: |head| by_content(head).map(Recognised::Connections),
    named,
    check_layout: Some(|layout| from_layout(layout).map(|_| ()).map_err(|error| error.to_string())),
    page: Page {
        title: "Envoy, Istio, Consul and Envoy Gateway access logs",
        about: "Recognised by the default text formats of Envoy and Istio and by JSON with their keys. `envoy:FORMAT STRING` \
                takes any `text_format`, `envoy:{…}` any `json_format`. One record is one request, or one TCP connection.",
        sources: &[
            "Envoy, \"Access logging\"",
            "Istio, \"Envoy Access Logs\"",
            "Envoy, \"RBAC filter\", \"External Authorization\", \"JWT Authentication\"",
        ],
        columns: &[
            ("start_time", "`START_TIME`"),
            ("end_time", "`START_TIME` + `DURATION`"),
            (
                "src_ip",
                "`DOWNSTREAM_DIRECT_REMOTE_ADDRESS`, else `DOWNSTREAM_REMOTE_ADDRESS` unless its port is 0 or not logged: then it may be of `X-Forwarded-For`, which anybody can write",
            ),
            ("src_port", "of the same address"),
            (
                "dst_ip",
                "`DOWNSTREAM_LOCAL_ADDRESS` of an inbound record; else `UPSTREAM_HOST`, else `DOWNSTREAM_LOCAL_ADDRESS`",
            ),
            ("dst_port", "of the same address"),
            ("post_nat_src_ip", "`UPSTREAM_LOCAL_ADDRESS`"),
            ("post_nat_src_port", "of the same address"),
            ("src_principal", "`DOWNSTREAM_PEER_URI_SAN`: the SPIFFE id in it, else its first URI"),
            ("src_verified", "true with `DOWNSTREAM_PEER_URI_SAN`"),
            ("dst_principal", "`DOWNSTREAM_LOCAL_URI_SAN`, else `UPSTREAM_PEER_URI_SAN`"),
            ("dst_verified", "true with `UPSTREAM_PEER_URI_SAN`"),
            ("protocol_num", "17 for HTTP/3, else 6"),
            ("protocol", "udp for HTTP/3, else tcp"),
            ("app_protocol", "`grpc` by content type or gRPC status, else `http`; null for TCP"),
            ("operation", "`REQ(:METHOD)`"),
            ("resource", "`REQ(X-ENVOY-ORIGINAL-PATH?:PATH)` without query, fragment, authority and user"),
            ("operation_status", "`RESPONSE_CODE`"),
            ("server_name", "`REQUESTED_SERVER_NAME`, else `REQ(:AUTHORITY)` without port"),
            ("response_latency_us", "`RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)`, if it is a number"),
            ("trace_id", "trace id of `traceparent`, `X-B3-TraceId`, else `X-REQUEST-ID`"),
            ("bytes_out", "`BYTES_RECEIVED`: body bytes of HTTP, payload of TCP"),
            ("bytes_in", "`BYTES_SENT`"),
            ("status_code", "`RESPONSE_FLAGS`"),
            (
                "outcome_reason",
                "`RESPONSE_CODE_DETAILS`, `CONNECTION_TERMINATION_DETAILS`, `UPSTREAM_TRANSPORT_FAILURE_REASON` or that of the downstream",
            ),
            ("policy", "the name in `rbac_access_denied_matched_policy[…]`"),
            ("encryption", "`mtls` with a peer certificate, else `tls` with a version; null otherwise"),
            ("tls_version", "`DOWNSTREAM_TLS_VERSION`"),
            ("observer", "pod name, else `HOSTNAME`"),
            ("vantage", "`destination` for clusters `inbound|…`, `source` for `outbound|…`, else `proxy`"),
            ("record_kind", "`request`, or `connection` for TCP"),
        ],
        not_mapped: &[
            (
                "all other operators and keys, among them `x_forwarded_for`, `user_agent`, `route_name`, `upstream_cluster`",
                "in `unmapped`",
            ),
            ("cookies, authorization, tokens, query parameters", "never kept: `[redacted]`"),
        ],
        outcomes: &[
            answer(
                "RL, UAEX; RBAC, JWT or external authorization denied; cluster `BlackHoleCluster`",
                Some(Denied),
                None,
            ),
            answer("UF with a refused connect", None, Some(Refused)),
            answer("UT, SI, DT, UMSDR; UF with a time-out", None, Some(Timeout)),
            answer("UR, LR, UC before an answer", None, Some(Reset)),
            answer(
                "UH, UO, URX, LH, NR, NC, DF, IH, DPE, UPE, NFCF, RLSE, FI, OM, DO; other UF; DC before an answer",
                None,
                Some(Error),
            ),
            answer("a response code or bytes, and no such flag", None, Some(Established)),
            answer("nothing of this", None, None),
        ],
    },
};

fn by_content(head: &[u8]) -> Option<Chosen> {
    let (format, reason) = sniff(head)?;
    Some(Chosen::new(format, Framing::Text(Records::Lines), reason))
}

fn named(head: &[u8], layout: Option<&str>) -> Result<Chosen, String> {
    if let Some(layout) = layout {
        let format = from_layout(layout).map_err(|error| error.to_string())?;
        return Ok(Chosen::new(format, Framing::Text(Records::Lines), "the given format string".to_owned()));
    }
    by_content(head).ok_or_else(|| {
        "its lines have neither a default format nor JSON with known keys; give the format string with `--input-format \
         'envoy:[%START_TIME%] …'`"
            .to_owned()
    })
}

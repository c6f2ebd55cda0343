//! The values an Envoy access log can hold that have a meaning here: their names in JSON, their command operators, and
//! what their text may look like. Not what becomes of them: that is `mapping`.
//!
//! Source: Envoy, "Access logging", section "Command Operators"; Istio's and Envoy Gateway's default JSON keys.

use super::start_time::TimePattern;

/// What the text of a value may look like; it decides how a text layout finds the value's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `START_TIME` in the layout's pattern.
    Time,
    /// Decimal digits.
    Number,
    /// Words of letters, digits and `_`, separated by commas.
    Flags,
    /// `HTTP/…`.
    Protocol,
    /// Neither space nor quote, as a rule.
    Word,
    /// As `Word`, but spaces may stand inside brackets: `rbac_access_denied_matched_policy[…]`.
    Details,
    /// Anything: Envoy escapes nothing in text logs.
    Free,
}

impl Shape {
    /// Whether `value` can be a value of this shape. `-` and nothing stand for an absent value.
    pub(super) fn fits(self, value: &str, time: &TimePattern) -> bool {
        if value == "-" || value.is_empty() {
            return true;
        }
        let bytes = value.as_bytes();
        match self {
            Self::Free => true,
            Self::Time => time.parse(value).is_some(),
            Self::Number => bytes.iter().all(u8::is_ascii_digit),
            Self::Flags => bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b',' | b'_')),
            Self::Protocol => value.starts_with("HTTP/") && is_word(bytes),
            Self::Word => is_word(bytes),
            Self::Details => is_word_with_brackets(bytes),
        }
    }

    /// Whether a value that does not fit may be longer and fit then.
    pub(super) const fn may_grow(self) -> bool {
        matches!(self, Self::Free | Self::Time | Self::Details)
    }

    /// Whether the shape is a habit rather than a rule: a header or a name may hold a space after all.
    pub(super) const fn is_habit(self) -> bool {
        matches!(self, Self::Word | Self::Details)
    }
}

fn is_word(bytes: &[u8]) -> bool {
    !bytes.iter().any(|&byte| byte <= b' ' || byte == b'"')
}

fn is_word_with_brackets(bytes: &[u8]) -> bool {
    let mut depth = 0_i32;
    for &byte in bytes {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b' ' | b'"' if depth <= 0 => return false,
            _ => {}
        }
    }
    depth == 0
}

macro_rules! slots {
    ($($slot:ident, $name:literal, $shape:ident;)*) => {
        /// One value with a meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Slot { $($slot),* }

        impl Slot {
            /// Every slot, in the order in which left-over values are written to `unmapped`.
            pub(super) const ALL: &'static [Self] = &[$(Self::$slot),*];

            /// Its key in JSON logs and in `unmapped`.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$slot => $name),* }
            }

            /// Its key as a member of a JSON object begins whose value is a text: with that text's opening quote.
            pub(super) const fn json_key(self) -> &'static str {
                match self { $(Self::$slot => concat!("\"", $name, "\":\"")),* }
            }

            pub(super) const fn shape(self) -> Shape {
                match self { $(Self::$slot => Shape::$shape),* }
            }

            fn of_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$slot),)* _ => None }
            }

            pub(super) const fn bit(self) -> u64 {
                1 << self as u8
            }
        }
    };
}

slots! {
    StartTime, "start_time", Time;
    Duration, "duration", Number;
    Method, "method", Word;
    Path, "path", Free;
    Protocol, "protocol", Protocol;
    ResponseCode, "response_code", Number;
    ResponseFlags, "response_flags", Flags;
    ResponseFlagsLong, "response_flags_long", Flags;
    ResponseCodeDetails, "response_code_details", Details;
    TerminationDetails, "connection_termination_details", Details;
    UpstreamFailure, "upstream_transport_failure_reason", Free;
    DownstreamFailure, "downstream_transport_failure_reason", Free;
    BytesReceived, "bytes_received", Number;
    BytesSent, "bytes_sent", Number;
    UpstreamServiceTime, "upstream_service_time", Word;
    ForwardedFor, "x_forwarded_for", Free;
    UserAgent, "user_agent", Free;
    RequestId, "request_id", Word;
    TraceId, "trace_id", Word;
    TraceParent, "traceparent", Word;
    Authority, "authority", Word;
    UpstreamHost, "upstream_host", Word;
    UpstreamRemote, "upstream_remote_address", Word;
    UpstreamRemoteIp, "upstream_remote_address_without_port", Word;
    UpstreamRemotePort, "upstream_remote_port", Number;
    UpstreamCluster, "upstream_cluster", Word;
    UpstreamLocal, "upstream_local_address", Word;
    DownstreamLocal, "downstream_local_address", Word;
    DownstreamLocalIp, "downstream_local_address_without_port", Word;
    DownstreamLocalPort, "downstream_local_port", Number;
    DownstreamRemote, "downstream_remote_address", Word;
    DownstreamRemoteIp, "downstream_remote_address_without_port", Word;
    DownstreamRemotePort, "downstream_remote_port", Number;
    DownstreamDirect, "downstream_direct_remote_address", Word;
    DownstreamDirectIp, "downstream_direct_remote_address_without_port", Word;
    DownstreamDirectPort, "downstream_direct_remote_port", Number;
    ServerName, "requested_server_name", Word;
    RouteName, "route_name", Word;
    PeerUriSan, "downstream_peer_uri_san", Word;
    LocalUriSan, "downstream_local_uri_san", Word;
    PeerSubject, "downstream_peer_subject", Free;
    PeerFingerprint, "downstream_peer_fingerprint_256", Word;
    TlsVersion, "downstream_tls_version", Word;
    UpstreamPeerUriSan, "upstream_peer_uri_san", Word;
    UpstreamTlsVersion, "upstream_tls_version", Word;
    ContentType, "content_type", Free;
    GrpcStatus, "grpc_status", Word;
    Hostname, "hostname", Word;
    PodName, "pod_name", Word;
}

impl Slot {
    /// The slot of a JSON key, in the spellings of Istio, Consul and Envoy Gateway.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        Self::of_name(key).or(match key {
            ":authority" => Some(Self::Authority),
            ":method" => Some(Self::Method),
            ":path"
            | "x-envoy-origin-path"
            | "x-envoy-original-path"
            | "x_envoy_origin_path"
            | "x_envoy_original_path" => Some(Self::Path),
            "user-agent" => Some(Self::UserAgent),
            "x-forwarded-for" => Some(Self::ForwardedFor),
            "x-request-id" | "x_request_id" => Some(Self::RequestId),
            "x-envoy-upstream-service-time" | "x_envoy_upstream_service_time" => Some(Self::UpstreamServiceTime),
            "upstream_cluster_raw" => Some(Self::UpstreamCluster),
            "content-type" => Some(Self::ContentType),
            "grpc-status" | "grpc_status_number" => Some(Self::GrpcStatus),
            "node_id" => Some(Self::Hostname),
            _ => None,
        })
    }

    /// The slot of a command operator with its argument, if it has a meaning here.
    pub(super) fn of_operator(name: &str, argument: Option<&str>) -> Option<Self> {
        match (name, argument) {
            ("REQ" | "REQUEST_HEADER", Some(headers)) => Self::of_headers(headers, false),
            ("RESP" | "TRAILER" | "RESPONSE_HEADER" | "RESPONSE_TRAILER", Some(headers)) => {
                Self::of_headers(headers, true)
            }
            ("ENVIRONMENT", Some("POD_NAME")) => Some(Self::PodName),
            ("ENVIRONMENT", Some("HOSTNAME")) => Some(Self::Hostname),
            ("PATH", _) => Some(Self::Path),
            ("GRPC_STATUS" | "GRPC_STATUS_NUMBER", _) => Some(Self::GrpcStatus),
            ("UPSTREAM_CLUSTER_RAW", None) => Some(Self::UpstreamCluster),
            // Names that only the JSON formats use; as operators they do not exist.
            ("METHOD" | "USER_AGENT" | "AUTHORITY" | "REQUEST_ID" | "X_FORWARDED_FOR" | "POD_NAME", _) => None,
            ("START_TIME", _) => Some(Self::StartTime),
            // An argument masks an address: then it is none of a host.
            (_, Some(_)) => None,
            (name, None) => Self::of_name(&name.to_ascii_lowercase()),
        }
    }

    /// `X?Y`: the slot of the main header, else of the alternative one.
    fn of_headers(headers: &str, response: bool) -> Option<Self> {
        headers.split('?').find_map(|header| {
            Some(match (header.to_ascii_lowercase().as_str(), response) {
                (":method", false) => Self::Method,
                (":path" | "x-envoy-original-path", false) => Self::Path,
                (":authority" | "host", false) => Self::Authority,
                ("user-agent", false) => Self::UserAgent,
                ("x-forwarded-for", false) => Self::ForwardedFor,
                ("x-request-id", _) => Self::RequestId,
                ("x-b3-traceid", false) => Self::TraceId,
                ("traceparent", false) => Self::TraceParent,
                ("content-type", _) => Self::ContentType,
                ("x-envoy-upstream-service-time", true) => Self::UpstreamServiceTime,
                ("grpc-status", true) => Self::GrpcStatus,
                _ => return None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_bit() {
        assert!(Slot::ALL.len() <= 64);
        let all = Slot::ALL.iter().fold(0_u64, |bits, slot| bits | slot.bit());
        assert_eq!(all.count_ones() as usize, Slot::ALL.len());
    }

    #[test]
    fn operators_have_slots() {
        fn check(name: &str, argument: Option<&str>, expected: Option<Slot>) {
            assert_eq!(Slot::of_operator(name, argument), expected, "{name} {argument:?}");
        }
        check("REQ", Some("X-ENVOY-ORIGINAL-PATH?:PATH"), Some(Slot::Path));
        check("REQ", Some("X-SECRET-THING"), None);
        check("RESP", Some("X-ENVOY-UPSTREAM-SERVICE-TIME"), Some(Slot::UpstreamServiceTime));
        check("RESP", Some(":PATH"), None);
        check("UPSTREAM_CLUSTER_RAW", None, Some(Slot::UpstreamCluster));
        check("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", None, Some(Slot::DownstreamRemoteIp));
        check("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Some("16"), None);
        check("START_TIME", Some("%s"), Some(Slot::StartTime));
        check("CONNECTION_ID", None, None);
        check("USER_AGENT", None, None);
    }

    #[test]
    fn brackets_may_hold_spaces() {
        let time = TimePattern::default();
        assert!(Shape::Details.fits("rbac_access_denied_matched_policy[ns[a b]-policy[c]]", &time));
        assert!(!Shape::Details.fits("rbac_access_denied_matched_policy[ns[a", &time));
        assert!(!Shape::Details.fits("via upstream", &time));
    }
}

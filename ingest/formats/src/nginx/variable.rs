//! The variables of nginx that have a meaning here, by name and by the keys that logs in JSON use for them.
//!
//! Source: nginx, "Alphabetical index of variables"; ingress-nginx, "Log format" (`req_id`, `proxy_upstream_name`).

use crate::redact::is_secret;

macro_rules! variables {
    ($($variant:ident $name:literal $(| $alias:literal)*;)*) => {
        /// A variable with a meaning of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Variable { $($variant),* }

        impl Variable {
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name, without the dollar sign.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The variable of that name.
            pub(super) fn of_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// The variable that a key of a JSON log stands for.
            pub(super) fn of_key(key: &str) -> Option<Self> {
                match key { $($name $(| $alias)* => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

variables! {
    // who
    RemoteAddr "remote_addr" | "remote_ip" | "client_ip" | "client";
    RemotePort "remote_port";
    RealipRemoteAddr "realip_remote_addr";
    RealipRemotePort "realip_remote_port";
    ServerAddr "server_addr";
    ServerPort "server_port";
    // when
    TimeLocal "time_local";
    TimeIso "time_iso8601" | "time" | "timestamp" | "@timestamp" | "ts";
    Msec "msec";
    RequestTime "request_time" | "duration";
    SessionTime "session_time";
    // what was asked
    Request "request";
    RequestMethod "request_method" | "method";
    RequestUri "request_uri";
    Uri "uri" | "path";
    ServerProtocol "server_protocol" | "request_proto";
    Protocol "protocol";
    Host "host" | "http_host" | "vhost";
    ServerName "server_name";
    Scheme "scheme";
    RequestId "request_id" | "req_id";
    ContentType "content_type" | "sent_http_content_type";
    // what came of it
    Status "status";
    BodyBytesSent "body_bytes_sent" | "body_bytes";
    BytesSent "bytes_sent";
    BytesReceived "bytes_received";
    RequestLength "request_length";
    UpstreamAddr "upstream_addr";
    UpstreamStatus "upstream_status";
    UpstreamResponseTime "upstream_response_time";
    // TLS
    SslProtocol "ssl_protocol";
    SslServerName "ssl_server_name" | "ssl_preread_server_name";
    SslClientVerify "ssl_client_verify";
    SslClientSubject "ssl_client_s_dn";
    // where
    Hostname "hostname";
}

impl Variable {
    pub(super) const COUNT: usize = Self::ALL.len();

    /// Whether it has one item for each upstream that was tried.
    pub(super) fn is_list(name: &str) -> bool {
        name.starts_with("upstream_")
    }
}

/// Whether the value of a variable without a column may be kept. Users, referrers and queries are not.
pub(super) fn is_kept(name: &str) -> bool {
    !matches!(
        name,
        "remote_user"
            | "http_referer"
            | "http_referrer"
            | "referer"
            | "args"
            | "query_string"
            | "request_query"
            | "is_args"
            | "request_body"
    ) && !name.starts_with("arg_")
        && !name.starts_with("cookie_")
        && !is_secret(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for &variable in Variable::ALL {
            assert_eq!(Variable::of_name(variable.name()), Some(variable));
            assert_eq!(Variable::of_key(variable.name()), Some(variable));
        }
        assert_eq!(Variable::of_key("@timestamp"), Some(Variable::TimeIso));
        assert_eq!(Variable::of_name("@timestamp"), None);
        for name in ["remote_user", "args", "arg_x", "cookie_y", "http_authorization"] {
            assert!(!is_kept(name), "{name}");
        }
        assert!(is_kept("http_user_agent"));
    }
}

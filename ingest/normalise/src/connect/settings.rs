//! The section `[connect]` of the configuration: when flows are of one connection, and how much is remembered.

use serde::{Deserialize, Serialize};

/// How the flows of one connection are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectSettings {
    /// How far the clocks of two observers may differ, in seconds. Default: 5.
    pub clock_skew_s: u32,
    /// How far the start of an interval record may lie from when its first packet was sent, in seconds; a longer record
    /// may be off by its own length. Default: 60 ("might be up to 60 seconds after the packet was transmitted", AWS,
    /// "Flow log records", field `start`).
    pub interval_s: u32,
    /// Silence after which a TCP tuple is a new connection, unless flags said so before, in seconds. Default: 300 (Zeek's
    /// `tcp_inactivity_timeout`).
    pub tcp_idle_gap_s: u32,
    /// The same for UDP, ICMP and all other protocols, in seconds. Default: 60 (Zeek's `udp_inactivity_timeout` and
    /// `icmp_inactivity_timeout`).
    pub udp_idle_gap_s: u32,
    /// The same for requests, which proxies send over connections that they keep open, in seconds. Default: 3600 (Envoy's
    /// `common_http_protocol_options.idle_timeout`).
    pub request_idle_gap_s: u32,
    /// Silence of an edge's lead source after which another source takes its place, in seconds of event time. Default: 900
    /// (a flow log of 600 s, delivered 5 min later).
    pub lead_silence_s: u32,
    /// How many connections are remembered: at 24 bytes each and at most 192 MiB for the default. The oldest by event time
    /// are forgotten first. Default: 6500000.
    pub connections_max: u32,
    /// How many edges' lead sources are remembered; at most some 50 MiB for the default. Default: 1000000.
    pub edges_max: u32,
    /// Seeds the hash of connections. Whoever knows it can make flows whose hashes collide, so that one hides another's
    /// opening. It changes no result otherwise. Default: 0.
    pub hash_seed: u64,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        Self {
            clock_skew_s: 5,
            interval_s: 60,
            tcp_idle_gap_s: 300,
            udp_idle_gap_s: 60,
            request_idle_gap_s: 3_600,
            lead_silence_s: 900,
            connections_max: 6_500_000,
            edges_max: 1_000_000,
            hash_seed: 0,
        }
    }
}

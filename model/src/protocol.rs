//! IP protocol numbers and their names.

/// Name of an IANA protocol number, lower case; none for numbers without a common name.
///
/// Source: IANA, "Assigned Internet Protocol Numbers".
#[must_use]
pub const fn name(number: i64) -> Option<&'static str> {
    Some(match number {
        0 => "hopopt",
        1 => "icmp",
        2 => "igmp",
        4 => "ipv4",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "ipv6-icmp",
        88 => "eigrp",
        89 => "ospf",
        94 => "ipip",
        103 => "pim",
        112 => "vrrp",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}

/// TCP.
pub const TCP: i64 = 6;
/// UDP.
pub const UDP: i64 = 17;
/// ICMP for IPv4.
pub const ICMP: i64 = 1;
/// ICMP for IPv6.
pub const ICMP6: i64 = 58;

/// TCP flag bits (RFC 9293 section 3.1).
pub mod tcp {
    /// No more data from the sender.
    pub const FIN: i64 = 1;
    /// Open.
    pub const SYN: i64 = 2;
    /// Reset.
    pub const RST: i64 = 4;
    /// The acknowledgement field counts.
    pub const ACK: i64 = 16;
}

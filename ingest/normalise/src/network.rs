//! What is inside, and the direction that follows. Not address spaces: those only name where an address belongs.

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixSet;
use std::net::IpAddr;

/// Where a flow goes, seen from the inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Inside to inside, also called east-west.
    Lateral,
    /// Outside to inside.
    Inbound,
    /// Inside to outside.
    Outbound,
    /// Outside to outside.
    External,
}

impl Direction {
    /// The word in the column `direction`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lateral => "lateral",
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::External => "external",
        }
    }

    /// The direction of a flow whose initiator and responder are inside or not.
    #[must_use]
    pub const fn of(src_is_internal: bool, dst_is_internal: bool) -> Self {
        match (src_is_internal, dst_is_internal) {
            (true, true) => Self::Lateral,
            (false, true) => Self::Inbound,
            (true, false) => Self::Outbound,
            (false, false) => Self::External,
        }
    }
}

/// The networks that count as inside.
#[derive(Clone, Debug)]
pub struct Networks {
    internal: JointPrefixSet<IpNet>,
}

impl Networks {
    /// Takes the networks that count as inside, beside the addresses that never leave a network.
    #[must_use]
    pub fn new(internal: &[IpNet]) -> Self {
        Self { internal: internal.iter().map(IpNet::trunc).collect() }
    }

    /// Whether an address is inside.
    #[must_use]
    pub fn is_internal(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        never_leaves(address) || self.internal.get_lpm(&IpNet::from(address)).is_some()
    }

    /// The direction of a flow; none when an address is missing.
    #[must_use]
    pub fn direction(&self, src: Option<IpAddr>, dst: Option<IpAddr>) -> Option<Direction> {
        Some(Direction::of(self.is_internal(src?), self.is_internal(dst?)))
    }
}

/// Loopback, link-local, multicast, broadcast and unspecified addresses: no router passes them to the internet
/// (RFC 6890 section 2.2; multicast beyond the site is not routed either without a contract).
fn never_leaves(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_multicast() || address.is_unspecified() {
        return true;
    }
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Settings;

    fn check(networks: &Networks, src: &str, dst: &str, expected: &str) {
        let direction = networks.direction(src.parse().ok(), dst.parse().ok());
        assert_eq!(direction.map_or("-", Direction::as_str), expected, "{src} -> {dst}");
    }

    #[test]
    fn the_default_networks() {
        let networks = Networks::new(&Settings::default().internal_networks);
        for (src, dst, expected) in [
            ("10.0.0.1", "10.255.255.255", "lateral"),
            ("172.16.0.1", "172.31.255.255", "lateral"),
            ("172.16.0.1", "172.32.0.0", "outbound"),
            ("192.168.1.1", "192.169.0.1", "outbound"),
            ("100.64.0.1", "100.128.0.0", "outbound"),
            ("100.127.255.255", "10.0.0.1", "lateral"),
            ("8.8.8.8", "10.0.0.1", "inbound"),
            ("8.8.8.8", "1.1.1.1", "external"),
            ("fd00::1", "fdff::1", "lateral"),
            ("fd00::1", "2001:db8::1", "outbound"),
            ("2001:db8::1", "fc00::1", "inbound"),
            ("::ffff:10.0.0.1", "8.8.8.8", "outbound"),
            ("127.0.0.1", "::1", "lateral"),
            ("169.254.169.254", "fe80::1", "lateral"),
            ("10.0.0.1", "224.0.0.251", "lateral"),
            ("10.0.0.1", "255.255.255.255", "lateral"),
            ("0.0.0.0", "ff02::1", "lateral"),
            ("", "10.0.0.1", "-"),
            ("10.0.0.1", "", "-"),
        ] {
            check(&networks, src, dst, expected);
        }
    }

    #[test]
    fn given_networks_replace_the_default() {
        let networks = Networks::new(&["203.0.113.9/24".parse().unwrap()]);
        check(&networks, "203.0.113.1", "10.0.0.1", "outbound");
        check(&networks, "203.0.113.1", "203.0.113.255", "lateral");
        check(&networks, "127.0.0.1", "203.0.114.1", "outbound");
        let none = Networks::new(&[]);
        check(&none, "10.0.0.1", "fd00::1", "external");
    }
}

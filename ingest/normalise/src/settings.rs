//! The section `[normalise]` of the configuration. Not the inventory: whoever starts the process reads that file.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How flows are completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Networks that count as inside, in CIDR notation; what is given replaces the default. Loopback, link-local,
    /// multicast and unspecified addresses never leave a network and count as inside always. Default: private IPv4
    /// (RFC 1918: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16), shared IPv4 (RFC 6598: 100.64.0.0/10) and unique local
    /// IPv6 (RFC 4193: fc00::/7).
    pub internal_networks: Vec<IpNet>,
    /// Name of the address space of records that do not name one. Default: none, shown as `-` in entities.
    pub default_network: Option<String>,
    /// Names for address spaces that records call otherwise: VPC id to name. Two ids may share a name when their
    /// addresses do not overlap. The inventory uses the names. Default: none; an id stands for itself.
    pub networks: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        let v4 = |a, b, c, d, length| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length));
        Self {
            internal_networks: vec![
                v4(10, 0, 0, 0, 8),
                v4(172, 16, 0, 0, 12),
                v4(192, 168, 0, 0, 16),
                v4(100, 64, 0, 0, 10),
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)),
            ],
            default_network: None,
            networks: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        let text = "internal_networks = ['203.0.113.0/24']\ndefault_network = 'prod'\n[networks]\nvpc-1 = 'prod'";
        let settings: Settings = toml::from_str(text).unwrap();
        assert_eq!(settings.internal_networks, ["203.0.113.0/24".parse().unwrap()]);
        assert_eq!(settings.default_network.as_deref(), Some("prod"));
        assert_eq!(settings.networks["vpc-1"], "prod");
    }

    #[test]
    fn unknown_keys_and_bad_networks_are_refused() {
        let refused = |text: &str| toml::from_str::<Settings>(text).unwrap_err().to_string();
        assert!(refused("internal = []").contains("unknown field `internal`"));
        assert!(refused("internal_networks = ['10.0.0.0/33']").contains("internal_networks"));
    }
}

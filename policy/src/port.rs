//! Ports and IP protocols of a rule: `443`, `"443/tcp"`, `"8000-8010/udp"`, `"icmp"`.

use std::fmt;
use tradewind_model::protocol;

/// Which packets a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortSelector {
    /// IANA protocol number; none for every protocol that has ports.
    pub protocol: Option<u8>,
    /// First and last port of the responder; none for all, and where the protocol has none.
    pub ports: Option<(u16, u16)>,
}

/// Protocols with ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// Whether packets of that protocol carry ports.
#[must_use]
pub fn has_ports(protocol: u8) -> bool {
    WITH_PORTS.contains(&protocol)
}

/// The number of a protocol's name, or of a number as text.
///
/// # Errors
/// What is wrong, for a person.
pub fn protocol_number(text: &str) -> Result<u8, String> {
    let lower = text.to_ascii_lowercase();
    // `icmpv6` is what people and Kubernetes write; IANA's keyword is IPv6-ICMP.
    let name = if lower == "icmpv6" { "ipv6-icmp" } else { &lower };
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    (0..=u8::MAX)
        .find(|number| protocol::name(i64::from(*number)) == Some(name))
        .ok_or_else(|| format!("`{text}` is no IP protocol; write tcp, udp, sctp, icmp, icmpv6 or a number to 255"))
}

impl PortSelector {
    /// Reads `443`, `8000-8010`, either with `/tcp`, or a protocol alone.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, Some(protocol_number(protocol.trim())?)),
            None => (text, None),
        };
        if protocol.is_none() && text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return protocol_number(text).map(|protocol| Self { protocol: Some(protocol), ports: None });
        }
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last) = (port(first.trim(), text)?, port(last.trim(), text)?);
        if first > last {
            return Err(format!("the range `{text}` ends before it begins"));
        }
        if let Some(number) = protocol.filter(|number| !has_ports(*number)) {
            let name = protocol::name(i64::from(number)).unwrap_or("this protocol");
            return Err(format!("`{text}`: {name} has no ports; write \"{name}\" alone"));
        }
        Ok(Self { protocol, ports: Some((first, last)) })
    }

    /// Whether it takes a protocol and a port; none where that was not seen and would decide.
    #[must_use]
    pub fn matches(&self, protocol: Option<u8>, port: Option<u16>) -> Option<bool> {
        let protocol_matches = match (self.protocol, protocol) {
            (Some(own), Some(seen)) => Some(own == seen),
            (Some(_), None) => None,
            // Ports without a protocol: every protocol that has ports, so a port that was seen is enough.
            (None, Some(seen)) => Some(has_ports(seen)),
            (None, None) => Some(true),
        };
        let port_matches = match (self.ports, port) {
            (None, _) => Some(true),
            (Some((first, last)), Some(port)) => Some((first..=last).contains(&port)),
            (Some(_), None) => None,
        };
        match (protocol_matches, port_matches) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }

    /// Whether it takes all that `other` takes.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let protocol_covers = match (self.protocol, other.protocol) {
            (None, Some(other)) => has_ports(other),
            (own, other) => own == other,
        };
        let ports_cover = match (self.ports, other.ports) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((first, last)), Some((other_first, other_last))) => first <= other_first && other_last <= last,
        };
        protocol_covers && ports_cover
    }
}

fn port(text: &str, whole: &str) -> Result<u16, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if is_number && port > 0 => Ok(port),
        _ if is_number => Err(format!("`{whole}`: ports go from 1 to 65535")),
        _ => Err(format!("`{whole}` is no port; write 443, \"443/tcp\", \"8000-8010/udp\" or \"icmp\"")),
    }
}

impl fmt::Display for PortSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = match self.ports {
            None => "",
            Some((first, last)) if first == last => {
                write!(formatter, "{first}")?;
                "/"
            }
            Some((first, last)) => {
                write!(formatter, "{first}-{last}")?;
                "/"
            }
        };
        match self.protocol.map(|number| (number, protocol::name(i64::from(number)))) {
            None => Ok(()),
            Some((_, Some(name))) => write!(formatter, "{slash}{name}"),
            Some((number, None)) => write!(formatter, "{slash}{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = PortSelector::parse(text).map_or_else(|error| error, |selector| selector.to_string());
        assert_eq!(found, expected);
    }

    #[test]
    fn ports_are_read() {
        check("443", "443");
        check("443/tcp", "443/tcp");
        check("443/6", "443/tcp");
        check("8000-8010/UDP", "8000-8010/udp");
        check("icmp", "icmp");
        check("icmpv6", "ipv6-icmp");
        check("tcp", "tcp");
        check("0", "`0`: ports go from 1 to 65535");
        check("70000", "`70000`: ports go from 1 to 65535");
        check("9-8", "the range `9-8` ends before it begins");
        check("53/icmp", "`53/icmp`: icmp has no ports; write \"icmp\" alone");
        check("https", "`https` is no IP protocol; write tcp, udp, sctp, icmp, icmpv6 or a number to 255");
        check("", "`` is no port; write 443, \"443/tcp\", \"8000-8010/udp\" or \"icmp\"");
        check("+1", "`+1` is no port; write 443, \"443/tcp\", \"8000-8010/udp\" or \"icmp\"");
    }

    #[test]
    fn what_was_not_seen_decides_nothing() {
        for (selector, protocol, port, expected) in [
            ("443", Some(6), Some(443), Some(true)),
            ("443", None, Some(443), Some(true)),
            ("443", Some(1), None, Some(false)),
            ("443", Some(6), None, None),
            ("443/tcp", None, Some(443), None),
            ("443/tcp", None, Some(80), Some(false)),
            ("443/tcp", Some(17), None, Some(false)),
            ("icmp", Some(1), None, Some(true)),
            ("icmp", None, None, None),
        ] {
            let found = PortSelector::parse(selector).expect("well-formed").matches(protocol, port);
            assert_eq!(found, expected, "{selector} on {protocol:?} {port:?}");
        }
    }

    #[test]
    fn wider_selectors_cover() {
        for (wide, narrow, expected) in [
            ("tcp", "443/tcp", true),
            ("443", "443/tcp", true),
            ("443/tcp", "443", false),
            ("1-65535", "tcp", false),
            ("80-90/tcp", "85/tcp", true),
            ("80-90", "icmp", false),
        ] {
            let [wide, narrow] = [wide, narrow].map(|text| PortSelector::parse(text).expect("well-formed"));
            assert_eq!(wide.covers(&narrow), expected, "{wide} over {narrow}");
        }
    }
}

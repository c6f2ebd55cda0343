//! Addresses as Envoy prints them: `10.0.0.1:80`, `[2001:db8::1]:80`, with or without port or scheme. Not host names:
//! a Unix socket, `envoy://internal` or a name is no address here.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

/// An IP address with the port, if it was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// RFC 5952 text; an IPv4-mapped IPv6 address is folded to IPv4.
    pub(super) ip: Cow<'a, str>,
    pub(super) port: Option<u16>,
    pub(super) is_loopback: bool,
}

/// Text that is made like an IP address but is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadAddress;

/// Reads an address; none for anything that is not meant to be an IP address.
pub(super) fn parse(text: &str) -> Result<Option<Address<'_>>, BadAddress> {
    // Envoy before 1.8 printed `tcp://10.0.2.1:80`.
    let text = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("udp://")).unwrap_or(text);
    let (host, port) = split_port(text);
    let Ok(ip) = host.parse::<IpAddr>() else {
        let is_numeric = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b':' | b'[' | b']'));
        return if is_numeric && !text.is_empty() { Err(BadAddress) } else { Ok(None) };
    };
    let port = port.map(|port| port.parse().map_err(|_| BadAddress)).transpose()?;
    let ip = match ip {
        // The parser takes only the canonical text of an IPv4 address.
        IpAddr::V4(v4) => Address { ip: Cow::Borrowed(host), port, is_loopback: v4.is_loopback() },
        IpAddr::V6(v6) => of_v6(v6, port),
    };
    Ok(Some(ip))
}

fn of_v6(v6: Ipv6Addr, port: Option<u16>) -> Address<'static> {
    match v6.to_ipv4_mapped() {
        Some(v4) => Address { ip: Cow::Owned(v4.to_string()), port, is_loopback: v4.is_loopback() },
        None => Address { ip: Cow::Owned(v6.to_string()), port, is_loopback: v6.is_loopback() },
    }
}

/// Splits at the port's colon; a bare IPv6 address has none.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some(inner) = text.strip_prefix('[') {
        let Some((host, rest)) = inner.split_once(']') else { return (text, None) };
        return match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

/// The name in an authority: without user information and port, without the brackets of an IPv6 address.
pub(super) fn host_of_authority(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = split_port(authority);
    match port {
        Some(port) if !port.bytes().all(|byte| byte.is_ascii_digit()) => authority,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        fn check(text: &str, expected: &str) {
            let found = match parse(text) {
                Ok(Some(address)) => format!("{} {:?}", address.ip, address.port),
                Ok(None) => "none".to_owned(),
                Err(BadAddress) => "bad".to_owned(),
            };
            assert_eq!(found, expected, "{text}");
        }
        check("10.0.0.1:80", "10.0.0.1 Some(80)");
        check("tcp://10.0.2.1:80", "10.0.2.1 Some(80)");
        check("10.0.0.1", "10.0.0.1 None");
        check("[2a02:cf40:0::7]:3000", "2a02:cf40::7 Some(3000)");
        check("[::ffff:10.0.0.1]:3000", "10.0.0.1 Some(3000)");
        check("2001:db8::1", "2001:db8::1 None");
        check("[fe80::1%eth0]:80", "none");
        check("/var/run/app.sock", "none");
        check("envoy://connect_originate/10.0.0.1:80", "none");
        check("backend.local:80", "none");
        check("10.0.0.999:80", "bad");
        check("10.0.0.1:70000", "bad");
        check("10.0.0.1:", "bad");
        check("", "none");
    }

    #[test]
    fn authorities_lose_user_and_port() {
        fn check(text: &str, expected: &str) {
            assert_eq!(host_of_authority(text), expected, "{text}");
        }
        check("details:9080", "details");
        check("user:secret@example.org:80", "example.org");
        check("[2001:db8::1]:80", "2001:db8::1");
        check("example.org", "example.org");
        check("a:b", "a:b");
    }
}

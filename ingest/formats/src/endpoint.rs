//! Addresses as logs print them: `10.0.0.1:80`, `[2001:db8::1]:80`, with or without port or scheme. Not host names: a Unix
//! socket, `envoy://internal` or a name is no address here.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

/// An IP address with the port, if it was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// RFC 5952 text; an IPv4-mapped IPv6 address is folded to IPv4.
    pub(crate) ip: Cow<'a, str>,
    pub(crate) port: Option<u16>,
    pub(crate) is_loopback: bool,
}

/// Text that is made like an IP address but is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadAddress;

/// Reads an address; none for anything that is not meant to be an IP address.
#[inline]
pub(crate) fn parse(text: &str) -> Result<Option<Address<'_>>, BadAddress> {
    match plain_v4(text) {
        Some(address) => Ok(Some(address)),
        None => parse_any(text),
    }
}

/// The short way for `10.0.0.1` and `10.0.0.1:80`; none for all else, right or wrong.
fn plain_v4(text: &str) -> Option<Address<'_>> {
    let bytes = text.as_bytes();
    let mut octets = [0; 4];
    let mut at = 0;
    for (index, octet) in octets.iter_mut().enumerate() {
        let length;
        (*octet, length) = leading_number(bytes.get(at..)?)?;
        if *octet > 255 || length > 3 || (length > 1 && bytes[at] == b'0') {
            return None;
        }
        at += length;
        if index < 3 {
            (*bytes.get(at)? == b'.').then_some(())?;
            at += 1;
        }
    }
    let ip = Cow::Borrowed(&text[..at]);
    let port = match bytes[at..].split_first() {
        None => None,
        Some((b':', port)) => {
            let (value, length) = leading_number(port)?;
            Some(u16::try_from(value).ok().filter(|_| length == port.len())?)
        }
        Some(_) => return None,
    };
    Some(Address { ip, port, is_loopback: octets[0] == 127 })
}

/// The number of up to five digits at the beginning, and how many they are.
#[inline(always)]
fn leading_number(bytes: &[u8]) -> Option<(u32, usize)> {
    let (mut value, mut length) = (0_u32, 0);
    while let Some(&byte) = bytes.get(length) {
        let digit = u32::from(byte).wrapping_sub(u32::from(b'0'));
        if digit > 9 {
            break;
        }
        if length == 5 {
            return None;
        }
        // Five digits cannot pass the type.
        value = value.wrapping_mul(10).wrapping_add(digit);
        length += 1;
    }
    (length > 0).then_some((value, length))
}

fn parse_any(text: &str) -> Result<Option<Address<'_>>, BadAddress> {
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
pub(crate) fn host_of_authority(authority: &str) -> &str {
    // Nearly all are `name` or `name:80`.
    match memchr::memchr3(b':', b'@', b'[', authority.as_bytes()) {
        None => return authority,
        Some(colon) if authority.as_bytes()[colon..].strip_prefix(b":").is_some_and(is_digits) => {
            return &authority[..colon];
        }
        Some(_) => {}
    }
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = split_port(authority);
    match port {
        Some(port) if !is_digits(port.as_bytes()) => authority,
        _ => host,
    }
}

fn is_digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_short_way_agrees_with_the_long_one(
            text in "[0-9]{1,3}(\\.[0-9]{1,3}){3}(:[0-9]{0,6})?|(0|25[3-7]|127|1)(\\.(0|25[3-7]|7)){2,4}(:[0+-]?[1-9]{1,5})?|[0-9.:]{0,20}|\\PC{0,12}"
        ) {
            prop_assert_eq!(parse(&text), parse_any(&text));
        }
    }

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

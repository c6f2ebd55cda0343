//! IP addresses as the flow record writes them. It knows no log format.

use std::net::IpAddr;

/// The one text of an address: RFC 5952, with IPv4-mapped IPv6 folded to IPv4. None when `text` is no address.
///
/// Zones (`fe80::1%eth0`), octal and shortened IPv4 forms are refused: what they mean depends on who reads them.
#[must_use]
pub fn canonical(text: &str) -> Option<String> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(canonical(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn one_text_for_each_address() {
        check("10.0.0.1", Some("10.0.0.1"));
        check("::ffff:10.0.0.1", Some("10.0.0.1"));
        check("2001:DB8:0:0:1:0:0:1", Some("2001:db8::1:0:0:1"));
        check("2001:0db8:0000:0000:0000:0000:0000:0001", Some("2001:db8::1"));
        check("2001:db8:0:1:1:1:1:1", Some("2001:db8:0:1:1:1:1:1"));
        check("::", Some("::"));
    }

    #[test]
    fn what_is_no_address() {
        for text in
            ["", "-", "010.0.0.1", "10.1", "0x7f.0.0.1", "10.0.0.256", "fe80::1%eth0", "[::1]", "10.0.0.1 ", "1:2"]
        {
            check(text, None);
        }
    }
}

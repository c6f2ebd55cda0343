//! Names of connections that can be computed from a flow's columns: the Community ID, which other tools compute alike,
//! and our own, which also tells address spaces and reused ports apart. Not the decision which flows are one connection.
//!
//! Source: Corelight, "Community ID Flow Hashing" 1.0 (<https://github.com/corelight/community-id-spec>), and its reference
//! implementation `communityid` on PyPI.

use crate::protocol::{ICMP, ICMP6, TCP, UDP};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha1::{Digest as _, Sha1};
use std::net::IpAddr;

/// SCTP.
const SCTP: i64 = 132;
/// What [`connection_uid`] hashes first, so that its names never meet those of another scheme or version.
const UID_DOMAIN: &[u8] = b"tradewind connection 1\0";
/// Bytes of the hash that make a [`connection_uid`].
const UID_BYTES: usize = 15;

/// ICMP types that answer each other, after the reference implementation's `icmp.py` (which follows Zeek).
const ICMP_PAIRS: &[(u16, u16)] = &[(8, 0), (13, 14), (15, 16), (10, 9), (17, 18)];
/// ICMPv6 types that answer each other, after the reference implementation's `icmp6.py`.
const ICMP6_PAIRS: &[(u16, u16)] = &[(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];

/// The columns that a Community ID is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionTuple {
    /// Address of one end.
    pub src_ip: IpAddr,
    /// Its port; for ICMP the type.
    pub src_port: Option<u16>,
    /// Address of the other end.
    pub dst_ip: IpAddr,
    /// Its port; for ICMP the code.
    pub dst_port: Option<u16>,
    /// IANA protocol number.
    pub protocol_num: u8,
}

impl ConnectionTuple {
    /// The tuple of a flow's columns: for ICMP and ICMPv6, `icmp_type` and `icmp_code` stand in for the ports. None when
    /// an address is no address or a number is out of range.
    #[must_use]
    pub fn from_columns(
        (src_ip, src_port): (&str, Option<i64>),
        (dst_ip, dst_port): (&str, Option<i64>),
        protocol_num: i64,
        icmp: (Option<i64>, Option<i64>),
    ) -> Option<Self> {
        let is_icmp = matches!(protocol_num, ICMP | ICMP6) && icmp.0.is_some();
        let (src_port, dst_port) = if is_icmp { icmp } else { (src_port, dst_port) };
        let port = |port: Option<i64>| port.map(u16::try_from).transpose().ok();
        Some(Self {
            src_ip: src_ip.parse::<IpAddr>().ok()?.to_canonical(),
            src_port: port(src_port)?,
            dst_ip: dst_ip.parse::<IpAddr>().ok()?.to_canonical(),
            dst_port: port(dst_port)?,
            protocol_num: u8::try_from(protocol_num).ok()?,
        })
    }

    /// The ports as the Community ID takes them, and whether the tuple has one direction only.
    fn port_equivalents(&self) -> (Option<(u16, u16)>, bool) {
        let Some((src, dst)) = self.src_port.zip(self.dst_port) else { return (None, false) };
        let pairs = match i64::from(self.protocol_num) {
            ICMP => ICMP_PAIRS,
            ICMP6 => ICMP6_PAIRS,
            _ => return (Some((src, dst)), false),
        };
        let answer = pairs.iter().find_map(|&(ask, answer)| match src {
            src if src == ask => Some(answer),
            src if src == answer => Some(ask),
            _ => None,
        });
        answer.map_or((Some((src, dst)), true), |answer| (Some((src, answer)), false))
    }
}

/// The Community ID 1.0 of a connection: the same for both directions. `seed` separates networks whose addresses overlap;
/// the default everywhere is 0.
///
/// None for TCP, UDP, SCTP, ICMP and ICMPv6 without both ports (for ICMP: without type and code), as in the reference
/// implementation. Other protocols need none; a single port is left out.
#[must_use]
pub fn community_id(tuple: &ConnectionTuple, seed: u16) -> Option<String> {
    let (ports, is_one_way) = tuple.port_equivalents();
    if ports.is_none() && matches!(i64::from(tuple.protocol_num), TCP | UDP | SCTP | ICMP | ICMP6) {
        return None;
    }
    let (src_port, dst_port) = ports.unzip();
    let (src, dst) = (Octets::of(tuple.src_ip), Octets::of(tuple.dst_ip));
    let ends = [(src.as_slice(), src_port), (dst.as_slice(), dst_port)];
    let [low, high] = if is_one_way || ends[0] < ends[1] { ends } else { [ends[1], ends[0]] };
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    hash.update(low.0);
    hash.update(high.0);
    hash.update([tuple.protocol_num, 0]);
    for port in [low.1, high.1].into_iter().flatten() {
        hash.update(port.to_be_bytes());
    }
    Some(format!("1:{}", STANDARD.encode(hash.finalize())))
}

/// The address space that an end belongs to; none where records name none.
pub type Network<'a> = Option<&'a str>;

/// A name for one connection in the lake: the same for both directions and every observer in one address space.
///
/// `opened_at` is the `start_time` (microseconds UTC) of the row that opened the connection, which tells connections apart
/// that reuse one tuple; without it the name is that of the tuple. ICMP types and codes are left out, as one exchange has
/// several. It is 20 characters of URL-safe Base64 behind a `C`: 120 bits of a SHA-1 over the domain, both ends in the
/// order of their bytes (length of the address space's name, the name, length of the address, the address, port), the
/// protocol and the time.
#[must_use]
pub fn connection_uid(
    tuple: &ConnectionTuple,
    (src_network, dst_network): (Network<'_>, Network<'_>),
    opened_at: Option<i64>,
) -> String {
    let has_ports = !matches!(i64::from(tuple.protocol_num), ICMP | ICMP6);
    let end = |network: Network<'_>, ip: IpAddr, port: Option<u16>| {
        let (network, octets) = (network.unwrap_or_default(), Octets::of(ip));
        let mut bytes = (network.len() as u64).to_be_bytes().to_vec();
        bytes.extend_from_slice(network.as_bytes());
        bytes.push(octets.length);
        bytes.extend_from_slice(octets.as_slice());
        bytes.extend_from_slice(&port.filter(|_| has_ports).unwrap_or_default().to_be_bytes());
        bytes
    };
    let mut ends = [end(src_network, tuple.src_ip, tuple.src_port), end(dst_network, tuple.dst_ip, tuple.dst_port)];
    ends.sort();
    let mut hash = Sha1::new();
    hash.update(UID_DOMAIN);
    ends.iter().for_each(|end| hash.update(end));
    hash.update([tuple.protocol_num]);
    if let Some(opened_at) = opened_at {
        hash.update(opened_at.to_be_bytes());
    }
    format!("C{}", URL_SAFE_NO_PAD.encode(&hash.finalize()[..UID_BYTES]))
}

/// The bytes of an address in network order.
struct Octets {
    bytes: [u8; 16],
    length: u8,
}

impl Octets {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&ip.octets());
                Self { bytes, length: 4 }
            }
            IpAddr::V6(ip) => Self { bytes: ip.octets(), length: 16 },
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

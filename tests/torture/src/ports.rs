//! Ports for the processes of the service, below those that the test servers take.

use anyhow::bail;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

const PORTS: Range<u16> = 10_000..15_000;

/// So many ports that are free at the moment. Each run begins at another place, so that two seldom ask for the same ones.
pub(crate) fn free(count: usize) -> anyhow::Result<Vec<u16>> {
    let span = PORTS.end - PORTS.start;
    let first = u16::try_from(std::process::id() * 37 % u32::from(span)).unwrap_or_default();
    let candidates = (0..span).map(|step| PORTS.start + (first + step) % span);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let ports: Vec<u16> = candidates.filter(is_free).take(count).collect();
    if ports.len() < count {
        bail!("there are no {count} free ports between {} and {}", PORTS.start, PORTS.end);
    }
    Ok(ports)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_free() {
        let mut ports = free(12).unwrap();
        ports.dedup();
        assert_eq!(ports.len(), 12);
        assert!(ports.iter().all(|port| PORTS.contains(port)));
    }
}

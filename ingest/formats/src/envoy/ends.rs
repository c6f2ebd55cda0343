//! Who spoke to whom, and where the proxy stood between them. Not what they said: that is `mapping`.
//!
//! **Ends.** `src` is the peer that opened the connection to the proxy: the direct remote address if it is logged, else
//! the remote address, unless its port is 0 or not logged: then Envoy may have taken it from `X-Forwarded-For`, which
//! anybody can write. It stays in `unmapped` and `src_ip` is null. `dst` is the real responder. For an inbound record
//! (cluster `inbound|…`, the proxy beside the server) that is the downstream local address, the workload's own; for all
//! others the upstream host, else the downstream local address. The address that an outbound client asked for (a service's
//! virtual address) stays in `unmapped` as `downstream_local_address`; the proxy's own address towards the upstream, by
//! which the other side sees this flow, is `post_nat_src_*`. Sockets, internal listeners and names are no addresses.
//!
//! **Vantage.** Istio names its clusters `inbound|port|…` and `outbound|port|subset|host`; `InboundPassthroughCluster…`,
//! `PassthroughCluster` and `BlackHoleCluster` are its own too. Any other proxy is `proxy`.

use super::mapping::{Fault, Row};
use super::slot::Slot;
use crate::contract::Reason;
use crate::endpoint::{self, Address, BadAddress};
use tradewind_model::flow::{DST_IP, DST_PORT, POST_NAT_SRC_IP, POST_NAT_SRC_PORT, SRC_IP, SRC_PORT, VANTAGE};
use tradewind_model::{NumCol, TextCol};

/// Where the proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vantage {
    Source,
    Destination,
    Proxy,
}

impl Vantage {
    fn of(cluster: Option<&str>) -> Self {
        match cluster {
            Some(name) if name.starts_with("inbound|") || name.starts_with("InboundPassthroughCluster") => {
                Self::Destination
            }
            Some(name)
                if name.starts_with("outbound|") || name == "PassthroughCluster" || name == "BlackHoleCluster" =>
            {
                Self::Source
            }
            _ => Self::Proxy,
        }
    }
}

/// The slots of addresses that may repeat each other.
const WHOLE: [Slot; 5] =
    [Slot::DownstreamDirect, Slot::DownstreamRemote, Slot::DownstreamLocal, Slot::UpstreamHost, Slot::UpstreamRemote];

impl<'r> Row<'r, '_, '_> {
    /// Sets the columns of both ends and of the vantage.
    pub(super) fn ends(&mut self) -> Result<(), Fault> {
        let vantage = Vantage::of(self.record.text(Slot::UpstreamCluster));
        let word = match vantage {
            Vantage::Source => &mut self.words.source,
            Vantage::Destination => &mut self.words.destination,
            Vantage::Proxy => &mut self.words.proxy,
        };
        word.set(VANTAGE, self.flows);

        let direct =
            self.address(Slot::DownstreamDirect, Some((Slot::DownstreamDirectIp, Slot::DownstreamDirectPort)))?;
        let remote =
            self.address(Slot::DownstreamRemote, Some((Slot::DownstreamRemoteIp, Slot::DownstreamRemotePort)))?;
        let remote = remote.filter(|(address, _)| address.port.is_some_and(|port| port != 0));
        if let Some((address, bits)) = direct.or(remote) {
            self.used |= bits;
            self.end(SRC_IP, SRC_PORT, &address);
        }

        let local = self.address(Slot::DownstreamLocal, Some((Slot::DownstreamLocalIp, Slot::DownstreamLocalPort)))?;
        let host = match self.host(local.as_ref())? {
            Some(host) => Some(host),
            None => self.address(Slot::UpstreamRemote, Some((Slot::UpstreamRemoteIp, Slot::UpstreamRemotePort)))?,
        };
        let upstream_local = self.address(Slot::UpstreamLocal, None)?;
        let responder = match vantage {
            // A sidecar hands inbound traffic to its workload over loopback, which names nobody.
            Vantage::Destination => local.or(host.filter(|(address, _)| !address.is_loopback)),
            Vantage::Source | Vantage::Proxy => host.or(local),
        };
        if let Some((address, bits)) = responder {
            self.used |= bits;
            self.end(DST_IP, DST_PORT, &address);
        }
        if let Some((address, bits)) = upstream_local {
            self.used |= bits;
            self.end(POST_NAT_SRC_IP, POST_NAT_SRC_PORT, &address);
        }
        self.drop_repeated_addresses();
        Ok(())
    }

    /// The address in a slot, or in a slot without port and one with it.
    #[inline]
    fn address(&self, whole: Slot, parts: Option<(Slot, Slot)>) -> Result<Option<(Address<'r>, u64)>, Fault> {
        if let Some(address) = self.address_in(whole)? {
            return Ok(Some((address, whole.bit())));
        }
        let Some((ip, port)) = parts else { return Ok(None) };
        let Some(address) = self.address_in(ip)? else { return Ok(None) };
        let Some(text) = self.record.text(port) else { return Ok(Some((address, ip.bit()))) };
        let number = text.parse().map_err(|_| Fault::value(Reason::BadNumber, port, text))?;
        Ok(Some((Address { port: Some(number), ..address }, ip.bit() | port.bit())))
    }

    #[inline]
    fn address_in(&self, slot: Slot) -> Result<Option<Address<'r>>, Fault> {
        let Some(text) = self.record.text(slot) else { return Ok(None) };
        endpoint::parse(text).map_err(|BadAddress| Fault::value(Reason::BadAddress, slot, text))
    }

    /// The upstream host, which often is the address the client connected to.
    #[inline]
    fn host(&self, local: Option<&(Address<'r>, u64)>) -> Result<Option<(Address<'r>, u64)>, Fault> {
        let texts = [Slot::DownstreamLocal, Slot::UpstreamHost].map(|slot| self.record.text(slot));
        match (local, texts) {
            (Some((address, _)), [Some(local), Some(host)]) if local == host => {
                Ok(Some((address.clone(), Slot::UpstreamHost.bit())))
            }
            _ => self.address(Slot::UpstreamHost, None),
        }
    }

    fn end(&mut self, ip: TextCol, port: NumCol, address: &Address<'_>) {
        self.set_varied(ip, Some(&address.ip));
        self.set_num(port, address.port.filter(|&port| port != 0).map(i64::from));
    }

    /// An address that says what a column already says is not kept a second time.
    fn drop_repeated_addresses(&mut self) {
        for slot in WHOLE {
            if self.used & slot.bit() != 0 {
                continue;
            }
            let Some(text) = self.record.text(slot) else { continue };
            let is_repeated = |other: &Slot| self.used & other.bit() != 0 && self.record.text(*other) == Some(text);
            if WHOLE.iter().any(is_repeated) {
                self.used |= slot.bit();
            }
        }
    }
}

//! Azure: flow logs of network security groups (version 1 and 2) and of virtual networks (version 4), and the logs of Azure Firewall. Not
//! metrics and activity logs.
//!
//! Source: Microsoft, "Flow logs for network security groups", "Virtual network flow logs", "Azure Firewall: structured logs" and "legacy
//! Azure Diagnostics logs". A blob is one object `{"records":[…]}`; exports may write each record by itself.

mod firewall;
mod firewall_message;
mod page;
mod tuple;
mod tuples;

use crate::contract::{Decoded, Fault, Format};
use crate::detect::{Chosen, Framing, first_line};
use crate::framing::Records;
use crate::json::Value;
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Written};
use std::sync::Arc;

/// Flow logs of network security groups.
pub(crate) static NSG: Family = Family {
    name: Log::Nsg.name(),
    summary: "Azure flow logs of network security groups, version 1 and 2",
    page: page::NSG,
    decoders: || Log::Nsg.decoders(),
    recognise: |head| Log::Nsg.by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(Log::Nsg.named(head)),
    check_layout: None,
};

/// Flow logs of virtual networks.
pub(crate) static VNET: Family = Family {
    name: Log::Vnet.name(),
    summary: "Azure flow logs of virtual networks, version 4",
    page: page::VNET,
    decoders: || Log::Vnet.decoders(),
    recognise: |head| Log::Vnet.by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(Log::Vnet.named(head)),
    check_layout: None,
};

/// Logs of Azure Firewall.
pub(crate) static FIREWALL: Family = Family {
    name: Log::Firewall.name(),
    summary: "Azure Firewall: network, application and NAT rules, flow trace, threat intelligence, intrusion detection; structured and legacy logs",
    page: page::FIREWALL,
    decoders: || Log::Firewall.decoders(),
    recognise: |head| Log::Firewall.by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(Log::Firewall.named(head)),
    check_layout: None,
};

/// Which of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    Nsg,
    Vnet,
    Firewall,
}

impl Log {
    /// The word in the column `source`.
    const fn name(self) -> &'static str {
        match self {
            Self::Nsg => "azure_nsg",
            Self::Vnet => "azure_vnet",
            Self::Firewall => "azure_firewall",
        }
    }

    fn decoders(self) -> Vec<(Arc<dyn Format>, Records)> {
        let of = |records| (Arc::new(Blob { log: self, records }) as Arc<dyn Format>, records);
        vec![of(Records::Lines), of(Records::JsonObjects)]
    }

    const fn nature(self) -> Nature {
        match self {
            Self::Nsg | Self::Vnet => Nature { kind: "interval", vantage: None, orientation: "log" },
            Self::Firewall => Nature { kind: "connection", vantage: Some("network"), orientation: "log" },
        }
    }

    /// What only this log has; a blob is longer than what is seen of it, so that texts are looked for and no values.
    fn by_content(self, head: &[u8]) -> Option<Chosen> {
        let head = head.trim_ascii_start();
        if !matches!(head.first(), Some(b'{' | b'[')) {
            return None;
        }
        let has = |text: &str| memchr::memmem::find(head, text.as_bytes()).is_some();
        let is_of_log = match self {
            Self::Nsg => {
                has("\"flowTuples\"")
                    && !has("\"flowRecords\"")
                    && has("\"mac\"") | has("\"portId\"") | has("NetworkSecurityGroupFlowEvent")
            }
            Self::Vnet => has("\"flowRecords\"") && has("\"flowTuples\""),
            Self::Firewall => has("\"AZFW") || has("\"AzureFirewall"),
        };
        is_of_log.then(|| self.named(head))
    }

    /// Objects that end at lines where the first does, else wherever they end.
    fn named(self, head: &[u8]) -> Chosen {
        let is_line = serde_json::from_slice::<serde::de::IgnoredAny>(first_line(head)).is_ok();
        let records = if is_line { Records::Lines } else { Records::JsonObjects };
        let reason = match self {
            Self::Nsg => "JSON with the flow tuples of Azure's network security groups",
            Self::Vnet => "JSON with the flow tuples of Azure's virtual networks",
            Self::Firewall => "JSON with a category of Azure Firewall",
        };
        Chosen::new(Arc::new(Blob { log: self, records }), Framing::Text(records), reason.to_owned())
    }
}

/// Blobs, or records one by one.
#[derive(Clone, Copy, Debug)]
struct Blob {
    log: Log,
    records: Records,
}

impl Format for Blob {
    fn name(&self) -> &'static str {
        self.log.name()
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, self.log.name(), self.log.nature());
        rows.each_json(input, offset, self.records, |rows, object| self.object(object, rows));
        rows.finish();
    }
}

impl Blob {
    fn object(self, object: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
        let Some(records) = object.get("records") else {
            let mut index = 0;
            self.record(object, &mut index, rows)?;
            return Ok(Written::Done);
        };
        let mut index = 0;
        for record in records.items() {
            if let Err(fault) = self.record(record, &mut index, rows) {
                rows.reject(fault, Some(index));
                index += 1;
            }
        }
        if index == 0 {
            return Err(Fault::other_log("a list of no records"));
        }
        Ok(Written::Done)
    }

    /// Writes the rows of one record; `index` counts rows and rejects of the object.
    fn record(self, record: Value<'_>, index: &mut u32, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
        match self.log {
            Log::Nsg => tuples::network_security_group(record, index, rows),
            Log::Vnet => tuples::virtual_network(record, index, rows),
            Log::Firewall => {
                firewall::write(record, rows)?;
                rows.accept(Some(*index));
                *index += 1;
                Ok(())
            }
        }
    }
}

/// The subscription in a resource id: `/subscriptions/ID/…`.
fn subscription(resource: &str) -> Option<&str> {
    let mut parts = resource.split('/');
    parts.find(|part| part.eq_ignore_ascii_case("subscriptions"))?;
    parts.next().filter(|id| !id.is_empty())
}

/// The last part of a resource id: the name of the resource.
fn resource_name(resource: &str) -> Option<&str> {
    resource.rsplit('/').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;

//! Google Cloud: VPC flow logs and firewall rule logs, as log entries in JSON, alone or inside Pub/Sub messages. Not audit logs.
//!
//! Source: Google Cloud, "VPC Flow Logs: record format", "Firewall Rules Logging: record format", "LogEntry", Pub/Sub "PubsubMessage".
//! A flow record counts what its source sent during an interval, so the other way stays null. Both ends may report one flow.

mod firewall;
mod page;
mod pubsub;
mod vpc;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, Framing};
use crate::framing::Records;
use crate::json::{Doc, Value};
use crate::record_ends;
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::time;
use std::sync::Arc;
use tradewind_model::flow::{ACCOUNT, LOGGED_TIME};

/// VPC flow logs.
pub(crate) static VPC: Family = Family {
    name: Log::Vpc.name(),
    summary: "Google Cloud VPC flow logs: log entries in JSON, also inside Pub/Sub messages",
    page: page::VPC,
    decoders: || Log::Vpc.decoders(),
    recognise: |head| Log::Vpc.by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(Log::Vpc.named(head)),
    check_layout: None,
};

/// Firewall rule logs.
pub(crate) static FIREWALL: Family = Family {
    name: Log::Firewall.name(),
    summary: "Google Cloud firewall rule logs: log entries in JSON, also inside Pub/Sub messages",
    page: page::FIREWALL,
    decoders: || Log::Firewall.decoders(),
    recognise: |head| Log::Firewall.by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(Log::Firewall.named(head)),
    check_layout: None,
};

/// Which of the two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    Vpc,
    Firewall,
}

impl Log {
    /// The word in the column `source`.
    const fn name(self) -> &'static str {
        match self {
            Self::Vpc => "gcp_vpc",
            Self::Firewall => "gcp_firewall",
        }
    }

    fn decoders(self) -> Vec<(Arc<dyn Format>, Records)> {
        let of = |records| (Arc::new(Entries { log: self, records }) as Arc<dyn Format>, records);
        vec![of(Records::Lines), of(Records::JsonObjects)]
    }

    const fn nature(self) -> Nature {
        match self {
            Self::Vpc => Nature { kind: "interval", vantage: Some("network"), orientation: "unknown" },
            Self::Firewall => Nature { kind: "connection", vantage: Some("network"), orientation: "log" },
        }
    }

    /// Whether a payload is of this log.
    fn has(self, payload: Value<'_>) -> bool {
        payload.has("connection.src_ip")
            && match self {
                Self::Vpc => payload.has("reporter") || payload.has("bytes_sent") || payload.has("packets_sent"),
                // The policy log of GKE has a disposition, too, but no rule.
                Self::Firewall => {
                    payload.has("disposition") && (payload.has("rule_details") || payload.has("instance"))
                }
            }
    }

    fn by_content(self, head: &[u8]) -> Option<Chosen> {
        if !matches!(head.trim_ascii_start().first(), Some(b'{' | b'[')) {
            return None;
        }
        // An object may be longer than what is seen of it; one whole is enough.
        record_ends::records(head, Records::JsonObjects)
            .take_while(|(start, _)| *start < PROBED_BYTES_MAX)
            .any(|(_, record)| std::str::from_utf8(record).is_ok_and(|text| self.is_in(text)))
            .then(|| self.named(head))
    }

    fn is_in(self, text: &str) -> bool {
        let mut doc = Doc::new();
        doc.parse(text).is_ok()
            && pubsub::payloads(doc.root()).iter().any(|entry| match entry {
                pubsub::Entry::Plain(entry) => self.has(payload_of(*entry)),
                pubsub::Entry::Packed(text) => {
                    let mut doc = Doc::new();
                    doc.parse(text).is_ok() && self.has(payload_of(doc.root()))
                }
                pubsub::Entry::Faulty(_) => false,
            })
    }

    /// Objects that end at lines where the first does, else wherever they end.
    fn named(self, head: &[u8]) -> Chosen {
        let line = crate::detect::first_line(head);
        let is_line = line.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
        let records = if is_line { Records::Lines } else { Records::JsonObjects };
        let reason = match self {
            Self::Vpc => "JSON with the keys of Google Cloud's VPC flow logs",
            Self::Firewall => "JSON with the keys of Google Cloud's firewall logs",
        };
        Chosen::new(Arc::new(Entries { log: self, records }), Framing::Text(records), reason.to_owned())
    }
}

/// How much of an object is looked at for a record of a log.
const PROBED_BYTES_MAX: usize = 32 * 1024;

/// The payload of a log entry; exports may leave the entry out.
fn payload_of(entry: Value<'_>) -> Value<'_> {
    entry.get("jsonPayload").unwrap_or(entry)
}

/// Log entries.
#[derive(Clone, Copy, Debug)]
struct Entries {
    log: Log,
    records: Records,
}

impl Format for Entries {
    fn name(&self) -> &'static str {
        self.log.name()
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, self.log.name(), self.log.nature());
        rows.each_json(input, offset, self.records, |rows, record| self.record(record, rows));
        rows.finish();
    }
}

impl Entries {
    fn record(self, record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
        let entries = pubsub::payloads(record);
        if let [pubsub::Entry::Plain(entry)] = entries[..] {
            return self.entry(entry, rows).map(|()| Written::Row);
        }
        for (index, entry) in (0..).zip(&entries) {
            let written = match entry {
                pubsub::Entry::Plain(entry) => self.entry(*entry, rows),
                pubsub::Entry::Packed(text) => {
                    let mut doc = Doc::new();
                    doc.parse(text).and_then(|()| self.entry(doc.root(), rows))
                }
                pubsub::Entry::Faulty(fault) => Err(fault.clone()),
            };
            match written {
                Ok(()) => rows.accept(Some(index)),
                Err(fault) => rows.reject(fault, Some(index)),
            }
        }
        Ok(Written::Done)
    }

    fn entry(self, entry: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
        let payload = payload_of(entry);
        if !self.log.has(payload) {
            return Err(Fault::other_log(format!("no record of {}: its keys are missing", self.log.name())));
        }
        for (side, ip, port) in [
            (Side::Src, "connection.src_ip", "connection.src_port"),
            (Side::Dst, "connection.dest_ip", "connection.dest_port"),
        ] {
            if let Some(address) = payload.text(ip) {
                rows.address(side, ip, address)?;
            }
            rows.port(side, port, payload.integer(port)?)?;
        }
        let number = payload.integer("connection.protocol")?;
        if let Some(number) = number {
            if number > 255 {
                return Err(Fault::value(
                    Reason::BadNumber,
                    "connection.protocol",
                    &number.to_string(),
                    "an IP protocol",
                ));
            }
            rows.protocol(number);
        }
        if let Some(text) = entry.text("receiveTimestamp").or_else(|| entry.text("timestamp")) {
            rows.number(LOGGED_TIME, Some(at("receiveTimestamp", text)?));
        }
        let account = entry.text("resource.labels.project_id");
        match self.log {
            Log::Vpc => vpc::write(payload, entry, rows)?,
            Log::Firewall => firewall::write(payload, entry, rows)?,
        }
        rows.optional(ACCOUNT, account);
        entry.leave(&mut rows.unmapped);
        Ok(())
    }
}

/// A time of a log entry.
fn at(name: &str, text: &str) -> Result<i64, Fault> {
    time::rfc3339(text).ok_or_else(|| Fault::value(Reason::BadTime, name, text, "RFC 3339"))
}

#[cfg(test)]
mod tests;

//! What may be around the lines of any log in text: syslog, or the lines of a container runtime. Not CloudWatch's envelope
//! or Zeek's, which hold whole records of one format and belong to it.
//!
//! The messages are taken out into one buffer, one a line, which the format inside decodes as it decodes any; then places
//! are put back to where the records were, and rejects to what they were. A message is never more than one line.

pub(crate) mod container;
mod messages;
mod syslog;

use crate::contract::{Decoded, Format};
use crate::detect::{Chosen, Framing};
use crate::framing::Records;
use crate::record_ends::{Length, frame_length};
use messages::Messages;
use std::sync::Arc;

/// How many lines are looked at.
const LINES_TRIED: usize = 20;

/// What is around the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// Syslog: RFC 5424 or RFC 3164.
    Syslog,
    /// Lines of the Container Runtime Interface.
    Cri,
    /// Docker's `json-file`.
    Docker,
}

impl Envelope {
    fn describe(self, records: Records) -> &'static str {
        match self {
            Self::Syslog if records == Records::OctetCounted => "syslog with the length before each message",
            Self::Syslog => "syslog lines",
            Self::Cri => "CRI lines",
            Self::Docker => "lines of Docker's json-file",
        }
    }
}

/// What was recognised around the lines.
#[derive(Clone, Debug)]
pub(crate) struct Recognised {
    /// What it is.
    pub(crate) envelope: Envelope,
    /// Where records end.
    pub(crate) records: Records,
    /// The messages of the whole records, one a line.
    pub(crate) head: Vec<u8>,
}

/// What is around the lines of an object, by its first bytes: more than half of its first lines must have it, the first one
/// among them.
pub(crate) fn recognise(head: &[u8]) -> Option<Recognised> {
    let (envelope, records) = around(head)?;
    let mut messages = Messages::default();
    // What is cut off at the end would be half a message.
    let whole = match records {
        Records::OctetCounted => head.len(),
        _ => memchr::memrchr(b'\n', head).map_or(head.len(), |end| end + 1),
    };
    messages.take(envelope, records, &head[..whole], 0, &mut Decoded::default());
    let head = messages.into_text();
    (!head.trim_ascii().is_empty()).then_some(Recognised { envelope, records, head })
}

fn around(head: &[u8]) -> Option<(Envelope, Records)> {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let head = &head[start..];
    if let Length::Is { digits, message } = frame_length(head) {
        let frame = &head[digits + 1..];
        let frame = &frame[..message.min(frame.len())];
        return (frame.starts_with(b"<") && syslog::read(frame).is_some())
            .then_some((Envelope::Syslog, Records::OctetCounted));
    }
    let lines: Vec<&[u8]> =
        head.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(LINES_TRIED).collect();
    let envelope = of_line(lines.first()?)?;
    let alike = lines.iter().filter(|line| of_line(line) == Some(envelope)).count();
    let records = if envelope == Envelope::Syslog { Records::Lines } else { Records::ContainerLines };
    (alike * 2 > lines.len()).then_some((envelope, records))
}

fn of_line(line: &[u8]) -> Option<Envelope> {
    match container::read(line) {
        Some(_) if line.starts_with(b"{") => Some(Envelope::Docker),
        Some(_) => Some(Envelope::Cri),
        None => syslog::read(line).map(|_| Envelope::Syslog),
    }
}

/// The format inside together with what is around it; none when it is not one of lines.
pub(crate) fn wrap(recognised: &Recognised, inner: Chosen) -> Option<Chosen> {
    if inner.framing != Framing::Text(Records::Lines) {
        return None;
    }
    let &Recognised { envelope, records, .. } = recognised;
    let mut notes = inner.notes;
    if inner.has_headers || inner.skip > 0 {
        notes.push(format!(
            "header lines inside {} are no records: they are rejected, and the layout stays the first one",
            envelope.describe(records)
        ));
    }
    let reason = format!("{}; inside: {}", envelope.describe(records), inner.reason);
    let format = Arc::new(Wrapped { envelope, records, inner: inner.format });
    Some(Chosen { notes, ..Chosen::new(format, Framing::Text(records), reason) })
}

/// A format whose lines are inside something else.
#[derive(Clone, Debug)]
pub(crate) struct Wrapped {
    envelope: Envelope,
    records: Records,
    /// Invariant: its records are lines.
    inner: Arc<dyn Format>,
}

impl Format for Wrapped {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let first_reject = out.rejects.len();
        let mut messages = Messages::default();
        messages.take(self.envelope, self.records, input, offset, out);
        let (inner_row, inner_reject) = (out.flows.len(), out.rejects.len());
        self.inner.decode(messages.text(), 0, out);
        messages.put_back(offset, inner_row, inner_reject, out);
        // Where the input is cut must not change the order.
        out.rejects[first_reject..].sort_by_key(|reject| (reject.offset, reject.index));
    }
}

#[cfg(test)]
mod tests;

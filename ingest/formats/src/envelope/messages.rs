//! The messages of a chunk, taken out of what is around them, and the way back to where each was. Not what is in them.

use super::container::{self, Group, Message};
use super::{Envelope, syslog};
use crate::contract::{Decoded, Fault, REJECT_BYTES_MAX, Reason};
use crate::framing::Records;
use crate::record_ends::{Ends, Length, frame_length};
use crate::text::time;
use memchr::memchr;
use tradewind_model::flow::{LOGGED_TIME, OBSERVER, POSITION_OFFSET};
use tradewind_model::{NULL_CODE, NULL_NUM};

/// Messages one after the other, each with a line feed behind it.
#[derive(Debug, Default)]
pub(super) struct Messages<'a> {
    text: Vec<u8>,
    /// Where each message was; starts ascend.
    origins: Vec<Origin<'a>>,
}

/// Where a message was and what was around it.
#[derive(Clone, Copy, Debug)]
struct Origin<'a> {
    /// Where the message begins in the text.
    start: usize,
    /// Where its record begins in the chunk.
    at: usize,
    /// The record; of several lines also what is between them.
    record: &'a [u8],
    /// Microseconds UTC, or [`NULL_NUM`].
    time: i64,
    host: Option<&'a str>,
}

/// An unfinished line of a container.
#[derive(Debug)]
struct Unfinished {
    text: Vec<u8>,
    from: usize,
    to: usize,
    time: i64,
}

impl<'a> Messages<'a> {
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn into_text(self) -> Vec<u8> {
        self.text
    }

    /// Takes the messages out of a chunk of whole records; what has none becomes a reject.
    pub(super) fn take(
        &mut self,
        envelope: Envelope,
        records: Records,
        input: &'a [u8],
        offset: u64,
        out: &mut Decoded,
    ) {
        self.text.reserve(input.len());
        match envelope {
            Envelope::Syslog => self.take_syslog(records, input, offset, out),
            Envelope::Cri | Envelope::Docker => self.take_lines(envelope, input, offset, out),
        }
    }

    fn take_syslog(&mut self, records: Records, input: &'a [u8], offset: u64, out: &mut Decoded) {
        let (mut ends, mut start) = (Ends::new(records), 0);
        while start < input.len() {
            let end = ends.next_end(input, start).unwrap_or(input.len());
            let blanks = input[start..end].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            let (at, record) = (start + blanks, &input[start + blanks..end]);
            start = end;
            if record.trim_ascii().is_empty() {
                continue;
            }
            let record = if records == Records::Lines { without_line_end(record) } else { record };
            match counted(records, record).and_then(|line| syslog::read(line).ok_or_else(|| no_syslog(line))) {
                Ok(line) => {
                    let from = self.text.len();
                    self.text.extend_from_slice(without_line_end(line.message));
                    self.end_message(Origin { start: from, at, record, time: line.time, host: line.host });
                }
                Err(fault) => out.reject(fault.reason, fault.detail, offset + at as u64, record),
            }
        }
    }

    fn take_lines(&mut self, envelope: Envelope, input: &'a [u8], offset: u64, out: &mut Decoded) {
        let mut unfinished: [Option<Unfinished>; 2] = [None, None];
        let (mut group, mut start) = (Group::default(), 0);
        while start < input.len() {
            let end = memchr(b'\n', &input[start..]).map_or(input.len(), |length| start + length + 1);
            let (at, line) = (start, &input[start..end]);
            start = end;
            let read = container::read(line);
            let ends_group = group.add(read.as_ref().map(|line| line.mark), line.len());
            let record = without_line_end(line);
            match read {
                Some(line) => {
                    let open = &mut unfinished[line.mark.stream as usize];
                    let added = match time::rfc3339(&line.time) {
                        None => Err(Fault::value(Reason::BadTime, "time", &line.time, "an RFC 3339 time")),
                        Some(time) if line.mark.is_partial => {
                            let to = at + record.len();
                            open.get_or_insert_with(|| Unfinished { text: Vec::new(), from: at, to, time })
                                .add(&line.message, to)
                        }
                        Some(time) => self.finish(input, at, record.len(), open, time, &line.message),
                    };
                    if let Err(fault) = added {
                        out.reject(fault.reason, fault.detail, offset + at as u64, record);
                    }
                    if !line.mark.is_partial {
                        self.flush(input, open.take());
                    }
                }
                None if record.trim_ascii().is_empty() => {}
                None => {
                    let fault = no_line(envelope, record);
                    out.reject(fault.reason, fault.detail, offset + at as u64, record);
                }
            }
            if ends_group {
                self.flush_all(input, &mut unfinished);
            }
        }
        self.flush_all(input, &mut unfinished);
    }

    /// Adds a message that is whole with this line, the end of what is unfinished.
    fn finish(
        &mut self,
        input: &'a [u8],
        at: usize,
        length: usize,
        open: &mut Option<Unfinished>,
        time: i64,
        message: &Message<'_>,
    ) -> Result<(), Fault> {
        let start = self.text.len();
        let (from, time) = match open {
            Some(unfinished) => {
                self.text.extend_from_slice(&unfinished.text);
                (unfinished.from, unfinished.time)
            }
            None => (at, time),
        };
        if let Err(fault) = message.append(&mut self.text) {
            self.text.truncate(start);
            return Err(fault);
        }
        *open = None;
        self.end_message(Origin { start, at: from, record: &input[from..at + length], time, host: None });
        Ok(())
    }

    /// Adds what was never finished, in the order in which it began.
    fn flush_all(&mut self, input: &'a [u8], unfinished: &mut [Option<Unfinished>; 2]) {
        if let [Some(output), Some(error)] = unfinished
            && error.from < output.from
        {
            unfinished.swap(0, 1);
        }
        for open in unfinished {
            self.flush(input, open.take());
        }
    }

    fn flush(&mut self, input: &'a [u8], unfinished: Option<Unfinished>) {
        let Some(Unfinished { text, from, to, time }) = unfinished else { return };
        let start = self.text.len();
        self.text.extend_from_slice(&text);
        self.end_message(Origin { start, at: from, record: &input[from..to], time, host: None });
    }

    /// Ends the message that was added to the text; a blank one is none.
    fn end_message(&mut self, origin: Origin<'a>) {
        let message = &mut self.text[origin.start..];
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &message[at..]) {
            at += length;
            message[at] = b' ';
        }
        if message.trim_ascii().is_empty() {
            self.text.truncate(origin.start);
            return;
        }
        self.text.push(b'\n');
        self.origins.push(origin);
    }

    /// Puts the places of what was decoded of the text back to where they were in the input at `offset`, the bytes of
    /// rejects back to what they were, and fills what the envelope knows and the message does not.
    pub(super) fn put_back(&self, offset: u64, first_row: usize, first_reject: usize, out: &mut Decoded) {
        if self.origins.is_empty() {
            return;
        }
        let mut near = 0;
        let (mut host, mut host_code) = (None, NULL_CODE);
        for row in first_row..out.flows.len() {
            let position = out.flows.num(POSITION_OFFSET).raw(row);
            let Ok(position) = usize::try_from(position) else { continue };
            near = self.index(position, near);
            let origin = &self.origins[near];
            let place = i64::try_from(offset.saturating_add(origin.at as u64)).unwrap_or(i64::MAX);
            out.flows.num_mut(POSITION_OFFSET).set(row, place);
            if origin.time != NULL_NUM && out.flows.num(LOGGED_TIME).raw(row) == NULL_NUM {
                out.flows.num_mut(LOGGED_TIME).set(row, origin.time);
            }
            if let Some(name) = origin.host
                && out.flows.text(OBSERVER).code(row) == NULL_CODE
            {
                if host != Some(name) {
                    (host, host_code) = (Some(name), out.flows.text_mut(OBSERVER).intern(name));
                }
                out.flows.text_mut(OBSERVER).set(row, host_code);
            }
        }
        for reject in &mut out.rejects[first_reject..] {
            let Ok(position) = usize::try_from(reject.offset) else { continue };
            near = self.index(position, near);
            let origin = &self.origins[near];
            let bytes = &origin.record[..origin.record.len().min(REJECT_BYTES_MAX)];
            out.reject_bytes = out.reject_bytes + bytes.len() - reject.bytes.len();
            reject.offset = offset + origin.at as u64;
            reject.bytes = bytes.to_vec();
            reject.length = origin.record.len() as u64;
        }
    }

    /// The message that a place in the text belongs to; `near` is a guess, as rows come in order.
    fn index(&self, position: usize, near: usize) -> usize {
        let holds = |index: usize| {
            self.origins.get(index).is_some_and(|origin| origin.start <= position)
                && self.origins.get(index + 1).is_none_or(|next| position < next.start)
        };
        if holds(near) {
            near
        } else if holds(near + 1) {
            near + 1
        } else {
            self.origins.partition_point(|origin| origin.start <= position).saturating_sub(1)
        }
    }
}

impl Unfinished {
    fn add(&mut self, message: &Message<'_>, to: usize) -> Result<(), Fault> {
        message.append(&mut self.text)?;
        self.to = to;
        Ok(())
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// What follows the length of a frame; a line without one is taken as it is.
fn counted(records: Records, record: &[u8]) -> Result<&[u8], Fault> {
    match frame_length(record) {
        Length::Is { digits, message } if records == Records::OctetCounted => {
            let body = &record[digits + 1..];
            if body.len() < message {
                let detail = format!("the frame ends after {} bytes of {message}", body.len());
                return Err(Fault { reason: Reason::BadSyntax, detail });
            }
            Ok(body)
        }
        _ => Ok(without_line_end(record)),
    }
}

#[cold]
fn no_syslog(line: &[u8]) -> Fault {
    Fault::syntax("a syslog header", &String::from_utf8_lossy(&line[..line.len().min(160)]))
}

#[cold]
fn no_line(envelope: Envelope, line: &[u8]) -> Fault {
    let shown = String::from_utf8_lossy(&line[..line.len().min(160)]);
    match (envelope, std::str::from_utf8(line)) {
        (Envelope::Docker, Err(error)) => Fault {
            reason: Reason::InvalidUtf8,
            detail: format!("byte {} of the record is not UTF-8", error.valid_up_to()),
        },
        (Envelope::Docker, Ok(_)) => {
            Fault { reason: Reason::BadJson, detail: "it is no line of Docker's json-file".to_owned() }
        }
        _ => Fault::syntax("a time, `stdout` or `stderr`, and a tag", &shown),
    }
}

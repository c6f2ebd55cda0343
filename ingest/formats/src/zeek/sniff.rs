//! Recognises Zeek's logs by their first bytes: the `#` header of the ASCII writer, a line of field names, or JSON objects
//! with Zeek's names. It tells a log that holds no connections from one that is not Zeek's.

use super::ascii::{Ascii, plain_header};
use super::header::{Header, next_header};
use super::json::{self, Json};
use crate::contract::Format;
use crate::framing::Records;
use crate::record_ends;
use std::sync::Arc;

/// Longest JSON object that is looked at.
const OBJECT_BYTES_MAX: usize = 64 * 1024;

/// What was recognised.
#[derive(Clone, Debug)]
pub struct Sniffed {
    /// Decodes it; records that are no connections become rejects.
    pub format: Arc<dyn Format>,
    /// Where its records end.
    pub records: Records,
    /// How it was recognised, for a person.
    pub reason: String,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Whether header lines may come later too.
    pub has_headers: bool,
    /// Why it seems to hold no connection at all, where none was seen.
    pub other_log: Option<String>,
}

/// The format of an object by its first bytes.
#[must_use]
pub fn sniff(head: &[u8]) -> Option<Sniffed> {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace())?;
    match head[start] {
        b'#' => below_header(&head[start..]),
        b'{' | b'[' => objects(&head[start..]),
        _ => below_names(&head[start..]),
    }
}

/// Below `#` lines. Several logs may be joined; one of them is enough.
fn below_header(head: &[u8]) -> Option<Sniffed> {
    let (mut header, mut at) = (Header::default(), 0);
    let mut first: Option<Sniffed> = None;
    while let Some(start) = next_header(head, at) {
        at = header.apply_lines(head, start);
        if header.fields.is_empty() && header.fault.is_none() {
            continue;
        }
        let format = Ascii::new(header.clone());
        let other_log = format.layout().fault.as_ref().map(|fault| fault.detail.clone());
        let is_connections = other_log.is_none();
        let sniffed = Sniffed {
            reason: format!("a Zeek header with {} fields", header.fields.len()),
            notes: if is_connections { format.layout().notes() } else { Vec::new() },
            format: Arc::new(format),
            records: Records::Lines,
            has_headers: true,
            other_log,
        };
        if is_connections {
            // What stands before this header is not below it, so the first one decodes from the start.
            let format = first.map_or_else(|| Arc::clone(&sniffed.format), |first| first.format);
            return Some(Sniffed { format, ..sniffed });
        }
        first = first.or(Some(sniffed));
    }
    first
}

/// Below a line of field names, as Zeek's mode `tsv` writes.
fn below_names(head: &[u8]) -> Option<Sniffed> {
    let line = head.split(|&byte| byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let header = Header::of_fields(plain_header(line, b'\t')?);
    let format = Ascii::new(header);
    if format.layout().fault.is_some() {
        return None;
    }
    Some(Sniffed {
        reason: format!("a line with {} field names of Zeek's conn.log", format.layout().fields.len()),
        notes: format.layout().notes(),
        format: Arc::new(format),
        records: Records::Lines,
        has_headers: true,
        other_log: None,
    })
}

/// JSON: one object a line, else objects wherever they end. A stream of all logs may begin with others.
fn objects(head: &[u8]) -> Option<Sniffed> {
    let lines = head.split(|&byte| byte == b'\n');
    let by_line = if head.starts_with(b"[") { None } else { look(lines, Records::Lines) };
    if by_line.as_ref().is_some_and(|sniffed| sniffed.other_log.is_none()) {
        return by_line;
    }
    let objects = record_ends::records(head, Records::JsonObjects).map(|(_, object)| object);
    by_line.or_else(|| look(objects, Records::JsonObjects))
}

fn look<'h>(objects: impl Iterator<Item = &'h [u8]>, records: Records) -> Option<Sniffed> {
    let mut seen = 0;
    let mut other_log = None;
    for object in objects.filter(|object| object.len() <= OBJECT_BYTES_MAX) {
        let object = object.trim_ascii();
        let Some(recognised) = std::str::from_utf8(object).ok().and_then(json::recognise) else { continue };
        seen += 1;
        match recognised {
            Ok(()) => return Some(json_sniffed(records, None, seen)),
            Err(fault) => other_log = other_log.or(Some(fault.detail)),
        }
    }
    other_log.map(|other_log| json_sniffed(records, Some(other_log), seen))
}

fn json_sniffed(records: Records, other_log: Option<String>, seen: usize) -> Sniffed {
    let reason = match &other_log {
        None if seen == 1 => "a JSON object with the fields of Zeek's conn.log".to_owned(),
        None => format!("JSON objects of Zeek's logs, of which object {seen} is of conn.log"),
        Some(_) => format!("{seen} JSON objects of Zeek's logs"),
    };
    let format = Arc::new(Json::new(records));
    Sniffed { format, records, reason, notes: Vec::new(), has_headers: false, other_log }
}

//! conn.log as Zeek's ASCII writer prints it: lines of values below a `#` header.

use super::field::Field;
use super::header::{Header, next_header};
use super::layout::{FIELDS_MAX, Layout, LayoutError};
use super::record::{Fault, Record};
use super::row::Rows;
use crate::contract::{Decoded, Format, Reason};
use crate::separators;
use std::sync::Arc;

/// Lines below one header. Header lines that come later change it: see [`Format::relayouts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ascii {
    layout: Layout,
}

impl Ascii {
    /// Lines with these fields, where they have no header: names separated by spaces or commas, values by tabs, `-` for
    /// what is unset.
    ///
    /// # Errors
    /// When the names are not those of a conn.log.
    pub fn with_fields(names: &str) -> Result<Self, LayoutError> {
        Ok(Self { layout: Layout::parse(names)? })
    }

    pub(super) fn new(header: Header) -> Self {
        Self { layout: Layout::new(header) }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    fn decode_valid(&self, rows: &mut Rows, text: &str, offset: u64, out: &mut Decoded) {
        let bytes = text.as_bytes();
        let mut words = [""; FIELDS_MAX];
        let (mut count, mut word_start, mut line_start) = (0, 0, 0);
        for (base, block) in separators::blocks(bytes) {
            let mut mask = separators::mask(&block, self.layout.header.separator);
            while mask != 0 {
                let end = base + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                if count < FIELDS_MAX {
                    words[count] = &text[word_start..end];
                }
                count += 1;
                word_start = end + 1;
                if bytes[end] == b'\n' {
                    let at = offset + line_start as u64;
                    self.line(rows, &words[..count.min(FIELDS_MAX)], count, &text[line_start..end], at, out);
                    count = 0;
                    line_start = word_start;
                }
            }
        }
        if line_start < text.len() {
            if count < FIELDS_MAX {
                words[count] = &text[word_start..];
            }
            count += 1;
            let at = offset + line_start as u64;
            self.line(rows, &words[..count.min(FIELDS_MAX)], count, &text[line_start..], at, out);
        }
    }

    /// One line, split into `count` words of which the first are in `words`.
    #[inline]
    fn line<'a>(&self, rows: &mut Rows, words: &[&'a str], count: usize, line: &'a str, at: u64, out: &mut Decoded) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        if count != self.layout.fields.len() || line.ends_with('\r') {
            return self.unusual_line(rows, line, at, out);
        }
        match self.row(rows, words, at, out) {
            Ok(()) => out.accept(),
            Err(fault) => self.reject(fault, line, at, out),
        }
    }

    #[inline]
    fn row(&self, rows: &mut Rows, words: &[&str], at: u64, out: &mut Decoded) -> Result<(), Fault> {
        let (unset, empty) = (self.layout.header.unset.as_str(), self.layout.header.empty.as_str());
        let mut record = Record::new();
        for (&word, &field) in words.iter().zip(&self.layout.fields) {
            record.set_at(field, if word == unset || word == empty { "" } else { word });
        }
        rows.unmapped.clear();
        for extra in &self.layout.extras {
            let word = words[usize::from(extra.place)];
            if word != unset && word != empty && !word.is_empty() {
                rows.unmapped.push_ascii(&extra.member, extra.shape, word, self.layout.header.set_separator);
            }
        }
        rows.write(&record, at, out)
    }

    /// A line that needs a closer look: another number of words, a carriage return, or a header that no row fits.
    #[cold]
    fn unusual_line(&self, rows: &mut Rows, line: &str, at: u64, out: &mut Decoded) {
        let text = line.strip_suffix('\r').unwrap_or(line);
        if text.trim_ascii().is_empty() {
            return;
        }
        if let Some(fault) = &self.layout.fault {
            return out.reject(fault.reason, fault.detail.clone(), at, line.as_bytes());
        }
        let separator = char::from(self.layout.header.separator);
        let (count, wanted) = (text.split(separator).count(), self.layout.fields.len());
        if count != wanted {
            let reason = if count < wanted { Reason::TooFewFields } else { Reason::TooManyFields };
            let fault = Fault { reason, detail: format!("{count} fields, but the header has {wanted}") };
            return self.reject(fault, line, at, out);
        }
        let words: Vec<&str> = text.split(separator).collect();
        match self.row(rows, &words, at, out) {
            Ok(()) => out.accept(),
            Err(fault) => self.reject(fault, line, at, out),
        }
    }

    /// A line of plain field names is the header of Zeek's mode `tsv`, which has no other; it is no record.
    #[cold]
    fn reject(&self, fault: Fault, line: &str, at: u64, out: &mut Decoded) {
        out.flows.abort_row();
        let names = plain_header(line, self.layout.header.separator);
        let fault = match names {
            Some(names) if names.clone().eq(self.layout.header.fields.iter().map(String::as_str)) => return,
            Some(names) => Fault {
                reason: Reason::UnexpectedHeader,
                detail: format!(
                    "a line of field names with another layout: {} fields, not {}",
                    names.count(),
                    self.layout.fields.len()
                ),
            },
            None => fault,
        };
        out.reject(fault.reason, fault.detail, at, line.as_bytes());
    }
}

/// The names in a line of field names without `#fields`, if the line is one.
pub(super) fn plain_header(line: &str, separator: u8) -> Option<impl Iterator<Item = &str> + Clone> {
    let names = line.trim_end_matches('\r').split(char::from(separator));
    let known = names.clone().filter(|name| Field::from_name(name).is_some()).count();
    let has = |field| names.clone().any(|name| Field::from_name(name) == Some(field));
    (known >= 3 && has(Field::Time) && has(Field::OriginatorAddress)).then_some(names)
}

impl Format for Ascii {
    fn name(&self) -> &'static str {
        super::NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out);
        match std::str::from_utf8(input) {
            Ok(text) => self.decode_valid(&mut rows, text, offset, out),
            Err(_) => {
                let mut start = 0;
                for line in input.split_inclusive(|&byte| byte == b'\n') {
                    let at = offset + start as u64;
                    start += line.len();
                    match std::str::from_utf8(line) {
                        Ok(text) => self.decode_valid(&mut rows, text, at, out),
                        Err(_) if line.starts_with(b"#") => {}
                        Err(error) => {
                            let detail = format!("byte {} of the line is not UTF-8", error.valid_up_to());
                            let line = line.strip_suffix(b"\n").unwrap_or(line);
                            out.reject(Reason::InvalidUtf8, detail, at, line);
                        }
                    }
                }
            }
        }
        rows.finish(out);
    }

    fn relayouts(&self, lines: &[u8]) -> Vec<(usize, Arc<dyn Format>)> {
        let mut found: Vec<(usize, Arc<dyn Format>)> = Vec::new();
        let (mut header, mut current) = (self.layout.header.clone(), self.layout.header.clone());
        let mut at = 0;
        while let Some(start) = next_header(lines, at) {
            at = header.apply_lines(lines, start);
            if header != current {
                current = header.clone();
                found.push((start, Arc::new(Self::new(header.clone()))));
            }
        }
        found
    }
}

//! Lines of text to records: splits at spaces and line ends, and tells headers from rows.

use super::layout::{LAYOUT_FIELDS_MAX, Layout};
use super::row::{Fault, Origin, Rows, Words, no_words};
use crate::contract::{Decoded, Reason};
use crate::separators;

/// Decodes whole lines; `offset` is that of the first byte.
pub(super) fn decode(layout: &Layout, input: &[u8], offset: u64, out: &mut Decoded) {
    let mut rows = Rows::new(layout, out);
    match std::str::from_utf8(input) {
        Ok(text) => decode_valid(layout, &mut rows, text, offset, out),
        Err(_) => {
            let mut start = 0;
            for line in input.split_inclusive(|&byte| byte == b'\n') {
                let at = offset + start as u64;
                start += line.len();
                match std::str::from_utf8(line) {
                    Ok(text) => decode_valid(layout, &mut rows, text, at, out),
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

fn decode_valid(layout: &Layout, rows: &mut Rows<'_>, text: &str, offset: u64, out: &mut Decoded) {
    let bytes = text.as_bytes();
    let mut words = no_words();
    let (mut count, mut word_start, mut line_start) = (0, 0, 0);
    for (base, block) in separators::blocks(bytes) {
        let mut mask = separators::mask(&block, b' ');
        while mask != 0 {
            let end = base + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            if count < LAYOUT_FIELDS_MAX {
                words[count] = &text[word_start..end];
            }
            count += 1;
            word_start = end + 1;
            if bytes[end] == b'\n' {
                let origin = Origin::line(offset + line_start as u64);
                line(layout, rows, &mut words, count, &text[line_start..end], &origin, out);
                count = 0;
                line_start = word_start;
            }
        }
    }
    if line_start < text.len() {
        if count < LAYOUT_FIELDS_MAX {
            words[count] = &text[word_start..];
        }
        let origin = Origin::line(offset + line_start as u64);
        line(layout, rows, &mut words, count + 1, &text[line_start..], &origin, out);
    }
}

/// One line, split into `count` words of which the first are in `words`.
#[inline]
fn line<'a>(
    layout: &Layout,
    rows: &mut Rows<'_>,
    words: &mut Words<'a>,
    count: usize,
    line: &'a str,
    origin: &Origin<'_>,
    out: &mut Decoded,
) {
    if count != layout.len() || line.ends_with('\r') || !layout.is_checked() {
        return unusual_line(layout, rows, words, line, origin, out);
    }
    if let Err(fault) = rows.record(words, origin, out) {
        not_a_record(layout, fault, line, origin, out);
    }
}

/// A line that needs a closer look: another number of words, a carriage return, or a layout that would take a header for
/// a row.
#[cold]
pub(super) fn unusual_line<'a>(
    layout: &Layout,
    rows: &mut Rows<'_>,
    words: &mut Words<'a>,
    line: &'a str,
    origin: &Origin<'_>,
    out: &mut Decoded,
) {
    let mut count = 0;
    for word in line.split_ascii_whitespace() {
        if count < LAYOUT_FIELDS_MAX {
            words[count] = word;
        }
        count += 1;
    }
    if count == 0 || layout.is_own_header(line) {
        return;
    }
    let fault = if count == layout.len() {
        match rows.record(words, origin, out) {
            Ok(()) => return,
            Err(fault) => fault,
        }
    } else {
        let reason = if count < layout.len() { Reason::TooFewFields } else { Reason::TooManyFields };
        Fault { reason, detail: format!("{count} fields, but the layout has {}", layout.len()) }
    };
    not_a_record(layout, fault, line, origin, out);
}

/// A repeated header is no record; one with another layout would make the rows after it wrong, so it is shown.
#[cold]
fn not_a_record(layout: &Layout, fault: Fault, line: &str, origin: &Origin<'_>, out: &mut Decoded) {
    if origin.index.is_none() && layout.is_own_header(line) {
        return;
    }
    let fault = match Layout::from_header(line.as_bytes()) {
        Some(other) => Fault {
            reason: Reason::UnexpectedHeader,
            detail: format!("a header with another layout: {} fields, not {}", other.len(), layout.len()),
        },
        None => fault,
    };
    out.reject_indexed(fault.reason, fault.detail, origin.offset, origin.index, line.as_bytes());
}

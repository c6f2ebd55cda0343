//! Lines of a text input with their byte offsets. Not their meaning.

use crate::contract::{Decoded, Fault, RECORD_BYTES_MAX, Reason};

/// Every line that is not blank, without its line end, with the offset of its first byte.
pub(crate) fn of(input: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        while start < input.len() {
            let end = memchr::memchr(b'\n', &input[start..]).map_or(input.len(), |length| start + length);
            let line = &input[start..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let at = start;
            start = end + 1;
            if !line.trim_ascii().is_empty() {
                return Some((at, line));
            }
        }
        None
    })
}

/// The text of a line.
///
/// # Errors
/// When it is too long or not UTF-8.
#[inline]
pub(crate) fn text(line: &[u8]) -> Result<&str, Fault> {
    if line.len() > RECORD_BYTES_MAX {
        return Err(Fault { reason: Reason::RecordTooLong, detail: format!("{} bytes in one record", line.len()) });
    }
    std::str::from_utf8(line).map_err(|error| Fault {
        reason: Reason::InvalidUtf8,
        detail: format!("byte {} of the record is not UTF-8", error.valid_up_to()),
    })
}

/// Calls `each` with every line that is not blank, without its line end, and rejects those that are too long or not UTF-8.
pub(crate) fn for_each<'a>(
    input: &'a [u8],
    offset: u64,
    out: &mut Decoded,
    mut each: impl FnMut(&'a str, u64, &mut Decoded),
) {
    for (start, line) in of(input) {
        let position = offset + start as u64;
        match text(line) {
            Ok(line) => each(line, position, out),
            Err(fault) => out.reject(fault.reason, fault.detail, position, line),
        }
    }
}

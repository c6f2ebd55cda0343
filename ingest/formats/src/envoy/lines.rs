//! Lines of a text input with their byte offsets. Not their meaning.

use crate::contract::{Decoded, RECORD_BYTES_MAX, Reason};

/// Calls `each` with every line that is not blank, without its line end, and rejects those that are too long or not UTF-8.
pub(super) fn for_each<'a>(
    input: &'a [u8],
    offset: u64,
    out: &mut Decoded,
    mut each: impl FnMut(&'a str, u64, &mut Decoded),
) {
    let mut start = 0;
    while start < input.len() {
        let end = memchr::memchr(b'\n', &input[start..]).map_or(input.len(), |length| start + length);
        let line = &input[start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let position = offset + start as u64;
        start = end + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if line.len() > RECORD_BYTES_MAX {
            out.reject(Reason::RecordTooLong, format!("{} bytes in one line", line.len()), position, line);
            continue;
        }
        match std::str::from_utf8(line) {
            Ok(line) => each(line, position, out),
            Err(error) => {
                let detail = format!("byte {} of the line is not UTF-8", error.valid_up_to());
                out.reject(Reason::InvalidUtf8, detail, position, line);
            }
        }
    }
}

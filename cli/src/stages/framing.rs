//! Values as lines: unpacked, and cut where records do not end at line feeds. Not what the records mean.

use std::io::{Cursor, Read as _};
use tradewind_formats::contract::Reason;
use tradewind_formats::unpack::{Limits, UnpackError, Unpacked};
use tradewind_transport::envelope::Framing;

/// The longest value after unpacking.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;

/// Unpacks a value, all of it or nothing.
pub(super) fn unpack(value: bytes::Bytes) -> Result<Vec<u8>, (Reason, String)> {
    let mut all = Vec::new();
    let read = Unpacked::new(Cursor::new(value), Limits::default())
        .and_then(|unpacked| unpacked.take(UNPACKED_BYTES_MAX + 1).read_to_end(&mut all));
    match read {
        Ok(bytes) if bytes as u64 > UNPACKED_BYTES_MAX => {
            Err((Reason::DecompressionLimit, format!("the value unpacks to more than {UNPACKED_BYTES_MAX} bytes")))
        }
        Ok(_) => Ok(all),
        Err(error) => {
            let reason = match UnpackError::of(&error) {
                Some(UnpackError::Truncated { .. }) => Reason::TruncatedInput,
                Some(UnpackError::Limit { .. }) => Reason::DecompressionLimit,
                Some(UnpackError::Corrupt { .. }) | None => Reason::CorruptInput,
            };
            Err((reason, error.to_string()))
        }
    }
}

/// A value whose records do not end at line feeds, as lines: each byte stays in its place, so that places still hold.
pub(super) fn as_lines(value: &[u8], framing: Framing) -> Result<Vec<u8>, String> {
    let mut lines = value.to_vec();
    let blank = |byte: &mut u8| {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    };
    if framing == Framing::One {
        // JSON may be spread over lines; all other records are lines themselves.
        if value.trim_ascii_start().starts_with(b"{") {
            lines.iter_mut().for_each(blank);
        }
        return Ok(lines);
    }
    let text = std::str::from_utf8(value).map_err(|_| "the value is not UTF-8, and so no JSON array".to_owned())?;
    let elements: Vec<&serde_json::value::RawValue> =
        serde_json::from_str(text).map_err(|error| format!("the value is not a JSON array: {error}"))?;
    let base = text.as_ptr() as usize;
    let mut end = 0;
    for element in elements {
        let element = element.get();
        let start = element.as_ptr() as usize - base;
        lines[end..start].fill(b' ');
        end = start + element.len();
        lines[start..end].iter_mut().for_each(blank);
        // A comma or the closing bracket follows.
        if let Some(behind) = lines.get_mut(end) {
            *behind = b'\n';
            end += 1;
        }
    }
    lines[end..].fill(b' ');
    Ok(lines)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_single_records_keep_their_places() {
        let check = |value: &str, framing, expected: Result<&str, ()>| {
            let lines = as_lines(value.as_bytes(), framing).map_err(|_| ());
            assert_eq!(lines.map(|lines| String::from_utf8(lines).unwrap()), expected.map(str::to_owned), "{value}");
        };
        check("[{\"a\":\n1},{\"b\":2}]", Framing::JsonArray, Ok(" {\"a\": 1}\n{\"b\":2}\n"));
        check(" [ 1 , [2,\n3] ] ", Framing::JsonArray, Ok("   1\n  [2, 3]\n  "));
        check("[]", Framing::JsonArray, Ok("  "));
        check("[1,", Framing::JsonArray, Err(()));
        check("{\n\"a\": 1\n}\n", Framing::One, Ok("{ \"a\": 1 } "));
        check("a b\n", Framing::One, Ok("a b\n"));
    }
}

//! The column `unmapped`: left-over values as a JSON object. Which values are left over is decided in `mapping`.

use super::eight_bytes::{is_escaped, needs_escape};
use super::record::{Record, Value};
use super::slot::Slot;
use crate::redact;

/// Most bytes of one text; a longer one is cut.
const TEXT_BYTES_MAX: usize = 1024;
/// Most bytes of the object; further values are left out, and the key `truncated` says so.
const OBJECT_BYTES_MAX: usize = 16 * 1024;

/// Writes the slots whose bits are in `left` and all extras to `object`; leaves it empty when there are none.
pub(super) fn write(record: &Record<'_>, left: u64, object: &mut String) {
    object.clear();
    object.push('{');
    let mut bits = left & record.present();
    while bits != 0 {
        let slot = Slot::ALL[bits.trailing_zeros() as usize];
        bits &= bits - 1;
        if let Some(value) = record.get(slot) {
            member(slot.json_key(), value, record.is_plain, object);
        }
    }
    for (name, value) in record.extras() {
        let mut key = String::with_capacity(name.len() + 4);
        key.push('"');
        text(name, record.is_plain, &mut key);
        key.push_str("\":\"");
        member(&key, value, record.is_plain, object);
    }
    // Each member ends with a comma; the last one's becomes the end of the object.
    match object.pop() {
        Some(',') => object.push('}'),
        _ => object.clear(),
    }
}

/// Writes a member with a comma behind it. The key is in quotes, with the colon and the opening quote of a text.
fn member(key: &str, value: &Value<'_>, is_plain: bool, object: &mut String) {
    let start = object.len();
    match value {
        Value::Text(value) => {
            object.push_str(key);
            text(value, is_plain, object);
            object.push_str("\",");
        }
        Value::Number(value) | Value::Json(value) => {
            object.push_str(&key[..key.len() - 1]);
            object.push_str(value);
            object.push(',');
        }
        Value::Redacted => {
            object.push_str(key);
            object.push_str("[redacted]\",");
        }
    }
    if object.len() > OBJECT_BYTES_MAX {
        object.truncate(start);
        const MARK: &str = "\"truncated\":true,";
        if !object.ends_with(MARK) {
            object.push_str(MARK);
        }
    }
}

/// Writes a JSON string without its quotes. A plain one is known to need no escapes.
fn text(text: &str, is_plain: bool, object: &mut String) {
    let text = if text.len() > TEXT_BYTES_MAX { &text[..text.floor_char_boundary(TEXT_BYTES_MAX)] } else { text };
    // Addresses of persons, and URLs with a query, hold one of these.
    let clean;
    let text = match memchr::memchr2(b'?', b'@', text.as_bytes()) {
        None => text,
        Some(_) => {
            clean = redact::text(text);
            &*clean
        }
    };
    if !is_plain && needs_escape(text.as_bytes()) {
        escaped(text, object);
    } else {
        object.push_str(text);
    }
}

#[cold]
fn escaped(text: &str, object: &mut String) {
    let mut clean = 0;
    for (index, byte) in text.bytes().enumerate() {
        if !is_escaped(byte) {
            continue;
        }
        object.push_str(&text[clean..index]);
        clean = index + 1;
        match byte {
            b'"' => object.push_str("\\\""),
            b'\\' => object.push_str("\\\\"),
            b'\t' => object.push_str("\\t"),
            other => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                object.push_str("\\u00");
                object.push(char::from(HEX[usize::from(other >> 4)]));
                object.push(char::from(HEX[usize::from(other & 15)]));
            }
        }
    }
    object.push_str(&text[clean..]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn object(extras: &[(&'static str, Value<'static>)]) -> String {
        let mut record = Record::new();
        for (name, value) in extras {
            record.set_extra(Cow::Borrowed(name), value.clone()).unwrap();
        }
        let mut object = String::new();
        write(&record, u64::MAX, &mut object);
        object
    }

    #[test]
    fn values_are_written_as_json() {
        let text = "a\"b\\c\td\u{1}é";
        let found = object(&[
            ("text", Value::Text(Cow::Borrowed(text))),
            ("number", Value::Number("1.50")),
            ("nested", Value::Json("{\"a\":[1]}")),
            ("cookie", Value::Redacted),
        ]);
        let parsed: serde_json::Value = serde_json::from_str(&found).unwrap();
        let expected = serde_json::json!({"text": text, "number": 1.5, "nested": {"a": [1]}, "cookie": "[redacted]"});
        assert_eq!(parsed, expected);
        assert_eq!(object(&[]), "");
    }

    #[test]
    fn long_texts_and_objects_are_cut() {
        let long = "é".repeat(2000);
        let found = object(&[("a", Value::Text(Cow::Owned(long)))]);
        let parsed: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!(parsed["a"].as_str().map(str::len), Some(TEXT_BYTES_MAX));
        let names: Vec<&'static str> = (0..200).map(|index| &*format!("name{index}").leak()).collect();
        let extras: Vec<_> = names.iter().map(|name| (*name, Value::Text(Cow::Owned("x".repeat(1000))))).collect();
        let found = object(&extras);
        let parsed: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!(parsed["truncated"], true);
        assert!(found.len() < OBJECT_BYTES_MAX + 32);
        let nested: &'static str = format!("[{}]", "1,".repeat(20_000) + "1").leak();
        assert_eq!(object(&[("a", Value::Json(nested))]), "{\"truncated\":true}");
    }
}

//! Fields without a column, as one JSON object a row with the types that Zeek's own JSON gives them.

use super::field::{Item, Shape};
use crate::contract::Decoded;
use crate::redact;
use tradewind_model::flow;

/// Most bytes of the object; further members are left out, and the member `truncated` says so.
const OBJECT_BYTES_MAX: usize = 16 * 1024;
const TRUNCATED: &str = "\"truncated\":true,";

/// The object of the row at hand, with a comma behind each member; its memory is kept from row to row.
#[derive(Debug, Default)]
pub(super) struct Unmapped {
    json: String,
}

impl Unmapped {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.json.clear();
    }

    /// Adds a member whose value is JSON already. `member` is its name with quotes and colon.
    #[inline]
    pub(super) fn push_json(&mut self, member: &str, value: &str) {
        let start = self.open(member);
        self.json.push_str(&redact::json(value));
        self.close(start);
    }

    /// Adds a text.
    pub(super) fn push_text(&mut self, member: &str, value: &str) {
        let start = self.open(member);
        push_string(&redact::text(value), &mut self.json);
        self.close(start);
    }

    /// Adds a value as the ASCII writer of Zeek prints it: escapes are `\x2c` and `\\`, booleans `T` and `F`.
    #[inline]
    pub(super) fn push_ascii(&mut self, member: &str, shape: Shape, value: &str, set_separator: u8) {
        let start = self.open(member);
        match shape {
            Shape::Text => push_item(Item::Text, value, &mut self.json),
            Shape::Number => push_item(Item::Number, value, &mut self.json),
            Shape::Bool => push_item(Item::Bool, value, &mut self.json),
            Shape::List(item) => {
                let mut opening = '[';
                for value in value.split(char::from(set_separator)) {
                    self.json.push(opening);
                    push_item(item, value, &mut self.json);
                    opening = ',';
                }
                self.json.push(']');
            }
        }
        self.close(start);
    }

    /// Ends the object and sets the column; nothing when there is no member. Nearly every row has an object of its own.
    #[inline]
    pub(super) fn set(&mut self, out: &mut Decoded) {
        if self.json.pop().is_some() {
            self.json.push('}');
            out.flows.append_text(flow::UNMAPPED, &self.json);
        }
    }

    #[inline]
    fn open(&mut self, member: &str) -> usize {
        if self.json.is_empty() {
            self.json.push('{');
        }
        let start = self.json.len();
        self.json.push_str(member);
        start
    }

    #[inline]
    fn close(&mut self, start: usize) {
        self.json.push(',');
        if self.json.len() > OBJECT_BYTES_MAX {
            self.truncate(start);
        }
    }

    #[cold]
    fn truncate(&mut self, start: usize) {
        self.json.truncate(start);
        if !self.json.ends_with(TRUNCATED) {
            self.json.push_str(TRUNCATED);
        }
    }
}

#[inline]
fn push_item(item: Item, value: &str, json: &mut String) {
    match (item, value) {
        (Item::Bool, "T") => json.push_str("true"),
        (Item::Bool, "F") => json.push_str("false"),
        (Item::Number, value) if is_json_number(value) && is_finite_number(value) => json.push_str(value),
        (_, value) if value.contains('\\') => push_string(&redact::text(&unescape(value)), json),
        (_, value) if memchr::memchr2(b'?', b'@', value.as_bytes()).is_some() => {
            push_string(&redact::text(value), json)
        }
        (_, value) => push_string(value, json),
    }
}

/// Whether JSON takes the number as it stands (RFC 8259, section 6).
#[inline]
fn is_json_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() == 1 {
        return bytes[0].is_ascii_digit();
    }
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let magnitude = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = digits(magnitude);
    if whole == 0 || (whole > 1 && magnitude[0] == b'0') {
        return false;
    }
    let mut rest = &magnitude[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        _ => false,
    }
}

/// Whether readers that hold numbers as 64-bit floats take the JSON number.
#[inline]
pub(super) fn is_finite_number(text: &str) -> bool {
    // So short a number is finite unless it has an exponent.
    const SHORT: usize = 32;
    (text.len() <= SHORT && !text.contains(['e', 'E'])) || text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Text without the escapes of Zeek's ASCII writer. What they stand for may be no UTF-8: then they stay.
#[cold]
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        let escaped = match (byte, after.first()) {
            (b'\\', Some(b'\\')) => Some((b'\\', 1)),
            (b'\\', Some(b'x')) => match (hex(1), hex(2)) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).ok().map(|byte| (byte, 3)),
                _ => None,
            },
            _ => None,
        };
        let (byte, length) = escaped.unwrap_or((byte, 0));
        bytes.push(byte);
        rest = &after[length..];
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Adds a JSON string with its quotes.
#[inline]
fn push_string(text: &str, json: &mut String) {
    json.push('"');
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        push_escaped(text, json);
    } else {
        json.push_str(text);
    }
    json.push('"');
}

#[cold]
fn push_escaped(text: &str, json: &mut String) {
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            control if control < ' ' => {
                json.push_str("\\u00");
                let code = u32::from(control);
                json.extend([code >> 4, code & 15].map(|nibble| char::from_digit(nibble, 16).unwrap_or('0')));
            }
            other => json.push(other),
        }
    }
}

/// The name of a member with quotes and colon.
pub(super) fn member(name: &str) -> String {
    let mut member = String::with_capacity(name.len() + 3);
    push_string(name, &mut member);
    member.push(':');
    member
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(fill: impl FnOnce(&mut Unmapped)) -> Option<String> {
        let (mut unmapped, mut out) = (Unmapped::default(), Decoded::default());
        fill(&mut unmapped);
        unmapped.set(&mut out);
        out.accept();
        out.flows.text(flow::UNMAPPED).get(0).map(str::to_owned)
    }

    fn check(shape: Shape, value: &str, expected: Value) {
        let found = object(|unmapped| unmapped.push_ascii(&member("a"), shape, value, b',')).unwrap();
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["a"], expected, "{value}");
    }

    #[test]
    fn values_have_their_types() {
        check(Shape::Number, "12", json!(12));
        check(Shape::Number, "-0.129973", json!(-0.129973));
        check(Shape::Number, "1e-06", json!(0.000001));
        for text in ["01", "1.", ".5", "-", "1e", "0x1", "inf", "", "1.5s", "1e999", &"9".repeat(400)] {
            check(Shape::Number, text, json!(text));
        }
        check(Shape::Bool, "T", json!(true));
        check(Shape::Bool, "F", json!(false));
        check(Shape::Bool, "x", json!("x"));
        check(Shape::List(Item::Text), "CaB,Cb\\x2cc", json!(["CaB", "Cb,c"]));
        check(Shape::List(Item::Number), "1,2", json!([1, 2]));
    }

    #[test]
    fn any_text_is_valid_json() {
        for text in ["a\"b\u{1}\u{1f}\u{7f}é\t", "\\", "a\\q", "\\x", "\\x4", "\\xff", "é\\x"] {
            check(Shape::Text, text, json!(text));
        }
        check(Shape::Text, "a\\x09b\\\\x\\xc3\\xa9", json!("a\tb\\xé"));
        let found = object(|unmapped| unmapped.push_text(&member("a\"b"), "c\\x09")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), json!({"a\"b": "c\\x09"}));
    }

    #[test]
    fn long_objects_are_cut() {
        assert_eq!(object(|_| {}), None);
        let found = object(|unmapped| {
            for index in 0..200 {
                unmapped.push_text(&member(&format!("name{index}")), &"x".repeat(1000));
            }
        });
        let found = found.unwrap();
        let parsed: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(parsed["truncated"], true);
        assert!(found.len() < OBJECT_BYTES_MAX + 32);
        let only = object(|unmapped| unmapped.push_text(&member("a"), &"x".repeat(OBJECT_BYTES_MAX)));
        assert_eq!(only.as_deref(), Some("{\"truncated\":true}"));
    }
}

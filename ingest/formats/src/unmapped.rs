//! The column `unmapped`: fields without a column as one JSON object a row. Which fields those are is the format's business.

use crate::contract::Decoded;
use crate::redact;
use std::fmt::Write as _;
use tradewind_model::flow;

/// Most bytes of the object; further members are left out, and the member `truncated` says so.
const OBJECT_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of one text; a longer one is cut.
const TEXT_BYTES_MAX: usize = 1024;
const TRUNCATED: &str = "\"truncated\":true,";

/// The object of the row at hand, with a comma behind each member; its memory is kept from row to row.
#[derive(Debug, Default)]
pub(crate) struct Unmapped {
    json: String,
}

impl Unmapped {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.json.clear();
    }

    /// Adds a text, without what is private in it. Nothing for the empty text.
    #[inline]
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let value = &value[..value.floor_char_boundary(TEXT_BYTES_MAX)];
        self.json(name, |json| Self::write_text(&redact::text(value), json));
    }

    /// Adds a text where there is one that is not `-`, by which logs say that there is none.
    #[inline]
    pub(crate) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value
            && value != "-"
        {
            self.text(name, value);
        }
    }

    /// Adds a number as it stands; as a text where JSON or its readers would not take it.
    #[inline]
    pub(crate) fn number(&mut self, name: &str, value: &str) {
        self.json(name, |json| Self::write_number(value, json));
    }

    /// Adds whatever JSON `write` adds.
    #[inline]
    pub(crate) fn json(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        if self.json.is_empty() {
            self.json.push('{');
        }
        let start = self.json.len();
        Self::write_text(name, &mut self.json);
        self.json.push(':');
        write(&mut self.json);
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

    /// The object, ended; none when it has no member. Then it must be cleared.
    pub(crate) fn object(&mut self) -> Option<&str> {
        self.json.pop()?;
        self.json.push('}');
        Some(&self.json)
    }

    /// Sets the column of the row being built.
    #[inline]
    pub(crate) fn set(&mut self, out: &mut Decoded) {
        if let Some(object) = self.object() {
            let code = out.flows.text_mut(flow::UNMAPPED).intern_or_append(object);
            out.flows.set_code(flow::UNMAPPED, code);
        }
    }

    /// Writes a JSON string with its quotes.
    #[inline]
    pub(crate) fn write_text(text: &str, json: &mut String) {
        json.push('"');
        if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            write_escaped(text, json);
        } else {
            json.push_str(text);
        }
        json.push('"');
    }

    /// Writes a number as it stands, or as a text where it is no finite JSON number.
    pub(crate) fn write_number(text: &str, json: &mut String) {
        if is_finite_number(text) { json.push_str(text) } else { Self::write_text(text, json) }
    }
}

/// Whether JSON takes the number as it stands (RFC 8259, section 6), and readers that hold numbers as 64-bit floats, too.
fn is_finite_number(text: &str) -> bool {
    let is_digits = !text.is_empty() && text.len() < 16 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits {
        return text.len() == 1 || !text.starts_with('0');
    }
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}

#[cold]
fn write_escaped(text: &str, json: &mut String) {
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            control if control < ' ' => {
                let _infallible = write!(json, "\\u{:04x}", u32::from(control));
            }
            other => json.push(other),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(fill: impl FnOnce(&mut Unmapped)) -> Value {
        let mut unmapped = Unmapped::default();
        fill(&mut unmapped);
        unmapped.object().map_or(Value::Null, |object| serde_json::from_str(object).unwrap())
    }

    #[test]
    fn members_of_all_kinds() {
        let found = object(|unmapped| {
            unmapped.text("a\"b", "x\ny\u{1}");
            unmapped.text("empty", "");
            unmapped.optional("dash", Some("-"));
            unmapped.number("n", "-1.5e3");
            for (name, number) in [("zeros", "007"), ("huge", "1e999"), ("word", "NaN"), ("none", "")] {
                unmapped.number(name, number);
            }
            unmapped.text("url", "http://h/?a=b");
        });
        let expected = json!({
            "a\"b": "x\ny\u{1}", "n": -1500.0, "zeros": "007", "huge": "1e999", "word": "NaN", "none": "",
            "url": "http://h/?[redacted]"
        });
        assert_eq!(found, expected);
        assert_eq!(object(|_| {}), Value::Null);
    }

    #[test]
    fn long_texts_and_objects_are_cut() {
        let found = object(|unmapped| unmapped.text("a", &"é".repeat(TEXT_BYTES_MAX)));
        assert_eq!(found["a"].as_str().unwrap().len(), TEXT_BYTES_MAX);
        let found =
            object(|unmapped| (0..100).for_each(|index| unmapped.text(&format!("name{index}"), &"x".repeat(1000))));
        assert_eq!(found["truncated"], true);
    }
}

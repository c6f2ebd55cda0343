//! Fields without a column, as one JSON object a row.

use super::field::Field;
use crate::contract::Decoded;
use tradewind_model::flow;

/// The object of the row at hand; its memory is kept from row to row.
#[derive(Debug, Default)]
pub(super) struct Unmapped {
    json: String,
}

impl Unmapped {
    pub(super) fn clear(&mut self) {
        self.json.clear();
    }

    /// Adds a field unless its value is `-`.
    pub(super) fn push_present(&mut self, field: Field, value: &str) {
        if value != "-" {
            self.push(field, value);
        }
    }

    pub(super) fn push(&mut self, field: Field, value: &str) {
        self.open();
        self.json.push('"');
        self.json.push_str(field.name());
        self.json.push_str("\":\"");
        self.close(value);
    }

    /// Adds a value after `member`, which is `"name":"`.
    pub(super) fn push_member(&mut self, member: &str, value: &str) {
        self.open();
        self.json.push_str(member);
        self.close(value);
    }

    /// Closes the object and sets the column; nothing when there is no such field.
    #[inline]
    pub(super) fn set(&mut self, out: &mut Decoded) {
        if !self.json.is_empty() {
            self.json.push('}');
            out.flows.set_text(flow::UNMAPPED, &self.json);
        }
    }

    fn open(&mut self) {
        self.json.push(if self.json.is_empty() { '{' } else { ',' });
    }

    fn close(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '"' => self.json.push_str("\\\""),
                '\\' => self.json.push_str("\\\\"),
                control if control < ' ' => {
                    self.json.push_str("\\u00");
                    let code = u32::from(control);
                    for nibble in [code >> 4, code & 15] {
                        self.json.push(char::from_digit(nibble, 16).unwrap_or('0'));
                    }
                }
                other => self.json.push(other),
            }
        }
        self.json.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_valid_json() {
        let mut unmapped = Unmapped::default();
        let value = "a\"b\\c\u{1}\u{1f}\u{7f}é\t";
        unmapped.push(Field::SubnetId, value);
        unmapped.push_present(Field::AzId, "-");
        unmapped.push_member("\"x\":\"", "y");
        let mut out = Decoded::default();
        unmapped.set(&mut out);
        out.accept();
        let json = out.flows.text(flow::UNMAPPED).get(0).expect("set");
        let parsed: serde_json::Value = serde_json::from_str(json).expect("valid JSON");
        assert_eq!(parsed, serde_json::json!({"subnet-id": value, "x": "y"}));
    }
}

//! JSON objects for rows of a table: keys in the order of its columns, as a reader finds them in the reference.

use super::terminal;
use anyhow::Context as _;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tradewind_model::field::Field;

/// The values of a row. A column without a value is left out.
#[derive(Debug)]
pub(crate) struct Record {
    columns: &'static [Field],
    values: Map<String, Value>,
}

impl Record {
    /// Invariant: every key of `values` is the name of a column.
    pub(crate) fn new(columns: &'static [Field], values: Map<String, Value>) -> Self {
        Self { columns, values }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for column in self.columns {
            if let Some(value) = self.values.get(column.name) {
                object.serialize_entry(column.name, value)?;
            }
        }
        object.end()
    }
}

/// The value as JSON in one line, without characters that steer a terminal.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    let text = serde_json::to_string(value).context("failed to write JSON")?;
    Ok(terminal::json(&text).into_owned())
}

/// As [`json`], laid out over several lines.
pub(crate) fn json_pretty(value: &impl Serialize) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(value).context("failed to write JSON")?;
    Ok(terminal::json(&text).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tradewind_model::flow::FIELDS;

    #[test]
    fn keys_come_in_the_order_of_the_columns() {
        let mut values = Map::new();
        for (name, value) in [("bytes_out", 7), ("src_port", 80), ("dst_port", 443)] {
            values.insert(name.to_owned(), Value::from(value));
        }
        let record = Record::new(FIELDS, values);
        assert_eq!(json(&record).unwrap(), r#"{"src_port":80,"dst_port":443,"bytes_out":7}"#);
    }
}

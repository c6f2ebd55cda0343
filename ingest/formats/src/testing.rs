//! What the tests of formats share.

use crate::contract::{Decoded, Format};
use serde_json::Value;

/// The one row of a line, or `reason: detail` of its reject.
pub(crate) fn decode_line(format: &dyn Format, line: &str) -> Result<Value, String> {
    let mut out = Decoded::default();
    format.decode(line.as_bytes(), 0, &mut out);
    match out.rejects.first() {
        Some(reject) => Err(format!("{}: {}", reject.reason.as_str(), reject.detail)),
        None if out.flows.is_empty() => Err("no row".to_owned()),
        None => Ok(Value::Object(out.flows.row_json(0))),
    }
}

/// All rows of an input that must have no rejects.
pub(crate) fn decode_rows(format: &dyn Format, input: &str) -> Vec<Value> {
    let mut out = Decoded::default();
    format.decode(input.as_bytes(), 0, &mut out);
    assert!(out.rejects.is_empty(), "{:?}", out.rejects);
    (0..out.flows.len()).map(|row| Value::Object(out.flows.row_json(row))).collect()
}

/// Fails unless the line's row has these values, null for absent ones; `unmapped.NAME` is a member of that column.
pub(crate) fn check_row(format: &dyn Format, line: &str, expected: Value) {
    match decode_line(format, line) {
        Ok(row) => check_values(&row, expected),
        Err(fault) => panic!("{line}: {fault}"),
    }
}

/// Fails unless the row has these values.
pub(crate) fn check_values(row: &Value, expected: Value) {
    let unmapped: Value = serde_json::from_str(row["unmapped"].as_str().unwrap_or("{}")).unwrap_or_default();
    let Value::Object(expected) = expected else { panic!("an object is expected") };
    for (column, value) in expected {
        let found = match column.strip_prefix("unmapped.") {
            Some(name) => unmapped.get(name).cloned().unwrap_or_default(),
            None => row.get(&column).cloned().unwrap_or_default(),
        };
        assert_eq!(found, value, "{column} of {row}");
    }
}

//! Two findings, field by field. Not how they are shown.

use crate::findings::{self, Stored};
use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value};
use tradewind_model::Finding;

/// A field that is not the same. Absent values are null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    pub(super) field: String,
    pub(super) stored: Value,
    pub(super) recomputed: Value,
}

/// What differs, in the order of fields. Numbers have to be equal to the last bit.
///
/// # Errors
/// Observations that are no JSON.
pub(super) fn differences(stored: &Stored, recomputed: &Finding) -> anyhow::Result<Vec<Difference>> {
    // Numbers of observations went through JSON: both sides are read from such text, and the text itself is compared.
    let text = serde_json::to_string(&recomputed.observations).context("failed to write observations as JSON")?;
    let mut found = Vec::new();
    let (mut left, mut right) = (findings::object(&stored.finding)?, findings::object(recomputed)?);
    left.remove("observations");
    right.remove("observations");
    compare_objects("", &left, &right, &mut found);
    if stored.observations != text {
        let before = found.len();
        let read =
            |text: &str| serde_json::from_str::<Value>(text).context("the observations of a finding are no JSON");
        compare("observations", &read(&stored.observations)?, &read(&text)?, &mut found);
        if found.len() == before {
            let (stored, recomputed) = (Value::from(stored.observations.as_str()), Value::from(text));
            found.push(Difference { field: "observations".to_owned(), stored, recomputed });
        }
    }
    Ok(found)
}

fn compare(field: &str, left: &Value, right: &Value, found: &mut Vec<Difference>) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => compare_objects(&format!("{field}."), left, right, found),
        (Value::Array(left), Value::Array(right)) => {
            for place in 0..left.len().max(right.len()) {
                let at = |values: &[Value]| values.get(place).cloned().unwrap_or_default();
                compare(&format!("{field}[{place}]"), &at(left), &at(right), found);
            }
        }
        _ if left == right => {}
        (Value::Number(left), Value::Number(right)) if is_close(left.as_f64(), right.as_f64()) => {}
        _ => found.push(Difference { field: field.to_owned(), stored: left.clone(), recomputed: right.clone() }),
    }
}

/// Whether numbers differ by less than what JSON keeps, as which the findings of a service travel.
fn is_close(left: Option<f64>, right: Option<f64>) -> bool {
    left.zip(right).is_some_and(|(left, right)| (left - right).abs() <= 1e-12 * left.abs().max(right.abs()))
}

fn compare_objects(prefix: &str, left: &Map<String, Value>, right: &Map<String, Value>, found: &mut Vec<Difference>) {
    let added = right.keys().filter(|key| !left.contains_key(*key));
    for key in left.keys().chain(added) {
        let at = |values: &Map<String, Value>| values.get(key).cloned().unwrap_or_default();
        compare(&format!("{prefix}{key}"), &at(left), &at(right), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(left: &Value, right: &Value, expected: &[&str]) {
        let mut found = Vec::new();
        compare("it", left, right, &mut found);
        let fields: Vec<&str> = found.iter().map(|difference| difference.field.as_str()).collect();
        assert_eq!(fields, expected, "{left} {right}");
    }

    #[test]
    fn the_deepest_field_that_differs_is_named() {
        check(&json!({"a": 1}), &json!({"a": 1}), &[]);
        check(&json!({"a": 1, "b": "x"}), &json!({"a": 2, "b": "x"}), &["it.a"]);
        check(&json!([{"a": 1}, {"a": 2}]), &json!([{"a": 1}, {"a": 3}]), &["it[1].a"]);
        check(&json!([1]), &json!([1, 2]), &["it[1]"]);
        check(&json!({"a": 1}), &json!({"b": 1}), &["it.a", "it.b"]);
        check(&json!({"a": [1]}), &json!({"a": 1}), &["it.a"]);
        check(&json!(0.1), &json!(0.100_000_000_1), &["it"]);
        check(&json!(0.1), &json!(0.100_000_000_000_000_02), &[]);
    }
}

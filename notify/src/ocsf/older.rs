//! Events for readers that know no newer schema than OCSF 1.3, such as Amazon Security Lake: the same without what came later. Not
//! another mapping.
//!
//! Source: the compiled schemas 1.3.0 and 1.8.0, compared attribute by attribute.

use serde_json::{Value, json};

/// The version.
const VERSION: &str = "1.3.0";

/// A type of observables that 1.3 does not have; their name says the same.
const RESOURCE_NAME: i64 = 38;

/// Attributes that 1.3 does not have, by their path.
const NEWER: &[&str] = &[
    "anomaly_analyses",
    "evidences.dst_endpoint.network_scope",
    "evidences.dst_endpoint.network_scope_id",
    "evidences.name",
    "evidences.src_endpoint.network_scope",
    "evidences.src_endpoint.network_scope_id",
    "evidences.uid",
    "finding_info.related_events.count",
    "finding_info.related_events.created_time",
    "finding_info.related_events.desc",
    "finding_info.related_events.first_seen_time",
    "finding_info.related_events.last_seen_time",
    "finding_info.related_events.severity",
    "finding_info.related_events.severity_id",
    "finding_info.related_events.title",
    "finding_info.related_events_count",
    "is_alert",
    "metadata.is_truncated",
    "resources.role",
    "resources.role_id",
];

/// Whether 1.3 lacks the attribute at this path, such as `metadata.is_truncated`.
pub(crate) fn is_newer(path: &str) -> bool {
    NEWER.binary_search(&path).is_ok()
}

/// Makes an event of 1.8 one of 1.3.
pub(crate) fn as_1_3(event: &mut Value) {
    prune(event, "");
    if let Some(version) = event.pointer_mut("/metadata/version") {
        *version = json!(VERSION);
    }
    for observable in event.get_mut("observables").and_then(Value::as_array_mut).into_iter().flatten() {
        if observable["type_id"] == RESOURCE_NAME {
            observable["type_id"] = json!(99);
            observable["type"] = json!("Other");
        }
    }
}

fn prune(value: &mut Value, path: &str) {
    match value {
        Value::Object(parts) => parts.retain(|name, part| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            prune(part, &path);
            !is_newer(&path)
        }),
        Value::Array(values) => values.iter_mut().for_each(|value| prune(value, path)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_goes_wherever_it_is() {
        assert!(NEWER.is_sorted());
        let mut event = json!({
            "is_alert": true,
            "observables": [{ "type_id": 38, "type": "Resource Details Object: name" }, { "type_id": 2, "type": "IP Address" }],
            "metadata": { "version": "1.8.0", "uid": "x", "is_truncated": true },
            "evidences": [{ "name": "n", "data": { "name": "kept" } }, { "src_endpoint": { "name": "a", "network_scope_id": 1 } }],
        });
        as_1_3(&mut event);
        let expected = json!({
            "observables": [{ "type_id": 99, "type": "Other" }, { "type_id": 2, "type": "IP Address" }],
            "metadata": { "version": "1.3.0", "uid": "x" },
            "evidences": [{ "data": { "name": "kept" } }, { "src_endpoint": { "name": "a" } }],
        });
        assert_eq!(event, expected);
    }
}

//! Entities as OCSF objects: endpoints of a connection, resources and observables. Not whole events.
//!
//! Sources: <https://schema.ocsf.io/1.8.0/objects/network_endpoint>, `resource_details`, `network_connection_info`, `observable`.

use super::put;
use crate::alert::Alert;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use tradewind_model::entity::EntityKind;

/// The parts of an entity's id: `network/namespace/kind/name`, `-` where there is none.
struct Parts<'a> {
    network: Option<&'a str>,
    namespace: Option<&'a str>,
    kind: &'a str,
    name: &'a str,
}

fn parts(entity: &str) -> Parts<'_> {
    let present = |part: &&str| !part.is_empty() && *part != "-";
    let mut parts = entity.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(network), Some(namespace), Some(kind), Some(name)) => {
            Parts { network: Some(network).filter(present), namespace: Some(namespace).filter(present), kind, name }
        }
        _ => Parts { network: None, namespace: None, kind: EntityKind::Unknown.as_str(), name: entity },
    }
}

fn is_external(entity: &str) -> bool {
    parts(entity).kind == EntityKind::External.as_str()
}

/// A side of a connection.
pub(super) fn endpoint(entity: &str, port: Option<i32>) -> Value {
    let parts = parts(entity);
    let mut endpoint = Map::new();
    let mut put = |name: &str, value: Value| put(&mut endpoint, name, value);
    put("uid", json!(if entity.is_empty() { "unknown" } else { entity }));
    put("name", json!(parts.name));
    if let Ok(address) = parts.name.parse::<IpAddr>() {
        put("ip", json!(address.to_string()));
    } else if [EntityKind::Service.as_str(), EntityKind::Agent.as_str()].contains(&parts.kind) {
        put("svc_name", json!(parts.name));
    } else if parts.kind == EntityKind::Host.as_str() && is_hostname(parts.name) {
        put("hostname", json!(parts.name));
    }
    put("port", json!(port.filter(|port| (0..=65_535).contains(port))));
    put("zone", json!(parts.network));
    let (scope_id, scope) = if is_external(entity) { (2, "External") } else { (1, "Internal") };
    put("network_scope_id", json!(scope_id));
    put("network_scope", json!(scope));
    Value::Object(endpoint)
}

/// RFC 1123: letters, digits and `-` in labels of 1 to 63.
fn is_hostname(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(is_good)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Which way a connection goes: within is lateral, as in all of the product.
pub(super) fn connection(from: &str, to: &str) -> Value {
    let (id, name) = match (is_external(from), is_external(to)) {
        (false, false) => (3, "Lateral"),
        (false, true) => (2, "Outbound"),
        (true, false) => (1, "Inbound"),
        (true, true) => (0, "Unknown"),
    };
    json!({ "direction_id": id, "direction": name })
}

/// Those that act unusually, and what they reach.
pub(super) fn resources(alert: &Alert, most: usize) -> Value {
    let mut seen = BTreeSet::new();
    let actors = alert.incident.entities.iter().map(|entity| (entity.as_str(), 2, "Actor"));
    let reached = alert.findings.iter().flat_map(|finding| &finding.observations);
    let targets = reached.map(|seen| (seen.dst_entity.as_str(), 1, "Target"));
    let once = actors.chain(targets).filter(|(entity, ..)| !entity.is_empty() && seen.insert(*entity));
    let resource = |(entity, role_id, role): (&str, i64, &str)| {
        let parts = parts(entity);
        let mut resource = Map::new();
        let mut put = |name: &str, value: Value| put(&mut resource, name, value);
        put("uid", json!(entity));
        put("name", json!(parts.name));
        put("type", json!(parts.kind));
        put("namespace", json!(parts.namespace));
        put("role_id", json!(role_id));
        put("role", json!(role));
        Value::Object(resource)
    };
    once.take(most).map(resource).collect()
}

/// What analysts search by: names of resources and addresses.
pub(super) fn observables(alert: &Alert, most: usize) -> Value {
    const IP_ADDRESS: i64 = 2;
    const RESOURCE_NAME: i64 = 38;
    let mut seen = BTreeSet::new();
    let reached = alert.findings.iter().flat_map(|finding| &finding.observations);
    let both = reached.flat_map(|seen| {
        let named = |side: &'static str, entity| (side, parts(entity).name);
        [named("src_endpoint", seen.src_entity.as_str()), named("dst_endpoint", seen.dst_entity.as_str())]
    });
    let addresses = both.filter_map(|(side, name)| {
        let address = name.parse::<IpAddr>().ok()?;
        Some((format!("evidences[].{side}.ip"), IP_ADDRESS, "IP Address", address.to_string()))
    });
    let entities = alert.incident.entities.iter().map(|entity| parts(entity).name.to_owned());
    let names =
        entities.map(|name| ("resources[].name".to_owned(), RESOURCE_NAME, "Resource Details Object: name", name));
    let all = names.chain(addresses).filter(|(_, _, _, value)| !value.is_empty() && seen.insert(value.clone()));
    all.take(most)
        .map(|(name, type_id, kind, value)| json!({ "name": name, "type_id": type_id, "type": kind, "value": value }))
        .collect()
}

//! What addresses stand for. Baselines and policies speak of entities, never of addresses.

use crate::outcome::words;
use serde::{Deserialize, Serialize};

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// A service: many instances, one purpose.
    Service,
    /// An AI agent: a workload that is trusted less.
    Agent,
    /// A machine that is not a service.
    Host,
    /// A network outside.
    External,
    /// An inside address that nothing explains.
    Unknown,
}

/// How an entity was known, from most to least trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntitySource {
    /// A cryptographic principal that a trusted observer saw.
    Principal,
    /// The Kubernetes API.
    Kubernetes,
    /// A cloud's list of network interfaces.
    Cloud,
    /// The static inventory file.
    Inventory,
    /// The record's own labels.
    Label,
    /// A DNS name.
    Dns,
    /// The address alone: outside, or inside and unexplained.
    Address,
    /// The record has no address.
    Unknown,
}

words!(EntityKind {
    Service => "service", Agent => "agent", Host => "host", External => "external", Unknown => "unknown",
});
words!(EntitySource {
    Principal => "principal", Kubernetes => "kubernetes", Cloud => "cloud", Inventory => "inventory",
    Label => "label", Dns => "dns", Address => "address", Unknown => "unknown",
});

/// `network/namespace/kind/name`, with `-` for an absent part. A `/` inside a part becomes `_`, so that the parts can be told apart.
#[must_use]
pub fn entity_id(network: Option<&str>, namespace: Option<&str>, kind: EntityKind, name: &str) -> String {
    let part = |text: &str| if text.contains('/') { text.replace('/', "_") } else { text.to_owned() };
    let optional = |text: Option<&str>| text.filter(|text| !text.is_empty()).map_or_else(|| "-".to_owned(), part);
    format!("{}/{}/{}/{}", optional(network), optional(namespace), kind.as_str(), part(name))
}

/// The last part of an entity id: what a person calls it.
#[must_use]
pub fn short_name(entity: &str) -> &str {
    entity.rsplit_once('/').map_or(entity, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_four_parts() {
        assert_eq!(entity_id(Some("prod"), Some("shop"), EntityKind::Service, "cart"), "prod/shop/service/cart");
        assert_eq!(entity_id(None, Some(""), EntityKind::Unknown, "10.0.0.1"), "-/-/unknown/10.0.0.1");
        assert_eq!(entity_id(None, None, EntityKind::Host, "a/b"), "-/-/host/a_b");
        assert_eq!(short_name("prod/shop/service/cart"), "cart");
    }
}

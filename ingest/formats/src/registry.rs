//! The formats that are read, one line each. No format knows another.

use crate::contract::Format;
use crate::detect::Chosen;
use crate::framing::Records;
use crate::page::Page;
use crate::{
    aws_elb, aws_network_firewall, aws_vpc, azure, caddy, ecs, envoy, gcp, haproxy, linkerd, mapping, nginx, ocsf,
    otlp, traefik, zeek, ztunnel,
};
use std::sync::Arc;

/// Every format in the order in which content is tried: the more particular ones first.
pub(crate) static FAMILIES: &[&Family] = &[
    &aws_vpc::FAMILY,
    &zeek::FAMILY,
    &gcp::VPC,
    &gcp::FIREWALL,
    &azure::NSG,
    &azure::VNET,
    &azure::FIREWALL,
    &aws_network_firewall::FAMILY,
    &aws_elb::ALB,
    &aws_elb::NLB,
    &ztunnel::FAMILY,
    &linkerd::FAMILY,
    &traefik::FAMILY,
    &caddy::FAMILY,
    &otlp::FAMILY,
    &ocsf::FAMILY,
    &ecs::FAMILY,
    &haproxy::FAMILY,
    &nginx::FAMILY,
    &envoy::FAMILY,
    &mapping::FAMILY,
];

/// A decoder, and how what it takes is cut.
pub type Decoder = (Arc<dyn Format>, Records);

/// Says why a layout cannot be used.
type CheckLayout = fn(&str) -> Result<(), String>;

/// One format with all its encodings and layouts.
#[derive(Debug)]
pub struct Family {
    /// The word in the column `source` and in `--input-format`.
    pub name: &'static str,
    /// What it is, in one line, for help texts.
    pub summary: &'static str,
    /// What the reference tells of it.
    pub page: Page,
    /// Each of its decoders with what it takes, none of which needs to have seen an object before.
    pub(crate) decoders: fn() -> Vec<Decoder>,
    /// What the first bytes of an object are, if they are of this format.
    pub(crate) recognise: fn(&[u8]) -> Option<Recognised>,
    /// Decodes an object that the user says is of this format, perhaps with a layout.
    pub(crate) named: fn(&[u8], Option<&str>) -> Result<Chosen, String>,
    /// Says why a layout cannot be used; none for a format that takes no layout.
    pub(crate) check_layout: Option<CheckLayout>,
}

impl Family {
    /// Each of its decoders and how its input is cut: for tests that feed them whatever there is.
    #[must_use]
    pub fn decoders(&self) -> Vec<Decoder> {
        (self.decoders)()
    }
}

/// What the first bytes of an object are.
#[derive(Debug)]
pub(crate) enum Recognised {
    /// Records of connections.
    Connections(Chosen),
    /// A log of the same product that holds no connections, and what a person should know.
    OtherLog(String),
}

/// Every format by name, for help texts and references.
#[must_use]
pub fn families() -> Vec<&'static Family> {
    let mut families = FAMILIES.to_vec();
    families.sort_by_key(|family| family.name);
    families
}

/// The format of that name.
#[must_use]
pub fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|family| family.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tradewind_model::flow;

    #[test]
    fn names_are_words_and_differ() {
        let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        let is_word =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        assert!(names.iter().all(|name| is_word(name)), "{names:?}");
        assert!(!names.contains("auto"));
    }

    #[test]
    fn pages_name_columns_that_exist() {
        for family in FAMILIES {
            for (column, from) in family.page.columns {
                let is_known = flow::FIELDS.iter().any(|field| field.name == *column);
                assert!(is_known && !from.is_empty(), "{}: {column}", family.name);
            }
            let columns: BTreeSet<_> = family.page.columns.iter().map(|(column, _)| column).collect();
            assert_eq!(columns.len(), family.page.columns.len(), "{}: a column twice", family.name);
            assert!(!family.page.outcomes.is_empty() && !family.page.sources.is_empty(), "{}", family.name);
        }
    }
}

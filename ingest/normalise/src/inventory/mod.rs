//! The static inventory: which entity an address of an address space stood for, and when. Not the reading of its two
//! notations, which the modules below do, nor of its file, which the caller does.

mod csv;
mod document;
mod error;

pub use error::{InventoryError, Problem};

use hashbrown::HashMap;
use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;
use std::cmp::Reverse;
use std::net::IpAddr;
use tradewind_model::entity::EntityKind;
use tradewind_model::time;

/// What an address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryEntity {
    /// What a person calls it. Never empty.
    pub name: String,
    /// What it is.
    pub kind: EntityKind,
    /// Namespace, project or team.
    pub namespace: Option<String>,
    /// The address space its addresses belong to; none: all.
    pub network: Option<String>,
    /// The very pod, interface or machine, where the entry names one.
    pub instance: Option<String>,
}

/// That an address meant an entity from one time on until before another, in microseconds UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Index into [`Inventory::entities`].
    pub(crate) entity: usize,
}

impl Tenure {
    pub(crate) const fn is_unbounded(&self) -> bool {
        self.from == i64::MIN && self.to == i64::MAX
    }

    pub(crate) const fn holds_at(&self, time: i64) -> bool {
        self.from <= time && time < self.to
    }
}

/// A tenure and where it was written, for the message when another overlaps it.
#[derive(Clone, Debug)]
struct Entry {
    tenure: Tenure,
    place: String,
}

type Space = JointPrefixMap<IpNet, Vec<Entry>>;

/// One entry as both notations give it, its texts still to be checked.
#[derive(Clone, Copy, Debug)]
struct RawTenure<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
}

/// Entities by address, address space and time.
///
/// An address finds the entry with the longest prefix, so an exact address before any network. Of two entries for one
/// prefix the one of the record's address space comes before the one without. An entry that did not hold at the time asked
/// for is passed over.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    entities: Vec<InventoryEntity>,
    /// Entries that hold in one address space, by its name.
    spaces: HashMap<String, Space>,
    /// Entries that hold in every address space.
    everywhere: Space,
    /// Entities by name and namespace.
    names: HashMap<(String, Option<String>), Vec<usize>>,
}

impl Inventory {
    /// Reads the CSV notation; `name` is what messages call the text, usually its path.
    ///
    /// The header names the columns `address`, `entity`, `kind`, `namespace`, `network`, `valid_from`, `valid_to` and
    /// `instance` in any order; only the first two must be there. An empty field is an absent one. Fields may be quoted
    /// as in RFC 4180, on one line. Lines that start with `#` are comments.
    ///
    /// # Errors
    /// The first fault, with its line.
    pub fn from_csv(text: &str, name: &str) -> Result<Self, InventoryError> {
        csv::read(text, name)
    }

    /// Reads the TOML notation: tables `[[entity]]` with `name`, `addresses` and, where wanted, `kind`, `namespace`,
    /// `network`, `instance`, `valid_from`, `valid_to`.
    ///
    /// # Errors
    /// The first fault, with its key.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, InventoryError> {
        document::read(text, name)
    }

    /// How many entries it was given.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether it has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// What an address of an address space stood for at a time (microseconds UTC).
    #[must_use]
    pub fn find(&self, network: Option<&str>, address: IpAddr, time: i64) -> Option<&InventoryEntity> {
        let tenures = self.tenures(network, address);
        tenures.iter().find(|tenure| tenure.holds_at(time)).map(|tenure| self.entity(tenure))
    }

    /// All that an address ever stood for, the first that holds counts. Ends with the first that always holds.
    pub(crate) fn tenures(&self, network: Option<&str>, address: IpAddr) -> Vec<Tenure> {
        let host = IpNet::from(address.to_canonical());
        let mut found = Vec::new();
        let own = network.and_then(|network| self.spaces.get(network));
        for (rank, space) in [own, Some(&self.everywhere)].into_iter().flatten().enumerate() {
            for (prefix, entries) in space.cover(&host) {
                let order = (Reverse(prefix.prefix_len()), rank);
                found.extend(entries.iter().map(|entry| (order, entry.tenure)));
            }
        }
        found.sort_by_key(|&(order, _)| order);
        let last = found.iter().position(|(_, tenure)| tenure.is_unbounded()).map_or(found.len(), |last| last + 1);
        found.into_iter().take(last).map(|(_, tenure)| tenure).collect()
    }

    pub(crate) fn entity(&self, tenure: &Tenure) -> &InventoryEntity {
        &self.entities[tenure.entity]
    }

    /// The entities of a name in a namespace.
    pub(crate) fn named(&self, namespace: &str, name: &str) -> impl Iterator<Item = &InventoryEntity> {
        let key = (name.to_owned(), Some(namespace.to_owned()));
        self.names.get(&key).into_iter().flatten().map(|&index| &self.entities[index])
    }

    /// Adds an entity and gives its index.
    fn add_entity(&mut self, entity: InventoryEntity) -> usize {
        let index = self.entities.len();
        self.names.entry((entity.name.clone(), entity.namespace.clone())).or_default().push(index);
        self.entities.push(entity);
        index
    }

    /// Says that an address or network belonged to the entity added last.
    fn add_address(&mut self, address: &str, tenure: Tenure, place: &str) -> Result<(), Problem> {
        let prefix = prefix(address)?;
        let space = match &self.entities[tenure.entity].network {
            Some(network) => self.spaces.entry_ref(network.as_str()).or_default(),
            None => &mut self.everywhere,
        };
        let entries = space.entry(prefix).or_default();
        let overlaps = |entry: &&Entry| entry.tenure.from < tenure.to && tenure.from < entry.tenure.to;
        if let Some(other) = entries.iter().find(overlaps) {
            return Err(Problem::Overlap { address: address.to_owned(), other: other.place.clone() });
        }
        entries.push(Entry { tenure, place: place.to_owned() });
        Ok(())
    }
}

/// Reads an address or a network in CIDR notation.
fn prefix(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| Problem::Address { text: text.to_owned() })?;
    if network.trunc() != network {
        return Err(Problem::HostBits { text: text.to_owned(), network: network.trunc() });
    }
    Ok(network)
}

/// Reads a kind that an inventory may give: all but `unknown`.
fn kind(text: Option<&str>) -> Result<EntityKind, Problem> {
    let Some(text) = text else { return Ok(EntityKind::Service) };
    let kind = EntityKind::from_word(text).filter(|&kind| kind != EntityKind::Unknown);
    kind.ok_or_else(|| Problem::Kind { text: text.to_owned() })
}

/// Reads when an entry holds.
fn tenure(raw: RawTenure<'_>, entity: usize) -> Result<Tenure, Problem> {
    let read = |text: Option<&str>, absent| {
        let problem = |text: &str| Problem::Time { text: text.to_owned() };
        text.map_or(Ok(absent), |text| time::parse(text).map_err(|_| problem(text)))
    };
    let (from, to) = (read(raw.from, i64::MIN)?, read(raw.to, i64::MAX)?);
    if from >= to {
        return Err(Problem::Validity { from: time::rfc3339(from), to: time::rfc3339(to) });
    }
    Ok(Tenure { from, to, entity })
}

#[cfg(test)]
mod tests;

//! The names behind the numbers: entities and edges of the network, numbered in the order they were met. The numbers are
//! for state only; whatever a person sees is ordered by name.

use crate::event::FlowEvent;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::hash::BuildHasher;
use tradewind_model::entity::EntityKind;

/// Where a flow goes to, beside the responder itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Port {
    /// A port of the responder.
    Number(u16),
    /// The protocol has none, or the log does not say.
    Absent,
    /// It is not known which end opened the connection, so that the port may be anybody's. All such flows of a pair are
    /// one edge: it has a volume, but is never new.
    Unoriented,
}

impl Port {
    /// The port of an event's edge.
    pub(crate) fn of(event: &FlowEvent<'_>) -> Self {
        if !event.is_src_dst_assignment_known {
            return Self::Unoriented;
        }
        event.dst_port.and_then(|port| u16::try_from(port).ok()).map_or(Self::Absent, Self::Number)
    }

    /// The port, where there is one and it is known whose it is.
    #[must_use]
    pub const fn number(self) -> Option<u16> {
        match self {
            Self::Number(port) => Some(port),
            Self::Absent | Self::Unoriented => None,
        }
    }

    const fn code(self) -> u32 {
        match self {
            Self::Number(port) => port as u32,
            Self::Absent => 0x1_0000,
            Self::Unoriented => 0x1_0001,
        }
    }
}

/// An edge: who talks to whom on which port. The protocol is not part of it, since half of the formats do not log it and
/// an edge seen by two observers would be two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Number of the initiator.
    pub source: u32,
    /// Number of the responder.
    pub destination: u32,
    /// Its port.
    pub port: Port,
}

impl Edge {
    /// The edge as one number.
    pub(crate) fn key(self) -> u128 {
        u128::from(self.source) << 64 | u128::from(self.destination) << 32 | u128::from(self.port.code())
    }

    /// Destination and port as one number.
    pub(crate) fn service(self) -> u64 {
        u64::from(self.destination) << 32 | u64::from(self.port.code())
    }

    /// The port as a number.
    pub(crate) fn port_key(self) -> u64 {
        u64::from(self.port.code())
    }

    /// Source and destination as one number.
    pub(crate) fn pair(self) -> u64 {
        pair(self.source, self.destination)
    }
}

/// Two entities as one number.
pub(crate) const fn pair(source: u32, destination: u32) -> u64 {
    (source as u64) << 32 | destination as u64
}

/// The two entities of such a number.
#[allow(clippy::cast_possible_truncation)] // Each half is an entity's number.
pub(crate) const fn parts(pair: u64) -> [u32; 2] {
    [(pair >> 32) as u32, pair as u32]
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entity {
    name: Box<str>,
    kind: EntityKind,
    /// The kind by all flows that were told of it, those of windows included that are not judged yet.
    told: EntityKind,
}

/// All entities and edges that were ever met.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Lists", into = "Lists")]
pub struct Network {
    entities: Vec<Entity>,
    edges: Vec<Edge>,
    entity_numbers: HashTable<u32>,
    edge_numbers: HashTable<u32>,
    hasher: RandomState,
    /// Whether [`Self::kind`] counts what was only told so far.
    is_foretelling: bool,
}

/// What of [`Network`] is stored: the rest is made from it.
#[derive(Serialize, Deserialize)]
struct Lists {
    entities: Vec<Entity>,
    edges: Vec<Edge>,
}

impl Network {
    /// Number of an entity; met for the first time it gets one. Where flows disagree about its kind, the one that asks for
    /// more care wins, so that order does not matter.
    pub(crate) fn entity_of_kind(&mut self, name: &str, kind: EntityKind) -> u32 {
        let number = self.foretell(name, kind);
        self.meet(number, kind);
        number
    }

    /// Number of an entity in a flow of a window that is not judged yet: its kind counts only when the flow is met.
    pub(crate) fn foretell(&mut self, name: &str, kind: EntityKind) -> u32 {
        let hash = self.hasher.hash_one(name);
        let entities = &mut self.entities;
        if let Some(&number) = self.entity_numbers.find(hash, |&number| *entities[number as usize].name == *name) {
            let told = &mut entities[number as usize].told;
            *told = more_careful(*told, kind);
            return number;
        }
        let number = next_number(entities.len());
        entities.push(Entity { name: name.into(), kind: EntityKind::Unknown, told: kind });
        let hasher = &self.hasher;
        self.entity_numbers.insert_unique(hash, number, |&number| hasher.hash_one(&*entities[number as usize].name));
        number
    }

    /// As [`Self::foretell`], of an entity that has a number.
    pub(crate) fn foretell_kind(&mut self, number: u32, kind: EntityKind) {
        let told = &mut self.entities[number as usize].told;
        *told = more_careful(*told, kind);
    }

    /// Takes the kind of an entity that was foretold into account.
    pub(crate) fn meet(&mut self, number: u32, kind: EntityKind) {
        let known = &mut self.entities[number as usize].kind;
        *known = more_careful(*known, kind);
    }

    /// From now on [`Self::kind`] counts what was only told, or not.
    pub(crate) const fn set_foretelling(&mut self, is_foretelling: bool) {
        self.is_foretelling = is_foretelling;
    }

    /// Number of an entity that has one.
    pub(crate) fn known(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.entity_numbers.find(hash, |&number| *self.entities[number as usize].name == *name).copied()
    }

    /// Number of an edge that has one.
    pub(crate) fn known_edge(&self, edge: Edge) -> Option<u32> {
        let hash = self.hasher.hash_one(edge.key());
        self.edge_numbers.find(hash, |&number| self.edges[number as usize] == edge).copied()
    }

    /// Hash of an edge's names and port: the same in every process and version (BLAKE3, its first 64 bits).
    pub(crate) fn key_of(&self, number: u32) -> u64 {
        let edge = self.edges[number as usize];
        let mut hasher = blake3::Hasher::new();
        for name in [self.name(edge.source), self.name(edge.destination)] {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
        }
        hasher.update(&edge.port.code().to_le_bytes());
        let hash = hasher.finalize();
        let (first, _) = hash.as_bytes().split_at(8);
        first.iter().fold(0, |key, &byte| key << 8 | u64::from(byte))
    }

    /// Forgets all edges but those that are kept, and the entities that none of them has: the numbers change. Says by old
    /// number the new one of each edge; none for what is forgotten.
    pub(crate) fn keep_edges(&mut self, is_kept: &[bool]) -> Vec<Option<u32>> {
        let old = std::mem::take(self);
        self.is_foretelling = old.is_foretelling;
        let mut entities: Vec<Option<u32>> = vec![None; old.entities.len()];
        let mut entity = |network: &mut Self, number: u32| {
            *entities[number as usize].get_or_insert_with(|| {
                let known = &old.entities[number as usize];
                let number = network.foretell(&known.name, known.told);
                network.entities[number as usize].kind = known.kind;
                number
            })
        };
        let mut numbers = Vec::with_capacity(old.edges.len());
        for (edge, &is_kept) in old.edges.iter().zip(is_kept) {
            numbers.push(is_kept.then(|| {
                let (source, destination) = (entity(self, edge.source), entity(self, edge.destination));
                self.edge(Edge { source, destination, port: edge.port })
            }));
        }
        numbers
    }

    /// Forgets all entities but those that are kept; there are no edges. Says by old number the new one.
    pub(crate) fn keep_entities(&mut self, is_kept: &[bool]) -> Vec<Option<u32>> {
        let old = std::mem::take(self);
        self.is_foretelling = old.is_foretelling;
        let keep = |(known, &is_kept): (Entity, &bool)| {
            is_kept.then(|| {
                let number = self.foretell(&known.name, known.told);
                self.entities[number as usize].kind = known.kind;
                number
            })
        };
        old.entities.into_iter().zip(is_kept).map(keep).collect()
    }

    /// Number of an edge; met for the first time it gets one.
    pub(crate) fn edge(&mut self, edge: Edge) -> u32 {
        let hash = self.hasher.hash_one(edge.key());
        let edges = &mut self.edges;
        if let Some(&number) = self.edge_numbers.find(hash, |&number| edges[number as usize] == edge) {
            return number;
        }
        let number = next_number(edges.len());
        edges.push(edge);
        let hasher = &self.hasher;
        self.edge_numbers.insert_unique(hash, number, |&number| hasher.hash_one(edges[number as usize].key()));
        number
    }

    /// The edge of a number.
    pub(crate) fn edge_of(&self, number: u32) -> Edge {
        self.edges[number as usize]
    }

    /// Number of an edge by the names of its ends.
    pub(crate) fn find(&self, source: &str, destination: &str, port: Port) -> Option<u32> {
        self.known_edge(Edge { source: self.known(source)?, destination: self.known(destination)?, port })
    }

    /// Order of edges: by name of source, name of destination and port.
    pub(crate) fn compare(&self, one: &Edge, other: &Edge) -> Ordering {
        let names = |edge: &Edge| (self.name(edge.source), self.name(edge.destination));
        names(one).cmp(&names(other)).then_with(|| one.port.cmp(&other.port))
    }

    /// Entity id of a number.
    #[must_use]
    pub fn name(&self, entity: u32) -> &str {
        &self.entities[entity as usize].name
    }

    /// Kind of an entity.
    #[must_use]
    pub fn kind(&self, entity: u32) -> EntityKind {
        let entity = &self.entities[entity as usize];
        if self.is_foretelling { entity.told } else { entity.kind }
    }

    /// Kind of an entity by all that was told of it.
    pub(crate) fn told_kind(&self, entity: u32) -> EntityKind {
        self.entities[entity as usize].told
    }

    /// How many entities were met.
    #[must_use]
    pub fn entity_count(&self) -> usize {
        self.entities.len()
    }

    /// How many edges were met.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }
}

const fn more_careful(one: EntityKind, other: EntityKind) -> EntityKind {
    if care(other) < care(one) { other } else { one }
}

/// Rank of a kind when flows disagree: the lowest wins.
const fn care(kind: EntityKind) -> u8 {
    match kind {
        EntityKind::Agent => 0,
        EntityKind::Service => 1,
        EntityKind::Host => 2,
        EntityKind::External => 3,
        EntityKind::Unknown => 4,
    }
}

fn next_number(count: usize) -> u32 {
    u32::try_from(count).expect("memory ends long before four thousand million entities or edges")
}

impl TryFrom<Lists> for Network {
    type Error = &'static str;

    /// Refuses what would give other numbers than were stored.
    fn try_from(lists: Lists) -> Result<Self, Self::Error> {
        let mut network = Self::default();
        for (place, entity) in lists.entities.into_iter().enumerate() {
            let number = network.foretell(&entity.name, entity.told);
            if number as usize != place {
                return Err("an entity is there twice");
            }
            network.meet(number, entity.kind);
        }
        for (place, edge) in lists.edges.into_iter().enumerate() {
            let is_known = |entity: u32| (entity as usize) < network.entities.len();
            if !is_known(edge.source) || !is_known(edge.destination) || network.edge(edge) as usize != place {
                return Err("an edge is there twice, or between entities that are not");
            }
        }
        Ok(network)
    }
}

impl From<Network> for Lists {
    fn from(network: Network) -> Self {
        Self { entities: network.entities, edges: network.edges }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use EntityKind::{Agent, Service, Unknown};

    #[test]
    fn the_kind_does_not_depend_on_order() {
        for order in [[Unknown, Agent, Service], [Service, Unknown, Agent]] {
            let mut network = Network::default();
            for kind in order {
                assert_eq!(network.entity_of_kind("a", kind), 0);
            }
            assert_eq!(network.kind(0), Agent);
        }
    }

    #[test]
    fn ports_do_not_collide() {
        let mut network = Network::default();
        network.entity_of_kind("a", Service);
        let ports = [Port::Number(0), Port::Number(u16::MAX), Port::Absent, Port::Unoriented];
        for (number, port) in (0..).zip(ports) {
            assert_eq!(network.edge(Edge { source: 0, destination: 0, port }), number);
        }
        let restored = Network::try_from(Lists::from(network)).unwrap();
        assert_eq!(restored.edge_count(), 4);
        let mut lists = Lists::from(restored);
        lists.edges.push(Edge { source: 1, destination: 0, port: Port::Absent });
        assert!(Network::try_from(lists).is_err());
    }
}

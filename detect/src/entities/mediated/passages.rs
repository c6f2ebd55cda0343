//! What the hops of ways through resources were: to say in words what an edge alone does not tell. Judges nothing.

use crate::entities::chain::Hop;
use crate::numbered::{Numbered, new_number};
use serde::{Deserialize, Serialize};

/// Hops that are remembered; of more the oldest are told as contacts.
const PASSAGES_MAX: usize = 4096;

/// A hop that is an access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Passage {
    hop: Hop,
    /// Whether it wrote; else it read.
    pub(crate) is_write: bool,
    /// Whether it is news: the entity never did that before.
    pub(crate) is_new: bool,
    /// The resource, as the shards write it.
    pub(crate) resource: Box<str>,
}

/// The hops of open ways, in the order in which they were met.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Passages(Vec<Passage>);

impl Numbered for Passage {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.hop.visit(number);
    }
}

impl Numbered for Passages {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.0.visit(number);
    }
}

impl Passage {
    pub(super) fn new(hop: Hop, is_write: bool, is_new: bool, resource: &str) -> Self {
        Self { hop, is_write, is_new, resource: resource.into() }
    }
}

impl Passages {
    pub(super) fn note(&mut self, passage: Passage) {
        if self.of(&passage.hop).is_some() {
            return;
        }
        if self.0.len() >= PASSAGES_MAX {
            self.0.remove(0);
        }
        self.0.push(passage);
    }

    pub(super) fn of(&self, hop: &Hop) -> Option<&Passage> {
        self.0.iter().rev().find(|known| known.hop == *hop)
    }

    pub(super) fn expire(&mut self, from: i64) {
        self.0.retain(|passage| passage.hop.time >= from);
    }

    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        let number = |entity: u32| new_number(numbers, entity);
        self.0.retain_mut(|passage| {
            let edge = &mut passage.hop.edge;
            let (Some(source), Some(destination)) = (number(edge.source), number(edge.destination)) else {
                return false;
            };
            (edge.source, edge.destination) = (source, destination);
            true
        });
    }
}

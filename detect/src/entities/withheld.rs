//! What is not learnt until a person accepts it or it persists: the new edges of an entity while a finding about them is
//! open. So nobody teaches step by step that anything goes.

use super::view::View;
use crate::network::Edge;
use crate::numbered::{Numbered, visit_keys};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Edges of one entity that are kept to be learnt later; of more only these are.
const EDGES_MAX: usize = 256;
/// Entities whose edges are kept to be learnt later.
const ENTITIES_MAX: usize = 4096;

/// First answers on edges of entities that a finding is open about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Withheld {
    /// Entities whose new edges are not learnt now.
    now: BTreeSet<u32>,
    answers: BTreeMap<u32, Vec<Edge>>,
}

impl Numbered for Withheld {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        let renumber = |mut entity: u32| {
            number(&mut entity);
            entity
        };
        self.now = std::mem::take(&mut self.now).into_iter().map(renumber).collect();
        visit_keys(&mut self.answers, number);
        self.answers.values_mut().for_each(|edges| edges.visit(number));
    }
}

impl Withheld {
    /// Whether an entity's new edges are not learnt now.
    pub(super) fn has(&self, entity: u32) -> bool {
        self.now.contains(&entity)
    }

    /// From now on the new edges of these entities are not learnt. Of the others `persists` says whether what was kept back
    /// became usual; the answers that are to be learnt then. The rest is forgotten.
    pub(super) fn set(&mut self, now: BTreeSet<u32>, persists: impl Fn(u32) -> bool) -> Vec<Edge> {
        self.now = now;
        let mut due = Vec::new();
        let now = &self.now;
        self.answers.retain(|&entity, edges| {
            let is_withheld = now.contains(&entity);
            if !is_withheld && persists(entity) {
                due.append(edges);
            }
            is_withheld
        });
        due
    }

    /// A person accepts what an entity does: the answers that are to be learnt.
    pub(super) fn accept(&mut self, entity: u32) -> Vec<Edge> {
        self.now.remove(&entity);
        self.answers.remove(&entity).unwrap_or_default()
    }

    /// Of the window's first answers those that are learnt now; the others are kept.
    pub(super) fn sort_out<'a>(&mut self, view: &'a View) -> Vec<&'a Edge> {
        let mut learnt = Vec::new();
        for edge in &view.answers {
            if !self.has(edge.source) {
                learnt.push(edge);
            } else if self.answers.len() < ENTITIES_MAX || self.answers.contains_key(&edge.source) {
                let kept = self.answers.entry(edge.source).or_default();
                if kept.len() < EDGES_MAX {
                    kept.push(*edge);
                }
            }
        }
        learnt
    }
}

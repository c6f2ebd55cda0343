//! Detector of chains: an entity that was contacted suspiciously and soon after opens a suspicious edge itself. Paths of
//! new edges, in strict time order, within half an hour a hop, up to four hops; the evidence of exponentials adds up to an
//! Erlang variable.
//!
//! It carries only the evidence of the way in: that of the last edge is the destination detector's.

use crate::distributions::erlang_tail;
use crate::exact;
use crate::network::Edge;
use crate::numbered::{Numbered, new_number};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tradewind_model::time::SECOND;

/// A contact is a way in for so long, microseconds.
pub(super) const HORIZON: i64 = 1800 * SECOND;
/// Hops beyond which evidence adds nothing to the count of stages.
const HOPS_MAX: u32 = 4;
/// An edge speaks of a chain only if it is suspicious itself: -ln p.
const EVIDENCE_MIN: f64 = 2.3;
/// Ways into one entity that are remembered.
const WAYS_MAX: usize = 32;

/// One edge of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hop {
    pub(crate) edge: Edge,
    pub(crate) time: i64,
}

/// How an entity was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Way {
    pub(super) time: i64,
    /// -ln p, summed over the hops.
    #[serde(with = "exact")]
    pub(super) evidence: f64,
    /// How many events that evidence is of.
    pub(super) hops: u32,
    pub(super) path: Vec<Hop>,
}

/// A way through something that others wrote, as [`super::mediated`] knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mediated<'a> {
    pub(super) way: &'a Way,
    /// Whether the evidence of the edge that ends the chain counts, too: where the way is another's doing.
    pub(super) is_joint: bool,
}

impl Way {
    /// This way and one hop more.
    pub(super) fn and(&self, hop: Hop) -> Vec<Hop> {
        let mut path = self.path.clone();
        path.push(hop);
        let excess = path.len().saturating_sub(HOPS_MAX as usize);
        path.drain(..excess);
        path
    }
}

/// Ways into entities.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Chains(BTreeMap<u32, Vec<Way>>);

/// A path that ends with a new edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) p_value: f64,
    /// The way in, first hop first.
    pub(crate) path: Vec<Hop>,
}

impl Numbered for Hop {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.edge.visit(number);
    }
}

impl Numbered for Way {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.path.visit(number);
    }
}

impl Numbered for Chains {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.0.visit(number);
    }
}

impl Chains {
    /// Forgets the ways on which an entity is forgotten; `numbers` has the new number of each.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        let number = |entity: u32| new_number(numbers, entity);
        self.0 = std::mem::take(&mut self.0)
            .into_iter()
            .filter_map(|(entity, mut ways)| {
                let is_kept = |hop: &Hop| number(hop.edge.source).is_some() && number(hop.edge.destination).is_some();
                ways.retain(|way| way.path.iter().all(is_kept));
                ways.visit(&mut |entity| *entity = number(*entity).unwrap_or(*entity));
                Some((number(entity)?, ways)).filter(|(_, ways)| !ways.is_empty())
            })
            .collect();
    }
}

impl Numbered for Chain {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.path.visit(number);
    }
}

impl Chains {
    /// Takes a new edge in, in the order of time, and says what chain it ends, if any. Only an answered edge is a way in
    /// for others. `mediated` is the way that its source was reached on through others' writing, if any.
    pub(super) fn follow(
        &mut self,
        edge: Edge,
        time: i64,
        evidence: f64,
        is_answered: bool,
        mediated: Option<Mediated<'_>>,
    ) -> Option<Chain> {
        let direct = self.way_in(edge.source, time).map(|(carried, way)| {
            let p_value = erlang_tail(way.hops.min(HOPS_MAX), carried);
            (p_value, carried, way)
        });
        let mediated = mediated.map(|Mediated { way, is_joint }| {
            let (stages, own) = if is_joint { (1, evidence) } else { (0, 0.0) };
            (erlang_tail(way.hops.min(HOPS_MAX) + stages, way.evidence + own), way.evidence, way)
        });
        let ways = direct.into_iter().chain(mediated).filter(|_| evidence > 0.0);
        let own = Hop { edge, time };
        let (next, chain) = match ways.min_by(|one, other| one.0.total_cmp(&other.0)) {
            Some((p_value, carried, way)) => {
                let chain = (evidence > EVIDENCE_MIN).then(|| Chain { p_value, path: way.path.clone() });
                (Way { time, evidence: evidence + carried, hops: way.hops + 1, path: way.and(own) }, chain)
            }
            None => (Way { time, evidence, hops: 1, path: vec![own] }, None),
        };
        if is_answered {
            self.0.entry(edge.destination).or_default().push(next);
        }
        chain
    }

    /// The strongest way into an entity before a time, with its evidence after paying for the choice among all.
    pub(super) fn way_in(&self, entity: u32, time: i64) -> Option<(f64, &Way)> {
        let is_open = |way: &&Way| way.time < time && time.saturating_sub(way.time) <= HORIZON;
        let ways = || self.0.get(&entity).into_iter().flatten().filter(is_open);
        let choices = (ways().count() as f64).ln();
        ways()
            .max_by(|one, other| one.evidence.total_cmp(&other.evidence).then(one.hops.cmp(&other.hops)))
            .map(|way| (way.evidence - choices, way))
            .filter(|&(carried, _)| carried > 0.0)
    }

    /// Forgets what no window from this time on can use.
    pub(crate) fn expire(&mut self, from: i64) {
        self.0.retain(|_, ways| {
            ways.retain(|way| way.time > from.saturating_sub(HORIZON));
            let excess = ways.len().saturating_sub(WAYS_MAX);
            ways.drain(..excess);
            !ways.is_empty()
        });
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Port;

    /// Edges (source, destination, second, evidence, answered); the last one's chain, as hops of the way in and p-value.
    fn check(edges: &[(u32, u32, i64, f64, bool)], expected: Option<(usize, f64)>) {
        let mut chains = Chains::default();
        let mut last = None;
        for &(source, destination, second, evidence, is_answered) in edges {
            let edge = Edge { source, destination, port: Port::Number(22) };
            last = chains.follow(edge, second * SECOND, evidence, is_answered, None);
        }
        match (last, expected) {
            (Some(chain), Some((hops, p_value))) => {
                assert_eq!(chain.path.len(), hops, "{edges:?}");
                assert!((chain.p_value / p_value - 1.0).abs() < 1e-6, "{edges:?}: {}", chain.p_value);
            }
            (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{edges:?}: {found:?}"),
        }
    }

    #[test]
    fn a_path_takes_time_and_answers() {
        check(&[(1, 2, 0, 5.0, true)], None);
        check(&[(1, 2, 0, 5.0, true), (2, 3, 60, 5.0, true)], Some((1, (-5.0_f64).exp())));
        // Not answered, too late, at the same time, not suspicious itself, elsewhere.
        check(&[(1, 2, 0, 5.0, false), (2, 3, 60, 5.0, true)], None);
        check(&[(1, 2, 0, 5.0, true), (2, 3, 1801, 5.0, true)], None);
        check(&[(1, 2, 0, 5.0, true), (2, 3, 0, 5.0, true)], None);
        check(&[(1, 2, 0, 5.0, true), (2, 3, 60, 2.0, true)], None);
        check(&[(1, 2, 0, 5.0, true), (4, 3, 60, 5.0, true)], None);
    }

    #[test]
    fn hops_add_up_and_a_choice_costs() {
        let two = [(1, 2, 0, 5.0, true), (2, 3, 60, 4.0, true), (3, 4, 90, 3.0, true)];
        check(&two, Some((2, 10.0 * (-9.0_f64).exp())));
        let choice = [(1, 3, 0, 5.0, true), (2, 3, 1, 4.0, true), (3, 4, 90, 3.0, true)];
        check(&choice, Some((1, 2.0 * (-5.0_f64).exp())));
    }
}

//! One resource: who writes it, who reads it, and which of its writers are news. Learns by the window; judges nothing.

use crate::edges::aging::{Worth, keep};
use crate::entities::chain::Hop;
use crate::entities::hazard::Factor;
use crate::exact;
use crate::network::{Edge, Network};
use crate::numbered::{Numbered, new_number};
use serde::{Deserialize, Serialize};

/// Writers, and readers, of a resource that are remembered: those that matter least are forgotten for others.
const PARTIES_MAX: usize = 32;
/// So many are remembered within a window.
const FLOOD_MAX: usize = 1024;
/// A party whose coming is less probable is not learnt at once, but when it was there in so many windows.
const LEARN_P_MIN: f64 = 1e-3;
const HELD_WINDOWS_MAX: u32 = 6;

/// What several entities write and read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Resource {
    pub(super) first_window: i64,
    last_window: i64,
    /// Windows in which it was accessed.
    windows: u32,
    /// How often it has new writers.
    pub(super) factor: Factor,
    pub(super) writers: Parties,
    pub(super) readers: Parties,
    pub(super) news: Vec<News>,
}

/// Those who write a resource, or read it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Parties(Vec<Party>);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Party {
    entity: u32,
    windows: u32,
    last_window: i64,
    is_learnt: bool,
}

/// A new writer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct News {
    pub(super) edge: Edge,
    /// When it first wrote, and last.
    pub(super) first: i64,
    pub(super) last: i64,
    /// -ln p of all that led here, after paying for what else could have happened.
    #[serde(with = "exact")]
    pub(super) evidence: f64,
    /// How many events that evidence is of.
    pub(super) hops: u32,
    /// The way here, the writing included.
    pub(super) path: Vec<Hop>,
}

impl Numbered for News {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.edge.visit(number);
        self.path.visit(number);
    }
}

impl Numbered for Resource {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        let parties = self.writers.0.iter_mut().chain(&mut self.readers.0);
        parties.for_each(|party| number(&mut party.entity));
        self.news.visit(number);
    }
}

impl Parties {
    /// Whether an entity's being one is nothing new.
    pub(super) fn has(&self, entity: u32) -> bool {
        self.0.iter().any(|party| party.entity == entity && party.is_learnt)
    }

    /// How many are known.
    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|party| party.is_learnt).count()
    }

    /// Entities that are known.
    pub(super) fn entities(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter(|party| party.is_learnt).map(|party| party.entity)
    }

    /// Takes in that an entity was one in a window; whether this is learnt as something new. `p_value` is that of its coming.
    pub(super) fn meet(&mut self, entity: u32, index: i64, p_value: f64) -> bool {
        let Some(party) = self.0.iter_mut().find(|party| party.entity == entity) else {
            let is_learnt = p_value >= LEARN_P_MIN;
            self.0.push(Party { entity, windows: 1, last_window: index, is_learnt });
            return is_learnt;
        };
        let is_first = party.last_window < index;
        (party.windows, party.last_window) = (party.windows.saturating_add(u32::from(is_first)), index);
        let is_due = p_value >= LEARN_P_MIN || party.windows >= HELD_WINDOWS_MAX;
        is_due && !std::mem::replace(&mut party.is_learnt, true)
    }

    /// As [`Self::limit`], within a window in which very many come: each is looked for among all.
    pub(super) fn limit_flood(&mut self, index: i64, network: &Network) {
        if self.0.len() > FLOOD_MAX {
            self.limit(index, network);
        }
    }

    /// Forgets those that matter least, where there are too many.
    pub(super) fn limit(&mut self, index: i64, network: &Network) {
        if self.0.len() <= PARTIES_MAX {
            return;
        }
        let worth = |party: &Party| worth(party.windows, index.abs_diff(party.last_window));
        let worths: Vec<Worth> = self.0.iter().map(worth).collect();
        let mut is_kept = keep(&worths, PARTIES_MAX, |place| network.name(self.0[place].entity)).into_iter();
        self.0.retain(|_| is_kept.next().unwrap_or(true));
    }

    fn keep(&mut self, numbers: &[Option<u32>]) {
        self.0.retain_mut(|party| {
            let number = new_number(numbers, party.entity);
            party.entity = number.unwrap_or(party.entity);
            number.is_some()
        });
    }
}

fn worth(windows: u32, idle: u64) -> Worth {
    Worth::of(true, windows, u32::try_from(idle).unwrap_or(u32::MAX))
}

impl Resource {
    /// A resource that is accessed for the first time.
    pub(super) fn new(index: i64) -> Self {
        Self { first_window: index, last_window: index, ..Self::default() }
    }

    /// Takes in that it was accessed in a window.
    pub(super) fn touch(&mut self, index: i64) {
        self.windows = self.windows.saturating_add(1);
        self.last_window = index;
    }

    /// What it would lose to forget it. What somebody could still read news of stays.
    pub(super) fn worth(&self, index: i64) -> Worth {
        if self.news.is_empty() { worth(self.windows, index.abs_diff(self.last_window)) } else { Worth::pinned() }
    }

    /// Forgets entities but those that have a new number.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        self.writers.keep(numbers);
        self.readers.keep(numbers);
        let is_kept = |hop: &Hop| {
            [hop.edge.source, hop.edge.destination].into_iter().all(|entity| new_number(numbers, entity).is_some())
        };
        self.news.retain(|news| news.path.iter().all(is_kept));
        self.news.visit(&mut |entity| *entity = new_number(numbers, *entity).unwrap_or(*entity));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_model::entity::EntityKind;

    /// Windows in which one entity comes, each with the p-value of its coming; the places at which it is learnt as new.
    fn check(comings: &[(i64, f64)], expected: &[usize]) {
        let mut parties = Parties::default();
        let learnt: Vec<usize> = (0..)
            .zip(comings)
            .filter_map(|(place, &(index, p_value))| parties.meet(7, index, p_value).then_some(place))
            .collect();
        assert_eq!(learnt, expected, "{comings:?}");
    }

    #[test]
    fn what_is_improbable_is_learnt_when_it_stays() {
        check(&[(1, 0.5), (2, 0.5)], &[0]);
        check(&[(1, 1e-5), (1, 1e-5), (2, 0.5)], &[2]);
        check(&[1, 2, 3, 4, 5, 6, 7].map(|index| (index, 1e-5)), &[5]);
        check(&[(1, 1e-5); 9], &[]);
    }

    #[test]
    fn many_that_come_once_do_not_push_out_those_that_stay() {
        let mut network = Network::default();
        let mut parties = Parties::default();
        for index in 0..400 {
            parties.meet(network.entity_of_kind("steady", EntityKind::Service), index, 1.0);
            parties.meet(network.entity_of_kind(&format!("once {index}"), EntityKind::Service), index, 1.0);
            parties.limit(index, &network);
        }
        assert_eq!(parties.count(), PARTIES_MAX);
        assert!(parties.has(0));
    }
}

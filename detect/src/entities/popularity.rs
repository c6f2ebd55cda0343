//! How popular an item is among those who could choose it: votes, each voter once, and the mass of outcomes at least as
//! rare. Who has already voted is the caller's to know.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Votes per item, with the count of counts that tail masses are made of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u32)>", into = "Vec<(u64, u32)>")]
pub(crate) struct Popularity {
    votes: HashMap<u64, u32, RandomState>,
    /// Number of items per number of votes, where there are any: few numbers occur, however high they are.
    items_with: BTreeMap<u32, u64>,
    total: u64,
}

impl Popularity {
    /// Votes of an item.
    pub(crate) fn votes(&self, item: u64) -> u32 {
        self.votes.get(&item).copied().unwrap_or(0)
    }

    /// One more voter for an item.
    pub(crate) fn vote(&mut self, item: u64) {
        let votes = self.votes.entry(item).or_insert(0);
        let before = *votes;
        *votes += 1;
        if let Some(items) = self.items_with.get_mut(&before) {
            *items -= 1;
            if *items == 0 {
                self.items_with.remove(&before);
            }
        }
        *self.items_with.entry(before + 1).or_default() += 1;
        self.total += 1;
    }

    /// Gives items other names, or forgets them with their votes.
    pub(crate) fn rename(&mut self, name: impl Fn(u64) -> Option<u64>) {
        let votes = std::mem::take(&mut self.votes);
        let items = votes.into_iter().filter_map(|(item, votes)| Some((name(item)?, votes)));
        *self = Self::default();
        for (item, votes) in items {
            self.votes.insert(item, votes);
            *self.items_with.entry(votes).or_default() += 1;
            self.total += u64::from(votes);
        }
    }

    /// The masses as they stand, for a whole window's births.
    pub(crate) fn masses(&self) -> Masses {
        let total = self.total as f64;
        let singletons = self.items_with.get(&1).copied().unwrap_or(0) as f64;
        // Good-Turing: what has not been seen is as frequent as what was seen once; smoothed for the start.
        let missing = (singletons + 1.0) / (total + 2.0);
        let mut sum = 0.0;
        let at_most = self.items_with.iter().map(|(&votes, &items)| {
            sum += f64::from(votes) * items as f64;
            (votes, missing + (1.0 - missing) * sum / total.max(1.0))
        });
        Masses { at_most: at_most.collect(), missing, unit: (1.0 - missing) / total.max(1.0) }
    }
}

/// Mass of outcomes at most as popular, per number of votes that occurs.
#[derive(Clone, Debug)]
pub(crate) struct Masses {
    at_most: Vec<(u32, f64)>,
    /// Mass of the items nobody voted for yet.
    pub(crate) missing: f64,
    /// Mass of one vote.
    pub(crate) unit: f64,
}

impl Masses {
    /// Probability that the next vote goes to an item with at most this many votes.
    pub(crate) fn tail(&self, votes: u32) -> f64 {
        if votes == 0 {
            return self.missing;
        }
        let place = self.at_most.partition_point(|&(known, _)| known <= votes);
        place.checked_sub(1).map_or(self.missing, |place| self.at_most[place].1.min(1.0))
    }
}

impl From<Vec<(u64, u32)>> for Popularity {
    fn from(items: Vec<(u64, u32)>) -> Self {
        let mut popularity = Self::default();
        for (item, votes) in items {
            popularity.votes.insert(item, votes);
            *popularity.items_with.entry(votes).or_default() += 1;
            popularity.total += u64::from(votes);
        }
        popularity
    }
}

impl From<Popularity> for Vec<(u64, u32)> {
    fn from(popularity: Popularity) -> Self {
        let mut items: Self = popularity.votes.into_iter().collect();
        items.sort_unstable();
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Votes given as items; then the tail of each item of interest.
    fn check(votes: &[u64], expected: &[(u64, f64)]) {
        let mut popularity = Popularity::default();
        votes.iter().for_each(|&item| popularity.vote(item));
        let restored = Popularity::from(Vec::from(popularity.clone()));
        for state in [popularity, restored] {
            let masses = state.masses();
            for &(item, tail) in expected {
                assert!((masses.tail(state.votes(item)) - tail).abs() < 1e-12, "{votes:?}, {item}");
            }
        }
    }

    #[test]
    fn rare_items_have_small_tails() {
        check(&[], &[(1, 0.5)]);
        check(&[1], &[(1, 1.0), (2, 2.0 / 3.0)]);
        // Four votes for 1, one for 2: one singleton, five votes, missing mass 2/7.
        check(&[1, 1, 1, 1, 2], &[(1, 1.0), (2, 2.0 / 7.0 + 5.0 / 7.0 * 0.2), (3, 2.0 / 7.0)]);
    }
}

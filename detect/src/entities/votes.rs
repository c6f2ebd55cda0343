//! What makes a new edge more or less surprising: its mark, the probability that a new edge goes somewhere at least as
//! unpopular. Votes for a service are the distinct sources it answered.

use super::popularity::{Masses, Popularity};
use crate::exact;
use crate::network::{Edge, pair, parts};
use crate::numbered::new_number;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

/// What the network knows of who is served by whom.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Votes {
    /// (destination, port), voted for by sources.
    services: Popularity,
    /// Ports, voted for by destinations.
    ports: Popularity,
    /// Destinations, voted for by sources.
    destinations: Popularity,
    /// Pairs of source and destination that have voted.
    pairs: Pairs,
    failed_births: FailedBirths,
}

impl Votes {
    /// Sources that a destination ever answered, in no order.
    pub(crate) fn clients(&self, destination: u32) -> &[u32] {
        self.pairs.clients.get(&destination).map_or(&[], Vec::as_slice)
    }

    /// Forgets who voted and for whom where the entity is forgotten: `numbers` has the new number of each. What was voted
    /// for keeps the votes of those who are forgotten.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        let number = |entity: u32| new_number(numbers, entity);
        let service = |item: u64| {
            let [destination, port] = parts(item);
            Some(u64::from(number(destination)?) << 32 | u64::from(port))
        };
        self.services.rename(service);
        self.destinations.rename(|item| u32::try_from(item).ok().and_then(number).map(u64::from));
        let pairs = Vec::from(std::mem::take(&mut self.pairs)).into_iter().map(parts);
        let kept = pairs.filter_map(|[source, destination]| Some(pair(number(source)?, number(destination)?)));
        self.pairs = Pairs::from(kept.collect::<Vec<u64>>());
    }

    /// Whether a destination ever answered this source.
    pub(crate) fn has_voted(&self, source: u32, destination: u32) -> bool {
        self.pairs.all.contains(&pair(source, destination))
    }

    /// Whether anything was ever answered by this destination on this port.
    pub(crate) fn is_served(&self, edge: Edge) -> bool {
        self.services.votes(edge.service()) > 0
    }

    /// Whether this destination ever answered anybody.
    pub(crate) fn is_server(&self, destination: u32) -> bool {
        self.destinations.votes(u64::from(destination)) > 0
    }

    /// Takes the first answer on an edge in: a vote.
    pub(crate) fn learn(&mut self, edge: Edge) {
        if !self.is_served(edge) {
            self.ports.vote(edge.port_key());
        }
        self.services.vote(edge.service());
        if self.pairs.insert(edge.pair()) {
            self.destinations.vote(u64::from(edge.destination));
        }
    }

    /// Takes a birth in, for the share of births that nothing answers.
    pub(crate) fn learn_birth(&mut self, is_answered: bool) {
        self.failed_births.births += 1.0;
        if !is_answered {
            self.failed_births.failed += 1.0;
        }
    }

    /// The masses as they stand before a window.
    pub(crate) fn masses(&self) -> MarkMasses {
        MarkMasses {
            services: self.services.masses(),
            ports: self.ports.masses(),
            destinations: self.destinations.masses(),
            failed: self.failed_births.share(),
        }
    }

    /// Mark u of a birth. Known service: the mass of services at most as popular. Unknown service: the missing mass times
    /// P(product of two uniforms ≤ x) = x(1 - ln x), x = tail of the port × tail of the destination. Nothing answered:
    /// times the share of births that nothing answers.
    pub(crate) fn mark(&self, masses: &MarkMasses, edge: Edge, is_answered: bool) -> f64 {
        let votes = self.services.votes(edge.service());
        let mark = if votes > 0 {
            masses.services.tail(votes)
        } else {
            let port = masses.ports.tail(self.ports.votes(edge.port_key()));
            let destination = masses.destinations.tail(self.destinations.votes(u64::from(edge.destination)));
            let product = port * destination;
            masses.services.missing * (product * (1.0 - product.ln())).min(1.0)
        };
        if is_answered { mark } else { mark * masses.failed }
    }
}

/// Births and those that nothing answered; the prior is one in ten.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FailedBirths {
    #[serde(with = "exact")]
    failed: f64,
    #[serde(with = "exact")]
    births: f64,
}

impl FailedBirths {
    fn share(&self) -> f64 {
        (self.failed / self.births).min(0.5)
    }
}

impl Default for FailedBirths {
    fn default() -> Self {
        Self { failed: 1.0, births: 10.0 }
    }
}

/// Masses of outcomes as they stand before a window.
#[derive(Clone, Debug)]
pub(crate) struct MarkMasses {
    services: Masses,
    ports: Masses,
    destinations: Masses,
    failed: f64,
}

/// Pairs of source and destination, stored in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
struct Pairs {
    all: HashSet<u64, RandomState>,
    /// Sources by destination: the same pairs, so that the peers of a source can be counted without asking each.
    clients: HashMap<u32, Vec<u32>, RandomState>,
}

impl Pairs {
    /// Adds a pair; whether it is new.
    fn insert(&mut self, pair: u64) -> bool {
        let is_new = self.all.insert(pair);
        if is_new {
            let [source, destination] = parts(pair);
            self.clients.entry(destination).or_default().push(source);
        }
        is_new
    }
}

impl From<Vec<u64>> for Pairs {
    fn from(pairs: Vec<u64>) -> Self {
        let mut all = Self::default();
        for pair in pairs {
            all.insert(pair);
        }
        all
    }
}

impl From<Pairs> for Vec<u64> {
    fn from(pairs: Pairs) -> Self {
        let mut pairs: Self = pairs.all.into_iter().collect();
        pairs.sort_unstable();
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Port;

    fn edge(source: u32, destination: u32, port: u16) -> Edge {
        Edge { source, destination, port: Port::Number(port) }
    }

    /// Marks of edges after ten sources voted for service 100 on 443 and two for service 101 on 8080.
    fn check(asked: Edge, is_answered: bool, expected: f64) {
        let mut votes = Votes::default();
        (0..10).for_each(|source| votes.learn(edge(source, 100, 443)));
        (0..2).for_each(|source| votes.learn(edge(source, 101, 8080)));
        let mark = votes.mark(&votes.masses(), asked, is_answered);
        assert!((mark - expected).abs() < 1e-9, "{asked:?}: {mark} is not {expected}");
    }

    #[test]
    fn popular_services_are_no_news_and_unanswered_strangers_are() {
        let missing = 1.0 / 14.0;
        check(edge(20, 100, 443), true, 1.0);
        check(edge(20, 101, 8080), true, missing + (1.0 - missing) * 2.0 / 12.0);
        check(edge(20, 101, 8080), false, 0.1 * (missing + (1.0 - missing) * 2.0 / 12.0));
        // A port nobody serves (two ports with one vote each: missing mass 3/4) on a host that has served nobody.
        let product = 0.75 * missing;
        check(edge(20, 102, 22), true, missing * product * (1.0 - product.ln()));
    }
}

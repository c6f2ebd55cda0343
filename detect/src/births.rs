//! What makes a new edge more or less surprising: its mark, the probability that a new edge goes somewhere at least as
//! unpopular. Votes for a service are the distinct sources it answered.

use crate::exact;
use crate::network::Edge;
use crate::popularity::{Masses, Popularity};
use crate::window::EdgeWindow;
use foldhash::fast::RandomState;
use hashbrown::HashSet;
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
    /// Per edge number: whether it was ever answered, that is, has voted.
    answered: Vec<bool>,
    /// Per entity number: the services that it has voted for.
    services_of: Vec<Vec<u64>>,
    failed_births: FailedBirths,
}

impl Votes {
    /// Whether a destination ever answered this source.
    pub(crate) fn has_answered(&self, pair: u64) -> bool {
        self.pairs.0.contains(&pair)
    }

    /// Takes an edge's window in: its first answer is a vote.
    pub(crate) fn learn(&mut self, window: &EdgeWindow) {
        let index = window.number as usize;
        if self.answered.len() <= index {
            self.answered.resize(index + 1, false);
        }
        if window.answered == 0 || std::mem::replace(&mut self.answered[index], true) {
            return;
        }
        let edge = window.edge;
        if self.services.votes(edge.service()) == 0 {
            self.ports.vote(edge.port_key());
        }
        self.services.vote(edge.service());
        let source = edge.source as usize;
        if self.services_of.len() <= source {
            self.services_of.resize(source + 1, Vec::new());
        }
        self.services_of[source].push(edge.service());
        if self.pairs.0.insert(edge.pair()) {
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

    /// The marks as they stand at a window's close.
    pub(crate) fn marks(&self) -> Marks<'_> {
        Marks {
            votes: self,
            services: self.services.masses(),
            ports: self.ports.masses(),
            destinations: self.destinations.masses(),
            failed: self.failed_births.share(),
        }
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

/// Marks of new edges.
#[derive(Debug)]
pub(crate) struct Marks<'a> {
    votes: &'a Votes,
    services: Masses,
    ports: Masses,
    destinations: Masses,
    failed: f64,
}

impl Marks<'_> {
    /// What a source has already, and so cannot be new for it.
    pub(crate) fn of_source(&self, source: u32) -> SourceMarks<'_> {
        let services = self.votes.services_of.get(source as usize).map(Vec::as_slice).unwrap_or_default();
        let mut had: Vec<(u32, u64)> = services
            .iter()
            .map(|&service| self.votes.services.votes(service))
            .map(|votes| (votes, votes.into()))
            .collect();
        had.sort_unstable();
        let mut sum = 0;
        for (_, at_most) in &mut had {
            sum += *at_most;
            *at_most = sum;
        }
        SourceMarks { marks: self, had, possible: 1.0 - self.services.share(sum) }
    }
}

/// Marks of the new edges of one source: probabilities given that the service is none it already has.
#[derive(Debug)]
pub(crate) struct SourceMarks<'a> {
    marks: &'a Marks<'a>,
    /// Votes of each service it has, ascending, with the sum of votes up to there.
    had: Vec<(u32, u64)>,
    /// Mass of what it does not have.
    possible: f64,
}

impl SourceMarks<'_> {
    /// Mark u of a birth. Known service: the mass of services at most as popular. Unknown service: the missing mass times
    /// P(product of two uniforms ≤ x) = x(1 - ln x), x = tail of the port × tail of the destination. Nothing answered:
    /// times the share of births that nothing answers.
    pub(crate) fn mark(&self, edge: Edge, is_answered: bool) -> f64 {
        let Marks { votes, services, ports, destinations, failed } = self.marks;
        let known = votes.services.votes(edge.service());
        let mass = if known > 0 {
            let had = self.had.partition_point(|&(votes, _)| votes <= known);
            let had_at_most = had.checked_sub(1).map_or(0, |last| self.had[last].1);
            services.tail(known) - services.share(had_at_most)
        } else {
            let port = ports.tail(votes.ports.votes(edge.port_key()));
            let destination = destinations.tail(votes.destinations.votes(u64::from(edge.destination)));
            let product = port * destination;
            services.missing * (product * (1.0 - product.ln())).min(1.0)
        };
        let mark = (mass / self.possible).min(1.0);
        if is_answered { mark } else { mark * failed }
    }
}

/// Pairs of entities, stored in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
struct Pairs(HashSet<u64, RandomState>);

impl From<Vec<u64>> for Pairs {
    fn from(pairs: Vec<u64>) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl From<Pairs> for Vec<u64> {
    fn from(pairs: Pairs) -> Self {
        let mut pairs: Self = pairs.0.into_iter().collect();
        pairs.sort_unstable();
        pairs
    }
}

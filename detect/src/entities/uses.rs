//! Detector of unusual protocols, entity level: how unusual a use is that an edge never had. The edge level says how many new
//! uses are to be expected of the edge (`edges::uses`); here each gets a mark, as a new edge does, and the k most
//! surprising ones are judged together by the negative-binomial tail of [`super::destination`].
//!
//! Mark u of a use: the probability that a new use of a client of this service, one that it does not have yet, has at most as
//! many votes, a vote being another client that asks it. Never asked here: the missing mass (Good and Turing) times the same over all services. So
//! what many others ask of the destination is hardly news, and what nobody asks anywhere is.
//!
//! It does not see how often something is asked.

use super::View;
use super::destination::p_of_births;
use super::outlook::{Expectation, Marked};
use super::popularity::{Masses, Popularity};
use crate::distributions::{ln_negative_binomial_tail, p_of_ln};
use crate::network::{Edge, Network, parts};
use crate::numbered::new_number;
use crate::report::{DetectorName, Discoveries, Discovery, DiscoveryRates, EDGE_DETECTORS, EdgeSignal, Facts, NewUse};
use crate::texts::Texts;
use crate::usage::{self, Shape};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A use with a lower p-value is not learnt, until it was seen in so many windows.
const LEARN_P_MIN: f64 = 1e-3;
const HELD_WINDOWS_MAX: u8 = 6;
/// Uses of one service that have votes of their own.
const USES_MAX: usize = 64;
/// What stands for the uses beyond the bound.
const OTHERS: &str = "(others)";

/// Who asks what, over all shards.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Uses {
    texts: Texts,
    /// By destination and port.
    services: BTreeMap<u64, Service>,
    /// Uses, voted for by services.
    everywhere: Popularity,
    discoveries: Discoveries,
}

/// Uses of one service and the clients that ask each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Service {
    listed: Vec<(u32, u32)>,
    /// Votes for uses beyond the bound: each counts as one that was asked once.
    unlisted: u64,
}

/// What became of the new uses of a window.
#[derive(Debug, Default)]
pub(super) struct Doubted(BTreeMap<u128, (Edge, Vec<String>)>);

impl Service {
    fn votes(&self, usage: u32) -> u32 {
        self.listed.iter().find(|&&(known, _)| known == usage).map_or(0, |&(_, votes)| votes)
    }

    /// Probability that a client's new use is one with at most so many votes, and that it is one that nobody asked here, where
    /// the client has some already.
    fn tail(&self, votes: u32, has: impl Fn(u32) -> bool) -> (f64, f64) {
        let unlisted = self.unlisted as f64;
        let all: f64 = self.listed.iter().map(|&(_, votes)| f64::from(votes)).sum();
        let singletons = self.listed.iter().filter(|&&(_, votes)| votes == 1).count() as f64;
        let missing = (singletons + unlisted + 1.0) / (all + unlisted + 2.0);
        let (mut mass, mut open) = (missing, missing);
        for &(_, known) in self.listed.iter().filter(|&&(usage, _)| !has(usage)) {
            let share = (1.0 - missing) * f64::from(known) / all;
            open += share;
            mass += if known <= votes { share } else { 0.0 };
        }
        (mass / open, missing / open)
    }
}

impl Doubted {
    /// The uses of an edge that are not to be learnt.
    fn of(&self, edge: Edge) -> &[String] {
        self.0.get(&edge.key()).map_or(&[], |(_, texts)| texts)
    }

    /// Edges with the uses of theirs that are not to be learnt.
    pub(super) fn all(&self) -> impl Iterator<Item = &(Edge, Vec<String>)> {
        self.0.values()
    }
}

/// The mark of each new use, its place among its edge's, and the votes of other clients for it.
type Marks = Vec<(f64, usize, u32)>;

impl Uses {
    /// New uses that edges have in a window.
    pub(super) fn rates(&self) -> DiscoveryRates {
        self.discoveries.rates()
    }

    /// Forgets services whose entity is forgotten; `numbers` has the new number of each.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        let renumber = |(service, known): (u64, Service)| {
            let [destination, port] = parts(service);
            let destination = new_number(numbers, destination)?;
            Some((u64::from(destination) << 32 | u64::from(port), known))
        };
        self.services = std::mem::take(&mut self.services).into_iter().filter_map(renumber).collect();
    }

    /// Mark of a use that an edge never had, and the votes of others for it.
    fn mark(&self, masses: &Masses, new: &NewUse) -> (f64, u32) {
        let usage = self.texts.find(&new.text).unwrap_or(0);
        let empty = Service::default();
        let service = self.services.get(&new.edge.service()).unwrap_or(&empty);
        let votes = service.votes(usage);
        let had: Vec<u32> = new.had.iter().filter_map(|text| self.texts.find(text)).collect();
        let (mass, missing) = service.tail(votes, |usage| had.contains(&usage));
        if votes > 0 {
            return (mass.min(1.0), votes);
        }
        // What is asked elsewhere, but for what was asked here: that would be no news.
        let own = self.everywhere.votes(u64::from(usage));
        let (mut tail, mut open) = (masses.tail(own), 1.0);
        for &(here, _) in &service.listed {
            let known = self.everywhere.votes(u64::from(here));
            let share = masses.unit * f64::from(known);
            open -= share;
            tail -= if known <= own { share } else { 0.0 };
        }
        (missing * (tail.max(masses.missing) / open.max(masses.missing)).min(1.0), 0)
    }

    /// Judges the new uses of a window: adds its tests to the digests of their sources. Those not to be learnt.
    pub(super) fn judge(&self, view: &mut View, network: &Network) -> Doubted {
        let masses = self.everywhere.masses();
        let mut doubted = Doubted::default();
        let mut signals: Vec<EdgeSignal> = Vec::new();
        let mut first = 0;
        for of_edge in view.uses.chunk_by(|one, other| one.edge == other.edge) {
            let place = first;
            first += of_edge.len();
            signals.extend(self.judge_edge(of_edge, place, &masses, &mut doubted));
        }
        let place = EDGE_DETECTORS.iter().position(|&name| name == DetectorName::Protocol);
        let known_edges = EDGE_DETECTORS.iter().position(|&name| name == DetectorName::Failed);
        let (Some(place), Some(known_edges)) = (place, known_edges) else { return doubted };
        for digest in &mut view.sources {
            let begin =
                signals.partition_point(|signal| network.name(signal.edge.source) < network.name(digest.source));
            let own = signals[begin..].iter().take_while(|signal| signal.edge.source == digest.source);
            // Any of the source's known edges could have had something new.
            let tests = digest.tests[known_edges].sum.tests;
            let mine = &mut digest.tests[place];
            for &signal in own {
                mine.sum.add(signal.p_value);
                mine.top.push(signal);
            }
            if !mine.top.is_empty() {
                mine.sum.tests = mine.sum.tests.max(tests);
                mine.shorten(usize::MAX, |one, other| network.compare(one, other));
            }
        }
        for (edge, kept) in &mut view.edge_scores {
            let order = |signal: &EdgeSignal| network.compare(&signal.edge, edge);
            if let Ok(found) = signals.binary_search_by(order) {
                kept.push((DetectorName::Protocol, signals[found]));
            }
        }
        doubted
    }

    /// One edge: the least p-value over the kinds of uses, times their number.
    fn judge_edge(&self, uses: &[NewUse], first: usize, masses: &Masses, doubted: &mut Doubted) -> Option<EdgeSignal> {
        let mut by_shape: BTreeMap<Shape, (Discovery, Marks)> = BTreeMap::new();
        for (place, new) in uses.iter().enumerate() {
            let Some(expected) = new.expected else { continue };
            let (mark, votes) = self.mark(masses, new);
            let of_shape = by_shape.entry(usage::shape(&new.text)).or_insert((expected, Vec::new()));
            of_shape.1.push((mark, place, votes));
            let p_value = p_of_ln(ln_negative_binomial_tail(1, expected.shape, expected.births * mark));
            if p_value < LEARN_P_MIN && new.held + 1 < HELD_WINDOWS_MAX {
                let (_, texts) = doubted.0.entry(new.edge.key()).or_insert((new.edge, Vec::new()));
                texts.push(new.text.clone());
            }
        }
        let shapes = by_shape.len();
        let strongest = by_shape.into_values().map(|(expected, mut marked)| {
            marked.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
            let marks: Vec<Marked> = marked.iter().map(|&(mark, ..)| Marked { mark, p_value: 1.0 }).collect();
            let p_value = p_of_births(&marks, Expectation { births: expected.births, shape: expected.shape });
            (p_value, marked)
        });
        let (p_value, marked) = strongest.min_by(|one, other| one.0.total_cmp(&other.0))?;
        let &(_, lead, votes) = marked.first()?;
        let mut counts = uses[lead].counts;
        marked[1..].iter().for_each(|&(_, place, _)| counts.merge(&uses[place].counts));
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Some(EdgeSignal {
            edge: uses[lead].edge,
            p_value: (p_value * shapes as f64).min(1.0),
            counts,
            facts: Facts::Protocol { place: number(first + lead), uses: number(marked.len()), votes },
            born: uses[lead].born,
            windows: uses[lead].windows,
        })
    }

    /// Takes a window in: who asks what, but for what is doubted.
    pub(super) fn learn(&mut self, view: &View, doubted: &Doubted) {
        self.discoveries.merge(&view.discoveries);
        for new in &view.uses {
            if doubted.of(new.edge).contains(&new.text) {
                continue;
            }
            let usage = self.texts.number(&new.text, OTHERS);
            let service = self.services.entry(new.edge.service()).or_default();
            if let Some((_, votes)) = service.listed.iter_mut().find(|(known, _)| *known == usage) {
                *votes = votes.saturating_add(1);
                continue;
            }
            if service.listed.len() < USES_MAX {
                service.listed.push((usage, 1));
            } else {
                service.unlisted += 1;
            }
            self.everywhere.vote(u64::from(usage));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network::Port;
    use crate::report::EdgeCounts;

    fn new_use(source: u32, destination: u32, text: &str) -> NewUse {
        let counts = EdgeCounts { flows: 1, opened: 1, answered: 1, protocol_num: Some(6), ..EdgeCounts::nothing(0) };
        NewUse {
            edge: Edge { source, destination, port: Port::Number(443) },
            text: text.to_owned(),
            counts,
            expected: Some(Discovery { births: 0.01, shape: 3.0 }),
            held: 0,
            born: 0,
            windows: 40,
            had: Vec::new(),
        }
    }

    /// After ten clients of service 100 asked `a`, two of them `b`, and ten of service 101 `a` and `c`.
    fn known() -> Uses {
        let mut view = View::new(0, 1, 9, false);
        view.uses.extend((0..10).map(|source| new_use(source, 100, "\u{1f}a\u{1f}")));
        view.uses.extend((0..2).map(|source| new_use(source, 100, "\u{1f}b\u{1f}")));
        for text in ["\u{1f}a\u{1f}", "\u{1f}c\u{1f}"] {
            view.uses.extend((0..10).map(|source| new_use(source, 101, text)));
        }
        let mut uses = Uses::default();
        uses.learn(&view, &Doubted::default());
        uses
    }

    fn check(text: &str, had: &[&str], expected: f64, expected_votes: u32) {
        let uses = known();
        let written = |text: &&str| format!("\u{1f}{text}\u{1f}");
        let new = NewUse { had: had.iter().map(written).collect(), ..new_use(20, 100, &written(&text)) };
        let (mark, votes) = uses.mark(&uses.everywhere.masses(), &new);
        assert!((mark - expected).abs() < 1e-9 && votes == expected_votes, "{text}, {had:?}: {mark}, {votes}");
    }

    #[test]
    fn what_others_ask_here_or_elsewhere_is_less_surprising() {
        let missing = 1.0 / 14.0;
        check("a", &[], 1.0, 10);
        check("b", &[], missing + (1.0 - missing) * 2.0 / 12.0, 2);
        // Only `c` is asked elsewhere and not here. Four votes of services in all, two of them single: missing mass 1/2, and
        // `c` has an eighth.
        check("c", &[], missing, 0);
        check("d", &[], missing * 0.5 / 0.625, 0);
        // Who asks for all that is asked here can only have what nobody asks.
        check("b", &["a"], 1.0, 2);
        check("d", &["a", "b"], 0.5 / 0.625, 0);
    }

    #[test]
    fn what_is_doubted_is_not_learnt_until_it_stays() {
        let uses = known();
        for (births, held, is_doubted) in [(1e-4, 0, true), (1e-4, 4, true), (1e-4, 5, false), (0.5, 0, false)] {
            let expected = Some(Discovery { births, shape: 3.0 });
            let new = NewUse { expected, held, ..new_use(20, 100, "\u{1f}d\u{1f}") };
            let mut doubted = Doubted::default();
            let signal = uses.judge_edge(std::slice::from_ref(&new), 0, &uses.everywhere.masses(), &mut doubted);
            assert!((signal.unwrap().p_value / (births * 0.8 / 14.0) - 1.0).abs() < 0.05);
            assert_eq!(doubted.of(new.edge).len(), usize::from(is_doubted), "{births}, {held}");
        }
    }
}

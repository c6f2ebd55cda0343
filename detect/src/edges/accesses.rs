//! What each edge put into, or took out of, something shared in the open window, for the entity level to see who reads what
//! others write. Remembers nothing of windows before: who is new is judged there, over all shards.

use super::digest::Digests;
use crate::access;
use crate::event::Conversation;
use crate::network::Edge;
use crate::report::{Access, EdgeCounts};
use crate::sorted;
use crate::texts::Texts;
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// An edge with more accesses in a window goes through everything there is, and says nothing of one resource.
const ACCESSES_MAX: u32 = 64;
/// Accesses of all edges in a window; those that come after are not seen.
const OPEN_MAX: usize = 1 << 18;
/// The access that stands for all beyond the bound of texts; it is told nobody.
const OTHERS: &str = "(others)";

/// The accesses of a shard's open window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Accesses {
    texts: Texts,
    /// By edge and access.
    #[serde(serialize_with = "sorted::map")]
    open: HashMap<u64, EdgeCounts, RandomState>,
    /// How many an edge has, up to one above the bound.
    #[serde(serialize_with = "sorted::map")]
    distinct: HashMap<u32, u32, RandomState>,
    #[serde(skip)]
    scratch: String,
}

/// The accesses of a window, by edge and text.
#[derive(Debug, Default)]
pub(super) struct WindowAccesses(Vec<(u32, String, EdgeCounts)>);

impl Accesses {
    /// Number of what a flow accesses; zero for nothing.
    pub(super) fn number(&mut self, conversation: &Conversation<'_>) -> u32 {
        if conversation.operation.is_none() || !access::write(conversation, &mut self.scratch) {
            return 0;
        }
        self.texts.number(&self.scratch, OTHERS)
    }

    /// Takes a flow of the open window in. Data goes only where it is answered.
    pub(super) fn observe(&mut self, edge: u32, access: u32, counts: &EdgeCounts) {
        if access == 0 || counts.answered == 0 {
            return;
        }
        let place = u64::from(edge) << 32 | u64::from(access);
        if let Some(known) = self.open.get_mut(&place) {
            known.merge(counts);
            return;
        }
        if self.open.len() >= OPEN_MAX {
            return;
        }
        let distinct = self.distinct.entry(edge).or_default();
        if *distinct <= ACCESSES_MAX {
            *distinct += 1;
            self.open.insert(place, *counts);
        }
    }

    /// Whether what is accessed for the first time cannot be named any more.
    pub(super) fn is_full(&self) -> bool {
        self.texts.is_full()
    }

    /// Forgets all names but those that flows are held with, so that who makes up names blinds it for a window and not for
    /// ever. To be called while no window is open.
    pub(super) fn forget_names(&mut self, held: &BTreeSet<u32>) {
        self.texts.keep(held);
    }

    /// Ends the open window.
    #[allow(clippy::cast_possible_truncation)] // The halves are numbers of 32 bits.
    pub(super) fn end_window(&mut self) -> WindowAccesses {
        let distinct = std::mem::take(&mut self.distinct);
        let texts = &self.texts;
        let of_edge = self.open.drain().map(|(place, counts)| ((place >> 32) as u32, place as u32, counts));
        let is_told = |(edge, ..): &(u32, u32, EdgeCounts)| distinct.get(edge).is_some_and(|&own| own <= ACCESSES_MAX);
        let named = of_edge.filter(is_told).map(|(edge, access, counts)| (edge, texts.text(access).to_owned(), counts));
        let mut all: Vec<(u32, String, EdgeCounts)> = named.collect();
        all.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        WindowAccesses(all)
    }
}

impl WindowAccesses {
    /// Tells those of an edge.
    pub(super) fn tell(&self, number: u32, edge: Edge, digests: &mut Digests<'_>) {
        let begin = self.0.partition_point(|&(known, ..)| known < number);
        for (_, text, counts) in self.0[begin..].iter().take_while(|&&(known, ..)| known == number) {
            if let Some((is_write, resource)) = access::parts(text) {
                digests.access(Access { edge, is_write, resource: resource.to_owned(), counts: *counts });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(answered: i64) -> EdgeCounts {
        EdgeCounts { flows: 1, answered, ..EdgeCounts::nothing(0) }
    }

    /// Accesses of one edge, each a topic's number and whether it was answered; how many are told.
    fn check(topics: impl Iterator<Item = (u32, bool)>, expected: usize) {
        let mut accesses = Accesses::default();
        for (topic, is_answered) in topics {
            let name = topic.to_string();
            let said = Conversation {
                app_protocol: Some("kafka"),
                operation: Some("produce"),
                resource: Some(&name),
                ..Conversation::default()
            };
            let number = accesses.number(&said);
            accesses.observe(7, number, &counts(i64::from(is_answered)));
        }
        assert_eq!(accesses.end_window().0.len(), expected);
        assert!(accesses.open.is_empty() && accesses.distinct.is_empty());
    }

    #[test]
    fn an_edge_that_goes_through_everything_says_nothing() {
        check([(1, true), (1, true), (2, true), (3, false)].into_iter(), 2);
        check((0..64).map(|topic| (topic, true)), 64);
        check((0..65).map(|topic| (topic, true)), 0);
        check((0..1000).map(|topic| (topic % 200, true)), 0);
    }

    #[test]
    fn made_up_names_are_forgotten_and_those_that_are_held_stay() {
        let mut accesses = Accesses::default();
        let mut number = |name: &str| {
            let said = Conversation {
                app_protocol: Some("redis"),
                operation: Some("set"),
                resource: Some(name),
                ..Conversation::default()
            };
            accesses.number(&said)
        };
        let held = number("held");
        let numbers: BTreeSet<u32> = (0..100_000).map(|name| number(&name.to_string())).collect();
        let (others, late) = (numbers.last().copied(), number("late"));
        assert_eq!(others, Some(late), "it has no name of its own");
        assert!(accesses.is_full());
        accesses.forget_names(&BTreeSet::from([held]));
        let late = accesses.number(&Conversation {
            app_protocol: Some("redis"),
            operation: Some("set"),
            resource: Some("late"),
            ..Conversation::default()
        });
        accesses.observe(7, late, &counts(1));
        accesses.observe(7, held, &counts(1));
        let told: Vec<String> =
            accesses.end_window().0.iter().map(|(_, text, _)| text.replace('\u{1f}', " ")).collect();
        assert_eq!(told, ["w key held", "w key late"]);
    }

    #[test]
    fn accesses_of_a_window_are_bounded() {
        let mut accesses = Accesses::default();
        let edges = u32::try_from(OPEN_MAX).unwrap_or_default() / ACCESSES_MAX + 100;
        (0..edges).for_each(|edge| (1..=ACCESSES_MAX).for_each(|access| accesses.observe(edge, access, &counts(1))));
        assert_eq!((accesses.open.len(), accesses.end_window().0.len()), (OPEN_MAX, OPEN_MAX));
    }

    #[test]
    fn who_says_nothing_costs_nothing() {
        let mut accesses = Accesses::default();
        assert_eq!(accesses.number(&Conversation::default()), 0);
        accesses.observe(7, 0, &counts(1));
        assert!(accesses.end_window().0.is_empty());
    }
}

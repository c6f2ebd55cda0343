//! Which source's counters count on an edge: sources measure differently (payload, or whole packets), so an edge whose
//! volume came now from one and now from another would seem to change. Not which observer of that source: each
//! connection has its own.
//!
//! The first source that is seen on an edge leads it. A connection that another source shows first is left to it, as long
//! as it may still come. That loses the bytes of a connection that the lead source does not see, so a source that breaks
//! its promise too often leads no longer: then each connection counts by whom it was seen first.

use super::observation::{Observation, has, tells};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// How many locks the edges are spread over.
const SHARDS: usize = 64;
/// How long after a flow's end a source of interval records may still report it, in seconds: flow logs of 60 s arrive
/// within 3 min.
const LATENESS_COARSE_S: u32 = 180;
/// The same for all other sources.
const LATENESS_S: u32 = 15;
/// How many connections are left to a lead source before it loses the edge to one that is faster.
const OWED_MAX: u16 = 64;
/// How many connections that were left to it a source may miss, and one in how many it may miss all the same.
const BROKEN_MAX: u16 = 4;
const BROKEN_ONE_IN: u16 = 10;
/// How far the time of a lead source may lag behind its flows, in seconds, so that most flows need no lock.
const NOTED_S: u32 = 30;
/// Stands for the source of a connection that is left to whichever comes next: it is no source's number.
pub(super) const ANY_SOURCE: u8 = u8::MAX;
/// Places of the cache.
const CACHE: usize = 8_192;

/// The lead source of an edge.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Edge {
    /// The last second in which it began a connection.
    last: u32,
    /// The last second of what was left to it.
    left_until: u32,
    /// Connections that were left to it and that it may still report.
    owed: u16,
    /// Those it reported.
    kept: u16,
    /// Those whose time it passed.
    broken: u16,
    source: u8,
    is_coarse: bool,
    /// Whether no source leads, because none sees all.
    is_mixed: bool,
}

impl Edge {
    fn led_by(by: &Claimant) -> Self {
        let Claimant { source, is_coarse, end, .. } = *by;
        Self { last: end, left_until: 0, owed: 0, kept: 0, broken: 0, source, is_coarse, is_mixed: false }
    }

    const fn lateness(&self) -> u32 {
        if self.is_coarse { LATENESS_COARSE_S } else { LATENESS_S }
    }

    /// Counts what the lead source did not report in time; whether it leads no longer for that.
    fn settle(&mut self) -> bool {
        if self.owed == 0 || self.last < self.left_until.saturating_add(self.lateness()) {
            return false;
        }
        self.broken = self.broken.saturating_add(self.owed);
        self.owed = 0;
        self.is_mixed = self.broken >= BROKEN_MAX && self.broken.saturating_mul(BROKEN_ONE_IN) > self.kept;
        self.is_mixed
    }

    fn keep(&mut self) {
        if self.owed > 0 {
            self.owed -= 1;
        } else {
            self.broken = self.broken.saturating_sub(1);
        }
        if self.kept == u16::MAX {
            (self.kept, self.broken) = (self.kept / 2, self.broken / 2);
        }
        self.kept += 1;
    }
}

/// Whose counters count on a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Those of the flow at hand.
    Own,
    /// Those of the flow at hand; its source now leads the edge, which the given one led before. Where both are the same,
    /// no source leads any longer.
    Taken(u8),
    /// Those of another source, which is expected to report the connection too.
    LeftTo(u8),
}

/// A new connection, seen by one source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimant {
    /// Hash of the edge.
    pub(super) edge: u64,
    pub(super) source: u8,
    /// First and last second of the flow.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether the source reports intervals.
    pub(super) is_coarse: bool,
}

impl Claimant {
    #[inline]
    pub(super) fn of(seen: &Observation) -> Self {
        let is_coarse = has(seen.tells, tells::COARSE);
        Self { edge: seen.edge, source: seen.source, start: seen.start, end: seen.end, is_coarse }
    }
}

/// What one thread knows of lead sources from this batch.
#[derive(Debug)]
pub(super) struct EdgeCache {
    places: Vec<(u64, u32, u8)>,
}

impl Default for EdgeCache {
    fn default() -> Self {
        Self { places: vec![(0, 0, 0); CACHE] }
    }
}

impl EdgeCache {
    /// Forgets all: other threads may have changed lead sources.
    pub(super) fn clear(&mut self) {
        self.places.fill((0, 0, 0));
    }

    #[inline]
    fn place(&mut self, edge: u64) -> &mut (u64, u32, u8) {
        let index = usize::try_from(edge % CACHE as u64).expect("less than the number of places");
        &mut self.places[index]
    }
}

/// The lead sources of all edges.
#[derive(Debug)]
pub(super) struct Edges {
    shards: Vec<Mutex<HashMap<u64, Edge, foldhash::fast::FixedState>>>,
    edges_max: usize,
    silence: u32,
}

impl Edges {
    pub(super) fn new(edges_max: u32, silence: u32) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, edges_max: (edges_max as usize / SHARDS).max(1), silence }
    }

    /// All edges by their hash, in the order of the hashes.
    pub(super) fn all(&self) -> Vec<(u64, Edge)> {
        let lock = |shard: &Mutex<HashMap<u64, Edge, _>>| {
            let shard = shard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            shard.iter().map(|(&hash, &edge)| (hash, edge)).collect::<Vec<_>>()
        };
        let mut all: Vec<(u64, Edge)> = self.shards.iter().flat_map(lock).collect();
        all.sort_unstable_by_key(|(hash, _)| *hash);
        all
    }

    /// Takes edges in that [`Edges::all`] gave.
    pub(super) fn restore(&self, edges: &[(u64, Edge)]) {
        for &(hash, edge) in edges {
            self.shard(hash).insert(hash, edge);
        }
    }

    /// Whose counters count on a connection that begins.
    #[inline]
    pub(super) fn claim(&self, by: &Claimant, cache: &mut EdgeCache) -> Claim {
        let place = cache.place(by.edge);
        if place.0 == by.edge && place.2 == by.source && place.1.saturating_add(NOTED_S) >= by.start {
            return Claim::Own;
        }
        let (claim, last) = self.decide(by);
        if !matches!(claim, Claim::LeftTo(_)) && last != 0 {
            *place = (by.edge, last, by.source);
        }
        claim
    }

    /// The answer, and until when the source of the flow leads the edge for sure (0: it does not).
    fn decide(&self, by: &Claimant) -> (Claim, u32) {
        let mut shard = self.shard(by.edge);
        let Some(edge) = shard.get_mut(&by.edge) else {
            if shard.len() >= self.edges_max {
                let newest = shard.values().map(|edge| edge.last).max().unwrap_or_default();
                shard.retain(|_, edge| edge.last.saturating_add(self.silence) >= newest);
                if shard.len() >= self.edges_max {
                    shard.clear();
                }
            }
            shard.insert(by.edge, Edge::led_by(by));
            return (Claim::Own, by.end);
        };
        if edge.source == by.source {
            edge.last = edge.last.max(by.end);
            let claim = if edge.settle() { Claim::Taken(by.source) } else { Claim::Own };
            return (claim, edge.last);
        }
        // A lead source that reported later flows and not this one will not report it.
        let has_passed = edge.last >= by.end.saturating_add(edge.lateness());
        if has_passed || edge.is_mixed {
            return (Claim::Own, 0);
        }
        let is_silent = edge.last.saturating_add(self.silence) < by.start;
        if is_silent || edge.owed >= OWED_MAX {
            let before = std::mem::replace(edge, Edge::led_by(by));
            return (Claim::Taken(before.source), by.end);
        }
        edge.owed += 1;
        edge.left_until = edge.left_until.max(by.end);
        (Claim::LeftTo(edge.source), 0)
    }

    /// A stored row counts although its source was not thought to lead the edge: it leads it.
    pub(super) fn replace(&self, by: &Claimant) {
        if let Some(edge) = self.shard(by.edge).get_mut(&by.edge) {
            *edge = Edge::led_by(by);
        }
    }

    /// Whether it is known who leads an edge.
    pub(super) fn is_led(&self, edge: u64) -> bool {
        self.shard(edge).contains_key(&edge)
    }

    /// A lead source reported a connection that was left to it.
    pub(super) fn report(&self, by: &Claimant) {
        if let Some(edge) = self.shard(by.edge).get_mut(&by.edge)
            && edge.source == by.source
        {
            edge.keep();
            edge.last = edge.last.max(by.end);
        }
    }

    fn shard(&self, edge: u64) -> std::sync::MutexGuard<'_, HashMap<u64, Edge, foldhash::fast::FixedState>> {
        let index = usize::try_from(edge >> 58).expect("six bits");
        self.shards[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant((source, start, end): (u8, u32, u32)) -> Claimant {
        Claimant { edge: 7, source, start, end, is_coarse: source == 1 }
    }

    fn check(edges: &Edges, flow: (u8, u32, u32), expected: Claim) {
        assert_eq!(edges.claim(&claimant(flow), &mut EdgeCache::default()), expected, "{flow:?}");
    }

    #[test]
    fn the_first_source_leads_until_it_is_silent() {
        let edges = Edges::new(1_000, 900);
        check(&edges, (1, 10_000, 10_060), Claim::Own);
        check(&edges, (2, 10_000, 10_060), Claim::LeftTo(1));
        check(&edges, (1, 10_600, 10_660), Claim::Own);
        check(&edges, (2, 10_000, 10_060), Claim::Own); // which the lead source has passed
        check(&edges, (2, 11_000, 11_060), Claim::LeftTo(1));
        check(&edges, (2, 11_561, 11_600), Claim::Taken(1));
        check(&edges, (1, 11_561, 11_600), Claim::LeftTo(2));
        check(&edges, (2, 11_600, 11_616), Claim::Own);
        check(&edges, (1, 11_561, 11_601), Claim::Own); // which that one has passed
    }

    #[test]
    fn a_slow_source_loses_the_edge() {
        let edges = Edges::new(1_000, 900);
        check(&edges, (1, 10_000, 10_060), Claim::Own);
        for _ in 0..OWED_MAX {
            check(&edges, (2, 10_010, 10_060), Claim::LeftTo(1));
        }
        edges.report(&claimant((1, 10_010, 10_060)));
        check(&edges, (2, 10_010, 10_060), Claim::LeftTo(1));
        check(&edges, (2, 10_010, 10_060), Claim::Taken(1));
        check(&edges, (2, 10_010, 10_060), Claim::Own);
    }

    #[test]
    fn a_source_that_does_not_see_all_leads_no_longer() {
        let edges = Edges::new(1_000, 900);
        check(&edges, (2, 10_000, 10_001), Claim::Own);
        for number in 1..=u32::from(BROKEN_MAX) {
            check(&edges, (1, 10_000 + number * 100, 10_001 + number * 100), Claim::LeftTo(2));
            let is_last = number == u32::from(BROKEN_MAX);
            let expected = if is_last { Claim::Taken(2) } else { Claim::Own };
            check(&edges, (2, 10_050 + number * 100, 10_051 + number * 100), expected);
        }
        check(&edges, (1, 10_900, 10_901), Claim::Own);
        check(&edges, (2, 10_900, 10_901), Claim::Own);
    }

    #[test]
    fn the_number_of_edges_is_bounded() {
        let edges = Edges::new(64, 900);
        for edge in 0..1_000 {
            edges.claim(&Claimant { edge, ..claimant((1, 10_000, 10_060)) }, &mut EdgeCache::default());
        }
        assert_eq!(edges.shard(0).len(), 1);
    }
}

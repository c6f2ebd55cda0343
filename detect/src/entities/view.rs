//! The reports of all shards put together: one window as the entity level sees it, with its own numbers for entities and
//! in an order that does not depend on shards.

use crate::network::{Edge, Network};
use crate::report::{
    Access, Birth, Breach, DetectorName, Discoveries, EdgeSignal, Guarded, Inflow, Lapse, NewUse, Pools, Proof, Report,
    SourceDigest,
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::ops::Range;
use tradewind_model::time::DAY;

/// A closed window.
#[derive(Debug)]
pub(crate) struct View {
    /// Number of the window: its start divided by its length.
    pub(crate) index: i64,
    /// Its start, microseconds UTC.
    pub(crate) start: i64,
    /// Its length, microseconds.
    pub(crate) length: i64,
    /// Windows since the network's first.
    pub(crate) age: u64,
    /// Whether it may be partial, because the stream ended in it.
    pub(crate) is_partial: bool,
    /// Sources, by name.
    pub(crate) sources: Vec<SourceDigest>,
    /// New edges, by source, destination and port.
    pub(crate) births: Vec<Birth>,
    births_by_source: HashMap<u32, Range<usize>, FixedState>,
    /// What reached each destination, by name.
    pub(crate) destinations: Vec<Inflow>,
    /// Common change of volumes in the window, in logarithms.
    pub(crate) change: f64,
    pub(crate) answers: Vec<Edge>,
    /// Edges of open findings, by source, destination and port.
    pub(crate) watched: Vec<Birth>,
    /// Breaches, by source, destination, port and rule.
    pub(crate) breaches: Vec<Breach>,
    pub(crate) pools: Pools,
    pub(crate) edge_scores: Vec<(Edge, Vec<(DetectorName, EdgeSignal)>)>,
    /// What was asked for the first time, by source, destination, port and text.
    pub(crate) uses: Vec<NewUse>,
    pub(crate) discoveries: Discoveries,
    /// By name of the entity and principal.
    pub(crate) proofs: Vec<Proof>,
    /// By destination, port and source.
    pub(crate) lapses: Vec<Lapse>,
    pub(crate) guarded: Vec<Guarded>,
    /// By mediator, resource, way and source.
    pub(crate) accesses: Vec<Access>,
}

impl View {
    /// An empty window.
    pub(crate) fn new(index: i64, length: i64, age: u64, is_partial: bool) -> Self {
        Self {
            index,
            start: index.saturating_mul(length),
            length,
            age,
            is_partial,
            sources: Vec::new(),
            births: Vec::new(),
            births_by_source: HashMap::with_hasher(FixedState::with_seed(0)),
            destinations: Vec::new(),
            change: 0.0,
            answers: Vec::new(),
            watched: Vec::new(),
            breaches: Vec::new(),
            pools: Pools::default(),
            edge_scores: Vec::new(),
            uses: Vec::new(),
            discoveries: Discoveries::default(),
            proofs: Vec::new(),
            lapses: Vec::new(),
            guarded: Vec::new(),
            accesses: Vec::new(),
        }
    }

    /// Number of the day it begins in.
    pub(crate) const fn day(&self) -> i64 {
        self.start.div_euclid(DAY)
    }

    /// Adds the reports of all shards; `top_max` strongest edges per test remain.
    pub(crate) fn merge(&mut self, reports: Vec<Report>, network: &mut Network, top_max: usize) {
        let mut places: HashMap<u32, usize, FixedState> = HashMap::default();
        for report in reports {
            let numbers: Vec<u32> =
                report.entities.iter().map(|(name, kind)| network.entity_of_kind(name, *kind)).collect();
            let number = |entity: u32| numbers[entity as usize];
            let edge = |edge: Edge| Edge {
                source: number(edge.source),
                destination: number(edge.destination),
                port: edge.port,
            };
            for mut digest in report.sources {
                digest.source = number(digest.source);
                let signals = digest.tests.iter_mut().flat_map(|tests| &mut tests.top);
                signals.for_each(|signal| signal.edge = edge(signal.edge));
                match places.get(&digest.source) {
                    Some(&place) => self.sources[place].merge(digest),
                    None => {
                        places.insert(digest.source, self.sources.len());
                        self.sources.push(digest);
                    }
                }
            }
            let birth = |birth: Birth| Birth { edge: edge(birth.edge), counts: birth.counts };
            self.births.extend(report.births.into_iter().map(birth));
            self.watched.extend(report.watched.into_iter().map(birth));
            self.answers.extend(report.answers.into_iter().map(edge));
            self.destinations.extend(report.destinations.into_iter().map(|inflow| Inflow {
                destination: number(inflow.destination),
                foremost: birth(inflow.foremost),
                ..inflow
            }));
            self.edge_scores.extend(report.edge_scores.into_iter().map(|(scored, score)| (edge(scored), score)));
            let breach = |breach: Breach| Breach { edge: edge(breach.edge), ..breach };
            self.breaches.extend(report.breaches.into_iter().map(breach));
            self.uses.extend(report.uses.into_iter().map(|new| NewUse { edge: edge(new.edge), ..new }));
            self.proofs.extend(report.proofs.into_iter().map(|proof| Proof { edge: edge(proof.edge), ..proof }));
            self.lapses.extend(report.lapses.into_iter().map(|lapse| Lapse { edge: edge(lapse.edge), ..lapse }));
            let guarded = report.guarded.into_iter();
            self.guarded.extend(guarded.map(|known| Guarded { destination: number(known.destination), ..known }));
            let accesses = report.accesses.into_iter();
            self.accesses.extend(accesses.map(|access| Access { edge: edge(access.edge), ..access }));
            self.discoveries.merge(&report.discoveries);
            self.pools.merge(&report.pools);
        }
        let network = &*network;
        for tests in self.sources.iter_mut().flat_map(|digest| &mut digest.tests) {
            tests.shorten(top_max, |one, other| network.compare(one, other));
        }
        self.sources.sort_by(|one, other| network.name(one.source).cmp(network.name(other.source)));
        self.births.sort_by(|one, other| network.compare(&one.edge, &other.edge));
        self.watched.sort_by(|one, other| network.compare(&one.edge, &other.edge));
        self.breaches
            .sort_by(|one, other| network.compare(&one.edge, &other.edge).then_with(|| one.rule.cmp(&other.rule)));
        self.edge_scores.sort_by(|(one, _), (other, _)| network.compare(one, other));
        self.destinations.sort_by(|one, other| network.name(one.destination).cmp(network.name(other.destination)));
        self.destinations.dedup_by(|later, first| {
            let is_same = later.destination == first.destination;
            if is_same {
                first.merge(later, network);
            }
            is_same
        });
        self.sort_conversations(network);
        for (place, birth) in self.births.iter().enumerate() {
            self.births_by_source.entry(birth.edge.source).or_insert(place..place).end = place + 1;
        }
    }

    /// What the window has of an edge that is new or that an open finding is about.
    pub(crate) fn seen(&self, edge: &Edge, network: &Network) -> Option<&Birth> {
        let among = |all: &'_ [Birth]| all.binary_search_by(|seen| network.compare(&seen.edge, edge)).ok();
        let birth = among(&self.births).map(|place| &self.births[place]);
        birth.or_else(|| among(&self.watched).map(|place| &self.watched[place]))
    }

    /// Puts what was said of conversations in order; proofs of one entity and principal become one.
    fn sort_conversations(&mut self, network: &Network) {
        self.uses.sort_by(|one, other| network.compare(&one.edge, &other.edge).then_with(|| one.text.cmp(&other.text)));
        let who = |proof: &Proof| network.name(proof.entity());
        self.proofs.sort_by(|one, other| who(one).cmp(who(other)).then_with(|| one.principal.cmp(&other.principal)));
        self.proofs.dedup_by(|later, first| {
            let is_same = later.entity() == first.entity() && later.principal == first.principal;
            if is_same {
                first.merge(later, network);
            }
            is_same
        });
        self.accesses.sort_by(|one, other| {
            let mediator = |access: &Access| network.name(access.edge.destination);
            let resource = mediator(one).cmp(mediator(other)).then_with(|| one.resource.cmp(&other.resource));
            let way = resource.then(one.is_write.cmp(&other.is_write));
            way.then_with(|| network.compare(&one.edge, &other.edge))
        });
        self.lapses.sort_by(|one, other| {
            let service = |lapse: &Lapse| (network.name(lapse.edge.destination), lapse.edge.port);
            service(one).cmp(&service(other)).then_with(|| network.compare(&one.edge, &other.edge))
        });
    }

    /// Places of a source's new edges in [`Self::births`].
    pub(crate) fn births_of(&self, source: u32) -> Range<usize> {
        self.births_by_source.get(&source).cloned().unwrap_or_default()
    }
}

impl SourceDigest {
    /// Adds what another shard says of the same source.
    fn merge(&mut self, other: Self) {
        self.flows = self.flows.saturating_add(other.flows);
        self.opened = self.opened.saturating_add(other.opened);
        self.denied = self.denied.saturating_add(other.denied);
        self.failed = self.failed.saturating_add(other.failed);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.is_oriented |= other.is_oriented;
        for (mine, others) in self.tests.iter_mut().zip(other.tests) {
            mine.sum.merge(others.sum);
            mine.top.extend(others.top);
        }
    }
}

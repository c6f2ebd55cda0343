//! Puts together what a shard says of a window: per source the tests of its edges, and the lists of a [`Report`]. Knows
//! no formula.

use crate::network::{Edge, Network, Port};
use crate::report::{
    Access, Birth, Breach, Contacted, DetectorName, Discoveries, EDGE_DETECTORS, EdgeCounts, EdgeSignal, Guarded,
    Inflow, Lapse, NewUse, Pools, Proof, Report, SourceDigest, Tests,
};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A report in the making. Entities are the shard's numbers until [`Digests::report`].
pub(super) struct Digests<'a> {
    network: &'a Network,
    top_max: usize,
    pub(super) pools: Pools,
    report: Report,
    /// Per entity number of the shard: place of its digest plus one.
    places: Vec<u32>,
    /// Per entity number of the shard: place of its inflow plus one.
    inflow_places: Vec<u32>,
    /// By entity and principal.
    proofs: BTreeMap<(u32, String), Proof>,
    /// Edges by destination and port.
    guarded: BTreeMap<(u32, Port), u64>,
}

impl Tests {
    /// Adds a test; `order` breaks ties between edges.
    fn add(&mut self, signal: Option<EdgeSignal>, top_max: usize, order: impl Fn(&Edge, &Edge) -> Ordering) {
        let Some(signal) = signal else {
            self.sum.add_silent();
            return;
        };
        self.sum.add(signal.p_value);
        self.top.push(signal);
        // Sorting now and then keeps the list short without sorting for every edge.
        if self.top.len() >= 4 * top_max {
            self.shorten(top_max, order);
        }
    }

    /// Keeps the strongest edges, strongest first.
    pub(crate) fn shorten(&mut self, top_max: usize, order: impl Fn(&Edge, &Edge) -> Ordering) {
        self.top
            .sort_by(|one, other| one.p_value.total_cmp(&other.p_value).then_with(|| order(&one.edge, &other.edge)));
        self.top.truncate(top_max);
    }
}

impl Inflow {
    /// Adds what reached the same destination on other edges.
    pub(crate) fn merge(&mut self, other: &Self, network: &Network) {
        self.opened = self.opened.saturating_add(other.opened);
        let (mine, others) = (&self.foremost, &other.foremost);
        let order = others.counts.opened.cmp(&mine.counts.opened);
        if order.then_with(|| network.compare(&mine.edge, &others.edge)) == Ordering::Greater {
            self.foremost = other.foremost;
        }
    }
}

impl Proof {
    /// The entity that proved it.
    pub(crate) const fn entity(&self) -> u32 {
        if self.is_destination { self.edge.destination } else { self.edge.source }
    }

    /// Adds what was seen of the same principal elsewhere: the first edge stands for all, those that its entity opened before
    /// others.
    pub(crate) fn merge(&mut self, other: &Self, network: &Network) {
        self.counts.merge(&other.counts);
        let order = other.is_destination.cmp(&self.is_destination);
        if order.then_with(|| network.compare(&other.edge, &self.edge)) == Ordering::Less {
            (self.edge, self.is_destination) = (other.edge, other.is_destination);
        }
    }
}

impl<'a> Digests<'a> {
    pub(super) fn new(network: &'a Network, top_max: usize) -> Self {
        let entities = network.entity_count();
        Self {
            network,
            top_max,
            pools: Pools::default(),
            report: Report::default(),
            places: vec![0; entities],
            inflow_places: vec![0; entities],
            proofs: BTreeMap::new(),
            guarded: BTreeMap::new(),
        }
    }

    fn digest(&mut self, source: u32) -> &mut SourceDigest {
        let place = &mut self.places[source as usize];
        if *place == 0 {
            self.report.sources.push(SourceDigest { source, ..SourceDigest::default() });
            *place = u32::try_from(self.report.sources.len()).expect("as many as there are entity numbers");
        }
        &mut self.report.sources[*place as usize - 1]
    }

    /// Adds an edge's flows to its source.
    pub(super) fn count(&mut self, edge: Edge, counts: &EdgeCounts) {
        let is_oriented = edge.port != Port::Unoriented;
        if is_oriented {
            self.flow_in(edge, counts);
        }
        let digest = self.digest(edge.source);
        digest.is_oriented |= is_oriented;
        digest.flows = digest.flows.saturating_add(counts.flows);
        digest.opened = digest.opened.saturating_add(counts.opened);
        digest.denied = digest.denied.saturating_add(counts.denied);
        digest.failed = digest.failed.saturating_add(counts.failed);
        for bytes in [counts.bytes_out, counts.bytes_in].into_iter().flatten() {
            digest.bytes = digest.bytes.saturating_add(bytes);
        }
    }

    /// Adds an edge's connections to its destination.
    fn flow_in(&mut self, edge: Edge, counts: &EdgeCounts) {
        let place = &mut self.inflow_places[edge.destination as usize];
        let foremost = Birth { edge, counts: *counts };
        let more = Inflow { destination: edge.destination, opened: counts.opened, foremost };
        if *place == 0 {
            self.report.destinations.push(more);
            *place = u32::try_from(self.report.destinations.len()).expect("as many as there are entity numbers");
        } else {
            self.report.destinations[*place as usize - 1].merge(&more, self.network);
        }
    }

    /// Adds a detector's test of an edge; no signal where it has nothing to say.
    pub(super) fn tell(&mut self, name: DetectorName, edge: Edge, signal: Option<EdgeSignal>) {
        let (network, top_max) = (self.network, self.top_max);
        let place = EDGE_DETECTORS.iter().position(|&known| known == name).expect("a detector of the edge level");
        self.digest(edge.source).tests[place].add(signal, top_max, |one, other| network.compare(one, other));
    }

    pub(super) fn birth(&mut self, edge: Edge, counts: &EdgeCounts) {
        self.report.births.push(Birth { edge, counts: *counts });
    }

    pub(super) fn watched(&mut self, edge: Edge, counts: &EdgeCounts) {
        self.report.watched.push(Birth { edge, counts: *counts });
    }

    pub(super) fn contact(&mut self, contact: Contacted) {
        self.report.contacts.push(contact);
    }

    pub(super) const fn discoveries(&mut self) -> &mut Discoveries {
        &mut self.report.discoveries
    }

    pub(super) fn new_use(&mut self, new: NewUse) {
        self.report.uses.push(new);
    }

    pub(super) fn access(&mut self, access: Access) {
        self.report.accesses.push(access);
    }

    pub(super) fn lapse(&mut self, lapse: Lapse) {
        self.report.lapses.push(lapse);
    }

    /// An edge kept its protection.
    pub(super) fn guarded(&mut self, edge: Edge) {
        *self.guarded.entry((edge.destination, edge.port)).or_default() += 1;
    }

    /// An end of an edge proved a principal.
    pub(super) fn proof(&mut self, edge: Edge, is_destination: bool, principal: &str, counts: &EdgeCounts) {
        let entity = if is_destination { edge.destination } else { edge.source };
        let proof = Proof { edge, is_destination, principal: principal.to_owned(), counts: *counts };
        let network = self.network;
        self.proofs
            .entry((entity, principal.to_owned()))
            .and_modify(|known| known.merge(&proof, network))
            .or_insert(proof);
    }

    pub(super) fn answer(&mut self, edge: Edge) {
        self.report.answers.push(edge);
    }

    pub(super) fn score(&mut self, edge: Edge, signals: Vec<(DetectorName, EdgeSignal)>) {
        self.report.edge_scores.push((edge, signals));
    }

    /// The report, with entities numbered by its own list.
    pub(super) fn report(self, breaches: Vec<Breach>) -> Report {
        let Self { network, top_max, pools, mut report, proofs, guarded, .. } = self;
        report.proofs = proofs.into_values().collect();
        let guarded = guarded.into_iter();
        report.guarded = guarded.map(|((destination, port), edges)| Guarded { destination, port, edges }).collect();
        let mut numbers = vec![u32::MAX; network.entity_count()];
        let mut entities = Vec::new();
        let mut number = |entity: &mut u32| {
            let number = &mut numbers[*entity as usize];
            if *number == u32::MAX {
                *number = u32::try_from(entities.len()).expect("as many as there are entity numbers");
                entities.push((network.name(*entity).to_owned(), network.kind(*entity)));
            }
            *entity = *number;
        };
        let mut edge = |edge: &mut Edge| {
            number(&mut edge.source);
            number(&mut edge.destination);
        };
        for digest in &mut report.sources {
            for tests in &mut digest.tests {
                tests.shorten(top_max, |one, other| network.compare(one, other));
                tests.top.iter_mut().for_each(|signal| edge(&mut signal.edge));
            }
        }
        report.births.iter_mut().for_each(|birth| edge(&mut birth.edge));
        report.watched.iter_mut().for_each(|watched| edge(&mut watched.edge));
        report.contacts.iter_mut().for_each(|contact| edge(&mut contact.edge));
        report.answers.iter_mut().for_each(&mut edge);
        report.edge_scores.iter_mut().for_each(|(scored, _)| edge(scored));
        report.breaches = breaches;
        report.breaches.iter_mut().for_each(|breach| edge(&mut breach.edge));
        for inflow in &mut report.destinations {
            edge(&mut inflow.foremost.edge);
            inflow.destination = inflow.foremost.edge.destination;
        }
        report.uses.iter_mut().for_each(|new| edge(&mut new.edge));
        report.accesses.iter_mut().for_each(|access| edge(&mut access.edge));
        report.lapses.iter_mut().for_each(|lapse| edge(&mut lapse.edge));
        report.proofs.iter_mut().for_each(|proof| edge(&mut proof.edge));
        report.guarded.iter_mut().for_each(|guarded| number(&mut guarded.destination));
        report.sources.iter_mut().for_each(|digest| number(&mut digest.source));
        report.entities = entities;
        report.pools = pools;
        report
    }
}

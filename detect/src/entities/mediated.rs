//! Ways through what one entity writes and another reads: a topic, table, share or bucket. A writes to a resource for the
//! first time; C, which reads it, reads after that; what C then does for the first time may be A's doing. And: C begins to
//! read something, and then does what it never did.
//!
//! Evidence of a new writer is -ln p, where p is the probability that a resource gets one in a window: P(NB >= 1) by its age
//! (a discovery curve pooled over all resources) and its own factor, as [`super::outlook`] has it for edges. It pays for what
//! could have happened instead: for the windows from the write to the act, for every resource that the reader reads, for the
//! two kinds of news, and for every reader of the resource, so that a topic that everybody reads carries little. What is
//! left is exponential at most; with the evidence of the reader's own new edge, which does not depend on what others write,
//! it makes an Erlang variable of one stage more ([`super::chain`]). What an entity begins to read of its own accord comes
//! with other new things when a release does: there the way alone counts, and not the edge.
//!
//! It sees neither what is in a message nor which message is read. Judging is [`judge`]'s part.

mod judge;
mod passages;
mod resource;

use super::chain::{self, Chains, HORIZON, Hop, Way};
use super::hazard::{Curve, Factor};
use crate::edges::aging::{Worth, keep};
use crate::network::{Edge, Network};
use crate::numbered::{Numbered, keep_keys, new_number, visit_keys};
use crate::report::Access;
use judge::Kind;
pub(super) use judge::{Judged, Step};
pub(crate) use passages::Passage;
use passages::Passages;
use resource::{News, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Resources that are remembered.
const RESOURCES_MAX: usize = 8192;
/// New writers of one resource that are followed at once.
const NEWS_MAX: usize = 8;
/// Ways into one reader that are remembered.
const WAYS_MAX: usize = 16;
/// What a hop is told by is needed as long as a path of four hops lasts.
const TOLD_FOR: i64 = 4 * HORIZON;

/// Who writes and reads what, and the ways that this made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Mediated {
    /// By mediator and name.
    resources: BTreeMap<u32, BTreeMap<Box<str>, Resource>>,
    readers: BTreeMap<u32, Reader>,
    /// New writers per window of a resource, by its age.
    new_writers: Curve,
    /// New resources per window of a reader, by its age.
    new_reads: Curve,
    /// Ways into readers that are open.
    ways: BTreeMap<u32, Vec<OpenWay>>,
    passages: Passages,
}

/// An entity as one that reads.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Reader {
    first_window: i64,
    factor: Factor,
}

/// A way into a reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OpenWay {
    /// Whose doing it is: the edge of the writer, or the reader's own.
    origin: Edge,
    /// When the reader last read of it, microseconds UTC.
    last: i64,
    way: Way,
}

impl Numbered for OpenWay {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.origin.visit(number);
        self.way.visit(number);
    }
}

impl Numbered for Mediated {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        visit_keys(&mut self.resources, number);
        let resources = self.resources.values_mut().flat_map(BTreeMap::values_mut);
        resources.for_each(|resource| resource.visit(number));
        visit_keys(&mut self.readers, number);
        self.ways.visit(number);
        self.passages.visit(number);
    }
}

impl Mediated {
    fn resource(&self, access: &Access) -> Option<&Resource> {
        self.resources.get(&access.edge.destination)?.get(&*access.resource)
    }

    /// The strongest way into an entity before a time. One that is another's doing is taken first, because what the entity then
    /// does is no part of it.
    pub(super) fn way_into(&self, entity: u32, time: i64) -> Option<chain::Mediated<'_>> {
        let is_open = |open: &&OpenWay| open.way.time < time && time.saturating_sub(open.last) <= HORIZON;
        let ways = self.ways.get(&entity).into_iter().flatten().filter(is_open);
        let mediated = |open: &'_ OpenWay| (open.origin.source != entity, open.way.evidence);
        let best = ways.max_by(|one, other| {
            let ((one_is_joint, one), (other_is_joint, other)) = (mediated(one), mediated(other));
            one_is_joint.cmp(&other_is_joint).then(one.total_cmp(&other))
        })?;
        Some(chain::Mediated { way: &best.way, is_joint: best.origin.source != entity })
    }

    /// Takes a step of the window in, in the order of time among new edges.
    pub(super) fn follow(&mut self, step: &Step, judged: &Judged, access: &Access, chains: &Chains) {
        let hop = Hop { edge: access.edge, time: step.time };
        match step.kind {
            Kind::Write(evidence) => self.written(hop, evidence, access, chains),
            Kind::Read => self.read(hop, judged, access),
            Kind::Begin(evidence) => {
                let way = Way { time: hop.time, evidence, hops: 1, path: vec![hop] };
                self.open(access.edge, hop, access, way);
            }
        }
    }

    /// A new writer: its news is the way into it, if there is one, and its writing.
    fn written(&mut self, hop: Hop, evidence: f64, access: &Access, chains: &Chains) {
        let (writer, time) = (hop.edge.source, hop.time);
        let mediated = self.way_into(writer, time).map(|mediated| (mediated.way.evidence, mediated.way));
        let ways = chains.way_in(writer, time).into_iter().chain(mediated);
        let news = match ways.max_by(|(one, _), (other, _)| one.total_cmp(other)) {
            Some((carried, way)) => News {
                edge: hop.edge,
                first: time,
                last: access.counts.last,
                evidence: evidence + carried,
                hops: way.hops + 1,
                path: way.and(hop),
            },
            None => News { edge: hop.edge, first: time, last: access.counts.last, evidence, hops: 1, path: vec![hop] },
        };
        let resources = self.resources.entry(hop.edge.destination).or_default();
        let Some(resource) = resources.get_mut(&*access.resource) else { return };
        match resource.news.iter().position(|known| known.edge.source == writer) {
            Some(place) => resource.news[place].last = resource.news[place].last.max(news.last),
            None if resource.news.len() < NEWS_MAX => {
                resource.news.push(news);
                self.passages.note(Passage::new(hop, true, true, &access.resource));
            }
            None => (),
        }
    }

    /// A reader reads: all news of others that is older comes to it.
    fn read(&mut self, hop: Hop, judged: &Judged, access: &Access) {
        let reader = hop.edge.source;
        let Some(resource) = self.resource(access) else { return };
        let choices = judged.reads(reader).ln();
        let comes = |news: &&News| {
            let is_others = news.edge.source != reader;
            is_others && news.first < hop.time && hop.time.saturating_sub(news.last) <= HORIZON
        };
        let come: Vec<(Edge, Way)> = resource
            .news
            .iter()
            .filter(comes)
            .map(|news| {
                let evidence = news.evidence - choices;
                let before = Way { time: news.first, evidence, hops: news.hops, path: news.path.clone() };
                (news.edge, Way { time: hop.time, path: before.and(hop), ..before })
            })
            .filter(|(_, way)| way.evidence > 0.0)
            .collect();
        for (origin, way) in come {
            self.open(origin, hop, access, way);
        }
    }

    /// Opens a way into a reader, or keeps it open.
    fn open(&mut self, origin: Edge, hop: Hop, access: &Access, way: Way) {
        let ways = self.ways.entry(hop.edge.source).or_default();
        match ways.iter().position(|open| open.origin == origin) {
            Some(place) => ways[place].last = ways[place].last.max(access.counts.last),
            None if ways.len() < WAYS_MAX => {
                ways.push(OpenWay { origin, last: access.counts.last, way });
                let is_new = origin == hop.edge;
                self.passages.note(Passage::new(hop, false, is_new, &access.resource));
            }
            None => (),
        }
    }

    /// What a hop was, where it was an access.
    pub(crate) fn passage(&self, hop: &Hop) -> Option<&Passage> {
        self.passages.of(hop)
    }

    /// Forgets what no window from this time on can use.
    pub(super) fn expire(&mut self, from: i64) {
        let oldest = from.saturating_sub(HORIZON);
        for resource in self.resources.values_mut().flat_map(BTreeMap::values_mut) {
            resource.news.retain(|news| news.last > oldest);
        }
        self.ways.retain(|_, ways| {
            ways.retain(|open| open.last > oldest);
            !ways.is_empty()
        });
        self.passages.expire(from.saturating_sub(TOLD_FOR));
    }

    /// Forgets the ways.
    pub(super) fn clear(&mut self) {
        self.ways.clear();
        let resources = self.resources.values_mut().flat_map(BTreeMap::values_mut);
        resources.for_each(|resource| resource.news.clear());
    }

    /// Forgets entities but those that have a new number.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        keep_keys(&mut self.resources, numbers);
        let resources = self.resources.values_mut().flat_map(BTreeMap::values_mut);
        resources.for_each(|resource| resource.keep(numbers));
        keep_keys(&mut self.readers, numbers);
        keep_keys(&mut self.ways, numbers);
        self.ways.retain(|_, ways| {
            let is_kept = |entity: u32| new_number(numbers, entity).is_some();
            let is_told = |hop: &Hop| is_kept(hop.edge.source) && is_kept(hop.edge.destination);
            ways.retain(|open| open.way.path.iter().all(is_told) && is_kept(open.origin.source));
            ways.visit(&mut |entity| *entity = new_number(numbers, *entity).unwrap_or(*entity));
            !ways.is_empty()
        });
        self.passages.keep(numbers);
    }

    /// Forgets the resources that matter least, where there are too many.
    fn limit(&mut self, index: i64, network: &Network) {
        let count: usize = self.resources.values().map(BTreeMap::len).sum();
        if count <= RESOURCES_MAX {
            return;
        }
        let all: Vec<(u32, &str, Worth)> = self
            .resources
            .iter()
            .flat_map(|(&mediator, named)| {
                named.iter().map(move |(name, resource)| (mediator, &**name, resource.worth(index)))
            })
            .collect();
        let worths: Vec<Worth> = all.iter().map(|&(.., worth)| worth).collect();
        let tie = |place: usize| (network.name(all[place].0), all[place].1);
        let mut is_kept = keep(&worths, RESOURCES_MAX - RESOURCES_MAX / 8, tie).into_iter();
        for named in self.resources.values_mut() {
            named.retain(|_, _| is_kept.next().unwrap_or(true));
        }
        self.resources.retain(|_, named| !named.is_empty());
    }
}

#[cfg(test)]
mod tests;

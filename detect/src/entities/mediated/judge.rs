//! What of a window's accesses is news, how improbable, and what is learnt of them afterwards. Rates are those before the window.

use super::resource::Resource;
use super::{Mediated, NEWS_MAX, Reader};
use crate::distributions::{ln_negative_binomial_tail, p_of_ln};
use crate::entities::chain::HORIZON;
use crate::entities::hazard::{Curve, Factor};
use crate::entities::view::View;
use crate::network::Network;
use crate::report::Access;
use crate::settings::DestinationSettings;
use std::collections::{BTreeMap, BTreeSet};

/// What more entities read is read by everybody, and carries nothing.
const READERS_MAX: usize = 32;
/// New writers of a resource, and new resources of a reader, that enter the rates of a window, once the network is known.
const LEARNT_MAX: u64 = 3;
/// New writers, or readers, that an age is credited with at least (Jeffreys' prior of a Poisson rate).
const EVENTS_MIN: f64 = 0.5;
/// A writer, or a reader, may be news.
const KINDS: f64 = 2.0;

/// Something that happens in a window, to be taken in in the order of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::entities) struct Step {
    /// Microseconds UTC.
    pub(in crate::entities) time: i64,
    /// Place of the access among those of the view.
    pub(in crate::entities) place: usize,
    pub(super) kind: Kind,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A new writer, with its evidence after paying for what could have happened instead.
    Write(f64),
    /// Somebody reads of what has a new writer.
    Read,
    /// Somebody begins to read, with the evidence as above.
    Begin(f64),
}

/// The accesses of a window, judged.
#[derive(Debug, Default)]
pub(in crate::entities) struct Judged {
    /// In the order of time.
    pub(in crate::entities) steps: Vec<Step>,
    /// p-value of each new writer and reader, by place of the access.
    p_values: BTreeMap<usize, f64>,
    /// How many resources each entity reads.
    reads: BTreeMap<u32, u32>,
}

impl Judged {
    /// How many resources an entity reads; at least one.
    pub(super) fn reads(&self, entity: u32) -> f64 {
        f64::from(self.reads.get(&entity).copied().unwrap_or(1).max(1))
    }
}

/// The accesses of a resource, and the place of the first among those of the view.
type Group<'a> = (usize, &'a [Access]);

fn groups(view: &View) -> impl Iterator<Item = Group<'_>> {
    let is_same =
        |one: &Access, other: &Access| one.edge.destination == other.edge.destination && one.resource == other.resource;
    let mut next = 0;
    view.accesses.chunk_by(is_same).map(move |group| {
        let first = next;
        next += group.len();
        (first, group)
    })
}

/// Probability of one event or more in a window.
fn p_of_one(rate: f64, factor: &Factor, settings: &DestinationSettings) -> f64 {
    let (prior, shape_max) = (settings.entity_prior, settings.shape_max);
    p_of_ln(ln_negative_binomial_tail(1, factor.shape(prior).min(shape_max), rate * factor.mean(prior)))
}

impl Mediated {
    /// Judges a window's accesses. While everything is learnt there is no news.
    pub(in crate::entities) fn judge(&self, view: &View, settings: &DestinationSettings, is_silent: bool) -> Judged {
        let mut judged = Judged::default();
        if view.accesses.is_empty() || is_silent {
            return judged;
        }
        let writers = self.new_writers.rates_of(settings.rate_prior, EVENTS_MIN);
        let reads = self.new_reads.rates_of(settings.rate_prior, EVENTS_MIN);
        // From the write to the reading, and from there to the act, half an hour each.
        let windows = (2 * HORIZON).div_euclid(view.length.max(1)).saturating_add(1);
        let choices = (windows as f64 * KINDS).ln();
        for (first, group) in groups(view) {
            let resource = group.first().and_then(|access| self.resource(access));
            for (place, access) in (first..).zip(group) {
                let source = access.edge.source;
                let p_value = match (access.is_write, resource) {
                    (true, Some(known)) if !known.writers.has(source) => {
                        let age = view.index.abs_diff(known.first_window);
                        p_of_one(writers.at(Curve::bucket(age)), &known.factor, settings)
                    }
                    (false, known) if known.is_none_or(|known| !known.readers.has(source)) => {
                        let Some(reader) = self.readers.get(&source) else { continue };
                        let age = view.index.abs_diff(reader.first_window);
                        p_of_one(reads.at(Curve::bucket(age)), &reader.factor, settings)
                    }
                    _ => continue,
                };
                judged.p_values.insert(place, p_value);
            }
            judged.add_steps((first, group), resource, choices);
        }
        if !judged.steps.is_empty() {
            for reader in self.resources.values().flat_map(BTreeMap::values).flat_map(|known| known.readers.entities())
            {
                *judged.reads.entry(reader).or_default() += 1;
            }
            let order = |kind: Kind| matches!(kind, Kind::Write(_));
            judged.steps.sort_by_key(|step| (step.time, !order(step.kind), step.place));
        }
        judged
    }

    /// Takes a window in.
    pub(in crate::entities) fn learn(
        &mut self,
        view: &View,
        judged: &Judged,
        settings: &DestinationSettings,
        is_starting: bool,
        network: &Network,
    ) {
        if view.accesses.is_empty() {
            return;
        }
        let limit = if is_starting { u64::MAX } else { LEARNT_MAX };
        let rates = self.new_writers.rates_of(settings.rate_prior, EVENTS_MIN);
        let mut reads: BTreeMap<u32, u64> = BTreeMap::new();
        for (first, group) in groups(view) {
            let Some(access) = group.first() else { continue };
            let named = self.resources.entry(access.edge.destination).or_default();
            if !named.contains_key(&*access.resource) {
                named.insert(access.resource.as_str().into(), Resource::new(view.index));
            }
            let Some(resource) = named.get_mut(&*access.resource) else { continue };
            resource.touch(view.index);
            let mut events = 0;
            for (place, access) in (first..).zip(group) {
                let p_value = judged.p_values.get(&place).copied().unwrap_or(1.0);
                let parties = if access.is_write { &mut resource.writers } else { &mut resource.readers };
                let is_new = u64::from(parties.meet(access.edge.source, view.index, p_value));
                parties.limit_flood(view.index, network);
                if access.is_write {
                    events += is_new;
                } else {
                    *reads.entry(access.edge.source).or_default() += is_new;
                }
            }
            resource.writers.limit(view.index, network);
            resource.readers.limit(view.index, network);
            let bucket = Curve::bucket(view.index.abs_diff(resource.first_window));
            if bucket > 0 {
                resource.factor.learn(events.min(limit), rates.at(bucket));
            }
            self.new_writers.learn(bucket, events.min(limit));
        }
        self.learn_reads(view, &reads, settings, limit);
        self.limit(view.index, network);
    }

    fn learn_reads(&mut self, view: &View, reads: &BTreeMap<u32, u64>, settings: &DestinationSettings, limit: u64) {
        let rates = self.new_reads.rates_of(settings.rate_prior, EVENTS_MIN);
        for (&entity, &events) in reads {
            let fresh = Reader { first_window: view.index, factor: Factor::default() };
            let reader = self.readers.entry(entity).or_insert(fresh);
            let bucket = Curve::bucket(view.index.abs_diff(reader.first_window));
            if bucket > 0 {
                reader.factor.learn(events.min(limit), rates.at(bucket));
            }
            self.new_reads.learn(bucket, events.min(limit));
        }
    }
}

impl Judged {
    /// What happens to a resource in the window.
    fn add_steps(&mut self, (first, group): Group<'_>, resource: Option<&Resource>, choices: f64) {
        let places = || (first..).zip(group);
        let news: Vec<(usize, &Access, f64)> = places()
            .filter(|(_, access)| access.is_write)
            .filter_map(|(place, access)| Some((place, access, *self.p_values.get(&place)?)))
            .collect();
        let sources: BTreeSet<u32> = news.iter().map(|(_, access, _)| access.edge.source).collect();
        let readers = resource.map_or(0, |known| known.readers.count());
        let is_followed = sources.len() <= NEWS_MAX && readers < READERS_MAX;
        // Where several begin at once there is a choice among them, too.
        let costs = choices + (sources.len().max(1) as f64 * readers.max(1) as f64).ln();
        // The first write of each writer: over however many ports it writes, it is one who does.
        let mut writes: BTreeMap<u32, i64> = BTreeMap::new();
        for &(place, access, p_value) in news.iter().filter(|_| is_followed) {
            let evidence = -p_value.ln() - costs;
            if evidence > 0.0 {
                let first = writes.entry(access.edge.source).or_insert(access.counts.first);
                *first = access.counts.first.min(*first);
                self.steps.push(Step { time: access.counts.first, place, kind: Kind::Write(evidence) });
            }
        }
        let has_news = resource.is_some_and(|known| !known.news.is_empty());
        for (place, access) in places().filter(|(_, access)| !access.is_write) {
            let counts = &access.counts;
            // Who reads on from before the write until after it reads what was written, at once as far as is known.
            let during = writes.values().filter(|&&time| (counts.first..counts.last).contains(&time));
            let times = has_news.then_some(counts.first).into_iter();
            let later = writes.values().any(|&time| time < counts.first).then_some(counts.first);
            let times: BTreeSet<i64> = times.chain(later).chain(during.map(|&time| time + 1)).collect();
            self.steps.extend(times.into_iter().map(|time| Step { time, place, kind: Kind::Read }));
            if let Some(p_value) = self.p_values.get(&place) {
                let evidence = -p_value.ln() - choices;
                if evidence > 0.0 {
                    self.steps.push(Step { time: counts.first, place, kind: Kind::Begin(evidence) });
                }
            }
        }
    }
}

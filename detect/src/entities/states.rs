//! What the entity level learns: who was seen since when, how often each gets something new, who is popular. Learnt at a
//! window's close, after all of it was judged.

use super::dark::Dark;
use super::exfiltration::{Hoard, Moved};
use super::flood::Flood;
use super::hazard::{Curve, Factor};
use super::inflow::{Baseline, Crowd, Judged, Learning};
use super::outlook::Outlook;
use super::scan::Walk;
use super::slow_scan::Pace;
use super::view::View;
use super::votes::Votes;
use super::withheld::Withheld;
use super::{JudgedBirth, refusals::SourceRefusals};
use crate::edges::aging::Worth;
use crate::network::{Edge, Network};
use crate::report::Birth;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tradewind_model::entity::EntityKind;

/// A new edge with a lower p-value does not make its source one that often has new edges: else who searches a network
/// first could go on unnoticed.
const LEARN_P_MIN: f64 = 1e-3;

/// State of all entities.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct EntityStates {
    pub(crate) votes: Votes,
    /// New edges per window of a source, by its age.
    pub(super) new_edges: Curve,
    /// New sources per window of the network, by its age.
    pub(super) new_sources: Curve,
    /// New answered ports per window of a destination, by its age.
    pub(super) new_ports: Curve,
    /// New destinations per window of the network, by its age.
    pub(super) new_destinations: Curve,
    pub(super) crowd: Crowd,
    pub(super) dark: Dark,
    /// How many sources there are of each kind.
    kinds: Vec<(EntityKind, usize)>,
    /// Per entity number.
    sources: Vec<Option<Source>>,
    destinations: Vec<Option<Destination>>,
}

/// An entity as a source.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Its kind when it was last active.
    pub(crate) kind: EntityKind,
    /// Whether that kind's count has it.
    is_counted: bool,
    pub(crate) first_window: i64,
    last_window: i64,
    pub(crate) active_windows: u64,
    /// Edges that were answered.
    pub(crate) destinations: u64,
    pub(super) births: Factor,
    pub(super) refusals: SourceRefusals,
    pub(super) walk: Walk,
    pub(super) flood: Flood,
    pub(super) pace: Pace,
    pub(super) hoard: Hoard,
}

/// An entity as a destination.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Destination {
    pub(crate) first_window: i64,
    last_window: i64,
    active_windows: u64,
    pub(super) ports: Factor,
    pub(super) inflow: Baseline,
    pub(super) flood: Flood,
}

impl Destination {
    /// Windows in which something reached it.
    pub(super) const fn active_windows(&self) -> u64 {
        self.active_windows
    }

    /// Windows in the baseline of what reaches it.
    pub(crate) fn inflow_windows(&self) -> u64 {
        self.inflow.windows
    }
}

impl EntityStates {
    pub(crate) fn source(&self, entity: u32) -> Option<&Source> {
        self.sources.get(entity as usize).and_then(Option::as_ref)
    }

    pub(crate) fn destination(&self, entity: u32) -> Option<&Destination> {
        self.destinations.get(entity as usize).and_then(Option::as_ref)
    }

    /// Whether nobody saw it before this window.
    pub(super) fn is_stranger(&self, entity: u32) -> bool {
        self.source(entity).is_none() && self.destination(entity).is_none()
    }

    /// Destinations of new edges inside the network that nothing was ever heard of, nor is now.
    pub(super) fn dark_of(&self, births: &[JudgedBirth], network: &Network) -> Vec<u32> {
        let is_dark = |birth: &&JudgedBirth| {
            let destination = birth.birth.edge.destination;
            !birth.is_answered()
                && network.kind(destination) != EntityKind::External
                && !self.votes.is_server(destination)
                && self.source(destination).is_none()
        };
        births.iter().filter(is_dark).map(|birth| birth.birth.edge.destination).collect()
    }

    /// How many sources there are of a kind.
    pub(crate) fn sources_of(&self, kind: EntityKind) -> usize {
        self.kinds.iter().find(|(known, _)| *known == kind).map_or(0, |&(_, count)| count)
    }

    /// Takes in of which kind a source is: it may be known better than before.
    fn learn_kind(&mut self, entity: u32, kind: EntityKind) {
        let Some(source) = self.sources[entity as usize].as_mut() else { return };
        if source.kind == kind && source.is_counted {
            return;
        }
        let (before, was_counted) = (std::mem::replace(&mut source.kind, kind), source.is_counted);
        source.is_counted = true;
        for (known, count) in &mut self.kinds {
            *count -= usize::from(was_counted && *known == before);
        }
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((kind, 1)),
        }
    }

    /// Takes a window in. `births` are those of the view, judged.
    pub(super) fn learn(
        &mut self,
        view: &View,
        births: &[JudgedBirth],
        outlook: &Outlook,
        learning: Learning<'_>,
        (network, withheld): (&Network, &mut Withheld),
    ) {
        let Learning { is_starting, settings, .. } = learning;
        let entities = network.entity_count();
        self.sources.resize(entities.max(self.sources.len()), None);
        self.destinations.resize(entities.max(self.destinations.len()), None);
        let limit = u64::from(settings.destination.births_learnt_max);
        let strangers: Vec<u32> = view
            .destinations
            .iter()
            .map(|inflow| inflow.destination)
            .filter(|&entity| self.is_stranger(entity))
            .collect();
        let answers: Vec<Edge> = withheld.sort_out(view).into_iter().copied().collect();
        self.learn_ports(view, &answers, outlook, is_starting, limit);
        self.learn_sources(view, births, outlook, learning, (limit, withheld, network));
        view.sources.iter().for_each(|digest| self.learn_kind(digest.source, network.kind(digest.source)));
        self.learn_votes(&answers);
        let new_destinations = strangers.iter().filter(|&&entity| self.votes.is_server(entity)).count() as u64;
        let bucket = Curve::bucket(view.age);
        self.new_destinations.learn(bucket, if is_starting { new_destinations } else { new_destinations.min(limit) });
    }

    fn learn_sources(
        &mut self,
        view: &View,
        births: &[JudgedBirth],
        outlook: &Outlook,
        learning: Learning<'_>,
        (limit, withheld, network): (u64, &Withheld, &Network),
    ) {
        let Learning { is_starting, is_training, settings } = learning;
        let mut new_sources = 0;
        let mut met: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for digest in &view.sources {
            let own = &births[view.births_of(digest.source)];
            met.insert(digest.source, if is_starting { Vec::new() } else { self.dark_of(own, network) });
        }
        self.dark.begin(view.day());
        met.iter().for_each(|(&source, met)| self.dark.learn(source, met));
        for digest in view.sources.iter().filter(|digest| digest.is_oriented) {
            let own = &births[view.births_of(digest.source)];
            let answered = own.iter().filter(|birth| birth.is_answered()).count() as u64;
            // The rarest ones: what is suspicious is what teaches how often suspicion is wrong.
            let mut by_mark: Vec<&JudgedBirth> = own.iter().collect();
            by_mark.sort_by(|one, other| one.marked.mark.total_cmp(&other.marked.mark));
            let is_learnt = !withheld.has(digest.source);
            let learnt = if is_starting { own.len() as u64 } else { limit };
            let learnt = if is_learnt { learnt } else { 0 };
            (0..learnt).zip(&by_mark).for_each(|(_, birth)| self.votes.learn_birth(birth.is_answered()));
            let expected = outlook.expectation(self, digest.source, &settings.destination).births;
            let moved = Moved::of(digest, own, network);
            let state = self.sources[digest.source as usize].get_or_insert_with(|| {
                new_sources += 1;
                Source {
                    kind: EntityKind::Unknown,
                    is_counted: false,
                    first_window: view.index,
                    last_window: view.index,
                    active_windows: 0,
                    destinations: 0,
                    births: Factor::default(),
                    refusals: SourceRefusals::default(),
                    walk: Walk::default(),
                    flood: Flood::new(view.index),
                    pace: Pace::default(),
                    hoard: Hoard::default(),
                }
            });
            let bucket = Curve::bucket(view.index.abs_diff(state.first_window));
            state.active_windows += 1;
            state.last_window = view.index;
            state.destinations += answered;
            if bucket > 0 && is_learnt {
                let is_usual = |birth: &&JudgedBirth| birth.is_answered() && birth.marked.p_value >= LEARN_P_MIN;
                let usual = own.iter().filter(is_usual).count() as u64;
                state.births.learn(usual, outlook.rate_of_edges(state.first_window));
            }
            let is_first_of_all = bucket == 0 && is_starting;
            if is_learnt {
                self.new_edges.learn(bucket, if is_first_of_all { answered } else { answered.min(limit) });
            }
            state.refusals.learn(digest);
            if !view.is_partial {
                state.flood.learn(view.index, digest.opened, is_training);
            }
            let mut by_time: Vec<&Birth> = own.iter().map(|birth| &birth.birth).collect();
            by_time.sort_by_key(|birth| birth.counts.first);
            by_time.iter().for_each(|birth| state.walk.step(birth.counts.answered > 0));
            // What a source does first says nothing of its pace.
            if bucket > 0 && !is_starting {
                state.pace.learn(view.index, settings.window_s, own.len(), expected);
            }
            if let Some(moved) = moved.filter(|_| !is_starting && settings.exfiltration.is_enabled) {
                state.hoard.learn(view.index, &moved);
            }
        }
        self.new_sources.learn(Curve::bucket(view.age), new_sources);
    }

    /// Takes first answers on edges in.
    pub(super) fn learn_votes(&mut self, answers: &[Edge]) {
        answers.iter().for_each(|&edge| self.votes.learn(edge));
    }

    fn learn_ports(&mut self, view: &View, answers: &[Edge], outlook: &Outlook, is_starting: bool, limit: u64) {
        let mut opened: Vec<(u32, u64)> = answers
            .iter()
            .filter(|edge| !self.votes.is_served(**edge))
            .map(|edge| (edge.destination, edge.port_key()))
            .collect();
        opened.sort_unstable();
        opened.dedup();
        for entity in view.destinations.iter().map(|inflow| inflow.destination) {
            let first = opened.partition_point(|&(destination, _)| destination < entity);
            let count = opened[first..].iter().take_while(|&&(destination, _)| destination == entity).count() as u64;
            let known = Destination {
                first_window: view.index,
                last_window: view.index,
                active_windows: 0,
                ports: Factor::default(),
                inflow: Baseline::default(),
                flood: Flood::new(view.index),
            };
            let state = self.destinations[entity as usize].get_or_insert(known);
            state.active_windows += 1;
            state.last_window = view.index;
            let bucket = Curve::bucket(view.index.abs_diff(state.first_window));
            let learnt = if is_starting { count } else { count.min(limit) };
            self.new_ports.learn(bucket, learnt);
            if bucket > 0 {
                state.ports.learn(count.min(limit), outlook.rate_of_ports(state.first_window));
            }
        }
    }

    /// What it would lose to forget an entity, as seen in window `index`.
    pub(super) fn worth(&self, entity: u32, index: i64) -> Worth {
        let worth = |windows: u64, last: i64, is_answered: bool| {
            let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            Worth::of(is_answered, whole(windows), whole(index.abs_diff(last)))
        };
        let source = self.source(entity);
        let source = source.map(|known| worth(known.active_windows, known.last_window, known.destinations > 0));
        let destination = self.destination(entity);
        let is_server = self.votes.is_server(entity);
        let destination = destination.map(|known| worth(known.active_windows, known.last_window, is_server));
        source.max(destination).unwrap_or(worth(0, i64::MIN, false))
    }

    /// Forgets all entities but those that have a new number.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        for (source, number) in self.sources.iter().zip(numbers) {
            if let (Some(source), None) = (source, number)
                && source.is_counted
                && let Some((_, count)) = self.kinds.iter_mut().find(|(kind, _)| *kind == source.kind)
            {
                *count -= 1;
            }
        }
        self.votes.keep(numbers);
        self.dark.keep(numbers);
        self.sources = kept(&self.sources, numbers);
        self.destinations = kept(&self.destinations, numbers);
    }

    /// Takes in what reached each destination; they are known by now.
    pub(super) fn learn_inflows(&mut self, view: &View, inflows: &[Judged], learning: Learning<'_>) {
        let rates = self.crowd.rates(&learning.settings.destination);
        for judged in inflows {
            let state = self.destinations.get_mut(judged.inflow.destination as usize).and_then(Option::as_mut);
            if let Some(state) = state {
                let age = view.index.abs_diff(state.first_window);
                self.crowd.learn(&mut state.inflow, judged, age, &rates, view, learning);
                if !view.is_partial {
                    state.flood.learn(view.index, judged.inflow.opened, learning.is_training);
                }
            }
        }
    }
}

/// What there is of those that have a new number, by it.
fn kept<T: Copy>(all: &[Option<T>], numbers: &[Option<u32>]) -> Vec<Option<T>> {
    let most = numbers.iter().flatten().max().map_or(0, |&number| number as usize + 1);
    let mut kept = vec![None; most];
    for (item, number) in all.iter().zip(numbers) {
        if let Some(number) = number {
            kept[*number as usize] = *item;
        }
    }
    kept
}

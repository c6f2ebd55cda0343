//! One shard of the edge level: takes flows in, tells at once what cannot wait, and at a window's close lets each detector
//! judge each active edge and learn it. What it says of entities is put together in [`super::digest`].

use super::baseline::EdgeState;
use super::digest::Digests;
use super::tally::{Awaited, Tally};
use super::{refusal, transfer, volume};
use crate::event::FlowEvent;
use crate::network::{Edge, Network, Port};
use crate::report::{
    Breach, Common, Contact, DetectorName, EdgeCounts, EdgeSignal, Exchange, Facts, Feedback, Notice, Report,
};
use crate::settings::{Settings, VolumeSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tradewind_model::Outcome;

/// Windows in which the evidence of a birth halves.
const CARRY_HALF_LIFE: f64 = 2.0;
/// Evidence below this, -ln p, is not carried.
const CARRIED_MIN: f64 = 0.05;
/// The word of a flow that the declared policy denies.
const DENIED: &str = "denied";

/// One shard of the edge level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EdgeShard {
    volume: Option<VolumeSettings>,
    top_max: usize,
    keeps_scores: bool,
    risk_cap: f64,
    network: Network,
    /// Per edge number.
    states: Vec<EdgeState>,
    /// Per edge number the place in `tallies` plus one; zero where the open window has not seen it.
    places: Vec<u32>,
    tallies: Vec<Tally>,
    breaches: Vec<Breach>,
    /// Per edge number that breaks rules in the open window: places in `breaches`.
    breaches_of: BTreeMap<u32, Vec<usize>>,
    /// The first window it saw: ages count from it.
    origin: Option<i64>,
}

impl EdgeShard {
    /// A shard that knows nothing yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            volume: settings.volume.is_enabled.then(|| settings.volume.clone()),
            top_max: settings.observations_max,
            keeps_scores: false,
            risk_cap: settings.risk_cap,
            network: Network::default(),
            states: Vec::new(),
            places: Vec::new(),
            tallies: Vec::new(),
            breaches: Vec::new(),
            breaches_of: BTreeMap::new(),
            origin: None,
        }
    }

    pub(super) fn keep_scores(&mut self) {
        self.keeps_scores = true;
    }

    /// Edges met.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.states.len()
    }

    fn age(&self, window: i64) -> u32 {
        u32::try_from(window.abs_diff(self.origin.unwrap_or(window))).unwrap_or(u32::MAX)
    }

    /// Takes a flow of open window `window` in.
    pub fn observe(&mut self, event: &FlowEvent<'_>, window: i64, common: &Common, notices: &mut Vec<Notice>) {
        let source = self.network.entity(event.src_entity, event.src_kind);
        let destination = self.network.entity(event.dst_entity, event.dst_kind);
        let number = self.network.edge(Edge { source, destination, port: Port::of(event) });
        let tally = match self.places.get(number as usize) {
            Some(&place) if place > 0 => &mut self.tallies[place as usize - 1],
            _ => self.open(number, window, common, event),
        };
        let counts = EdgeCounts::of(event);
        tally.counts.merge(&counts);
        tally.add_sizes(event);
        if tally.awaited != Awaited::Nothing {
            let is_refused = matches!(event.outcome, Outcome::Denied | Outcome::Failed);
            let is_due = match tally.awaited {
                Awaited::First => true,
                Awaited::Answer => !is_refused,
                Awaited::Refusal => is_refused,
                Awaited::Nothing => false,
            };
            if is_due {
                tally.awaited = if tally.is_birth && is_refused { Awaited::Answer } else { Awaited::Nothing };
                let is_new = tally.is_birth;
                notices.push(Notice::Contact(self.contact(number, is_new, counts)));
            }
        }
        if event.declared_verdict == Some(DENIED) {
            self.breach(number, event, counts, notices);
        }
    }

    /// The first flow of an edge in the window.
    fn open(&mut self, number: u32, window: i64, common: &Common, event: &FlowEvent<'_>) -> &mut Tally {
        let origin = *self.origin.get_or_insert(window);
        let place = number as usize;
        let is_new = place >= self.states.len();
        if is_new {
            let edge = self.network.edge_of(number);
            let born = u32::try_from(window.abs_diff(origin)).unwrap_or(u32::MAX);
            self.states.push(EdgeState::new(edge, born));
            self.places.push(0);
        }
        let state = &self.states[place];
        let is_birth = is_new && state.edge.port != Port::Unoriented;
        let awaited = match (is_birth, state.is_answered || state.edge.port == Port::Unoriented) {
            (true, _) => Awaited::First,
            (false, true) => Awaited::Nothing,
            (false, false) => Awaited::Refusal,
        };
        let nothing = EdgeCounts {
            flows: 0,
            opened: 0,
            answered: 0,
            denied: 0,
            failed: 0,
            bytes_out: None,
            bytes_in: None,
            protocol_num: None,
            first: event.time,
            last: event.time,
        };
        let size = |moments| transfer::tally(state, moments, &common.pools, common.is_training);
        let (size_out, size_in) = (size(&state.size_out), size(&state.size_in));
        self.tallies.push(Tally { number, is_birth, awaited, counts: nothing, size_out, size_in });
        self.places[place] = u32::try_from(self.tallies.len()).expect("as many as there are edge numbers");
        self.tallies.last_mut().expect("just pushed")
    }

    fn contact(&self, number: u32, is_new: bool, counts: EdgeCounts) -> Contact {
        let edge = self.network.edge_of(number);
        let entity = |entity| (self.network.name(entity).to_owned(), self.network.kind(entity));
        Contact { source: entity(edge.source), destination: entity(edge.destination), port: edge.port, is_new, counts }
    }

    fn breach(&mut self, number: u32, event: &FlowEvent<'_>, counts: EdgeCounts, notices: &mut Vec<Notice>) {
        let edge = self.network.edge_of(number);
        let rule = event.declared_rule.unwrap_or_default();
        let places = self.breaches_of.entry(number).or_default();
        if let Some(&place) = places.iter().find(|&&place| self.breaches[place].rule == rule) {
            self.breaches[place].counts.merge(&counts);
            return;
        }
        places.push(self.breaches.len());
        let contact = self.contact(number, false, counts);
        notices.push(Notice::Breach { contact, rule: rule.to_owned() });
        self.breaches.push(Breach { edge, rule: rule.to_owned(), counts });
    }

    /// What the shards must agree on before they judge the window.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        let mut exchange = Exchange::default();
        if let Some(settings) = &self.volume {
            for tally in &self.tallies {
                let state = &self.states[tally.number as usize];
                volume::exchange(state, tally.counts.opened, settings, &mut exchange);
            }
        }
        exchange
    }

    /// Judges window `index`, learns it and begins the next.
    pub fn close(&mut self, index: i64, is_partial: bool, common: &Common) -> Report {
        let window = Window { age: self.age(index), index, is_partial, common };
        let tallies = std::mem::take(&mut self.tallies);
        let breaches = std::mem::take(&mut self.breaches);
        self.breaches_of.clear();
        let mut digests = Digests::new(&self.network, self.top_max);
        for tally in &tallies {
            let place = tally.number as usize;
            self.places[place] = 0;
            let state = &mut self.states[place];
            digests.count(state.edge, &tally.counts);
            let score = close_edge(state, tally, &window, self.volume.as_ref(), self.risk_cap, &mut digests);
            if self.keeps_scores {
                digests.score(state.edge, score);
            }
        }
        self.tallies = tallies;
        self.tallies.clear();
        digests.report(breaches)
    }

    /// Takes in what the entity level made of an edge.
    pub fn feed_back(&mut self, feedback: &Feedback) {
        let Some(number) = self.network.find(&feedback.source, &feedback.destination, feedback.port) else { return };
        let watch_until = feedback.watch_until.map(|window| self.age(window));
        let state = &mut self.states[number as usize];
        if let Some(evidence) = feedback.evidence {
            #[allow(clippy::cast_possible_truncation)] // Single precision is what is kept.
            let narrow = evidence as f32;
            state.evidence = narrow;
        }
        if let Some(window) = watch_until {
            state.watched_until = state.watched_until.max(window);
        }
    }
}

/// The window being closed.
struct Window<'a> {
    index: i64,
    age: u32,
    is_partial: bool,
    common: &'a Common,
}

/// Lets every detector judge an edge, then learn it. Its capped sum of signals.
fn close_edge(
    state: &mut EdgeState,
    tally: &Tally,
    window: &Window<'_>,
    volume: Option<&VolumeSettings>,
    risk_cap: f64,
    digests: &mut Digests<'_>,
) -> f64 {
    let Common { pools, change, is_training } = window.common;
    let counts = &tally.counts;
    let level = volume::level(counts.opened) - change;
    let mut score = 0.0;
    let mut is_volume_unusual = false;
    let age = u64::from(window.age.saturating_sub(state.born));
    let mut tell = |name: DetectorName, p_value: Option<(f64, Facts)>| {
        let signal = p_value.map(|(p_value, facts)| EdgeSignal {
            edge: state.edge,
            p_value,
            counts: *counts,
            facts,
            born: window.index.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)),
            windows: u64::from(state.windows),
        });
        score += signal.map_or(0.0, |signal| (-signal.p_value.log10()).clamp(0.0, risk_cap));
        digests.tell(name, state.edge, signal);
    };
    if !tally.is_birth {
        if let Some(judged) = transfer::judge(state, tally, pools) {
            tell(DetectorName::Transfer, judged.map(|judged| (judged.p_value, judged.facts)));
        }
        let refusals = [
            (DetectorName::Denied, counts.denied, state.refusals.denied, pools.denied),
            (DetectorName::Failed, counts.failed, state.refusals.failed, pools.failed),
        ];
        for (name, refused, past, pooled) in refusals {
            if refused > 0 {
                let share = refusal::pooled_share(pooled, pools.flows);
                let past_flows = f64::from(state.refusals.flows);
                let (p, usual_share) = refusal::p_value(share, past.into(), past_flows, refused, counts.flows);
                tell(name, Some((p, Facts::Refusal { usual_share })));
            } else {
                tell(name, None);
            }
        }
        let carried = f64::from(state.evidence) * 0.5_f64.powf(age as f64 / CARRY_HALF_LIFE);
        if age > 0 && carried > CARRIED_MIN {
            tell(DetectorName::Carry, Some(((-carried).exp(), Facts::Carry { age })));
        }
        if let Some(settings) = volume
            && counts.opened > 0
            && let Some(prediction) = volume::prediction(state, pools, settings)
        {
            let p_value = volume::p_value(prediction, level);
            is_volume_unusual = p_value.is_some_and(|p| p < settings.learn_p_min);
            let facts =
                Facts::Volume { mean: prediction.mean + change, scale: prediction.scale, freedom: prediction.freedom };
            tell(DetectorName::Volume, p_value.map(|p| (p, facts)));
        }
    } else {
        digests.birth(state.edge, counts);
    }
    if state.watched_until >= window.age && state.watched_until > 0 {
        digests.watched(state.edge, counts);
    }
    if counts.answered > 0 && !state.is_answered {
        state.is_answered = true;
        if state.edge.port != Port::Unoriented {
            digests.answer(state.edge);
        }
    }
    state.windows += 1;
    transfer::learn(state, tally, &mut digests.pools);
    refusal::learn(state, counts, &mut digests.pools);
    // A window in which only old connections went on says nothing of how many open, nor does one that is not over.
    if let Some(settings) = volume.filter(|_| counts.opened > 0 && !window.is_partial) {
        volume::learn(state, level, is_volume_unusual && !is_training, settings, &mut digests.pools);
    }
    score
}

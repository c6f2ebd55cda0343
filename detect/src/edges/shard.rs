//! One shard of the edge level: takes flows in, tells at once what cannot wait, and at a window's close has each active edge
//! judged and learnt, by [`super::judge`]. What it says of entities is put together in [`super::digest`].

mod stored;
mod stored_4;

pub(crate) use stored_4::EdgeShard4;

use super::accesses::Accesses;
use super::aging::{Worth, keep};
use super::baseline::EdgeState;
use super::beacon::WINDOW_CONTACTS_MAX;
use super::cold::{ColdEdge, ColdEdges};
use super::contacts::Contacts;
use super::credentials::Credentials;
use super::digest::Digests;
use super::judge::{Window, close_edge};
use super::long_view::LongView;
use super::sharding::virtual_shard;
use super::speech::{Speech, Spoken};
use super::tally::{Awaited, Tally};
use super::uses::{ClosingEdge, Uses};
use super::{transfer, volume};
use crate::event::FlowEvent;
use crate::network::{Edge, Network, Port};
use crate::report::{Breach, Common, Contact, Contacted, EdgeCounts, Exchange, Feedback, Notice, Report};
use crate::settings::{Settings, VolumeSettings};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::entity::EntityKind;

/// The word of a flow that the declared policy denies.
const DENIED: &str = "denied";
/// Windows that it counts for when a finding is open about an edge.
const WATCHED_WORTH: u32 = 288;
/// Numbers of edges that there may be for each edge that is kept.
const NUMBERS_PER_EDGE: usize = 4;
/// Sketches that are kept for each edge that may be.
const COLD_PER_EDGE: usize = 4;

/// One shard of the edge level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EdgeShard {
    volume: Option<VolumeSettings>,
    long_view: LongView,
    top_max: usize,
    keeps_scores: bool,
    network: Network,
    /// Per edge number.
    states: Vec<EdgeState>,
    /// Per edge number the place in `tallies` plus one; zero where the open window has not seen it.
    places: Vec<u32>,
    tallies: Vec<Tally>,
    contacts: Vec<Contacts>,
    breaches: Vec<Breach>,
    /// Per edge number that breaks rules in the open window: places in `breaches`.
    breaches_of: BTreeMap<u32, Vec<usize>>,
    /// The first window it saw: ages count from it.
    origin: Option<i64>,
    /// Edges met.
    met: usize,
    edges_max: usize,
    /// Edges that aged out.
    cold: ColdEdges,
    bounds: Bounds,
    speech: Speech,
    /// What edges ask; none where it is not judged.
    uses: Option<Uses>,
    /// How edges are protected; none where it is not judged.
    credentials: Option<Credentials>,
    /// What edges access; none where it is not judged.
    accesses: Option<Accesses>,
}

/// What the bounds of the state cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Edges that were forgotten but for a sketch: they have to learn anew what is usual.
    pub aged_out: u64,
    /// Flows that were not judged, because there were too many new edges already.
    pub unjudged: u64,
}

impl Bounds {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self { aged_out: self.aged_out + other.aged_out, unjudged: self.unjudged + other.unjudged }
    }
}

/// What a shard knows of an edge before a window that is not open yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing: its first flow is worth telling.
    Unknown,
    /// It was never answered: a vain attempt is worth telling.
    Unanswered,
    /// It was answered, or has no orientation.
    Settled,
}

impl EdgeShard {
    /// A shard that knows nothing yet, and keeps about so many edges.
    #[must_use]
    pub fn new(settings: &Settings, edges_max: usize) -> Self {
        Self {
            volume: settings.volume.is_enabled.then(|| settings.volume.clone()),
            long_view: LongView::new(settings),
            top_max: settings.observations_max,
            keeps_scores: false,
            network: Network::default(),
            states: Vec::new(),
            places: Vec::new(),
            tallies: Vec::new(),
            contacts: Vec::new(),
            breaches: Vec::new(),
            breaches_of: BTreeMap::new(),
            origin: None,
            met: 0,
            edges_max,
            cold: ColdEdges::default(),
            bounds: Bounds::default(),
            speech: Speech::default(),
            uses: settings.protocol.is_enabled.then(Uses::default),
            credentials: settings.identity.is_enabled.then(Credentials::default),
            accesses: settings.mediated.is_enabled.then(Accesses::default),
        }
    }

    pub(super) fn keep_scores(&mut self) {
        self.keeps_scores = true;
    }

    /// Edges met.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.met
    }

    /// Whether it took a flow of the open window in.
    pub(crate) fn has_flows(&self) -> bool {
        !self.tallies.is_empty()
    }

    fn age(&self, window: i64) -> u32 {
        u32::try_from(window.abs_diff(self.origin.unwrap_or(window))).unwrap_or(u32::MAX)
    }

    /// Takes a flow of open window `window` in.
    pub fn observe(&mut self, event: &FlowEvent<'_>, window: i64, common: &Common, notices: &mut Vec<Notice>) {
        if self.is_full() && self.network.find(event.src_entity, event.dst_entity, Port::of(event)).is_none() {
            self.bounds.unjudged += 1;
            return;
        }
        let Some((number, kinds)) = self.foretell(event) else { return };
        let edge = self.network.edge_of(number);
        self.network.meet(edge.source, kinds[0]);
        self.network.meet(edge.destination, kinds[1]);
        let spoken = self.spoken(event);
        self.add(number, (EdgeCounts::of(event), spoken), broken_rule(event), window, common, notices);
    }

    /// What a flow says of its conversation, as numbers.
    pub(crate) fn spoken(&mut self, event: &FlowEvent<'_>) -> Spoken {
        let conversation = &event.conversation;
        let mut spoken = Spoken::default();
        if self.uses.is_some() && conversation.has_use() {
            spoken.usage = self.speech.usage(conversation);
        }
        if self.credentials.is_some() && conversation.has_credential() {
            spoken.credential = self.speech.credential(conversation);
        }
        if let Some(accesses) = &mut self.accesses {
            spoken.access = accesses.number(conversation);
        }
        spoken
    }

    /// Number of the edge of a flow whose window is not open yet. The edge is not met by it. None where it is new and there
    /// are too many: the flow is not judged.
    pub(crate) fn foretell(&mut self, event: &FlowEvent<'_>) -> Option<(u32, [EntityKind; 2])> {
        let kinds = [event.src_kind, event.dst_kind];
        let kinds = kinds.map(|kind| EntityKind::from_word(kind).unwrap_or(EntityKind::Unknown));
        let source = self.foretell_entity(event.src_entity, kinds[0]);
        let destination = self.foretell_entity(event.dst_entity, kinds[1]);
        self.foretell_known(event, [source, destination], kinds)
    }

    /// Whether no new edge is met until some age out.
    fn is_full(&self) -> bool {
        self.met >= self.edges_max.saturating_add(self.edges_max / 4)
    }

    /// Whether there is no room for the number of a new edge. Edges of flows that are held have numbers too; how many flows are
    /// held is bounded elsewhere, so that this is the last resort.
    fn is_crowded(&self) -> bool {
        self.network.edge_count() >= self.edges_max.saturating_mul(NUMBERS_PER_EDGE)
    }

    /// As [`Self::foretell`], of ends whose numbers are known.
    pub(crate) fn foretell_known(
        &mut self,
        event: &FlowEvent<'_>,
        ends: [Option<u32>; 2],
        kinds: [EntityKind; 2],
    ) -> Option<(u32, [EntityKind; 2])> {
        let number = self.edge_between(ends, Port::of(event));
        match (ends, number) {
            ([Some(source), Some(destination)], Some(number)) => {
                self.network.foretell_kind(source, kinds[0]);
                self.network.foretell_kind(destination, kinds[1]);
                Some((number, kinds))
            }
            _ => {
                self.bounds.unjudged += 1;
                None
            }
        }
    }

    fn edge_between(&mut self, ends: [Option<u32>; 2], port: Port) -> Option<u32> {
        let edge = Edge { source: ends[0]?, destination: ends[1]?, port };
        if self.is_crowded() { self.network.known_edge(edge) } else { Some(self.network.edge(edge)) }
    }

    /// Number of an entity; none where it is new and there are too many edges.
    pub(crate) fn foretell_entity(&mut self, name: &str, kind: EntityKind) -> Option<u32> {
        if self.is_crowded() { self.network.known(name) } else { Some(self.network.foretell(name, kind)) }
    }

    /// What is known of an edge that has a number.
    pub(crate) fn standing(&self, number: u32) -> Standing {
        let place = number as usize;
        if self.network.edge_of(number).port == Port::Unoriented {
            return Standing::Settled;
        }
        let Some(state) = self.states.get(place).filter(|state| state.is_met) else {
            let is_cold = !self.cold.is_empty() && self.cold.has(self.network.key_of(number));
            return if is_cold { Standing::Settled } else { Standing::Unknown };
        };
        let open = self.places[place].checked_sub(1).map(|place| &self.tallies[place as usize]);
        let is_answered = state.is_answered || open.is_some_and(|tally| tally.counts.answered > 0);
        if is_answered { Standing::Settled } else { Standing::Unanswered }
    }

    /// A notice's material of an edge whose window is not open yet.
    pub(crate) fn foretold(&self, number: u32, is_new: bool, counts: EdgeCounts) -> Contact {
        let edge = self.network.edge_of(number);
        let entity = |entity| (self.network.name(entity).to_owned(), self.network.told_kind(entity));
        Contact { source: entity(edge.source), destination: entity(edge.destination), port: edge.port, is_new, counts }
    }

    /// Takes a flow in that was foretold, now that its window is open.
    pub(crate) fn observe_foretold(
        &mut self,
        (number, kinds): (u32, [EntityKind; 2]),
        (counts, spoken): (EdgeCounts, Spoken),
        broken_rule: Option<&str>,
        window: i64,
        common: &Common,
        notices: &mut Vec<Notice>,
    ) {
        let edge = self.network.edge_of(number);
        self.network.meet(edge.source, kinds[0]);
        self.network.meet(edge.destination, kinds[1]);
        self.add(number, (counts, spoken), broken_rule, window, common, notices);
    }

    fn add(
        &mut self,
        number: u32,
        (counts, spoken): (EdgeCounts, Spoken),
        broken_rule: Option<&str>,
        window: i64,
        common: &Common,
        notices: &mut Vec<Notice>,
    ) {
        if self.is_full() && self.states.get(number as usize).is_none_or(|state| !state.is_met) {
            self.bounds.unjudged += 1;
            return;
        }
        self.hear(number, &counts, spoken);
        let tally = match self.places.get(number as usize) {
            Some(&place) if place > 0 => &mut self.tallies[place as usize - 1],
            _ => self.open(number, window, common, counts.first),
        };
        tally.counts.merge(&counts);
        tally.add_sizes(&counts);
        let contacts = tally.contacts;
        let is_timed = tally.is_watched && counts.opened > 0 && tally.counts.opened <= WINDOW_CONTACTS_MAX;
        if tally.awaited != Awaited::Nothing {
            let is_refused = counts.is_refused();
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
        if is_timed {
            self.long_view.watch.add(number, counts.first);
        }
        if contacts > 0 {
            self.contacts[contacts as usize - 1].add(&counts);
        }
        if let Some(rule) = broken_rule {
            self.breach(number, rule, counts, notices);
        }
    }

    /// Takes in what a flow says. Of flows without orientation it is not known who asked.
    fn hear(&mut self, number: u32, counts: &EdgeCounts, spoken: Spoken) {
        if self.network.edge_of(number).port == Port::Unoriented {
            return;
        }
        if let Some(uses) = &mut self.uses {
            uses.observe(number, spoken.usage, counts, &mut self.speech);
        }
        if let Some(credentials) = &mut self.credentials {
            credentials.observe(number, spoken.credential, counts);
        }
        if let Some(accesses) = &mut self.accesses {
            accesses.observe(number, spoken.access, counts);
        }
    }

    /// The first flow of an edge in the window.
    fn open(&mut self, number: u32, window: i64, common: &Common, time: i64) -> &mut Tally {
        let origin = *self.origin.get_or_insert(window);
        let place = number as usize;
        // Edges whose flows are held have numbers too.
        for unmet in (self.states.len()..=place).filter_map(|unmet| u32::try_from(unmet).ok()) {
            self.states.push(EdgeState::new(self.network.edge_of(unmet), 0));
            self.places.push(0);
        }
        let state = &mut self.states[place];
        let is_unmet = !state.is_met;
        let mut is_new = is_unmet;
        if is_unmet {
            state.is_met = true;
            state.born = u32::try_from(window.abs_diff(origin)).unwrap_or(u32::MAX);
            self.met += 1;
            let cold = if self.cold.is_empty() { None } else { self.cold.take(self.network.key_of(number)) };
            if let Some(ColdEdge { born, windows, .. }) = cold {
                (state.born, state.windows, state.is_answered) = (born, windows, true);
                is_new = false;
            }
        }
        let state = &self.states[place];
        let is_birth = is_new && state.edge.port != Port::Unoriented;
        let awaited = match (is_birth, state.is_answered || state.edge.port == Port::Unoriented) {
            (true, _) => Awaited::First,
            (false, true) => Awaited::Nothing,
            (false, false) => Awaited::Refusal,
        };
        let size = |moments| transfer::tally(state, moments, &common.pools, common.is_training);
        let (size_out, size_in) = (size(&state.size_out), size(&state.size_in));
        if awaited != Awaited::Nothing {
            self.contacts.push(Contacts::new(number, is_birth));
        }
        let last = u32::try_from(self.contacts.len()).expect("as many as there are edge numbers");
        let contacts = if awaited == Awaited::Nothing { 0 } else { last };
        let is_watched = self.long_view.watch.has(number);
        self.tallies.push(Tally {
            number,
            is_birth,
            is_watched,
            awaited,
            contacts,
            counts: EdgeCounts::nothing(time),
            size_out,
            size_in,
        });
        self.places[place] = u32::try_from(self.tallies.len()).expect("as many as there are edge numbers");
        self.tallies.last_mut().expect("just pushed")
    }

    fn contact(&self, number: u32, is_new: bool, counts: EdgeCounts) -> Contact {
        let edge = self.network.edge_of(number);
        let entity = |entity| (self.network.name(entity).to_owned(), self.network.kind(entity));
        Contact { source: entity(edge.source), destination: entity(edge.destination), port: edge.port, is_new, counts }
    }

    fn breach(&mut self, number: u32, rule: &str, counts: EdgeCounts, notices: &mut Vec<Notice>) {
        let edge = self.network.edge_of(number);
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

    /// Whether names of what is accessed are to be forgotten, by [`Self::forget_names`].
    pub(crate) fn has_too_many_names(&self) -> bool {
        self.accesses.as_ref().is_some_and(Accesses::is_full) && !self.has_flows()
    }

    /// Forgets names of what is accessed, but those of these numbers, with which flows are held.
    pub(crate) fn forget_names(&mut self, held: &BTreeSet<u32>) {
        if let Some(accesses) = &mut self.accesses {
            accesses.forget_names(held);
        }
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
        let contacts = std::mem::take(&mut self.contacts);
        self.long_view.watch.sort();
        let mut digests = Digests::new(&self.network, self.top_max);
        let asked = self.uses.as_mut().map(|uses| uses.end_window(&self.speech)).unwrap_or_default();
        let protected = self.credentials.as_mut().map(|known| known.end_window(&self.speech)).unwrap_or_default();
        let accessed = self.accesses.as_mut().map(Accesses::end_window).unwrap_or_default();
        for tally in &tallies {
            let place = tally.number as usize;
            self.places[place] = 0;
            let state = &mut self.states[place];
            digests.count(state.edge, &tally.counts);
            let closing = ClosingEdge {
                number: tally.number,
                edge: state.edge,
                born: index.saturating_sub(i64::from(window.age.saturating_sub(state.born))),
                windows: state.windows,
                is_training: common.is_training,
            };
            if state.edge.port != Port::Unoriented {
                accessed.tell(tally.number, state.edge, &mut digests);
                if let Some(uses) = &mut self.uses {
                    let by = (&common.discoveries, &self.speech);
                    uses.close_edge(closing, tally.counts.protocol_num, &asked, by, &mut digests);
                }
                if let Some(credentials) = &mut self.credentials {
                    credentials.close_edge(closing, &protected, &self.speech, &mut digests);
                }
            }
            let mut kept = self.keeps_scores.then(Vec::new);
            let long_view = &mut self.long_view;
            close_edge(state, tally, &window, self.volume.as_ref(), long_view, kept.as_mut(), &mut digests);
            if let Some(signals) = kept {
                digests.score(state.edge, signals);
            }
        }
        let states = &self.states;
        let amounts = self.long_view.end(index, |number| window.age.saturating_sub(states[number as usize].born));
        digests.pools.merge_amounts(&amounts);
        self.tallies = tallies;
        self.tallies.clear();
        for known in &contacts {
            let edge = self.states[known.number as usize].edge;
            for counts in known.told() {
                digests.contact(Contacted { edge, is_new: known.is_birth, counts });
            }
        }
        digests.report(breaches)
    }

    /// What the bounds of the state cost so far.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether there are more edges than are kept, or no room for new ones. Edges of flows that are held do not make others
    /// age out, since how many are held depends on the order in which flows come.
    pub(crate) fn is_over(&self) -> bool {
        self.met > self.edges_max || self.is_crowded()
    }

    /// Forgets the edges that are worth least, but for a sketch of those that were ever answered. To be called between a
    /// window's close, with its feedback, and the next window. The numbers of edges change: says by old number the new one.
    /// `held` are edges whose numbers are needed; what was learnt of them may go all the same.
    pub(crate) fn age_out(&mut self, held: &[u32]) -> Vec<Option<u32>> {
        debug_assert!(self.tallies.is_empty(), "no window is open");
        let now = self.states.iter().map(|state| state.last).max().unwrap_or(0);
        let worth = |state: &EdgeState| {
            // What an open finding is about is worth as much as an edge of a day's windows.
            let is_watched = state.watched_until > now;
            let windows = state.windows.saturating_add(if is_watched { WATCHED_WORTH } else { 0 });
            Worth::of(state.is_answered || is_watched, windows, now.saturating_sub(state.last))
        };
        let most = if self.met > self.edges_max { self.edges_max - self.edges_max / 8 } else { self.met };
        let met: Vec<u32> =
            (0..).zip(&self.states).filter(|(_, state)| state.is_met).map(|(number, _)| number).collect();
        let worths: Vec<Worth> = met.iter().map(|&number| worth(&self.states[number as usize])).collect();
        let mut is_kept = vec![false; self.network.edge_count()];
        for (number, keeps) in met.iter().zip(keep(&worths, most, |place| self.network.key_of(met[place]))) {
            is_kept[*number as usize] = keeps;
        }
        for (number, state) in (0..).zip(&self.states) {
            if state.is_met && !is_kept[number as usize] {
                self.bounds.aged_out += 1;
                self.met -= 1;
                if state.is_answered {
                    let cold = ColdEdge { born: state.born, last: state.last, windows: state.windows };
                    self.cold.add(self.network.key_of(number), cold);
                }
            }
        }
        self.cold.limit(self.edges_max.saturating_mul(COLD_PER_EDGE), now);
        let is_learnt = is_kept.clone();
        held.iter().for_each(|&number| is_kept[number as usize] = true);
        let numbers = self.network.keep_edges(&is_kept);
        let mut states = Vec::with_capacity(self.network.edge_count());
        for (old, number) in numbers.iter().enumerate() {
            let Some(number) = *number else { continue };
            let edge = self.network.edge_of(number);
            states.push(match self.states.get(old) {
                Some(&state) if is_learnt[old] => EdgeState { edge, ..state },
                _ => EdgeState::new(edge, 0),
            });
        }
        self.states = states;
        self.places = vec![0; self.states.len()];
        self.long_view.keep(&numbers);
        self.uses.iter_mut().for_each(|uses| uses.keep(&numbers));
        self.credentials.iter_mut().for_each(|credentials| credentials.keep(&numbers));
        numbers
    }

    /// Takes in what the entity level made of an edge.
    pub fn feed_back(&mut self, feedback: &Feedback) {
        let Some(number) = self.network.find(&feedback.source, &feedback.destination, feedback.port) else { return };
        if let Some(uses) = &mut self.uses {
            feedback.doubted.iter().for_each(|text| uses.doubt(number, text, &self.speech));
        }
        let watch_until = feedback.watch_until.map(|window| self.age(window));
        let Some(state) = self.states.get_mut(number as usize) else { return };
        if let Some(evidence) = feedback.evidence {
            #[allow(clippy::cast_possible_truncation)] // Single precision is what is kept.
            let narrow = evidence as f32;
            state.evidence = narrow;
            let network = &self.network;
            let rank = |number| {
                let edge = network.edge_of(number);
                (network.name(edge.source), network.name(edge.destination), edge.port)
            };
            let part = virtual_shard(&feedback.source, &feedback.destination);
            self.long_view.watch.begin(number, part, evidence, rank);
        }
        if feedback.is_accepted {
            state.accept();
        }
        if let Some(window) = watch_until {
            state.watched_until = state.watched_until.max(window);
        }
    }
}

/// The rule that a flow breaks, if it breaks one; empty where the policy has no rule for it.
pub(crate) fn broken_rule<'a>(event: &FlowEvent<'a>) -> Option<&'a str> {
    (event.declared_verdict == Some(DENIED)).then(|| event.declared_rule.unwrap_or_default())
}

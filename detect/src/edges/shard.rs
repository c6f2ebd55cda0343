//! One shard of the edge level: takes flows in, tells at once what cannot wait, and at a window's close has each active edge
//! judged and learnt, by [`super::judge`]. What it says of entities is put together in [`super::digest`].

use super::baseline::EdgeState;
use super::contacts::Contacts;
use super::credentials::Credentials;
use super::digest::Digests;
use super::judge::{Window, close_edge};
use super::speech::{Speech, Spoken};
use super::tally::{Awaited, Tally};
use super::uses::{ClosingEdge, Uses};
use super::{transfer, volume};
use crate::event::FlowEvent;
use crate::network::{Edge, Network, Port};
use crate::report::{Breach, Common, Contact, Contacted, EdgeCounts, Exchange, Feedback, Notice, Report};
use crate::settings::{Settings, VolumeSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tradewind_model::entity::EntityKind;

/// The word of a flow that the declared policy denies.
const DENIED: &str = "denied";

/// One shard of the edge level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EdgeShard {
    volume: Option<VolumeSettings>,
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
    speech: Speech,
    /// What edges ask; none where it is not judged.
    uses: Option<Uses>,
    /// How edges are protected; none where it is not judged.
    credentials: Option<Credentials>,
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
    /// A shard that knows nothing yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            volume: settings.volume.is_enabled.then(|| settings.volume.clone()),
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
            speech: Speech::default(),
            uses: settings.protocol.is_enabled.then(Uses::default),
            credentials: settings.identity.is_enabled.then(Credentials::default),
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
        let source = self.network.entity(event.src_entity, event.src_kind);
        let destination = self.network.entity(event.dst_entity, event.dst_kind);
        let number = self.network.edge(Edge { source, destination, port: Port::of(event) });
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
        spoken
    }

    /// Number of the edge of a flow whose window is not open yet. The edge is not met by it.
    pub(crate) fn foretell(&mut self, event: &FlowEvent<'_>) -> (u32, [EntityKind; 2]) {
        let kinds = [event.src_kind, event.dst_kind];
        let kinds = kinds.map(|kind| EntityKind::from_word(kind).unwrap_or(EntityKind::Unknown));
        let source = self.network.foretell(event.src_entity, kinds[0]);
        let destination = self.network.foretell(event.dst_entity, kinds[1]);
        (self.network.edge(Edge { source, destination, port: Port::of(event) }), kinds)
    }

    /// As [`Self::foretell`], of ends whose numbers are known.
    pub(crate) fn foretell_known(
        &mut self,
        event: &FlowEvent<'_>,
        ends: [u32; 2],
        kinds: [EntityKind; 2],
    ) -> (u32, [EntityKind; 2]) {
        self.network.foretell_kind(ends[0], kinds[0]);
        self.network.foretell_kind(ends[1], kinds[1]);
        (self.network.edge(Edge { source: ends[0], destination: ends[1], port: Port::of(event) }), kinds)
    }

    /// Number of an entity.
    pub(crate) fn foretell_entity(&mut self, name: &str, kind: EntityKind) -> u32 {
        self.network.foretell(name, kind)
    }

    /// What is known of an edge that has a number.
    pub(crate) fn standing(&self, number: u32) -> Standing {
        let place = number as usize;
        if self.network.edge_of(number).port == Port::Unoriented {
            return Standing::Settled;
        }
        let Some(state) = self.states.get(place).filter(|state| state.is_met) else { return Standing::Unknown };
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
        self.hear(number, &counts, spoken);
        let tally = match self.places.get(number as usize) {
            Some(&place) if place > 0 => &mut self.tallies[place as usize - 1],
            _ => self.open(number, window, common, counts.first),
        };
        tally.counts.merge(&counts);
        tally.add_sizes(&counts);
        let contacts = tally.contacts;
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
        let is_new = !state.is_met;
        if is_new {
            state.is_met = true;
            state.born = u32::try_from(window.abs_diff(origin)).unwrap_or(u32::MAX);
            self.met += 1;
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
            first: time,
            last: time,
        };
        let size = |moments| transfer::tally(state, moments, &common.pools, common.is_training);
        let (size_out, size_in) = (size(&state.size_out), size(&state.size_in));
        if awaited != Awaited::Nothing {
            self.contacts.push(Contacts::new(number, is_birth));
        }
        let last = u32::try_from(self.contacts.len()).expect("as many as there are edge numbers");
        let contacts = if awaited == Awaited::Nothing { 0 } else { last };
        self.tallies.push(Tally { number, is_birth, awaited, contacts, counts: nothing, size_out, size_in });
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
        let mut digests = Digests::new(&self.network, self.top_max);
        let asked = self.uses.as_mut().map(|uses| uses.end_window(&self.speech)).unwrap_or_default();
        let protected = self.credentials.as_mut().map(|known| known.end_window(&self.speech)).unwrap_or_default();
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
                if let Some(uses) = &mut self.uses {
                    let by = (&common.discoveries, &self.speech);
                    uses.close_edge(closing, tally.counts.protocol_num, &asked, by, &mut digests);
                }
                if let Some(credentials) = &mut self.credentials {
                    credentials.close_edge(closing, &protected, &self.speech, &mut digests);
                }
            }
            let mut kept = self.keeps_scores.then(Vec::new);
            close_edge(state, tally, &window, self.volume.as_ref(), kept.as_mut(), &mut digests);
            if let Some(signals) = kept {
                digests.score(state.edge, signals);
            }
        }
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

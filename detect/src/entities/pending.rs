//! A window that is not closed yet: judges first contacts as they come, so that what is unusual by itself is raised within a flow and not
//! at the window's close. One contact in vain is judged at the close, when it is known whether it stayed so; several of
//! them are a search, and the floor of [`super::scan`] needs no judgement.
//!
//! What is judged here depends on the order in which contacts come. Where that is not the order of time, the close starts
//! afresh with the contacts that the shards report, so that what counts in the end does not.

use super::chain::Chains;
use super::outlook::{Marked, Outlook};
use super::scan::{self, Floor};
use super::states::EntityStates;
use super::unit::{combined, families};
use super::{JudgedBirth, Mediated, View, destination};
use crate::decision::{Decision, Weighed};
use crate::explain::Explainer;
use crate::finding::{OpenFindings, Unusual};
use crate::network::Network;
use crate::numbered::{Numbered, visit_keys};
use crate::report::{Birth, DetectorName};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::time::SECOND;

/// First contacts of one source that are judged at once; with more of them the floor or the close speaks.
const CONTACTS_MAX: usize = 64;

/// Sources that something is raised about at once.
const RAISED_MAX: usize = 4096;

/// What happened in the window so far, per source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pending {
    births: BTreeMap<u32, Vec<JudgedBirth>>,
    /// Ways into entities, those that this window opened included.
    ways: Option<Chains>,
    /// Recent contacts, those of this window included.
    floor: Option<Floor>,
    raised: BTreeMap<u32, Vec<Unusual>>,
    /// Subjects of rules that were told, per entity.
    subjects: BTreeMap<u32, BTreeSet<String>>,
    /// What was told: whose, about what, and the finding's id.
    told: Vec<(Topic, String)>,
    #[serde(skip)]
    outlook: Option<Outlook>,
}

/// What tells findings of one window apart: entity, behaviour, subject.
pub(super) type Topic = (u32, DetectorName, String);

pub(super) fn topic(unusual: &Unusual) -> Topic {
    (unusual.source, unusual.behaviour, unusual.subject.clone())
}

/// What a contact is judged by.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) states: &'a EntityStates,
    /// Share of the source's peers that have the destination.
    pub(super) share: f64,
    /// As they stood before the window.
    pub(super) chains: &'a Chains,
    /// As it stood at the last close.
    pub(super) mediated: &'a Mediated,
    /// As it stood before the window.
    pub(super) floor: &'a Floor,
    pub(super) outlook: &'a Outlook,
    pub(super) network: &'a Network,
    pub(super) decision: &'a Decision,
    pub(super) settings: &'a Settings,
    pub(super) window: &'a View,
}

impl Numbered for JudgedBirth {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.birth.edge.visit(number);
        self.chain.visit(number);
    }
}

impl Numbered for Pending {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.births.visit(number);
        self.ways.visit(number);
        self.floor.visit(number);
        self.raised.visit(number);
        visit_keys(&mut self.subjects, number);
        self.told.iter_mut().for_each(|((entity, ..), _)| number(entity));
    }
}

impl Pending {
    /// Takes a contact in and returns what is to be raised at once.
    pub(super) fn contact(&mut self, known: Known<'_>, birth: Birth, is_new: bool) -> Vec<Unusual> {
        let mut raised = Vec::new();
        if known.settings.scan.is_enabled {
            let cool_down = known.settings.cool_down_s.saturating_mul(SECOND);
            let edge = birth.edge;
            let floor = self.floor.get_or_insert_with(|| known.floor.clone());
            let reached = floor.contact(edge.source, birth.counts.first, edge.destination, edge.port, cool_down);
            raised.extend(reached.map(|reached| known.explainer().floor(birth, reached.hosts, reached.ports)));
        }
        if is_new && known.settings.destination.is_enabled {
            raised.extend(self.judge(known, birth));
        }
        let source = birth.edge.source;
        if raised.is_empty() || (self.raised.len() >= RAISED_MAX && !self.raised.contains_key(&source)) {
            // The close has its own say.
            return Vec::new();
        }
        let all = self.raised.entry(source).or_default();
        // One word on each behaviour at once.
        raised.retain(|unusual| all.iter().all(|known| known.behaviour != unusual.behaviour));
        raised.dedup_by_key(|unusual| unusual.behaviour);
        all.extend(raised.iter().cloned());
        raised
    }

    /// Whether this subject was not told in the window yet. It may become the common one, as [`OpenFindings`] says.
    pub(super) fn is_first_of(&mut self, breached: &mut Unusual, findings: &OpenFindings) -> bool {
        let told = self.subjects.entry(breached.source).or_default();
        findings.limit_subject(breached, told);
        told.insert(breached.subject.clone())
    }

    pub(super) fn tell(&mut self, topic: Topic, finding_id: String) {
        self.told.push((topic, finding_id));
    }

    pub(super) fn has_told(&self, topic: &Topic) -> bool {
        self.told.iter().any(|(told, _)| told == topic)
    }

    /// Entities of the findings that were told and that the budget counts.
    pub(super) fn told(&self) -> Vec<u32> {
        let counted = self.told.iter().filter(|((_, behaviour, _), _)| *behaviour != DetectorName::Policy);
        counted.map(|((entity, ..), _)| *entity).collect()
    }

    /// Ids of the findings that were told.
    pub(super) fn into_told(self) -> Vec<String> {
        self.told.into_iter().map(|(_, finding_id)| finding_id).collect()
    }

    pub(super) const fn ways(&self) -> Option<&Chains> {
        self.ways.as_ref()
    }

    pub(super) const fn floor(&self) -> Option<&Floor> {
        self.floor.as_ref()
    }

    pub(super) const fn take_floor(&mut self) -> Option<Floor> {
        self.floor.take()
    }

    pub(super) const fn take_outlook(&mut self) -> Option<Outlook> {
        self.outlook.take()
    }

    pub(super) fn keep_outlook(&mut self, outlook: Outlook) {
        self.outlook = Some(outlook);
    }

    fn judge(&mut self, known: Known<'_>, birth: Birth) -> Option<Unusual> {
        let Known { states, outlook, settings, .. } = known;
        let edge = birth.edge;
        let expected = outlook.expectation(states, edge.source, &settings.destination);
        let mut judged =
            JudgedBirth { birth, marked: outlook.mark(states, edge, true, known.share, expected), chain: None };
        let births = self.births.entry(edge.source).or_default();
        // One that is delivered again is no second contact.
        if births.len() >= CONTACTS_MAX || births.iter().any(|known| known.birth == birth) {
            return None;
        }
        let earlier = births.iter().position(|known| known.birth.edge == edge);
        if judged.is_answered() {
            let ways = self.ways.get_or_insert_with(|| known.chains.clone());
            let mediated = known.mediated.way_into(edge.source, birth.counts.first);
            judged.chain = ways.follow(edge, birth.counts.first, judged.evidence(), true, mediated);
        }
        match earlier {
            Some(place) => births[place] = judged,
            None => births.push(judged),
        }
        let answered: Vec<&JudgedBirth> = births.iter().filter(|birth| birth.is_answered()).collect();
        let is_search = scan::is_search(births.len(), answered.len());
        let mut judged: Vec<&JudgedBirth> = if is_search { births.iter().collect() } else { answered };
        judged.sort_by(|one, other| one.marked.mark.total_cmp(&other.marked.mark));
        let marks: Vec<Marked> = judged.iter().map(|birth| birth.marked).collect();
        let mut signals = vec![(DetectorName::Destination, destination::p_of_births(&marks, expected))];
        let chained = judged.iter().filter_map(|birth| Some((birth, birth.chain.as_ref()?)));
        let strongest = chained.min_by(|(_, one), (_, other)| one.p_value.total_cmp(&other.p_value));
        signals.extend(strongest.map(|(_, chain)| (DetectorName::Chain, chain.p_value)));
        let (p_value, risk_score) = combined(&signals, settings);
        let kind = known.network.kind(edge.source);
        let Weighed { p_value, ratio, .. } = known.decision.weigh(kind, &signals, p_value, settings);
        if judged.is_empty() || ratio >= 1.0 {
            return None;
        }
        let explainer = known.explainer();
        let leads_chain = signals.get(1).is_some_and(|&(_, chain)| chain < signals[0].1);
        let behaviour = match (is_search, leads_chain) {
            (true, _) => DetectorName::Scan,
            (false, true) => DetectorName::Chain,
            (false, false) => DetectorName::Destination,
        };
        // One word on each behaviour at once: no other needs words. A chain is about a new destination, too.
        let family = |behaviour| if behaviour == DetectorName::Chain { DetectorName::Destination } else { behaviour };
        let is_known = |known: &Unusual| family(known.behaviour) == family(behaviour);
        if self.raised.get(&edge.source).is_some_and(|all| all.iter().any(is_known)) {
            return None;
        }
        let mut lines = Vec::new();
        if is_search {
            lines.extend(judged.iter().map(|birth| explainer.searched(birth, births)));
        } else {
            lines.extend(strongest.map(|(birth, chain)| explainer.chain(birth, chain)));
            lines.extend(strongest.iter().flat_map(|(birth, chain)| explainer.accesses(birth, chain)));
            lines.extend(judged.iter().map(|birth| explainer.birth(birth)));
        }
        lines.truncate(settings.observations_max);
        Some(Unusual {
            behaviour,
            p_value,
            ratio,
            risk_score,
            signals: families(&signals),
            edges: judged.iter().map(|birth| (birth.birth.edge, birth.birth.counts)).collect(),
            lines,
            decided: birth.counts.first,
            subject: String::new(),
            source: edge.source,
        })
    }

    /// What a source's window comes to: what was raised at once, with the counts of the whole window, and what the close
    /// found, as one where they are about the same.
    pub(super) fn merge(
        &mut self,
        source: u32,
        at_close: Option<Unusual>,
        view: &View,
        network: &Network,
    ) -> Vec<Unusual> {
        let mut all = self.raised.remove(&source).unwrap_or_default();
        for unusual in &mut all {
            for (edge, counts) in &mut unusual.edges {
                *counts = view.seen(edge, network).map_or(*counts, |seen| seen.counts);
            }
            // The contact that made it unusual, whatever the order in which flows came.
            let last = unusual.edges.iter().map(|(_, counts)| counts.first).max();
            unusual.decided = last.unwrap_or(unusual.decided);
        }
        let Some(at_close) = at_close else { return all };
        let same = all.iter().position(|unusual| unusual.behaviour == at_close.behaviour);
        match same.or_else(|| (!all.is_empty()).then_some(0)) {
            Some(place) => all[place].absorb(at_close),
            None => all.push(at_close),
        }
        all
    }
}

impl<'a> Known<'a> {
    fn explainer(self) -> Explainer<'a> {
        Explainer { network: self.network, states: self.states, mediated: self.mediated, window: self.window }
    }
}

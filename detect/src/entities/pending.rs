//! The open window: judges first contacts as they come, so that what is unusual by itself is raised within a flow and not
//! at the window's close. One contact in vain is judged at the close, when it is known whether it stayed so; several of
//! them are a search, and the floor of [`super::scan`] needs no judgement.

use super::chain::Chains;
use super::outlook::{Marked, Outlook};
use super::scan::{self, Floor};
use super::states::EntityStates;
use super::unit::{combined, families};
use super::{JudgedBirth, View, destination};
use crate::explain::Explainer;
use crate::finding::Unusual;
use crate::network::Network;
use crate::report::{Birth, DetectorName};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::time::SECOND;

/// First contacts of one source that are judged at once; with more of them the floor or the close speaks.
const CONTACTS_MAX: usize = 64;

/// What happened in the open window so far, per source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pending {
    births: BTreeMap<u32, Vec<JudgedBirth>>,
    /// Ways into entities that this window opened.
    ways: Chains,
    has_ways: bool,
    raised: BTreeMap<u32, Vec<Unusual>>,
    /// Subjects of rules that were told, per entity.
    subjects: BTreeMap<u32, BTreeSet<String>>,
}

/// What a contact is judged by.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) states: &'a EntityStates,
    pub(super) chains: &'a Chains,
    pub(super) outlook: &'a Outlook,
    pub(super) network: &'a Network,
    pub(super) settings: &'a Settings,
    pub(super) window: &'a View,
}

impl Pending {
    /// Takes a contact in and returns what is to be raised at once.
    pub(super) fn contact(&mut self, known: Known<'_>, floor: &mut Floor, birth: Birth, is_new: bool) -> Vec<Unusual> {
        let mut raised = Vec::new();
        if known.settings.scan.is_enabled {
            let cool_down = known.settings.cool_down_s.saturating_mul(SECOND);
            let edge = birth.edge;
            let reached = floor.contact(edge.source, birth.counts.first, edge.destination, edge.port, cool_down);
            raised.extend(reached.map(|reached| known.explainer().floor(birth, reached.hosts, reached.ports)));
        }
        if is_new && known.settings.destination.is_enabled {
            raised.extend(self.judge(known, birth));
        }
        let source = birth.edge.source;
        let all = self.raised.entry(source).or_default();
        // One word on each behaviour at once.
        raised.retain(|unusual| all.iter().all(|known| known.behaviour != unusual.behaviour));
        raised.dedup_by_key(|unusual| unusual.behaviour);
        all.extend(raised.iter().cloned());
        raised
    }

    /// Whether this subject was not told in the window yet.
    pub(super) fn is_first_of(&mut self, breached: &Unusual) -> bool {
        self.subjects.entry(breached.source).or_default().insert(breached.subject.clone())
    }

    fn judge(&mut self, known: Known<'_>, birth: Birth) -> Option<Unusual> {
        let Known { states, outlook, settings, .. } = known;
        let edge = birth.edge;
        if !self.has_ways {
            self.ways = known.chains.clone();
            self.has_ways = true;
        }
        let expected = outlook.expectation(states, edge.source, &settings.destination);
        let mut judged = JudgedBirth { birth, marked: outlook.mark(states, edge, true, expected), chain: None };
        let births = self.births.entry(edge.source).or_default();
        if births.len() >= CONTACTS_MAX {
            return None;
        }
        let earlier = births.iter().position(|known| known.birth.edge == edge);
        if judged.is_answered() {
            judged.chain = self.ways.follow(edge, birth.counts.first, judged.evidence(), true);
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
        if judged.is_empty() || p_value >= settings.p_value_max {
            return None;
        }
        let explainer = known.explainer();
        let leads_chain = signals.get(1).is_some_and(|&(_, chain)| chain < signals[0].1);
        let behaviour = match (is_search, leads_chain) {
            (true, _) => DetectorName::Scan,
            (false, true) => DetectorName::Chain,
            (false, false) => DetectorName::Destination,
        };
        let mut lines = Vec::new();
        if is_search {
            lines.extend(judged.iter().map(|birth| explainer.searched(birth, births)));
        } else {
            lines.extend(strongest.map(|(birth, chain)| explainer.chain(birth, chain)));
            lines.extend(judged.iter().map(|birth| explainer.birth(birth)));
        }
        lines.truncate(settings.observations_max);
        Some(Unusual {
            behaviour,
            p_value,
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
    pub(super) fn merge(&mut self, source: u32, at_close: Option<Unusual>, view: &View) -> Vec<Unusual> {
        let mut all = self.raised.remove(&source).unwrap_or_default();
        for unusual in &mut all {
            for (edge, counts) in &mut unusual.edges {
                let seen = view.births.iter().chain(&view.watched).find(|seen| seen.edge == *edge);
                *counts = seen.map_or(*counts, |seen| seen.counts);
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
        Explainer { network: self.network, states: self.states, window: self.window }
    }
}

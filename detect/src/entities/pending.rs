//! The open window: judges first contacts as they come, so that what is unusual by itself is raised within a flow and not
//! at the window's close. Only answered contacts are judged here; those in vain wait for the close or for the floor of
//! [`super::scan`].

use super::chain::Chains;
use super::outlook::Outlook;
use super::scan::Floor;
use super::states::EntityStates;
use super::unit::combined;
use super::{JudgedBirth, View, destination};
use crate::explain::Explainer;
use crate::finding::Unusual;
use crate::network::Network;
use crate::report::{Birth, DetectorName};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
        if is_new && birth.counts.answered > 0 && known.settings.destination.is_enabled {
            raised.extend(self.judge(known, birth));
        }
        for unusual in &raised {
            self.raised.entry(unusual.source).or_default().push(unusual.clone());
        }
        raised
    }

    fn judge(&mut self, known: Known<'_>, birth: Birth) -> Option<Unusual> {
        let Known { states, outlook, settings, .. } = known;
        let edge = birth.edge;
        if !self.has_ways {
            self.ways = known.chains.clone();
            self.has_ways = true;
        }
        let expected = outlook.expectation(states, edge.source, &settings.destination);
        let marked = outlook.mark(states, edge, true, expected);
        let mut judged = JudgedBirth { birth, marked, chain: None };
        judged.chain = self.ways.follow(edge, birth.counts.first, judged.evidence(), true);
        let births = self.births.entry(edge.source).or_default();
        births.push(judged);
        let is_raised = |unusual: &Unusual| unusual.behaviour != DetectorName::Scan;
        let is_known = self.raised.get(&edge.source).is_some_and(|raised| raised.iter().any(is_raised));
        if is_known || births.len() > CONTACTS_MAX {
            return None;
        }
        let mut marks: Vec<_> = births.iter().map(|birth| birth.marked).collect();
        marks.sort_by(|one, other| one.mark.total_cmp(&other.mark));
        let mut signals = vec![(DetectorName::Destination, destination::p_of_births(&marks, expected))];
        let chained = births.iter().filter_map(|birth| Some((birth, birth.chain.as_ref()?)));
        let strongest = chained.min_by(|(_, one), (_, other)| one.p_value.total_cmp(&other.p_value));
        signals.extend(strongest.map(|(_, chain)| (DetectorName::Chain, chain.p_value)));
        let (p_value, risk_score) = combined(&signals, settings);
        if p_value >= settings.p_value_max {
            return None;
        }
        let explainer = known.explainer();
        let leads_chain = signals.get(1).is_some_and(|&(_, chain)| chain < signals[0].1);
        let mut lines = Vec::new();
        lines.extend(strongest.map(|(birth, chain)| explainer.chain(birth, chain)));
        let mut by_mark: Vec<&JudgedBirth> = births.iter().collect();
        by_mark.sort_by(|one, other| one.marked.mark.total_cmp(&other.marked.mark));
        lines.extend(by_mark.iter().map(|birth| explainer.birth(birth)));
        lines.truncate(settings.observations_max);
        Some(Unusual {
            behaviour: if leads_chain { DetectorName::Chain } else { DetectorName::Destination },
            p_value,
            risk_score,
            signals: signals.len(),
            edges: births.iter().map(|birth| (birth.birth.edge, birth.birth.counts)).collect(),
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
        match (all.first_mut(), at_close) {
            (Some(first), Some(at_close)) => first.absorb(at_close),
            (None, Some(at_close)) => all.push(at_close),
            (_, None) => (),
        }
        all
    }
}

impl<'a> Known<'a> {
    fn explainer(self) -> Explainer<'a> {
        Explainer { network: self.network, states: self.states, window: self.window }
    }
}

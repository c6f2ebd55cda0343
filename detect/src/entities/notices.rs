//! What cannot wait for a window's close: takes notices in as they come, of any window that is not closed yet, and says what
//! is raised at once; and, before the close, the same again in the order of time. Knows no formula of a detector.

use super::pending::{self, Pending};
use super::{EntityLevel, View, WindowAt};
use crate::breach;
use crate::decision::Spender;
use crate::finding::Unusual;
use crate::network::Edge;
use crate::report::{Birth, Contact, Contacted, EdgeCounts, Notice, Report};
use tradewind_model::Finding;
use tradewind_model::time::SECOND;

/// Windows ahead of the last close that are judged as flows come; those beyond wait for their close.
const PENDING_MAX: usize = 1024;

/// What was told of a window, and what would have been in the order of time.
#[derive(Debug, Default)]
pub struct Settled {
    /// Ids of the findings that were told.
    pub told: Vec<String>,
    /// The findings that flows in the order of time raise at once. The close raises most of them again.
    pub findings: Vec<Finding>,
}

impl EntityLevel {
    /// Takes in what could not wait, of a window that is not closed yet, and returns what is to be raised at once. The close
    /// of the window updates it.
    pub fn notice(&mut self, notice: Notice, at: &WindowAt) -> Vec<Finding> {
        if self.pending.len() >= PENDING_MAX && !self.pending.contains_key(&at.index) {
            return Vec::new();
        }
        self.network.set_foretelling(true);
        let findings = match notice {
            Notice::Breach { contact, rule } if self.settings.policy.is_enabled => {
                let edge = self.edge_of(&contact);
                self.breached(edge, &contact.counts, &rule, at).into_iter().collect()
            }
            Notice::Contact(contact) => {
                let edge = self.edge_of(&contact);
                self.contacted(Contacted { edge, is_new: contact.is_new, counts: contact.counts }, at)
            }
            Notice::Breach { .. } => Vec::new(),
        };
        self.network.set_foretelling(false);
        findings
    }

    fn edge_of(&mut self, contact: &Contact) -> Edge {
        let mut entity = |(name, kind): &(String, _)| self.network.foretell(name, *kind);
        Edge { source: entity(&contact.source), destination: entity(&contact.destination), port: contact.port }
    }

    fn breached(&mut self, edge: Edge, counts: &EdgeCounts, rule: &str, at: &WindowAt) -> Option<Finding> {
        let mut breached = breach::unusual(&self.network, edge, counts, rule);
        let pending = self.pending.entry(at.index).or_default();
        if !pending.is_first_of(&mut breached, &self.findings) {
            return None;
        }
        self.tell(breached, at)
    }

    fn contacted(&mut self, contacted: Contacted, at: &WindowAt) -> Vec<Finding> {
        if at.is_training || self.is_starting(at) {
            return Vec::new();
        }
        let Contacted { edge, is_new, counts } = contacted;
        let mut pending = self.pending.remove(&at.index).unwrap_or_default();
        let outlook = pending.take_outlook().unwrap_or_else(|| self.outlook(at));
        let share = self.share_of_peers(edge);
        // Windows before this one that are not closed either know more than the last close.
        let mut before = self.pending.range(..at.index).rev().map(|(_, pending)| pending);
        let known = pending::Known {
            states: &self.states,
            share,
            mediated: &self.mediated,
            chains: before.clone().find_map(Pending::ways).unwrap_or(&self.chains),
            floor: before.find_map(Pending::floor).unwrap_or(&self.floor),
            outlook: &outlook,
            network: &self.network,
            decision: &self.decision,
            settings: &self.settings,
            window: &View::new(at.index, self.length(), at.age, false),
        };
        let raised = pending.contact(known, Birth { edge, counts }, is_new);
        pending.keep_outlook(outlook);
        self.pending.insert(at.index, pending);
        raised.into_iter().filter_map(|unusual| self.tell(unusual, at)).collect()
    }

    /// The finding of what cannot wait, where neither an open finding nor one that was told of an earlier window, which the
    /// close of that window will open, is about the same.
    fn tell(&mut self, unusual: Unusual, at: &WindowAt) -> Option<Finding> {
        let window = View::new(at.index, self.length(), at.age, false);
        let topic = pending::topic(&unusual);
        let cool_down = self.settings.cool_down_s.saturating_mul(SECOND);
        let first = window.start.saturating_sub(cool_down).div_euclid(window.length).saturating_sub(1);
        if self.pending.range(first..at.index).any(|(_, pending)| pending.has_told(&topic)) {
            return None;
        }
        let finding = {
            // Not those of later windows: what came early must not count against what came first.
            let others = self.pending.range(..=at.index).flat_map(|(_, pending)| pending.told());
            let others: Vec<Spender> = others.map(|entity| Spender::new(entity, self.network.kind(entity))).collect();
            let by = (&self.decision, others.as_slice());
            self.findings.raise_at_once(&window, (&self.network, &self.daily), unusual, &self.settings, by)?
        };
        self.pending.entry(at.index).or_default().tell(topic, finding.finding_id.clone());
        Some(finding)
    }

    /// Judges again, in the order of time, what was told of a window in any other, before its close: what the close makes
    /// of it then depends on the reports alone.
    pub fn settle(&mut self, at: &WindowAt, reports: &[Report]) -> Settled {
        let told = self.pending.remove(&at.index).map(Pending::into_told).unwrap_or_default();
        let mut contacts = Vec::new();
        for report in reports {
            let entities = report.entities.iter();
            let numbers: Vec<u32> = entities.map(|(name, kind)| self.network.entity_of_kind(name, *kind)).collect();
            contacts.extend(report.contacts.iter().map(|&contact| {
                let [source, destination] =
                    [contact.edge.source, contact.edge.destination].map(|entity| numbers[entity as usize]);
                Contacted { edge: Edge { source, destination, port: contact.edge.port }, ..contact }
            }));
        }
        contacts.sort_by(|one, other| {
            let time = one.counts.first.cmp(&other.counts.first);
            let edge = || self.network.compare(&one.edge, &other.edge);
            time.then_with(edge).then_with(|| one.counts.cmp(&other.counts))
        });
        // Nothing of earlier windows is left to wait for.
        self.pending = self.pending.split_off(&at.index);
        let findings = contacts.into_iter().flat_map(|contact| self.contacted(contact, at)).collect();
        Settled { told, findings }
    }
}

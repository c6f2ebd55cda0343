//! What follows from a decision: incidents, and what units are usual; and what people say of findings. Decides nothing.

use super::unit::Signals;
use super::{EntityLevel, View};
use crate::decision::{Control, Decided, Incident, Suppression, Topic, Weighed};
use std::collections::BTreeMap;
use tradewind_model::Finding;
use tradewind_model::entity::EntityKind;

impl EntityLevel {
    /// After the decision: puts what was told into incidents, and learns what units are usual.
    pub(super) fn conclude(
        &mut self,
        view: &View,
        told: &[(Finding, Topic)],
        tested: &[(u32, Signals, Weighed)],
        reached: &[(u32, Weighed)],
    ) -> Vec<Incident> {
        let end = view.start.saturating_add(view.length);
        let mut incidents: BTreeMap<String, Incident> = BTreeMap::new();
        for (finding, topic) in told {
            let incident = self.decision.told(finding, topic.clone(), end, &self.settings.decision);
            incidents.insert(incident.incident_id.clone(), incident);
        }
        for (entity, signals, weighed) in tested {
            if !self.findings.is_about(*entity, view) {
                self.decision.learn(self.network.kind(*entity), signals, weighed);
            }
        }
        let usual = reached.iter().filter(|(entity, _)| !self.findings.is_about(*entity, view));
        usual.for_each(|(_, weighed)| self.decision.learn_inflow(weighed));
        let kinds = [EntityKind::Service, EntityKind::Agent, EntityKind::Host];
        let entities = kinds.into_iter().map(|kind| self.states.sources_of(kind)).sum();
        let over = self.decision.close(end, entities, &self.settings.decision);
        incidents.into_values().chain(over).collect()
    }

    /// The incident of a finding that is told before its window ends, so that nobody waits for the end to hear of it.
    pub fn told_early(&mut self, finding: &Finding) -> Incident {
        self.decision.told_early(finding, &self.settings.decision)
    }

    /// A finding that was told early is none after all: the incident that it was of.
    pub fn withdraw(&mut self, finding_id: &str, time: i64) -> Option<Incident> {
        self.decision.withdraw(finding_id, time)
    }

    /// Takes in what a person, or a file that was reviewed, says of findings, by the state of the last close. Incidents that
    /// end by it, or are in somebody's hands now. What is said of a finding that is not remembered changes nothing.
    pub fn control(&mut self, control: Control, time: i64) -> Vec<Incident> {
        if let Control::Acknowledge { finding_id } = &control {
            return self.decision.acknowledge(finding_id).into_iter().collect();
        }
        let is_accepted = matches!(control, Control::Accept { .. });
        let revoked = control.revoked().map(str::to_owned);
        let Some((topic, incident)) = self.decision.control(control, time) else { return Vec::new() };
        if let Some(finding_id) = revoked {
            self.findings.revoke(&topic, &finding_id, &self.network);
        } else if is_accepted {
            // What was held back from learning is learnt: here by the next close, at the edges with its feedback.
            self.accepted.extend(self.findings.edges_of(&topic));
            self.findings.accept(&topic);
            let answers = self.withheld.accept(topic.entity);
            self.states.learn_votes(&answers);
        } else {
            self.findings.dismiss(&topic);
        }
        incident.into_iter().collect()
    }

    /// Suppressions that hold.
    #[must_use]
    pub fn suppressions(&self) -> &[Suppression] {
        self.decision.suppressions()
    }

    /// How many findings were decided about, and how.
    #[must_use]
    pub const fn decided(&self) -> Decided {
        self.decision.decided()
    }
}

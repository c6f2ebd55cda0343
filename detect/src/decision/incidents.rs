//! Incidents: findings that belong together, over time and entities. A finding joins an open incident that shares its
//! entity, whose way it goes on (it comes from where the incident led to), or that reached for the same destinations.
//!
//! An incident is a view of findings that were told. It tells nobody anything by itself, and changes no finding.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::{Finding, Incident, IncidentState};

/// Entities and destinations that an incident knows at most.
const MEMBERS_MAX: usize = 256;
/// Open incidents at most after a window; the one that is longest quiet ends first.
const OPEN_MAX: usize = 4096;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    incident: Incident,
    /// Destinations its findings reached for.
    destinations: BTreeSet<(String, Option<i32>)>,
    /// Flows by finding.
    flows: BTreeMap<String, i64>,
    dismissed: BTreeSet<String>,
}

/// All incidents that are open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Incidents {
    open: Vec<Open>,
}

impl Incidents {
    /// A finding was told, or changed, in a window with this end. The incident it belongs to. One to which nothing was added for
    /// `quiet` microseconds before the finding is over, also where the windows between are still to come.
    pub(crate) fn take(&mut self, finding: &Finding, time: i64, quiet: i64) -> Incident {
        let known = self.open.iter().position(|open| open.flows.contains_key(&finding.finding_id));
        let goes_on = |open: &Open| !open.is_over(finding.time, quiet) && open.is_joined_by(finding);
        let place = known.or_else(|| self.open.iter().position(goes_on)).unwrap_or_else(|| {
            self.open.push(Open::new(finding));
            self.open.len() - 1
        });
        self.open[place].add(finding, time);
        self.open[place].incident.clone()
    }

    /// Ends what nothing was added to for so long, microseconds, and what is over the number of open ones.
    pub(crate) fn resolve(&mut self, time: i64, quiet: i64) -> Vec<Incident> {
        let mut over: Vec<Open> = self.open.extract_if(.., |open| open.is_over(time, quiet)).collect();
        while self.open.len() > OPEN_MAX {
            let quietest = (0..self.open.len()).min_by_key(|&place| self.open[place].incident.updated);
            over.extend(quietest.map(|place| self.open.remove(place)));
        }
        let resolved = |open: Open| Incident { state: IncidentState::Resolved, resolved: Some(time), ..open.incident };
        over.into_iter().map(resolved).collect()
    }

    /// A finding that was told early is none after all: it leaves its incident, which is over where it has no other.
    pub(crate) fn withdraw(&mut self, finding_id: &str, time: i64) -> Option<Incident> {
        let place = self.open.iter().position(|open| open.flows.contains_key(finding_id))?;
        let open = &mut self.open[place];
        if open.flows.len() == 1 {
            let incident = self.open.remove(place).incident;
            return Some(Incident { state: IncidentState::Resolved, resolved: Some(time), ..incident });
        }
        let flows = open.flows.remove(finding_id).unwrap_or_default();
        open.dismissed.remove(finding_id);
        open.incident.findings.retain(|known| known != finding_id);
        open.incident.flow_count -= flows;
        Some(open.incident.clone())
    }

    /// A person dismissed or accepted a finding: the incident ends when that is true of all its findings.
    pub(crate) fn dismiss(&mut self, finding_id: &str, time: i64) -> Option<Incident> {
        let place = self.open.iter().position(|open| open.flows.contains_key(finding_id))?;
        let open = &mut self.open[place];
        open.dismissed.insert(finding_id.to_owned());
        if open.dismissed.len() < open.flows.len() {
            return None;
        }
        let incident = self.open.remove(place).incident;
        Some(Incident { state: IncidentState::Dismissed, resolved: Some(time), ..incident })
    }

    /// A person says that somebody looks after a finding: its incident, where it was nobody's business before.
    pub(crate) fn acknowledge(&mut self, finding_id: &str) -> Option<Incident> {
        let open = self.open.iter_mut().find(|open| open.flows.contains_key(finding_id))?;
        let before = std::mem::replace(&mut open.incident.state, IncidentState::Acknowledged);
        (before != IncidentState::Acknowledged).then(|| open.incident.clone())
    }

    /// A person takes back what was said of a finding. An incident that ended by it stays ended; what is told of the finding
    /// from now on opens it again.
    pub(crate) fn revoke(&mut self, finding_id: &str) {
        for open in &mut self.open {
            open.dismissed.remove(finding_id);
        }
    }
}

impl Open {
    fn new(finding: &Finding) -> Self {
        let hash = blake3::hash(format!("incident {}", finding.finding_id).as_bytes());
        Self {
            incident: Incident {
                incident_id: hash.to_hex().as_str()[..32].to_owned(),
                state: IncidentState::Open,
                opened: finding.time,
                updated: finding.time,
                resolved: None,
                severity: finding.severity,
                title: finding.title.clone(),
                findings: Vec::new(),
                entities: BTreeSet::new(),
                flow_count: 0,
            },
            destinations: BTreeSet::new(),
            flows: BTreeMap::new(),
            dismissed: BTreeSet::new(),
        }
    }

    /// Whether nothing was added for so long.
    fn is_over(&self, time: i64, quiet: i64) -> bool {
        self.incident.updated.saturating_add(quiet) <= time
    }

    /// Whether an entity acted in it or was reached.
    fn knows(&self, entity: &str) -> bool {
        self.incident.entities.contains(entity) || self.destinations.iter().any(|(reached, _)| reached == entity)
    }

    fn is_joined_by(&self, finding: &Finding) -> bool {
        let acted = |entity: &String| self.incident.entities.contains(entity);
        if self.knows(&finding.entity) {
            return true;
        }
        // Of a chain all that came before it is named; what only reaches for the same must be the same port, too.
        let is_chain = |detector: &str| matches!(detector, "chain" | "protocol");
        finding.observations.iter().any(|seen| {
            (is_chain(&seen.detector) && acted(&seen.src_entity))
                || self.destinations.contains(&(seen.dst_entity.clone(), seen.dst_port))
        })
    }

    fn add(&mut self, finding: &Finding, time: i64) {
        let incident = &mut self.incident;
        incident.updated = incident.updated.max(time).max(finding.time);
        if finding.severity > incident.severity {
            incident.severity = finding.severity;
            incident.title.clone_from(&finding.title);
        }
        let known = self.flows.insert(finding.finding_id.clone(), finding.flow_count);
        if known.is_none() {
            incident.findings.push(finding.finding_id.clone());
        }
        incident.flow_count = incident.flow_count - known.unwrap_or(0) + finding.flow_count;
        if incident.entities.len() < MEMBERS_MAX {
            incident.entities.insert(finding.entity.clone());
        }
        for seen in &finding.observations {
            // Who wrote what set a chain off takes part in it.
            if seen.detector == "protocol" && incident.entities.len() < MEMBERS_MAX {
                incident.entities.insert(seen.src_entity.clone());
            }
            if self.destinations.len() < MEMBERS_MAX {
                self.destinations.insert((seen.dst_entity.clone(), seen.dst_port));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tradewind_model::Severity;

    const QUIET: i64 = 100;

    fn finding(id: &str, entity: &str, time: i64) -> Finding {
        Finding {
            finding_id: id.to_owned(),
            time,
            first_seen: time,
            last_seen: time,
            entity: entity.to_owned(),
            entity_kind: "service".to_owned(),
            behaviour: "scan".to_owned(),
            severity: Severity::Medium,
            title: id.to_owned(),
            observed: String::new(),
            expected: String::new(),
            baseline_since: 0,
            flow_count: 1,
            window_count: 1,
            p_value: 1e-6,
            risk_score: 6.0,
            technique: String::new(),
            uncertain: String::new(),
            evidence_query: String::new(),
            observations: Vec::new(),
            detector_version: 1,
        }
    }

    #[test]
    fn a_finding_told_early_does_not_join_what_is_over_by_its_time() {
        let mut incidents = Incidents::default();
        let first = incidents.take(&finding("a", "x", 10), 20, QUIET);
        let joined = incidents.take(&finding("b", "x", 119), 119, QUIET);
        assert_eq!(joined.incident_id, first.incident_id);
        // No window ended between: nothing was resolved so far.
        let other = incidents.take(&finding("c", "x", 119 + QUIET), 119 + QUIET, QUIET);
        assert_ne!(other.incident_id, first.incident_id);
        let over = incidents.resolve(119 + QUIET, QUIET);
        assert_eq!(over.iter().map(|over| &over.incident_id).collect::<Vec<_>>(), [&first.incident_id]);
        assert_eq!(over[0].state, IncidentState::Resolved);
    }

    #[test]
    fn what_is_over_the_number_of_open_ones_is_told_as_ended() {
        let mut incidents = Incidents::default();
        for number in 0..=OPEN_MAX {
            let time = i64::try_from(number).unwrap();
            incidents.take(&finding(&format!("f{number}"), &format!("e{number}"), time), time, i64::MAX);
        }
        let over = incidents.resolve(0, i64::MAX);
        assert_eq!(over.iter().map(|over| over.findings[0].as_str()).collect::<Vec<_>>(), ["f0"]);
        assert!(incidents.resolve(0, i64::MAX).is_empty());
    }

    #[test]
    fn a_withdrawn_finding_leaves_its_incident() {
        let mut incidents = Incidents::default();
        incidents.take(&finding("a", "x", 1), 1, QUIET);
        incidents.take(&finding("b", "x", 2), 2, QUIET);
        let rest = incidents.withdraw("a", 3).unwrap();
        assert_eq!(
            (rest.state, rest.findings.as_slice(), rest.flow_count),
            (IncidentState::Open, ["b".to_owned()].as_slice(), 1)
        );
        let over = incidents.withdraw("b", 4).unwrap();
        assert_eq!((over.state, over.resolved), (IncidentState::Resolved, Some(4)));
        assert!(incidents.withdraw("b", 5).is_none());
    }
}

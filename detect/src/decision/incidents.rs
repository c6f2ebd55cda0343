//! Incidents: findings that belong together, over time and entities. A finding joins an open incident that shares its
//! entity, whose way it goes on (it comes from where the incident led to), or that reached for the same destinations.
//!
//! An incident is a view of findings that were told. It tells nobody anything by itself, and changes no finding.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::{Finding, Incident, IncidentState};

/// Entities and destinations that an incident knows at most.
const MEMBERS_MAX: usize = 256;
/// Open incidents at most; the one that is longest quiet ends first.
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
    /// A finding was told, or changed, in a window with this end. The incident it belongs to.
    pub(crate) fn take(&mut self, finding: &Finding, time: i64) -> Incident {
        let known = self.open.iter().position(|open| open.flows.contains_key(&finding.finding_id));
        let place = known.or_else(|| self.open.iter().position(|open| open.is_joined_by(finding)));
        let place = place.unwrap_or_else(|| {
            if self.open.len() >= OPEN_MAX {
                let quiet = (0..self.open.len()).min_by_key(|&place| self.open[place].incident.updated);
                quiet.map(|quiet| self.open.remove(quiet));
            }
            self.open.push(Open::new(finding));
            self.open.len() - 1
        });
        self.open[place].add(finding, time);
        self.open[place].incident.clone()
    }

    /// Ends what nothing was added to for so long, microseconds.
    pub(crate) fn resolve(&mut self, time: i64, quiet: i64) -> Vec<Incident> {
        let is_over = |open: &mut Open| open.incident.updated.saturating_add(quiet) <= time;
        let over = self.open.extract_if(.., is_over);
        over.map(|open| Incident { state: IncidentState::Resolved, resolved: Some(time), ..open.incident }).collect()
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

//! Incidents: findings that belong together, as they are told and stored. What puts them together is in `detect`.

use crate::finding::Severity;
use crate::outcome::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// It goes on.
    Open,
    /// Nothing was added for some time.
    Resolved,
    /// A person dismissed or accepted all its findings.
    Dismissed,
    /// It goes on, and a person said that somebody looks after it. Last, since snapshots know states by their place.
    Acknowledged,
}

words!(IncidentState {
    Open => "open", Resolved => "resolved", Dismissed => "dismissed", Acknowledged => "acknowledged",
});

impl IncidentState {
    /// Whether nothing will be added to it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Resolved | Self::Dismissed)
    }
}

/// Findings that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Hash of its first finding's id: a replay makes the same.
    pub incident_id: String,
    /// Where it stands.
    pub state: IncidentState,
    /// When its first finding was decided, microseconds UTC.
    pub opened: i64,
    /// When something was added last, microseconds UTC.
    pub updated: i64,
    /// When it ended, microseconds UTC.
    pub resolved: Option<i64>,
    /// The highest severity of its findings.
    pub severity: Severity,
    /// The title of the gravest of its findings.
    pub title: String,
    /// Ids of its findings, in the order in which they were told.
    pub findings: Vec<String>,
    /// Entities that acted, at most 256.
    pub entities: BTreeSet<String>,
    /// Flows that its findings cover.
    pub flow_count: i64,
}

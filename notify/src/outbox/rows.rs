//! What the rows of the outbox hold. All are JSON: few, looked at by people now and then, and readable by the next version.

use crate::alert::{Alert, Heartbeat};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use tradewind_model::{Finding, Incident};

/// A finding as it was told last.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FindingRow {
    pub(super) recorded_time: i64,
    pub(super) finding: Finding,
}

/// An incident as it was told last.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IncidentRow {
    pub(super) recorded_time: i64,
    pub(super) incident: Incident,
    /// Since when it waits for findings that it names, microseconds UTC; none: it has gone out as it is.
    pub(super) waits_since: Option<i64>,
    /// Findings that it names and that have not gone out with it.
    pub(super) pending: Vec<String>,
    /// The gravest of those that have.
    pub(super) gravest: Vec<String>,
    /// Number of the next alert of this state.
    pub(super) part: u32,
    /// While it waited it was open, and is over now: sinks hear of both.
    pub(super) is_unopened: bool,
}

impl IncidentRow {
    /// The incident as it is told now, after what is known of it.
    pub(super) fn after(known: Option<Self>, recorded_time: i64, incident: Incident, now: i64) -> Self {
        let Some(known) = known else {
            let pending = incident.findings.clone();
            let (waits_since, gravest) = (Some(now), Vec::new());
            return Self { recorded_time, incident, waits_since, pending, gravest, part: 0, is_unopened: false };
        };
        let released: HashSet<&String> = known.incident.findings.iter().collect();
        let pending: HashSet<&String> = known.pending.iter().collect();
        let is_pending = |id: &&String| pending.contains(id) || !released.contains(id);
        let pending = incident.findings.iter().filter(is_pending).cloned().collect();
        let named: HashSet<&String> = incident.findings.iter().collect();
        let gravest = known.gravest.iter().filter(|id| named.contains(id)).cloned().collect();
        let was_open = known.is_unopened || !known.incident.state.is_over();
        let is_unopened = known.waits_since.is_some() && was_open;
        // What is over stays over: an end that still waits for its findings is told, whatever comes late meanwhile.
        let is_late = known.waits_since.is_some() && known.incident.state.is_over() && !incident.state.is_over();
        let incident = match is_late {
            true => Incident { state: known.incident.state, resolved: known.incident.resolved, ..incident },
            false => incident,
        };
        let waits_since = Some(known.waits_since.unwrap_or(now));
        Self { recorded_time, waits_since, pending, gravest, part: 0, is_unopened, incident }
    }
}

/// What waits for delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Content {
    /// An alert.
    Alert(Box<Alert>),
    /// A sign of life.
    Heartbeat(Heartbeat),
}

impl Content {
    /// The incident, whose order is kept.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Alert(alert) => Some(alert.key()),
            Self::Heartbeat(_) => None,
        }
    }
}

/// An entry of a sink's queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EntryRow {
    pub(super) content: Content,
    /// When it was put in, microseconds UTC.
    pub(super) queued: i64,
    /// Not to be delivered before, microseconds UTC.
    pub(super) due: i64,
    /// Whether it may go out in one message with others that may.
    pub(super) is_bundled: bool,
    /// Findings that nothing told this sink before.
    #[serde(default)]
    pub(super) owed: Vec<String>,
}

/// An incident that a sink knows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KnownRow {
    /// The last that was put into the queue.
    pub(super) alert: Alert,
    /// When, microseconds UTC.
    pub(super) queued: i64,
    /// Whether that was the end.
    pub(super) is_over: bool,
}

/// What a sink refused for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeadRow {
    pub(super) content: Content,
    /// What the other side said.
    pub(super) answer: String,
    /// When, microseconds UTC.
    pub(super) time: i64,
    /// Whether it is among the dead letters of the log.
    pub(super) is_told: bool,
}

/// What a sink did so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SinkRow {
    pub(super) delivered: u64,
    pub(super) refused: u64,
    pub(super) last_delivered: Option<i64>,
    pub(super) last_heartbeat: Option<i64>,
    pub(super) last_error: Option<String>,
    pub(super) last_error_time: Option<i64>,
}

//! What is delivered: an incident as it stands, with its findings, and what is to happen with it at the other side. Knows no sink.

use serde::{Deserialize, Serialize};
use tradewind_model::{Finding, Incident, IncidentState, Severity};

/// Findings that an alert carries at most, the gravest first. All of them are in the lake.
pub const FINDINGS_MAX: usize = 20;

/// What is to happen at the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The first that this sink hears of the incident.
    Open,
    /// More about an incident that the sink knows.
    Update,
    /// A person said that somebody looks after the incident, which goes on.
    Acknowledge,
    /// The incident is over, or people said that it is none.
    Resolve,
}

impl Action {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
        }
    }
}

/// Why there is an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Something happened just now.
    #[default]
    Live,
    /// It was found in flows of long ago, as a replay does. Nobody is woken.
    Retrospective,
    /// Somebody tries whether a sink works.
    Test,
}

/// An incident on its way to one sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What is to happen.
    pub action: Action,
    /// Why.
    pub origin: Origin,
    /// When this state of it was written, microseconds UTC. Of two alerts of one incident the later one has the larger time.
    pub recorded_time: i64,
    /// Which one it is of the alerts of this state: where there are more new findings than one carries, others follow.
    #[serde(default)]
    pub part: u32,
    /// The incident.
    pub incident: Incident,
    /// Findings of it, the gravest and strongest first, at most [`FINDINGS_MAX`]: the gravest, and those that are new.
    pub findings: Vec<Finding>,
}

impl Alert {
    /// The key that stays the same from the first alert of an incident to the last: PagerDuty's `dedup_key` and its like.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.incident.incident_id
    }

    /// A key that is different for each state of the incident, and the same when this state is sent again.
    #[must_use]
    pub fn event_key(&self) -> String {
        let part = if self.part == 0 { String::new() } else { format!("-{}", self.part) };
        format!("{}-{}-{}{part}", self.incident.incident_id, self.recorded_time, self.action.as_str())
    }

    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.incident.severity
    }

    /// The finding that leads it.
    #[must_use]
    pub fn lead(&self) -> Option<&Finding> {
        self.findings.first()
    }

    /// Findings that it has but does not carry.
    #[must_use]
    pub fn more(&self) -> usize {
        self.incident.findings.len().saturating_sub(self.findings.len())
    }

    /// Whether a person dismissed or accepted all of it.
    #[must_use]
    pub const fn is_dismissed(&self) -> bool {
        matches!(self.incident.state, IncidentState::Dismissed)
    }

    /// Whether somebody looks after it.
    #[must_use]
    pub const fn is_acknowledged(&self) -> bool {
        matches!(self.incident.state, IncidentState::Acknowledged)
    }

    /// An alert that says that it is a test, for `tradewind notify test`.
    #[must_use]
    pub fn test(now: i64) -> Self {
        let finding_id = format!("{:032x}", now.unsigned_abs());
        let title = "TEST: Tradewind can reach you. Nothing happened.".to_owned();
        let entity = "test/tradewind".to_owned();
        Self {
            action: Action::Open,
            origin: Origin::Test,
            recorded_time: now,
            part: 0,
            incident: Incident {
                incident_id: format!("test-{finding_id}"),
                state: IncidentState::Open,
                opened: now,
                updated: now,
                resolved: None,
                severity: Severity::Informational,
                title: title.clone(),
                findings: vec![finding_id.clone()],
                entities: std::iter::once(entity.clone()).collect(),
                flow_count: 0,
            },
            findings: vec![Finding {
                finding_id,
                time: now,
                first_seen: now,
                last_seen: now,
                entity,
                entity_kind: "service".to_owned(),
                behaviour: "test".to_owned(),
                severity: Severity::Informational,
                title,
                observed: "somebody asked for a test of this sink".to_owned(),
                expected: "that this message arrives".to_owned(),
                baseline_since: now,
                flow_count: 0,
                window_count: 0,
                p_value: 1.0,
                risk_score: 0.0,
                technique: String::new(),
                uncertain: String::new(),
                evidence_query: "SELECT 1".to_owned(),
                observations: Vec::new(),
                detector_version: 0,
            }],
        }
    }

    /// The same, with the end of the incident: what takes a test back.
    #[must_use]
    pub fn resolved(mut self, now: i64) -> Self {
        self.action = Action::Resolve;
        self.recorded_time = now;
        self.incident.state = IncidentState::Resolved;
        self.incident.updated = now;
        self.incident.resolved = Some(now);
        self
    }
}

/// Says that the detector is alive, so that silence is not mistaken for peace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When, microseconds UTC.
    pub time: i64,
    /// What does not work, by stage; empty: all does.
    pub causes: Vec<String>,
    /// Incidents that this sink knows and that go on.
    pub open_incidents: u64,
}

/// One thing that a sink delivers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Message {
    /// One alert.
    Alert(Box<Alert>),
    /// Several alerts in one message, in the order in which they came.
    Digest(Vec<Alert>),
    /// A sign of life.
    Heartbeat(Heartbeat),
}

impl Message {
    /// The alerts in it.
    #[must_use]
    pub fn alerts(&self) -> &[Alert] {
        match self {
            Self::Alert(alert) => std::slice::from_ref(alert),
            Self::Digest(alerts) => alerts,
            Self::Heartbeat(_) => &[],
        }
    }

    /// A key that is the same when the message is sent again, and no other message has: for idempotency.
    #[must_use]
    pub fn event_key(&self) -> String {
        match self {
            Self::Alert(alert) => alert.event_key(),
            Self::Digest(alerts) => {
                let keys: Vec<String> = alerts.iter().map(Alert::event_key).collect();
                format!("digest-{}", blake3::hash(keys.join("\n").as_bytes()).to_hex())
            }
            Self::Heartbeat(heartbeat) => format!("heartbeat-{}", heartbeat.time),
        }
    }
}

//! How deliveries stand, for people and metrics.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How all of it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// When this was so, microseconds UTC.
    pub time: i64,
    /// Findings that are remembered.
    pub findings: u64,
    /// Incidents that are remembered.
    pub incidents: u64,
    /// Sinks by name.
    pub sinks: BTreeMap<String, SinkStatus>,
}

/// How one sink stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// What it is, such as `pagerduty`; none for one that the settings no longer have.
    pub kind: Option<String>,
    /// Messages that wait.
    pub waiting: u64,
    /// Since when the oldest of them does, microseconds UTC.
    pub oldest: Option<i64>,
    /// Messages that were delivered.
    pub delivered: u64,
    /// Messages that the other side refused for good.
    pub refused: u64,
    /// Of those, how many are kept and can be replayed.
    pub dead: u64,
    /// When the last one was delivered, microseconds UTC.
    pub last_delivered: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When, microseconds UTC.
    pub last_error_time: Option<i64>,
}

/// A message that a sink refused for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The sink.
    pub sink: String,
    /// Its number in the outbox.
    pub number: u64,
    /// When it was refused, microseconds UTC.
    pub time: i64,
    /// What the other side said.
    pub answer: String,
    /// What was to be delivered, as JSON.
    pub content: String,
}

//! Findings: signals combined, explained and decided to be worth a person's attention.

use crate::outcome::words;
use serde::{Deserialize, Serialize};

/// How much a finding matters (OCSF `severity_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record.
    Informational,
    /// Look when there is time.
    Low,
    /// Look today.
    Medium,
    /// Look now.
    High,
    /// Wake somebody.
    Critical,
}

words!(Severity {
    Informational => "informational", Low => "low", Medium => "medium", High => "high", Critical => "critical",
});

/// One thing that was observed against what was expected: a line of a finding's evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The detector that measured it.
    pub detector: String,
    /// Source entity of the edge.
    pub src_entity: String,
    /// Destination entity of the edge.
    pub dst_entity: String,
    /// Destination port, where the log has one.
    pub dst_port: Option<i32>,
    /// What was seen, in words and numbers.
    pub observed: String,
    /// What would have been usual, in words and numbers.
    pub expected: String,
    /// Probability of something at least this unusual if nothing had changed.
    pub p_value: f64,
}

/// A finding: what a person is told. Its id is a hash of what it means, so that a replay makes the same id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Hash of entity, behaviour and first window.
    pub finding_id: String,
    /// When it was decided, in event time: the close of its window. Microseconds UTC.
    pub time: i64,
    /// Start of the first window it covers. Microseconds UTC.
    pub first_seen: i64,
    /// Time of the last flow it covers. Microseconds UTC.
    pub last_seen: i64,
    /// The entity that behaves unusually.
    pub entity: String,
    /// Kind of that entity.
    pub entity_kind: String,
    /// What kind of deviation leads it: the detector with the lowest p-value.
    pub behaviour: String,
    /// How much it matters.
    pub severity: Severity,
    /// One line for a page.
    pub title: String,
    /// What was seen, in a sentence or two.
    pub observed: String,
    /// What was expected.
    pub expected: String,
    /// Since when the baseline exists. Microseconds UTC.
    pub baseline_since: i64,
    /// How many flows it covers.
    pub flow_count: i64,
    /// How many windows it covers; grows while the behaviour goes on within the cool-down.
    pub window_count: i64,
    /// Combined p-value of its strongest window.
    pub p_value: f64,
    /// Sum of -log10 p over signals, each capped at 6: orders findings.
    pub risk_score: f64,
    /// MITRE ATT&CK technique id.
    pub technique: String,
    /// What is not certain: young baseline, unknown entity, unknown direction.
    pub uncertain: String,
    /// SQL that shows the flows.
    pub evidence_query: String,
    /// The observations behind it, strongest first.
    pub observations: Vec<Observation>,
    /// Version of the detector settings and code that made it.
    pub detector_version: i32,
}

//! What a finding was made of: with it the finding can be made again from the lake. Not what it says.

use serde::{Deserialize, Serialize};

/// The program's word for a finding of `tradewind detect`.
pub const MADE_BY_DETECT: &str = "detect";
/// The program's word for a finding of `tradewind run`.
pub const MADE_BY_RUN: &str = "run";

/// What a finding was made of. What is not known is none, as for rows of before these columns existed.
///
/// Entities are not here: the stored flows carry them, so the version of table `flows` names them, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Version of table `flows` that was replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows_version: Option<i64>,
    /// Settings of detection that differ from the defaults of the finding's `detector_version`, as compact JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Hash of all settings of detection, the defaults included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings_hash: Option<String>,
    /// Until then everything was learnt and nothing raised. Microseconds UTC; none: there was no such time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_until: Option<i64>,
    /// Flows that end at this time or later were judged. Microseconds UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_from: Option<i64>,
    /// Flows that end before this time were judged. Microseconds UTC; none: all that came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_to: Option<i64>,
    /// What made it: [`MADE_BY_DETECT`] or [`MADE_BY_RUN`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
}

impl Provenance {
    /// Whether nothing is known: the row is older than these columns.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

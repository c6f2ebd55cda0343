//! Settings of the detectors that look beyond one window: sections that say little more than whether they run.

use serde::{Deserialize, Serialize};

/// Settings of the detector of data that leaves or is gathered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExfiltrationSettings {
    /// Whether it runs. Default true.
    pub is_enabled: bool,
}

/// Settings of the detector of periodic contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BeaconSettings {
    /// Whether it runs. Default false: it earned nothing on labelled flows.
    pub is_enabled: bool,
    /// Days after its first contact in which an edge is watched. Default 7.
    pub days: u32,
    /// Edges watched at most in each of 1,024 parts of the network. Default 64.
    pub edges_max: usize,
}

/// Settings of the detector of slow drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSettings {
    /// Whether it runs. Default false: it earned nothing on labelled flows.
    pub is_enabled: bool,
    /// Days that an edge must have been active before it is judged. Default 7.
    pub days_min: u32,
    /// After so many days of drift in a row the new level is learnt. Default 7.
    pub held_days_max: u32,
}

/// Settings of the detector of slow scans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlowScanSettings {
    /// Whether it runs. Default false: it earned nothing on labelled flows.
    pub is_enabled: bool,
}

/// Settings of the detector of contacts to addresses where nobody is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DarkSettings {
    /// Whether it runs. Default false: it earned nothing on labelled flows.
    pub is_enabled: bool,
}

/// Settings of what is made of services that are being replaced: many of their clients fail at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSettings {
    /// Whether failures of such clients are not held against them, for an hour a day at most. Default true.
    pub is_enabled: bool,
}

impl Default for RolloutSettings {
    fn default() -> Self {
        Self { is_enabled: true }
    }
}

/// Settings of what chains go through: topics, tables, shares and the like that one entity writes and another reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediatedSettings {
    /// Whether chains go through them. Default true.
    pub is_enabled: bool,
}

impl Default for MediatedSettings {
    fn default() -> Self {
        Self { is_enabled: true }
    }
}

/// Settings of the detector of silence: services that nothing reaches any more, or that call nobody, though they always did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SilenceSettings {
    /// Whether it runs. It needs a week to know who is heard when, and a day more. Default true.
    pub is_enabled: bool,
}

impl Default for SilenceSettings {
    fn default() -> Self {
        Self { is_enabled: true }
    }
}

impl Default for ExfiltrationSettings {
    fn default() -> Self {
        Self { is_enabled: true }
    }
}

impl Default for BeaconSettings {
    fn default() -> Self {
        Self { is_enabled: false, days: 7, edges_max: 64 }
    }
}

impl Default for DriftSettings {
    fn default() -> Self {
        Self { is_enabled: false, days_min: 7, held_days_max: 7 }
    }
}

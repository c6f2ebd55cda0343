//! Settings of the decision: how many findings a person is told.

use crate::settings::SettingsError;
use serde::{Deserialize, Serialize};

/// What limits the number of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionMode {
    /// So many findings a day at most.
    Budget,
    /// So large a share of false findings, in the long run.
    FalseDiscoveryRate,
}

/// Settings of the decision layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionSettings {
    /// What limits findings: budget or false_discovery_rate. Default budget.
    pub mode: DecisionMode,
    /// Findings within 24 hours at most, for each hundred services, agents and hosts begun; breaches of the declared policy
    /// do not count, they are facts. Default 5.
    pub findings_per_day: u32,
    /// So many days' budget may be spent in the first day after a time of training, when a past is looked at: beyond the day's
    /// budget by findings whose evidence is a hundred times stronger (severe ones: ten times) than what the day asks for. 1
    /// makes the day's budget absolute there, too. Default 7.
    pub burst_days: u32,
    /// Share of the budget that harmless traffic may use up in the long run: sets the bar of evidence once the network's own
    /// scores are known. It counts units; those of one hour and entity are one finding, so that what is told is about half of
    /// it. Default 1.
    pub harmless_share: f64,
    /// Share of false findings among all, for the mode false_discovery_rate. Default 0.1.
    pub false_discovery_rate: f64,
    /// Windows of units of one kind before their p-values are recalibrated by what is usual for the kind. Default 2000.
    pub calibration_units_min: u32,
    /// After so many days what is usual has lost two thirds of its weight. Default 14.
    pub memory_days: u32,
    /// What an entity did on so many days is its habit, and told no more unless it becomes stronger. Default 3.
    pub habit_days: u32,
    /// An incident ends when nothing was added for so long, seconds. Default 7200.
    pub incident_quiet_s: i64,
}

impl Default for DecisionSettings {
    fn default() -> Self {
        Self {
            mode: DecisionMode::Budget,
            findings_per_day: 5,
            burst_days: 7,
            harmless_share: 1.0,
            false_discovery_rate: 0.1,
            calibration_units_min: 2000,
            memory_days: 14,
            habit_days: 3,
            incident_quiet_s: 7200,
        }
    }
}

impl DecisionSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn check(&self) -> Result<(), SettingsError> {
        const SHARE: &str = "above 0 and below 1";
        let is_share = |value: f64| value > 0.0 && value < 1.0;
        let whole = |key, value: u32, least: u32, most: u32, expected| {
            (key, f64::from(value), (least..=most).contains(&value), expected)
        };
        let rules = [
            whole("decision.findings_per_day", self.findings_per_day, 1, 10_000, "from 1 to 10000"),
            whole("decision.burst_days", self.burst_days, 1, 7, "from 1 to 7"),
            (
                "decision.harmless_share",
                self.harmless_share,
                self.harmless_share > 0.0 && self.harmless_share <= 1.0,
                "above 0 and at most 1",
            ),
            ("decision.false_discovery_rate", self.false_discovery_rate, is_share(self.false_discovery_rate), SHARE),
            whole("decision.calibration_units_min", self.calibration_units_min, 100, 1_000_000, "from 100 to 1000000"),
            whole("decision.memory_days", self.memory_days, 2, 365, "from 2 to 365"),
            whole("decision.habit_days", self.habit_days, 2, 14, "from 2 to 14"),
            (
                "decision.incident_quiet_s",
                self.incident_quiet_s as f64,
                (1..=31_536_000).contains(&self.incident_quiet_s),
                "from 1 to 31536000",
            ),
        ];
        match rules.into_iter().find(|(_, _, holds, _)| !holds) {
            Some((key, value, _, expected)) => Err(SettingsError { key, value: value.to_string(), expected }),
            None => Ok(()),
        }
    }
}

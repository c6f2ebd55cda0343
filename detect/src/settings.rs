//! Settings of the detectors: a plain section of the configuration, checked when the engine is made.

mod detectors;

pub use detectors::{
    BeaconSettings, DarkSettings, DriftSettings, ExfiltrationSettings, MediatedSettings, RolloutSettings,
    SilenceSettings, SlowScanSettings,
};

use crate::decision::DecisionSettings;
use serde::{Deserialize, Serialize};
use tradewind_model::Severity;

/// Settings of detection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Length of a window, seconds. Default 300.
    pub window_s: i64,
    /// Windows of a network before any finding is raised. Default 3.
    pub warm_up_windows: u64,
    /// A unit (entity, window) whose combined p-value is below this becomes a finding. Default 1e-5: where nothing has
    /// changed, 100 entities with 288 windows a day make one such window in three to four days.
    pub p_value_max: f64,
    /// A finding goes on, instead of a new one being raised, when the behaviour returns within this time, seconds.
    /// Default 3600.
    pub cool_down_s: i64,
    /// Findings below this severity are not raised: informational, low, medium, high or critical. Default low.
    pub severity_min: Severity,
    /// What one signal adds to the risk score at most, in units of -log10 p. Default 6.
    pub risk_cap: f64,
    /// Observations a finding carries at most. Default 10.
    pub observations_max: usize,
    /// Edges that a partition of the flows, or a replay, keeps with all that is usual for them: some 210 bytes each. Of those
    /// that were active least and longest ago a sketch remains. Default 1200000.
    pub edges_max: usize,
    /// Entities that are kept. Default 250000.
    pub entities_max: usize,
    /// Settings of what judges new edges: unusual destinations and ports, chains.
    pub destination: DestinationSettings,
    /// Settings of the detector of unusual volumes.
    pub volume: VolumeSettings,
    /// Settings of the detector of scans.
    pub scan: ScanSettings,
    /// Settings of the detector of policy breaches.
    pub policy: BreachSettings,
    /// Settings of the detector of data that leaves or is gathered.
    pub exfiltration: ExfiltrationSettings,
    /// Settings of the detector of periodic contact.
    pub beacon: BeaconSettings,
    /// Settings of the detector of slow drift.
    pub drift: DriftSettings,
    /// Settings of the detector of slow scans.
    pub slow_scan: SlowScanSettings,
    /// Settings of the detector of contacts to addresses where nobody is.
    pub dark: DarkSettings,
    /// Settings of the decision: how many findings a person is told.
    pub decision: DecisionSettings,
    /// Settings of the detector of unusual protocols, operations and resources.
    pub protocol: ProtocolSettings,
    /// Settings of the detector of changed identities.
    pub identity: IdentitySettings,
    /// Settings of what is made of services that are being replaced.
    pub rollout: RolloutSettings,
    /// Settings of chains through what one entity writes and another reads.
    pub mediated: MediatedSettings,
    /// Settings of the detector of silence.
    pub silence: SilenceSettings,
}

/// Settings of the detector of unusual protocols, operations and resources on known edges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProtocolSettings {
    /// Whether it runs. Default false.
    pub is_enabled: bool,
}

/// Settings of the detector of changed identities: another principal than an entity always proved, plaintext or one-sided
/// TLS where both ends always proved theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySettings {
    /// Whether it runs. Default true.
    pub is_enabled: bool,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self { is_enabled: true }
    }
}

/// Settings of the detector of unusual destinations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationSettings {
    /// Whether it runs. Default true.
    pub is_enabled: bool,
    /// Weight of the younger age's rate in the estimate of an age's rate, windows. Default 4.
    pub rate_prior: f64,
    /// Weight of the pooled rate in an entity's own rate of new destinations, births. Default 0.25.
    pub entity_prior: f64,
    /// Upper bound of the negative binomial's shape: lower means that births come in larger bursts. Default 3.
    pub shape_max: f64,
    /// New destinations of one entity and window that enter the rates at most, once the network is known. Default 3.
    pub births_learnt_max: u32,
    /// Whether a destination that several services or agents of the same namespace have is less of a surprise for another one.
    /// Default false.
    pub has_peers: bool,
}

/// Settings of the detector of unusual volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VolumeSettings {
    /// Whether it runs. Default true.
    pub is_enabled: bool,
    /// Weight of the past after one window, between 0 and 1. Default 0.95.
    pub forgetting: f64,
    /// Weighted windows an edge needs before it is judged. Default 2.8: three active windows.
    pub windows_min: f64,
    /// Upper bound of the degrees of freedom: lower means heavier tails. Default 10.
    pub freedom_max: f64,
    /// Weight of the pooled variance in an edge's own, windows. Default 2.
    pub variance_prior: f64,
    /// A window with a p-value below this is not learnt. Default 1e-3.
    pub learn_p_min: f64,
    /// After so many windows in a row that were not learnt the new level is learnt. Default 12.
    pub held_windows_max: u32,
    /// Whether what reaches an entity is judged by the hour of the week, once two weeks are known, and not by the last hours.
    /// Default false.
    pub is_seasonal: bool,
}

/// Settings of the detector of scans: 25 hosts, or 15 ports of one host, within five minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScanSettings {
    /// Whether it runs. Default true.
    pub is_enabled: bool,
}

/// Settings of the detector of breaches of the declared policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreachSettings {
    /// Whether it runs. Default true.
    pub is_enabled: bool,
}

impl Default for ScanSettings {
    fn default() -> Self {
        Self { is_enabled: true }
    }
}

impl Default for BreachSettings {
    fn default() -> Self {
        Self { is_enabled: true }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_s: 300,
            warm_up_windows: 3,
            p_value_max: 1e-5,
            cool_down_s: 3600,
            severity_min: Severity::Low,
            risk_cap: 6.0,
            observations_max: 10,
            edges_max: 1_200_000,
            entities_max: 250_000,
            destination: DestinationSettings::default(),
            volume: VolumeSettings::default(),
            scan: ScanSettings::default(),
            policy: BreachSettings::default(),
            exfiltration: ExfiltrationSettings::default(),
            beacon: BeaconSettings::default(),
            drift: DriftSettings::default(),
            slow_scan: SlowScanSettings::default(),
            dark: DarkSettings::default(),
            decision: DecisionSettings::default(),
            protocol: ProtocolSettings::default(),
            identity: IdentitySettings::default(),
            rollout: RolloutSettings::default(),
            mediated: MediatedSettings::default(),
            silence: SilenceSettings::default(),
        }
    }
}

impl Default for DestinationSettings {
    fn default() -> Self {
        Self {
            is_enabled: true,
            rate_prior: 4.0,
            entity_prior: 0.25,
            shape_max: 3.0,
            births_learnt_max: 3,
            has_peers: false,
        }
    }
}

impl Default for VolumeSettings {
    fn default() -> Self {
        Self {
            is_enabled: true,
            forgetting: 0.95,
            windows_min: 2.8,
            freedom_max: 10.0,
            variance_prior: 2.0,
            learn_p_min: 1e-3,
            held_windows_max: 12,
            is_seasonal: false,
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` is {value}, but must be {expected}")]
pub struct SettingsError {
    /// Key below the section of detection, with dots.
    pub key: &'static str,
    /// What it was.
    pub value: String,
    /// What it may be.
    pub expected: &'static str,
}

impl Settings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn check(&self) -> Result<(), SettingsError> {
        let destination = &self.destination;
        let volume = &self.volume;
        const POSITIVE: &str = "above 0";
        const SHARE: &str = "above 0 and below 1";
        let (beacon, drift) = (&self.beacon, &self.drift);
        let rules: [(&'static str, f64, bool, &'static str); 19] = [
            ("window_s", self.window_s as f64, (1..=86_400).contains(&self.window_s), "from 1 to 86400"),
            (
                "cool_down_s",
                self.cool_down_s as f64,
                (0..=31_536_000).contains(&self.cool_down_s),
                "from 0 to 31536000",
            ),
            ("p_value_max", self.p_value_max, is_share(self.p_value_max), SHARE),
            ("risk_cap", self.risk_cap, self.risk_cap > 0.0, POSITIVE),
            (
                "observations_max",
                self.observations_max as f64,
                (1..=1000).contains(&self.observations_max),
                "from 1 to 1000",
            ),
            ("edges_max", self.edges_max as f64, (1000..=1 << 30).contains(&self.edges_max), "from 1000 to 2^30"),
            (
                "entities_max",
                self.entities_max as f64,
                (100..=1 << 30).contains(&self.entities_max),
                "from 100 to 2^30",
            ),
            ("destination.rate_prior", destination.rate_prior, destination.rate_prior > 0.0, POSITIVE),
            ("destination.entity_prior", destination.entity_prior, destination.entity_prior > 0.0, POSITIVE),
            ("destination.shape_max", destination.shape_max, destination.shape_max > 0.0, POSITIVE),
            ("volume.forgetting", volume.forgetting, is_share(volume.forgetting), SHARE),
            ("volume.windows_min", volume.windows_min, volume.windows_min >= 1.0, "at least 1"),
            ("volume.freedom_max", volume.freedom_max, volume.freedom_max >= 1.0, "at least 1"),
            ("volume.variance_prior", volume.variance_prior, volume.variance_prior > 0.0, POSITIVE),
            ("volume.learn_p_min", volume.learn_p_min, is_share(volume.learn_p_min), SHARE),
            ("beacon.days", beacon.days.into(), (1..=90).contains(&beacon.days), "from 1 to 90"),
            (
                "beacon.edges_max",
                beacon.edges_max as f64,
                (1..=100_000).contains(&beacon.edges_max),
                "from 1 to 100000",
            ),
            ("drift.days_min", drift.days_min.into(), (3..=90).contains(&drift.days_min), "from 3 to 90"),
            (
                "drift.held_days_max",
                drift.held_days_max.into(),
                (1..=90).contains(&drift.held_days_max),
                "from 1 to 90",
            ),
        ];
        match rules.into_iter().find(|(_, value, holds, _)| !holds || !value.is_finite()) {
            Some((key, value, _, expected)) => Err(SettingsError { key, value: value.to_string(), expected }),
            None => self.decision.check(),
        }
    }
}

fn is_share(value: f64) -> bool {
    value > 0.0 && value < 1.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(edit: impl FnOnce(&mut Settings), expected: Option<&str>) {
        let mut settings = Settings::default();
        edit(&mut settings);
        assert_eq!(settings.check().err().map(|error| error.key), expected);
    }

    #[test]
    fn out_of_range_is_named() {
        check(|_| (), None);
        check(|s| s.window_s = 0, Some("window_s"));
        check(|s| s.p_value_max = 1.0, Some("p_value_max"));
        check(|s| s.p_value_max = f64::NAN, Some("p_value_max"));
        check(|s| s.risk_cap = f64::INFINITY, Some("risk_cap"));
        check(|s| s.observations_max = 0, Some("observations_max"));
        check(|s| s.destination.shape_max = -1.0, Some("destination.shape_max"));
        check(|s| s.volume.forgetting = 1.0, Some("volume.forgetting"));
    }

    #[test]
    fn unknown_keys_are_refused_and_absent_ones_have_defaults() {
        assert!(serde_json::from_str::<Settings>(r#"{"volume": {"forgeting": 0.9}}"#).is_err());
        let settings: Settings = serde_json::from_str(r#"{"volume": {"forgetting": 0.9}}"#).unwrap();
        assert!((settings.volume.forgetting - 0.9).abs() < 1e-12);
        assert_eq!(settings.destination, DestinationSettings::default());
    }
}

//! What p-values are worth and whether they are below the bar: recalibrates signals and what they come to together. Decides
//! nothing.

use super::{Decision, Weighed};
use crate::combine;
use crate::entities::occasional;
use crate::report::DetectorName;
use crate::settings::Settings;
use tradewind_model::entity::EntityKind;

/// The bar is never above: what one unit in a thousand does is not unusual.
const BAR_MAX: f64 = 1e-3;
/// Detectors, by their places in [`DetectorName`].
pub(super) const DETECTORS: usize = DetectorName::COUNT;
/// Detectors that decide together whether or not they had something to say.
const DECIDING: usize = 12;
/// Groups of entities whose detectors are alike: services and agents; hosts, on which people work; what is outside; what
/// nobody knows.
pub(super) const ALIKE: usize = 4;
/// Classes of units: the kinds of entities, and destinations.
pub(super) const CLASSES: usize = 6;
const INFLOW: usize = 5;

const fn alike(kind: EntityKind) -> usize {
    match kind {
        EntityKind::Service | EntityKind::Agent => 0,
        EntityKind::Host => 1,
        EntityKind::External => 2,
        EntityKind::Unknown => 3,
    }
}

impl Decision {
    /// The highest p-value that is unusual, for what is recalibrated or not.
    fn bar(&self, is_calibrated: bool, settings: &Settings) -> f64 {
        match (&self.lord, self.load.units_a_day) {
            (Some(lord), _) => lord.level(),
            (None, Some(units)) if is_calibrated => {
                let harmless = self.per_day(&settings.decision) as f64 * settings.decision.harmless_share;
                (harmless / units.max(1) as f64).min(BAR_MAX)
            }
            _ => settings.p_value_max,
        }
    }

    /// What the signals of an entity come to together, those weakened that are louder here than they should be; none until
    /// that is known.
    fn combine(&self, kind: EntityKind, signals: &[(DetectorName, f64)]) -> Option<f64> {
        let first = alike(kind) * DETECTORS;
        let weakened = |&(name, p_value): &(DetectorName, f64)| {
            self.detectors.recalibrate(first + name as usize, p_value).map_or(p_value, |usual| usual.max(p_value))
        };
        (self.detectors.days() > 0)
            .then(|| combine::cauchy(signals.iter().map(weakened), DECIDING + occasional(signals)))
    }

    /// Holds a unit's signals against the bar. `p_value` is what they come to as they are.
    pub(crate) fn weigh(
        &self,
        kind: EntityKind,
        signals: &[(DetectorName, f64)],
        p_value: f64,
        settings: &Settings,
    ) -> Weighed {
        let combined = self.combine(kind, signals);
        let known = combined.and_then(|combined| self.units.recalibrate(kind as usize, combined));
        self.weighed(combined, p_value, known, settings)
    }

    fn weighed(&self, combined: Option<f64>, p_value: f64, known: Option<f64>, settings: &Settings) -> Weighed {
        // A rate of false findings can only be held where p-values are right.
        let worth = known.unwrap_or(if self.lord.is_some() && self.detectors.days() > 0 { 1.0 } else { p_value });
        Weighed { combined, p_value: worth, ratio: worth / self.bar(known.is_some(), settings) }
    }

    /// As [`Self::weigh`], of what reached a destination.
    pub(crate) fn weigh_inflow(&self, p_value: f64, settings: &Settings) -> Weighed {
        let known = self.units.recalibrate(INFLOW, p_value);
        self.weighed(Some(p_value), p_value, known, settings)
    }

    /// At the close of the window: a unit has had its test.
    pub(crate) fn count(&mut self, weighed: &Weighed) {
        if let Some(lord) = &mut self.lord {
            lord.test(weighed.p_value);
        }
        self.load.units_today += 1;
    }

    /// Learns a unit in which nothing was found.
    pub(crate) fn learn(&mut self, kind: EntityKind, signals: &[(DetectorName, f64)], weighed: &Weighed) {
        let mut p_values = [1.0_f64; DETECTORS];
        for &(name, p_value) in signals {
            p_values[name as usize] = p_values[name as usize].min(p_value);
        }
        for (place, p_value) in p_values.into_iter().enumerate() {
            self.detectors.learn(alike(kind) * DETECTORS + place, p_value);
        }
        if let Some(combined) = weighed.combined {
            self.units.learn(kind as usize, combined);
        }
    }

    /// Learns what reached a destination.
    pub(crate) fn learn_inflow(&mut self, weighed: &Weighed) {
        if let Some(combined) = weighed.combined {
            self.units.learn(INFLOW, combined);
        }
    }
}

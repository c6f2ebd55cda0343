//! Detector of floods: far more connections of one source, or to one destination, in a window than it had on average since
//! it was first seen, idle windows included. The idea is MIDAS-F's (Bhatia, Liu, Hooi, Yoon, Shin and Faloutsos, "Real-time
//! anomaly detection in edge streams", TKDD 16 (2022), section 6): counts per node and a conditional merge, by which a count
//! too unusual leaves its mean in its place. Counts are exact here instead of sketched.
//!
//! It measures by half the deviance of a negative binomial of shape r, G = a·ln(a/m) - (a + r)·ln((a + r)/(m + r)), of count
//! a against mean m (McCullagh and Nelder, "Generalized linear models", 2nd edition, section 11.2 and exercise 12.6), which
//! unlike MIDAS-F's chi-square does not explode where m is tiny. The tail is taken for a power of it, p = (1 + G)^(-4/3), the
//! generalised Pareto tail of shape 3/4, because how much counts differ is not known: that never falls below Chernoff's bound
//! e^-G of the model's own tail. The deviances of several windows add up.
//!
//! It does not see silence, nor whose connections they are: a unit's other detectors do.

use crate::exact;
use serde::{Deserialize, Serialize};

/// Exponent of the tail.
const EXPONENT: f64 = 4.0 / 3.0;
/// Shape of the negative binomial: windows of one entity differ by a third even where nothing changes.
const SHAPE: f64 = 10.0;
/// A count whose deviance exceeds this is not merged.
const MERGED_MAX: f64 = 7.0;
/// Windows that are always merged: before, there is no mean to put in a count's place.
const ALWAYS_MERGED: u32 = 3;
/// After so many unusual windows in a row, one week of them, further ones are merged: what persists becomes normal.
const HELD_MAX: u32 = 2016;
/// Windows that a mean remembers: one week. A longer past weighs no more than this.
const WINDOWS_MAX: f64 = 2016.0;
/// What an entity without a past is expected to have, connections per window, worth one window.
const PRIOR_MEAN: f64 = 1.0;

/// Connections of one entity so far.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Flood {
    /// The first window.
    since: i64,
    #[serde(with = "exact")]
    sum: f64,
    /// Windows with connections, to be counted until they are enough.
    active: u32,
    held: u32,
}

impl Flood {
    /// Nothing yet, from this window on.
    pub(super) const fn new(since: i64) -> Self {
        Self { since, sum: 0.0, active: 0, held: 0 }
    }

    fn windows(&self, index: i64) -> f64 {
        (index.abs_diff(self.since) as f64).min(WINDOWS_MAX)
    }

    fn mean(&self, index: i64) -> f64 {
        (self.sum + PRIOR_MEAN) / (self.windows(index) + 1.0)
    }

    /// Deviance of a window's connections; of an entity without a past where there is none.
    pub(super) fn deviance(known: Option<&Self>, index: i64, opened: i64) -> f64 {
        deviance(opened as f64, known.map_or(PRIOR_MEAN, |known| known.mean(index)))
    }

    /// Takes a window in, or its mean instead.
    pub(super) fn learn(&mut self, index: i64, opened: i64, is_training: bool) {
        let (count, mean) = (opened as f64, self.mean(index));
        let is_unusual = deviance(count, mean) > MERGED_MAX && self.active >= ALWAYS_MERGED && !is_training;
        let is_held = is_unusual && self.held < HELD_MAX;
        // A past longer than what is remembered fades.
        let age = index.abs_diff(self.since) as f64;
        if age > WINDOWS_MAX {
            self.sum *= WINDOWS_MAX / (WINDOWS_MAX + 1.0);
        }
        self.sum += if is_held { mean } else { count };
        self.held = if is_unusual { self.held.saturating_add(1) } else { 0 };
        self.active = self.active.saturating_add(1);
    }
}

/// G where the count exceeds the mean, else nothing.
fn deviance(count: f64, mean: f64) -> f64 {
    if count <= mean {
        return 0.0;
    }
    (count * (count / mean).ln() - (count + SHAPE) * ((count + SHAPE) / (mean + SHAPE)).ln()).max(0.0)
}

/// p-value of a deviance.
pub(super) fn p_value(deviance: f64) -> f64 {
    (1.0 + deviance).powf(-EXPONENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After these windows, one after another from 0 on, the p-value of a count in the window after the last.
    fn check(past: &[i64], count: i64, low: f64, high: f64) {
        let mut flood = Flood::new(0);
        (0_i64..).zip(past).for_each(|(index, &opened)| flood.learn(index, opened, false));
        let index = i64::try_from(past.len()).unwrap_or(i64::MAX);
        let known = (!past.is_empty()).then_some(&flood);
        let p = p_value(Flood::deviance(known, index, count));
        assert!((low..=high).contains(&p), "{count} after {} windows: {p}", past.len());
    }

    #[test]
    fn what_is_usual_is_no_flood_and_silence_is_none() {
        check(&[100; 50], 100, 0.9, 1.0);
        check(&[100; 50], 130, 0.4, 1.0);
        check(&[100; 50], 0, 1.0, 1.0);
        check(&[], 0, 1.0, 1.0);
        check(&[], 1, 1.0, 1.0);
    }

    #[test]
    fn ten_times_as_much_is_a_flood() {
        check(&[100; 50], 1000, 0.0, 0.05);
        check(&[1; 50], 10_000, 0.0, 1e-5);
        check(&[], 10_000, 0.0, 1e-5);
    }

    /// The conditional merge: a flood that went on for an hour does not hide the next one.
    #[test]
    fn a_flood_is_not_learnt() {
        let mut past = vec![10; 50];
        past.extend([50_000; 12]);
        check(&past, 50_000, 0.0, 1e-5);
        check(&past, 10, 0.9, 1.0);
    }

    /// What persists for more than a week is.
    #[test]
    fn what_persists_is_learnt() {
        let mut past = vec![10; 50];
        past.extend([500; 5000]);
        check(&past, 500, 0.3, 1.0);
    }

    /// Under its own null, counts of a negative binomial of the model's shape, it never says less than a level too often.
    #[test]
    fn p_values_under_the_null_are_cautious() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut exponential = move || -uniform().ln();
        // A Gamma of whole shape is a sum of exponentials; given it, the count is a Poisson's: arrivals until the rate is used up.
        let mut count = |mean: f64| {
            let rate = (0..10).map(|_| exponential()).sum::<f64>() * mean / SHAPE;
            let mut arrivals = 0_i64;
            let mut used = exponential();
            while used < rate {
                arrivals += 1;
                used += exponential();
            }
            arrivals
        };
        for mean in [0.5, 5.0, 60.0] {
            let mut flood = Flood::new(0);
            let mut p_values = Vec::new();
            for index in 0..4000 {
                let opened = count(mean);
                if index >= 200 {
                    p_values.push(p_value(Flood::deviance(Some(&flood), index, opened)));
                }
                flood.learn(index, opened, false);
            }
            for level in [0.1, 0.01, 0.001] {
                let share = p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
                assert!(share <= level, "mean {mean}: P(p <= {level}) = {share}");
            }
        }
    }
}

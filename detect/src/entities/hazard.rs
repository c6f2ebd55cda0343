//! How often something new appears at a given age: a discovery curve pooled over all entities, and each entity's own
//! factor on it.

use crate::exact;
use serde::{Deserialize, Serialize};
use std::slice::SliceIndex;

/// Ages are pooled by powers of two: bucket b holds the ages 2^b - 1 to 2^(b+1) - 2, in windows.
const BUCKETS: usize = 24;

/// Events and exposure per age bucket. Whole numbers, so that sums do not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Curve {
    events: [u64; BUCKETS],
    exposure: [u64; BUCKETS],
}

impl Curve {
    /// Bucket of an age in windows: ⌊log2(1 + age)⌋.
    pub(crate) fn bucket(age: u64) -> usize {
        (age.saturating_add(1).ilog2() as usize).min(BUCKETS - 1)
    }

    /// Adds what happened in one window at an age.
    pub(crate) fn learn(&mut self, bucket: usize, events: u64) {
        self.events[bucket] += events;
        self.exposure[bucket] += 1;
    }

    /// Events and windows of some buckets.
    pub(crate) fn counts(&self, buckets: impl SliceIndex<[u64], Output = [u64]> + Clone) -> (u64, u64) {
        (self.events[buckets.clone()].iter().sum(), self.exposure[buckets].iter().sum())
    }

    /// Adds what happened at an age in a window that was added before.
    pub(crate) fn add(&mut self, bucket: usize, events: u64) {
        self.events[bucket] += events;
    }

    /// Adds another's.
    pub(crate) fn merge(&mut self, other: &Self) {
        let pairs = [(&mut self.events, &other.events), (&mut self.exposure, &other.exposure)];
        for (mine, others) in pairs {
            mine.iter_mut().zip(others).for_each(|(mine, other)| *mine += other);
        }
    }

    /// Rate of each bucket per window: (N_b + κ·rate_{b-1}) / (T_b + κ), where before the first stands 1. So an age that
    /// has hardly been seen borrows from the younger one.
    pub(crate) fn rates(&self, prior: f64) -> Rates {
        self.rates_of(prior, 0.0)
    }

    /// As [`Self::rates`], but each age is credited with so many events at least from the younger one: max(κ·rate_{b-1}, m).
    /// That none was ever seen does not say that there are none.
    pub(crate) fn rates_of(&self, prior: f64, events_min: f64) -> Rates {
        let mut rate = 1.0_f64;
        let pairs = self.events.iter().zip(&self.exposure);
        let mut rates = [0.0; BUCKETS];
        for (slot, (&events, &exposure)) in rates.iter_mut().zip(pairs) {
            rate = (events as f64 + (prior * rate).max(events_min)) / (exposure as f64 + prior);
            *slot = rate;
        }
        Rates(rates)
    }
}

/// Rates of a curve as they stand at a window's close.
#[derive(Clone, Debug)]
pub(crate) struct Rates([f64; BUCKETS]);

impl Rates {
    /// Rate per window in a bucket.
    pub(crate) fn at(&self, bucket: usize) -> f64 {
        self.0[bucket]
    }
}

/// What one entity did against what the curve expected of it, its first window left out: a Gamma posterior of the factor
/// by which its rate differs.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Factor {
    events: u64,
    #[serde(with = "exact")]
    expected: f64,
}

impl Factor {
    /// Adds one window.
    pub(crate) fn learn(&mut self, events: u64, expected: f64) {
        self.events += events;
        self.expected += expected;
    }

    /// Takes events back that a window was given too many.
    pub(crate) fn take_back(&mut self, events: u64) {
        self.events = self.events.saturating_sub(events);
    }

    /// θ = (a0 + N) / (a0 + E).
    pub(crate) fn mean(&self, prior: f64) -> f64 {
        self.shape(prior) / (prior + self.expected)
    }

    /// a0 + N: shape of the posterior, hence of the negative binomial that predicts the next window.
    pub(crate) fn shape(&self, prior: f64) -> f64 {
        prior + self.events as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_double() {
        let table = [(0, 0), (1, 1), (2, 1), (3, 2), (6, 2), (7, 3), (u64::MAX, 23)];
        for (age, bucket) in table {
            assert_eq!(Curve::bucket(age), bucket, "age {age}");
        }
    }

    #[test]
    fn an_unseen_age_borrows_from_the_younger() {
        let mut curve = Curve::default();
        for _ in 0..12 {
            curve.learn(0, 2);
            curve.learn(1, 0);
        }
        let rates = curve.rates(4.0);
        let first = (24.0 + 4.0) / 16.0;
        assert!((rates.at(0) - first).abs() < 1e-12);
        assert!((rates.at(1) - 4.0 * first / 16.0).abs() < 1e-12);
        assert!((rates.at(2) - rates.at(1)).abs() < 1e-12);
    }

    #[test]
    fn a_quiet_entity_has_a_factor_below_one() {
        let mut factor = Factor::default();
        assert!((factor.mean(0.25) - 1.0).abs() < 1e-12);
        factor.learn(0, 2.0);
        assert!((factor.mean(0.25) - 0.25 / 2.25).abs() < 1e-12);
        factor.learn(4, 2.0);
        assert!((factor.mean(0.25) - 1.0).abs() < 1e-12);
        assert!((factor.shape(0.25) - 4.25).abs() < 1e-12);
    }
}

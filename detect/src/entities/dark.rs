//! Detector of contacts to dark targets: addresses inside the network that nothing was ever heard of. Nobody has business with
//! them, so who meets several within a day searches, or works from an old list (Moore, Shannon, Brown, Voelker and Savage,
//! "Inferring Internet denial-of-service activity", TOCS 24, 2006, for what unused addresses tell).
//!
//! Distinct dark destinations of a source in the day so far against a negative binomial: the mean is the pooled number a day and
//! source, corrected by the source's own days, P(X ≥ n) = I_{m/(m+r)}(n, r). The day so far can only have fewer than the day.
//! One who meets them every day (a scanner) soon expects to.

use crate::distributions::{ln_negative_binomial_tail, p_of_ln};
use crate::exact;
use crate::numbered::{keep_keys, new_number};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Days with dark contacts of a source that nothing is known of are worth so much of its own.
const OWN_PRIOR: f64 = 0.5;
/// Shape of the negative binomial before a source has days of its own: contacts come in bursts.
const SHAPE: f64 = 0.5;
/// Upper bound of the shape.
const SHAPE_MAX: f64 = 3.0;
/// Before anything is known: one dark contact in fifty days of a source.
const PRIOR: (f64, f64) = (1.0, 50.0);
/// What one source and day teaches at most.
const LEARNT_MAX: usize = 3;
/// Weight of a source's past after one day of its own.
const FORGETTING: f64 = 0.9;
/// Dark destinations of one source and day that are told apart.
const TARGETS_MAX: usize = 256;

/// Dark contacts of all sources.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Dark {
    day: i64,
    /// Of the day so far.
    today: BTreeMap<u32, BTreeSet<u32>>,
    /// Sources that were active in the day so far.
    active: BTreeSet<u32>,
    /// Days before, of sources that ever had any.
    own: BTreeMap<u32, Own>,
    #[serde(with = "exact")]
    contacts: f64,
    #[serde(with = "exact")]
    days: f64,
}

/// Days of one source since its first with dark contacts, fading.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Own {
    #[serde(with = "exact")]
    contacts: f64,
    #[serde(with = "exact")]
    days: f64,
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) p_value: f64,
    /// Distinct dark destinations in the day so far.
    pub(crate) targets: usize,
}

impl Default for Dark {
    fn default() -> Self {
        let (contacts, days) = PRIOR;
        Self { day: i64::MIN, today: BTreeMap::new(), active: BTreeSet::new(), own: BTreeMap::new(), contacts, days }
    }
}

impl Dark {
    /// Judges the dark destinations that a source met in a window of this day; none where it met none.
    pub(super) fn judge(&self, day: i64, source: u32, met: &[u32]) -> Option<Judged> {
        if met.is_empty() {
            return None;
        }
        let before = self.today.get(&source).filter(|_| day == self.day);
        let fresh: BTreeSet<u32> =
            met.iter().copied().filter(|target| before.is_none_or(|before| !before.contains(target))).collect();
        let targets = before.map_or(0, BTreeSet::len) + fresh.len();
        let own = self.own.get(&source).copied().unwrap_or_default();
        let pooled = self.contacts / self.days;
        // Gamma posterior of the factor by which the source differs from all.
        let factor = (OWN_PRIOR + own.contacts) / (OWN_PRIOR + own.days * pooled);
        let shape = (SHAPE + own.contacts).min(SHAPE_MAX);
        let p_value = p_of_ln(ln_negative_binomial_tail(targets as u64, shape, pooled * factor));
        Some(Judged { p_value, targets })
    }

    /// Forgets sources and targets that are forgotten; `numbers` has the new number of each.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        let number = |entity: u32| new_number(numbers, entity);
        let today = std::mem::take(&mut self.today).into_iter();
        self.today = today
            .filter_map(|(source, met)| Some((number(source)?, met.into_iter().filter_map(number).collect())))
            .collect();
        self.active = std::mem::take(&mut self.active).into_iter().filter_map(number).collect();
        keep_keys(&mut self.own, numbers);
    }

    /// A window begins to be learnt: another day ends the one before.
    pub(super) fn begin(&mut self, day: i64) {
        if day <= self.day {
            return;
        }
        for source in &self.active {
            let count = self.today.get(source).map_or(0, BTreeSet::len);
            self.contacts += count.min(LEARNT_MAX) as f64;
            self.days += 1.0;
            if count > 0 || self.own.contains_key(source) {
                let own = self.own.entry(*source).or_default();
                own.contacts = own.contacts * FORGETTING + count as f64;
                own.days = own.days * FORGETTING + 1.0;
            }
        }
        // One contact that fades is no reason to remember a source for ever.
        self.own.retain(|_, own| own.contacts > 0.05);
        self.today.clear();
        self.active.clear();
        self.day = day;
    }

    /// Takes in what an active source met in the window.
    pub(super) fn learn(&mut self, source: u32, met: &[u32]) {
        self.active.insert(source);
        if met.is_empty() {
            return;
        }
        let today = self.today.entry(source).or_default();
        for &target in met {
            if today.len() < TARGETS_MAX {
                today.insert(target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty sources over days on which source 0 meets so many, one a window; the last day's p-value.
    fn check(days: &[u32], low: f64, high: f64) {
        let mut dark = Dark::default();
        let mut p_value = 1.0;
        for (day, &count) in (0_i64..).zip(days) {
            p_value = 1.0;
            for window in 0..count.max(1) {
                let met: Vec<u32> = (window < count).then_some(100 + window).into_iter().collect();
                p_value = dark.judge(day, 0, &met).map_or(p_value, |judged| judged.p_value);
                dark.begin(day);
                dark.learn(0, &met);
                (1..20).for_each(|source| dark.learn(source, &[]));
            }
        }
        assert!((low..=high).contains(&p_value), "{days:?}: {p_value}");
    }

    #[test]
    fn several_in_a_day_are_a_search() {
        check(&[0; 10], 1.0, 1.0);
        check(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 1e-3, 0.05);
        check(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 5], 0.0, 1e-5);
        // Who does so every day is expected to.
        check(&[5; 10], 0.1, 1.0);
        check(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 300], 0.0, 1e-100);
    }

    /// Under the null: each source has its own rate, drawn from a gamma distribution, and contacts by chance.
    #[test]
    fn p_values_under_the_null_are_not_overstated() {
        let mut state = 5_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut dark = Dark::default();
        let mut p_values = Vec::new();
        let rates: Vec<f64> = (0..200).map(|_| -0.1 * uniform().ln()).collect();
        for day in 0..60 {
            for (source, &rate) in (0_u32..).zip(&rates) {
                // A Poisson number, by arrivals.
                let mut met = Vec::new();
                let mut used = -uniform().ln();
                while used < rate {
                    met.push(1_000 + u32::try_from(met.len()).unwrap_or_default());
                    used -= uniform().ln();
                }
                if day >= 20 {
                    p_values.push(dark.judge(day, source, &met).map_or(1.0, |judged| judged.p_value));
                }
                dark.begin(day);
                dark.learn(source, &met);
            }
        }
        for level in [0.1, 0.01, 0.001] {
            let share = p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
            assert!(share <= level * 1.5 + 2e-4, "P(p <= {level}) = {share}");
        }
    }
}

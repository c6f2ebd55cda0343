//! Detector of slow drift: amounts of an edge that grow or shrink a little every day, which means that forget follow without a
//! word. A two-sided tabular CUSUM (Page, "Continuous inspection schemes", Biometrika 41, 1954; Montgomery, "Introduction to
//! statistical quality control", section 9.1) on the day's amount against a baseline that forgets a thirty-third a day.
//!
//! A day's y = ln(1 + bytes both ways), or connections where no bytes are seen, is predicted by Student's t; z is the normal
//! deviate of its probability, so that without change the z are independent and standard normal. S⁺ = max(0, S⁺ + z - k), and
//! S⁻ alike, with k = ½ for shifts of one deviation. Without change P(S ≥ h) ≤ exp(-2kh) (Lundberg's bound; Siegmund,
//! "Sequential analysis", 1985, section 10.2, has exp(-2k(h + 0.583)) for it), and p is twice that of the greater one. While a
//! day goes on its amount so far counts, which can only be too small. One day counts for four deviations at most: what is sudden
//! is other detectors'.
//!
//! An edge that grows by a tenth a day, where days differ by a tenth, is found within ten days, and one that grows by some
//! hundredths a window on the same day or the next. While it drifts the baseline learns nothing, until it did so for a week.

use super::baseline::Moments;
use crate::distributions::normal_quantile;
use crate::exact;
use crate::report::{EdgeCounts, Facts};
use crate::settings::DriftSettings;
use serde::{Deserialize, Serialize};

/// Reference value k of the CUSUM, deviations.
const REFERENCE: f64 = 0.5;
/// Weight of the past after one day.
const FORGETTING: f64 = 0.97;
/// Variance that is assumed before days differed, and the days it is worth.
const VARIANCE_PRIOR: f64 = 0.05;
const VARIANCE_PRIOR_DAYS: f64 = 1.0;
/// Days of a machine may be alike to the byte: a tenth is never a deviation of its own.
const VARIANCE_MIN: f64 = 0.01;
/// Upper bound of the degrees of freedom.
const FREEDOM_MAX: f64 = 30.0;
/// What one day counts at most, deviations.
const DEVIATION_MAX: f64 = 4.0;
/// A CUSUM above this holds the baseline: p below 0.02.
const HELD_FROM: f64 = 4.6;
/// Within a day a CUSUM is told again when it has grown by so much.
const TOLD_STEP: f64 = 0.5;
/// An edge that was idle for longer is met anew, days.
const IDLE_DAYS_MAX: i64 = 30;

/// Days of one edge.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Drift {
    day: i64,
    /// Whether it was there when the day began.
    is_whole: bool,
    bytes: u64,
    opened: u64,
    moments: Moments,
    days: u16,
    #[serde(with = "exact")]
    up: f32,
    #[serde(with = "exact")]
    down: f32,
    /// The CUSUM that was told last, of this day.
    #[serde(with = "exact")]
    told: f32,
    /// Days in a row that were not learnt.
    held: u8,
}

#[allow(clippy::cast_possible_truncation)] // Single precision is what is kept.
const fn narrow(value: f64) -> f32 {
    value as f32
}

impl Drift {
    /// An edge that is followed from the middle of a day on.
    pub(super) fn new(day: i64) -> Self {
        Self {
            day,
            is_whole: false,
            bytes: 0,
            opened: 0,
            moments: Moments::default(),
            days: 0,
            up: 0.0,
            down: 0.0,
            told: 0.0,
            held: 0,
        }
    }

    /// The amount of the day so far.
    fn amount(&self) -> f64 {
        if self.bytes > 0 { self.bytes as f64 } else { self.opened as f64 }
    }

    /// Deviation of the day so far from what is usual, and the usual logarithm; none while too little is known.
    fn deviation(&self, settings: &DriftSettings) -> Option<(f64, f64)> {
        if u32::from(self.days) < settings.days_min {
            return None;
        }
        let prediction = self.moments.predict(VARIANCE_PRIOR, VARIANCE_PRIOR_DAYS, VARIANCE_MIN, FREEDOM_MAX);
        let value = self.amount().ln_1p();
        let above = prediction.tail(value);
        let deviation = if above < 0.5 { -normal_quantile(above) } else { normal_quantile(1.0 - above) };
        Some((deviation.clamp(-DEVIATION_MAX, DEVIATION_MAX), prediction.mean))
    }

    /// A day is over: both sums, then the baseline.
    fn settle(&mut self, settings: &DriftSettings) {
        if !self.is_whole {
            return;
        }
        if let Some((deviation, _)) = self.deviation(settings) {
            self.up = narrow((f64::from(self.up) + deviation - REFERENCE).max(0.0));
            self.down = narrow((f64::from(self.down) - deviation - REFERENCE).max(0.0));
        }
        let is_drifting = f64::from(self.up.max(self.down)) > HELD_FROM;
        if is_drifting && u32::from(self.held) < settings.held_days_max {
            self.held += 1;
            return;
        }
        if is_drifting {
            // It has lasted: what it came to is usual from now on.
            (self.up, self.down, self.days) = (0.0, 0.0, 0);
            self.moments = Moments::default();
        }
        self.held = 0;
        self.days = self.days.saturating_add(1);
        self.moments.learn(1, self.amount().ln_1p(), 0.0, FORGETTING);
    }

    /// Takes a window in and judges the day so far. None where nothing is tested; facts only where it has news.
    pub(super) fn window(
        &mut self,
        day: i64,
        counts: &EdgeCounts,
        settings: &DriftSettings,
    ) -> Option<Option<(f64, Facts)>> {
        if day.saturating_sub(self.day) > IDLE_DAYS_MAX {
            *self = Self::new(day);
        }
        let mut ended_down = 0.0;
        if day > self.day {
            self.settle(settings);
            ended_down = f64::from(self.down);
            (self.day, self.is_whole, self.bytes, self.opened, self.told) = (day, true, 0, 0, 0.0);
        }
        let add = |sum: &mut u64, more: i64| *sum = sum.saturating_add(more.max(0).unsigned_abs());
        add(&mut self.bytes, counts.bytes_out.unwrap_or(0));
        add(&mut self.bytes, counts.bytes_in.unwrap_or(0));
        add(&mut self.opened, counts.opened);
        if !self.is_whole {
            return None;
        }
        let (deviation, mean) = self.deviation(settings)?;
        // What is low so far may still come: a day is only known to be low when it is over.
        let up = (f64::from(self.up) + deviation - REFERENCE).max(0.0);
        let (sum, is_up) = if ended_down > up { (ended_down, false) } else { (up, true) };
        if sum < f64::from(self.told) + TOLD_STEP {
            return Some(None);
        }
        self.told = narrow(sum);
        let p_value = (2.0 * (-2.0 * REFERENCE * sum).exp()).min(1.0);
        let (is_bytes, amount, days) = (self.bytes > 0, self.amount(), u64::from(self.days));
        Some(Some((p_value, Facts::Drift { is_up, is_bytes, amount, mean, days })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bytes: f64) -> EdgeCounts {
        #[allow(clippy::cast_possible_truncation)] // Amounts of these tests.
        let bytes = Some(bytes as i64);
        EdgeCounts { flows: 1, opened: 1, answered: 1, bytes_out: bytes, ..EdgeCounts::nothing(0) }
    }

    fn normals(mut state: u64) -> impl FnMut() -> f64 {
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    }

    /// Least p-value of each day of an edge that has one window a day.
    fn days(amounts: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let settings = DriftSettings::default();
        let mut drift = Drift::new(-1);
        let p_of =
            |(day, amount)| drift.window(day, &counts(amount), &settings).flatten().map_or(1.0, |(p_value, _)| p_value);
        (0_i64..).zip(amounts).map(p_of).collect()
    }

    /// First of the days from `from` on with a p-value below 1e-4.
    fn check(amounts: impl IntoIterator<Item = f64>, from: usize, expected: std::ops::RangeInclusive<usize>) {
        let p_values = days(amounts);
        let found = p_values.iter().position(|&p| p < 1e-4).unwrap_or(usize::MAX);
        let after = found.saturating_sub(from);
        assert!(found >= from && expected.contains(&after), "{found}: {p_values:?}");
    }

    #[test]
    fn a_slow_ramp_is_found_within_days() {
        let mut normal = normals(3);
        let mut ramp = |rate: f64| -> Vec<f64> {
            (0..40_i32).map(|day| 1e9 * (0.1 * normal() + rate * f64::from((day - 20).max(0))).exp()).collect()
        };
        check(ramp(0.1), 20, 1..=10);
        check(ramp(-0.1), 20, 1..=10);
        check(ramp(0.05), 20, 1..=14);
        check(ramp(0.0), 20, usize::MAX - 20..=usize::MAX);
    }

    /// Five hundredths more each window: the day so far is enough.
    #[test]
    fn a_ramp_within_a_day_is_found_while_the_day_lasts() {
        let settings = DriftSettings::default();
        let mut drift = Drift::new(-1);
        let mut normal = normals(7);
        for window in 0..20 * 288 {
            drift.window(window / 288, &counts(1e6 * (0.3 * normal()).exp()), &settings);
        }
        let mut p_of = |window: i32| {
            let amount = 1e6 * (0.05 * f64::from(window)).exp();
            drift.window(20 + i64::from(window / 288), &counts(amount), &settings).flatten().map(|(p_value, _)| p_value)
        };
        let found = (0..288).position(|window| p_of(window).is_some_and(|p| p < 0.1));
        assert!(found.is_some_and(|window| window < 120), "{found:?}");
    }

    #[test]
    fn what_lasts_becomes_usual_and_one_day_is_no_drift() {
        let mut step = vec![1e9; 20];
        step.extend([5e9; 30]);
        let p_values = days(step);
        assert!(p_values[20] > 0.01 && p_values[23] < 1e-3, "{p_values:?}");
        assert!(p_values[40..].iter().all(|&p| p > 0.5), "{p_values:?}");
        let mut once = vec![1e9; 40];
        once[20] = 1e12;
        assert!(days(once).iter().all(|&p| p > 0.01));
    }

    /// Under the null: days that differ without any trend, of the spread of the prior and of others.
    #[test]
    fn p_values_under_the_null_are_not_overstated() {
        for spread in [0.02, 0.1, 0.3, 1.0] {
            let mut p_values = Vec::new();
            for edge in 0..1_000 {
                let mut normal = normals(edge);
                p_values.extend(days((0..60).map(|_| 1e9 * (spread * normal()).exp())).split_off(10));
            }
            for level in [0.1, 0.01, 0.001] {
                let share = p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
                assert!(share <= level * 1.5, "spread {spread}: P(p <= {level}) = {share}");
            }
        }
    }
}

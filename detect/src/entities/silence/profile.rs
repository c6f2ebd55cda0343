//! How many connections one entity has in each hour of the week: 168 means in a byte each, forgetting over weeks. Hours are
//! UTC, so that where clocks change the neighbouring hours count. Judges nothing.

use serde::{Deserialize, Serialize};
use tradewind_model::time::HOUR;

/// Hours of a week.
pub(super) const HOURS: i64 = 168;
/// A mean m is kept as ln(1 + 8 m) in steps of a tenth, one added: 0 says that the hour was not seen yet.
const STEPS: f64 = 10.0;
const SCALE: f64 = 8.0;
/// Weight of a new week at least: what changed is half forgotten after two weeks.
const WEIGHT_MIN: f64 = 1.0 / 3.0;

/// Means by hour of the week, with the hour that goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Profile {
    /// By hour of the week from the first hour of 1970 on; empty before the first hour is over.
    means: Vec<u8>,
    /// Hours since 1970: the first, and the one that goes on.
    first: Option<i64>,
    hour: i64,
    /// Connections and windows of it, and whether it was out of the ordinary.
    opened: i64,
    windows: u32,
    is_odd: bool,
}

/// Hours since 1970 of a time in microseconds.
pub(super) const fn hour_of(time: i64) -> i64 {
    time.div_euclid(HOUR)
}

fn place(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(HOURS)).unwrap_or_default()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // From 1 to 255.
fn coded(mean: f64) -> u8 {
    (1.0 + ((SCALE * mean).ln_1p() * STEPS).round()).min(255.0) as u8
}

fn decoded(code: u8) -> f64 {
    (f64::from(code - 1) / STEPS).exp_m1() / SCALE
}

impl Profile {
    /// Takes a window in. An odd one, as most of its hour was not, is not learnt, nor are those beside it.
    pub(super) fn learn(&mut self, hour: i64, opened: i64, windows_per_hour: u32, is_odd: bool) {
        let first = *self.first.get_or_insert(hour);
        if hour != self.hour {
            // An hour of which half is missing says little.
            if self.windows * 2 >= windows_per_hour.max(1) && !self.is_odd {
                self.end_hour(first);
            }
            (self.hour, self.opened, self.windows, self.is_odd) = (hour, 0, 0, false);
        }
        self.opened = self.opened.saturating_add(opened);
        self.windows = self.windows.saturating_add(1);
        self.is_odd |= is_odd;
    }

    fn end_hour(&mut self, first: i64) {
        self.means.resize(place(-1) + 1, 0);
        let code = &mut self.means[place(self.hour)];
        let mean = self.opened as f64 / f64::from(self.windows.max(1));
        let weeks = self.hour.abs_diff(first) / HOURS.unsigned_abs() + 1;
        let weight = (1.0 / weeks as f64).max(WEIGHT_MIN);
        let known = if *code == 0 { mean } else { decoded(*code) };
        *code = coded(known + weight * (mean - known));
    }

    /// Whole weeks since the first hour.
    pub(super) fn weeks(&self, hour: i64) -> i64 {
        self.first.map_or(0, |first| (hour - first).max(0) / HOURS)
    }

    /// Mean connections per window in an hour; none where it was not seen.
    pub(super) fn mean(&self, hour: i64) -> Option<f64> {
        self.means.get(place(hour)).filter(|&&code| code > 0).map(|&code| decoded(code))
    }

    /// The least mean of an hour and of those beside it: where clocks change by an hour it is not too much.
    pub(super) fn least(&self, hour: i64) -> Option<f64> {
        let means = [hour - 1, hour, hour + 1].map(|hour| self.mean(hour));
        means.into_iter().flatten().reduce(f64::min).filter(|_| means[1].is_some())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Hours with their connections a window, twelve windows each: the mean of an hour of the week afterwards.
    fn check(hours: &[(i64, i64)], asked: i64, expected: Option<f64>) {
        let mut profile = Profile::default();
        for &(hour, opened) in hours.iter().chain(&[(9999, 0)]) {
            (0..12).for_each(|_| profile.learn(hour, opened, 12, false));
        }
        let found = profile.mean(asked);
        let is_near = |found: f64, expected: f64| (found - expected).abs() <= 0.06 * (expected + 0.2);
        assert!(
            found.zip(expected).map_or(found == expected, |(found, expected)| is_near(found, expected)),
            "{found:?}"
        );
    }

    #[test]
    fn each_hour_of_the_week_has_its_mean() {
        check(&[], 3, None);
        check(&[(3, 40), (4, 0)], 3, Some(40.0));
        check(&[(3, 40), (4, 0)], 4, Some(0.0));
        check(&[(3, 40), (4, 0)], 4 + HOURS, Some(0.0));
        check(&[(3, 40), (4, 0)], 5, None);
        check(&[(3, 40), (3 + HOURS, 80)], 3, Some(60.0));
        check(&[(3, 1_000_000)], 3, Some(1_000_000.0));
        // The fourth week counts a third.
        check(&[(3, 40), (3 + HOURS, 40), (3 + 2 * HOURS, 40), (3 + 3 * HOURS, 100)], 3, Some(60.0));
    }

    #[test]
    fn hours_that_are_odd_or_broken_off_are_not_learnt() {
        let mut profile = Profile::default();
        (0..12).for_each(|window| profile.learn(3, 40, 12, window == 7));
        (0..5).for_each(|_| profile.learn(4, 40, 12, false));
        profile.learn(5, 40, 12, false);
        assert_eq!((profile.mean(3), profile.mean(4), profile.weeks(5), profile.weeks(200)), (None, None, 0, 1));
    }

    #[test]
    fn the_least_of_neighbours_counts() {
        let mut profile = Profile::default();
        for (hour, opened) in [(3, 0), (4, 50), (5, 50), (6, 50), (7, 0)] {
            (0..12).for_each(|_| profile.learn(hour, opened, 12, false));
        }
        assert!(profile.least(4).unwrap() < 0.1 && profile.least(5).unwrap() > 45.0);
        assert_eq!(profile.least(7), None);
    }
}

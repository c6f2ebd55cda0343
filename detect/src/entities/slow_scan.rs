//! Detector of slow scans: first contacts of an entity over hours, where each window alone has too few to be seen. Counts that
//! fade with half-lives of one, six and twenty-four hours, against what was expected of the entity in the same windows, faded
//! alike: the negative-binomial tail of [`super::destination`], three times the least, joined with the walk over how first
//! contacts end ([`super::scan`]) by Fisher's product.
//!
//! A faded sum varies less than a count of the same mean, so that its tail is cautious. Entities that often have new edges
//! (scrapers, scanners, backups) expect more of them.

use super::outlook::Expectation;
use crate::combine::fisher;
use crate::distributions::{ln_regularised_beta, p_of_ln};
use crate::exact;
use serde::{Deserialize, Serialize};

/// Half-lives, seconds.
const HALF_LIVES_S: [f64; 3] = [3_600.0, 21_600.0, 86_400.0];
/// Fewer first contacts are no scan, however fast or slow.
const CONTACTS_MIN: f64 = 3.0;

/// Faded count and what was expected.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Faded {
    #[serde(with = "exact")]
    count: f64,
    #[serde(with = "exact")]
    expected: f64,
}

/// First contacts of one source over the last hours.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    window: i64,
    horizons: [Faded; HALF_LIVES_S.len()],
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) p_value: f64,
    /// Of the half-life that says most: hours, first contacts and how many were expected, both faded.
    pub(crate) hours: u64,
    pub(crate) count: f64,
    pub(crate) expected: f64,
}

impl Pace {
    /// As they are in a window of this length, seconds.
    fn at(&self, index: i64, window_s: i64) -> [Faded; HALF_LIVES_S.len()] {
        let seconds = index.abs_diff(self.window) as f64 * window_s as f64;
        let mut faded = self.horizons;
        for (horizon, half_life) in faded.iter_mut().zip(HALF_LIVES_S) {
            let kept = 0.5_f64.powf(seconds / half_life);
            horizon.count *= kept;
            horizon.expected *= kept;
        }
        faded
    }

    /// Judges a window with this many first contacts, by the walk's p-value over them.
    pub(super) fn judge(
        known: Option<&Self>,
        index: i64,
        window_s: i64,
        births: usize,
        expected: Expectation,
        p_of_walk: f64,
    ) -> Option<Judged> {
        let past = known.map_or([Faded::default(); HALF_LIVES_S.len()], |known| known.at(index, window_s));
        let judge = |(Faded { count, expected: before }, half_life): (Faded, f64)| {
            let (count, mean) = (count + births as f64, before + expected.births);
            let sum = mean + expected.shape;
            // I_{m/(m+r)}(k, r), which is defined between whole numbers as well.
            let ln_p = ln_regularised_beta(count, expected.shape, mean / sum, expected.shape / sum);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A table of some hours.
            let hours = (half_life / 3_600.0) as u64;
            (ln_p, Judged { p_value: 1.0, hours, count, expected: mean })
        };
        let (ln_p, judged) =
            past.into_iter().zip(HALF_LIVES_S).map(judge).min_by(|(one, _), (other, _)| one.total_cmp(other))?;
        let of_count = p_of_ln(ln_p + (HALF_LIVES_S.len() as f64).ln());
        (judged.count >= CONTACTS_MIN).then(|| Judged { p_value: fisher(of_count, p_of_walk), ..judged })
    }

    /// Takes a window in.
    pub(super) fn learn(&mut self, index: i64, window_s: i64, births: usize, expected: f64) {
        self.horizons = self.at(index, window_s);
        self.window = index;
        for horizon in &mut self.horizons {
            horizon.count += births as f64;
            horizon.expected += expected;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows in which so many are expected, one first contact every `step` of them in the last `hours`; the last p-value.
    fn check(step: i64, hours: i64, walk: f64, low: f64, high: f64) {
        let expected = Expectation { births: 0.002, shape: 1.0 };
        let mut pace = Pace::default();
        let mut p_value = 1.0;
        for index in 0..2_000 {
            let births = usize::from(index >= 2_000 - hours * 12 && index % step == 0);
            if births > 0 {
                p_value =
                    Pace::judge(Some(&pace), index, 300, births, expected, walk).map_or(1.0, |judged| judged.p_value);
            }
            pace.learn(index, 300, births, expected.births);
        }
        assert!((low..=high).contains(&p_value), "every {step} windows for {hours} h: {p_value}");
    }

    #[test]
    fn a_contact_now_and_then_adds_up() {
        check(2, 4, 1.0, 0.0, 1e-4);
        check(12, 24, 1.0, 0.0, 1e-4);
        check(12, 24, 1e-3, 0.0, 1e-7);
        // One a day is what is expected here, and two are not many.
        check(288, 166, 1.0, 0.05, 1.0);
        check(12, 2, 1.0, 1.0, 1.0);
    }

    /// Under the null: negative-binomial births at the expected rate, as at a window with births.
    #[test]
    fn p_values_under_the_null_are_not_overstated() {
        let mut state = 21_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        for rate in [0.002, 0.05, 0.5] {
            let mut p_values = Vec::new();
            for _ in 0..60 {
                // The rate of an entity is drawn once: gamma of shape one.
                let own = -uniform().ln() * rate;
                let mut pace = Pace::default();
                for index in 0..1_500 {
                    let births = usize::from(uniform() < own) + usize::from(uniform() < 0.5 * own * own);
                    let expected = Expectation { births: rate, shape: 1.0 };
                    let judged =
                        (births > 0).then(|| Pace::judge(Some(&pace), index, 300, births, expected, 1.0)).flatten();
                    if index > 300 {
                        p_values.push(judged.map_or(1.0, |judged| judged.p_value));
                    }
                    pace.learn(index, 300, births, rate);
                }
            }
            for level in [0.1, 0.01, 0.001] {
                let share = p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
                assert!(share <= level * 1.3, "rate {rate}: P(p <= {level}) = {share}");
            }
        }
    }
}

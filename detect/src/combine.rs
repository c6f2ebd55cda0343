//! One answer of several p-values: the Cauchy combination, which decides, and the capped sum, which orders. Not the
//! decision itself: that is [`crate::entities`]'s.

use crate::distributions::P_MIN;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Smallest p-value that a sum of terms tells apart: below it one term outweighs all others a million times over anyhow.
const P_SUMMED_MIN: f64 = 1e-15;
/// Terms are counted in units of 2^-40, as whole numbers, so that sums do not depend on their order.
const UNITS: f64 = (1_u64 << 40) as f64;

/// Sum of the Cauchy terms of many tests (Liu and Xie, "Cauchy combination test", JASA 115 (2020) 393-402, equation 3,
/// equal weights). It is additive: sums of shards add up to the sum of the whole, to the last bit.
///
/// A test whose p-value is above one half, or that was not worth computing, stands as one half: silence neither hides
/// another's signal nor adds to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauchySum {
    /// Tests, silent ones included.
    pub tests: u64,
    /// Sum of the terms, in units of 2^-40.
    pub units: i128,
}

impl CauchySum {
    /// Adds a test.
    pub fn add(&mut self, p: f64) {
        self.tests += 1;
        #[allow(clippy::cast_possible_truncation)] // A term is at most 1/(π·1e-15): 69 bits in these units.
        let units = (cauchy_term(p.max(P_SUMMED_MIN)) * UNITS) as i128;
        self.units += units;
    }

    /// Adds a test that has nothing to say.
    pub const fn add_silent(&mut self) {
        self.tests += 1;
    }

    /// Makes a test that was added one that has nothing to say.
    pub(crate) fn silence(&mut self, p: f64) {
        let mut one = Self::default();
        one.add(p);
        self.units -= one.units;
    }

    /// Adds another sum.
    pub const fn merge(&mut self, other: Self) {
        self.tests += other.tests;
        self.units += other.units;
    }

    /// Combined p-value; 1 where no test spoke.
    #[must_use]
    pub fn p_value(self) -> f64 {
        if self.units == 0 {
            return 1.0;
        }
        p_of_mean(self.units as f64 / UNITS / self.tests.max(1) as f64)
    }
}

/// Combined p-value by the Cauchy combination, valid under any dependence for small values.
///
/// `tests` counts the tests that could have spoken; one that did not, or whose p-value is above one half, stands as one
/// half.
#[must_use]
pub fn cauchy(p_values: impl IntoIterator<Item = f64>, tests: usize) -> f64 {
    let sum: f64 = p_values.into_iter().map(cauchy_term).sum();
    p_of_mean(sum / tests.max(1) as f64)
}

fn p_of_mean(mean: f64) -> f64 {
    // Beyond this the arc tangent has no digits left, and its limit 1/(πt) is exact.
    let p = if mean > 1e6 { 1.0 / (PI * mean) } else { 0.5 - mean.atan() / PI };
    p.clamp(P_MIN, 1.0)
}

fn cauchy_term(p: f64) -> f64 {
    let p = p.clamp(P_MIN, 0.5);
    if p < 1e-8 { 1.0 / (PI * p) } else { ((0.5 - p) * PI).tan() }
}

/// p-value of two independent p-values' product, w (1 - ln w) with w = p q (Fisher, "Statistical methods for research workers",
/// 4th edition, 1932, section 21.1): both must be low for it to be lower than either.
#[must_use]
pub fn fisher(one: f64, other: f64) -> f64 {
    let product = (one * other).clamp(P_MIN, 1.0);
    (product * (1.0 - product.ln())).min(1.0)
}

/// Sum of -log10 p, each capped: orders units, because two middling signals outrank one strong one.
#[must_use]
pub fn risk_score(p_values: impl IntoIterator<Item = f64>, cap: f64) -> f64 {
    p_values.into_iter().map(|p| (-p.max(P_MIN).log10()).clamp(0.0, cap)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(p_values: &[f64], tests: usize, expected: f64) {
        let combined = cauchy(p_values.iter().copied(), tests);
        assert!((combined / expected - 1.0).abs() < 1e-3, "{p_values:?}: {combined} is not {expected}");
    }

    #[test]
    fn small_values_win_and_silence_costs_a_share() {
        check(&[], 2, 0.5);
        check(&[0.04], 1, 0.04);
        check(&[1e-5], 2, 2e-5);
        check(&[1e-5, 1.0], 2, 2e-5);
        check(&[1e-5, 1e-5], 2, 1e-5);
        check(&[1e-200], 2, 2e-200);
        check(&[0.0], 1, P_MIN);
    }

    #[test]
    fn sums_do_not_depend_on_how_they_are_parted() {
        let p_values = [1e-5, 0.3, 1e-9, 0.04, 0.0, 0.9, 0.007];
        let sum = |p_values: &[f64]| {
            let mut sum = CauchySum::default();
            p_values.iter().for_each(|&p| sum.add(p));
            sum
        };
        let whole = sum(&p_values);
        for cut in 0..p_values.len() {
            let mut parts = sum(&p_values[cut..]);
            parts.merge(sum(&p_values[..cut]));
            assert_eq!(parts, whole);
        }
        let mut one = sum(&[1e-5]);
        one.add_silent();
        assert!((one.p_value() / 2e-5 - 1.0).abs() < 1e-3);
        assert!((CauchySum::default().p_value() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_product_is_low_where_both_are() {
        for (one, other, expected) in [(1.0, 1.0, 1.0), (1e-3, 1e-3, 1.4816e-5), (0.1, 1.0, 0.33026), (0.0, 1.0, 0.0)] {
            assert!((fisher(one, other) - expected).abs() < 1e-4 * expected + 1e-9, "{one}, {other}");
        }
    }

    #[test]
    fn the_score_is_capped_per_signal() {
        assert!((risk_score([1e-3, 1e-9], 6.0) - 9.0).abs() < 1e-9);
        assert!((risk_score([1.0, 0.5, 2.0], 6.0) - 0.301).abs() < 1e-3);
    }
}

//! One answer of several p-values. Not the decision: that is [`crate::engine`]'s.

use crate::distributions::P_MIN;
use std::f64::consts::PI;

/// Combined p-value by the Cauchy combination, valid under any dependence for small values (Liu and Xie, "Cauchy
/// combination test", JASA 115 (2020) 393-402, equation 3, equal weights).
///
/// `tests` counts the tests that could have spoken; one that did not, or whose p-value is above one half, stands as one
/// half, so that silence neither hides another's signal nor adds to it.
#[must_use]
pub fn cauchy(p_values: impl IntoIterator<Item = f64>, tests: usize) -> f64 {
    let sum: f64 = p_values.into_iter().map(cauchy_term).sum();
    let mean = sum / tests.max(1) as f64;
    // Beyond this the arc tangent has no digits left, and its limit 1/(πt) is exact.
    let p = if mean > 1e6 { 1.0 / (PI * mean) } else { 0.5 - mean.atan() / PI };
    p.clamp(P_MIN, 1.0)
}

fn cauchy_term(p: f64) -> f64 {
    let p = p.clamp(P_MIN, 0.5);
    if p < 1e-8 { 1.0 / (PI * p) } else { ((0.5 - p) * PI).tan() }
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
    fn the_score_is_capped_per_signal() {
        assert!((risk_score([1e-3, 1e-9], 6.0) - 9.0).abs() < 1e-9);
        assert!((risk_score([1.0, 0.5, 2.0], 6.0) - 0.301).abs() < 1e-3);
    }
}

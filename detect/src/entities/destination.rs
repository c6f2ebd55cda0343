//! Detector of unusual destinations: an entity that opens edges it never had, more of them or rarer ones than entities of
//! its age do. A Cox-like birth process: pooled age hazard λ, an entity's own Gamma factor θ and marks u; the k most
//! surprising births are judged together by a negative-binomial tail.
//!
//! It does not see whether a known edge changes, and a new source that does little is missed by design: it has no past.

use super::outlook::{Expectation, Marked};
use crate::distributions::{ln_negative_binomial_tail, p_of_ln};

/// p-value of births given by ascending mark: twice the least over k of P(at least k births as surprising as the k-th), k
/// in {1, powers of two, all}; no factor where there is but one.
pub(super) fn p_of_births(births: &[Marked], expected: Expectation) -> f64 {
    let all = births.len();
    if all == 0 {
        return 1.0;
    }
    let powers = std::iter::successors(Some(1_usize), |k| k.checked_mul(2)).take_while(|&k| k < all);
    let least = powers
        .chain([all])
        .map(|k| ln_negative_binomial_tail(k as u64, expected.shape, expected.births * births[k - 1].mark))
        .fold(f64::INFINITY, f64::min);
    let choices = if all == 1 { 1.0 } else { 2.0_f64 };
    p_of_ln(least + choices.ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(marks: &[f64], births: f64, low: f64, high: f64) {
        let births_of = |&mark: &f64| Marked { mark, p_value: 1.0 };
        let marked: Vec<Marked> = marks.iter().map(births_of).collect();
        let p = p_of_births(&marked, Expectation { births, shape: 3.0 });
        assert!((low..=high).contains(&p), "{marks:?} at {births}: {p}");
    }

    #[test]
    fn several_rare_births_are_worse_than_one() {
        check(&[], 0.1, 1.0, 1.0);
        check(&[1.0], 0.1, 0.09, 0.1);
        check(&[0.01], 0.1, 9e-4, 1e-3);
        check(&[0.01, 0.01], 0.1, 1e-6, 2e-6);
        check(&[0.01; 16], 0.1, 0.0, 1e-40);
        // Common births beside a rare one do not hide it.
        check(&[0.001, 1.0, 1.0], 0.1, 1e-4, 2.1e-4);
    }
}

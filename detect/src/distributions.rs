//! Tail probabilities, exact in relative terms however small: negative binomial and Student's t.
//!
//! Both are regularised incomplete beta functions (DLMF 8.17; Abramowitz and Stegun 26.5.26 and 26.7.1), computed here in
//! logarithms, because statrs' own loses tails below the smallest double.

use statrs::function::beta::ln_beta;

/// The smallest p-value that is told: below it doubles lose precision.
pub const P_MIN: f64 = 1e-300;
const ITERATIONS_MAX: u32 = 5_000;

/// A p-value of its natural logarithm, kept within [`P_MIN`] and 1.
#[must_use]
pub fn p_of_ln(ln_p: f64) -> f64 {
    ln_p.exp().clamp(P_MIN, 1.0)
}

/// ln I_x(a, b) for a, b > 0, where `y` is 1 - x, given apart so that neither end loses digits.
#[must_use]
pub fn ln_regularised_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if y <= 0.0 {
        return 0.0;
    }
    let ln_front = a * x.ln() + b * y.ln() - ln_beta(a, b);
    if x < (a + 1.0) / (a + b + 2.0) {
        return (ln_front + (continued_fraction(a, b, x) / a).ln()).min(0.0);
    }
    let complement = (ln_front + (continued_fraction(b, a, y) / b).ln()).exp();
    (-complement.min(1.0)).ln_1p()
}

/// The continued fraction DLMF 8.17.22, by the modified Lentz algorithm.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut numerator = 1.0;
    let mut denominator = away_from_zero(1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut fraction = denominator;
    for step in 1..ITERATIONS_MAX {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut factor = 1.0;
        for term in [even, odd] {
            denominator = away_from_zero(1.0 + term * denominator).recip();
            numerator = away_from_zero(1.0 + term / numerator);
            factor = denominator * numerator;
            fraction *= factor;
        }
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// ln P(X ≥ `count`), X negative binomial of this shape and mean: I_{m/(m+r)}(k, r).
#[must_use]
pub fn ln_negative_binomial_tail(count: u64, shape: f64, mean: f64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    let sum = mean + shape;
    ln_regularised_beta(count as f64, shape, mean / sum, shape / sum)
}

/// P(T ≥ `t`), T of Student's distribution.
#[must_use]
pub fn student_t_tail(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    let sum = freedom + square;
    if !sum.is_finite() {
        return if t > 0.0 { P_MIN } else { 1.0 };
    }
    let half = 0.5 * ln_regularised_beta(0.5 * freedom, 0.5, freedom / sum, square / sum).exp();
    if t > 0.0 { half.max(P_MIN) } else { 1.0 - half }
}

/// The t with P(T ≥ t) = `p`, for p in (0, 0.5], by bisection.
#[must_use]
pub fn student_t_quantile(p: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if student_t_tail(middle, freedom) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reference values: mpmath 1.3, 50 digits (rounded here), betainc(..., regularized=True).

    fn check_births(count: u64, shape: f64, mean: f64, ln_p: f64) {
        let tail = ln_negative_binomial_tail(count, shape, mean);
        assert!(
            tail == ln_p || (tail - ln_p).abs() < 1e-9 * ln_p.abs().max(1.0),
            "{count}, {shape}, {mean}: {tail} is not {ln_p}"
        );
    }

    #[test]
    fn negative_binomial_tails() {
        check_births(0, 3.0, 2.0, 0.0);
        check_births(1, 3.0, 0.0, f64::NEG_INFINITY);
        check_births(1, 0.25, 1e-6, -13.815_513_057_96);
        check_births(1, 3.0, 0.5, -0.993_543_360_707);
        check_births(5, 3.0, 0.01, -25.496_573_443_41);
        check_births(40, 3.0, 0.001, -313.510_589_608_61);
        check_births(2, 0.25, 30.0, -0.472_031_641_711);
        check_births(1000, 3.0, 1200.0, -0.608_855_185_079);
        check_births(65_536, 3.0, 2.0, -60_029.563_426_634);
    }

    fn check_t(t: f64, freedom: f64, p: f64) {
        let tail = student_t_tail(t, freedom);
        assert!((tail / p - 1.0).abs() < 1e-9, "{t}, {freedom}: {tail} is not {p}");
    }

    #[test]
    fn student_tails() {
        check_t(0.0, 5.0, 0.5);
        check_t(1.0, 3.0, 0.195_501_109_478);
        check_t(2.5, 4.7, 0.028_796_079_673_43);
        check_t(6.0, 10.0, 6.605_443_017_739e-5);
        check_t(40.0, 10.0, 1.140_428_871_543e-12);
        check_t(-2.0, 10.0, 0.963_305_982_615);
        check_t(1e6, 10.0, 1.230_468_749_944e-56);
        check_t(0.001, 3.0, 0.499_632_447_495);
        check_t(f64::INFINITY, 10.0, P_MIN);
        check_t(f64::NEG_INFINITY, 10.0, 1.0);
    }

    #[test]
    fn the_quantile_inverts_the_tail() {
        for p in [0.4, 0.01, 1e-6] {
            let back = student_t_tail(student_t_quantile(p, 7.0), 7.0);
            assert!((back / p - 1.0).abs() < 1e-6, "{p}: {back}");
        }
    }
}

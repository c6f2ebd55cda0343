//! Tail probabilities, exact in relative terms however small: negative binomial, beta-binomial, Erlang and Student's t.
//!
//! The first and the last are regularised incomplete beta functions (DLMF 8.17; Abramowitz and Stegun 26.5.26 and
//! 26.7.1), computed here in logarithms, because statrs' own loses tails below the smallest double.

use statrs::function::beta::ln_beta;
use statrs::function::gamma::ln_gamma;

/// The smallest p-value that is told: below it doubles lose precision.
pub const P_MIN: f64 = 1e-300;
const ITERATIONS_MAX: u32 = 5_000;
/// Draws up to which a beta-binomial tail is summed term by term.
const TRIALS_SUMMED_MAX: u64 = 3_000;

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
    if count == 1 {
        // 1 - (r/(r + m))^r, the closed form of the commonest case.
        return if mean <= 0.0 { f64::NEG_INFINITY } else { (-(-shape * (mean / shape).ln_1p()).exp_m1()).ln() };
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

/// P(|T| ≥ |`t`|), T of Student's distribution.
#[must_use]
pub fn student_t_two_sided(t: f64, freedom: f64) -> f64 {
    (2.0 * student_t_tail(t.abs(), freedom)).min(1.0)
}

/// P(X ≥ `count`), X beta-binomial: `trials` draws whose chance is itself drawn from Beta(a, b).
///
/// A count at or below the mean is not unusual and answered with 1. Beyond 3,000 draws the binomial's own
/// spread is far below that of the chance, and the tail is that of Beta(a, b) at (count - ½)/trials.
#[must_use]
pub fn beta_binomial_tail(count: u64, trials: u64, a: f64, b: f64) -> f64 {
    let (k, n) = (count.min(trials) as f64, trials as f64);
    if k <= n * a / (a + b) {
        return 1.0;
    }
    if trials > TRIALS_SUMMED_MAX {
        let share = (k - 0.5) / n;
        return p_of_ln(ln_regularised_beta(b, a, 1.0 - share, share));
    }
    let ln_choose = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let mut term = (ln_choose + ln_beta(k + a, n - k + b) - ln_beta(a, b)).exp();
    let mut sum = term;
    let mut j = k;
    while j < n && term > sum * 1e-16 {
        term *= (n - j) / (j + 1.0) * (j + a) / (n - j - 1.0 + b);
        sum += term;
        j += 1.0;
    }
    sum.clamp(P_MIN, 1.0)
}

/// P(X ≥ `x`), X the sum of `stages` exponentials of rate one (DLMF 8.4.10).
#[must_use]
pub fn erlang_tail(stages: u32, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let mut term = 1.0;
    let mut sum = 1.0;
    for stage in 1..stages {
        term *= x / f64::from(stage);
        sum += term;
    }
    p_of_ln(f64::ln(sum) - x)
}

/// ln P(X ≤ `x`), X gamma distributed with this shape and rate one: the series DLMF 8.7.1, for small x, where it converges
/// fast.
#[must_use]
pub fn ln_gamma_lower(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let mut term = 1.0;
    let mut sum = 1.0;
    for step in 1..ITERATIONS_MAX {
        term *= x / (shape + f64::from(step));
        sum += term;
        if term < sum * 1e-16 {
            break;
        }
    }
    (shape * x.ln() - x - ln_gamma(shape + 1.0) + sum.ln()).min(0.0)
}

/// P(greatest of `ordinates` of a periodogram ≥ `share` of their sum) where there is no period: Fisher's g-test (Fisher,
/// "Tests of significance in harmonic analysis", Proc. R. Soc. A 125, 1929, equation 3). Where terms of the alternating sum would
/// cancel, its first one bounds it.
#[must_use]
pub fn fisher_g_tail(ordinates: u32, share: f64) -> f64 {
    let count = f64::from(ordinates);
    let first = (count.ln() + (count - 1.0) * (-share.min(1.0)).ln_1p()).exp();
    if share <= 1.0 / count || first > 0.5 {
        return 1.0;
    }
    first.clamp(P_MIN, 1.0)
}

/// The normal deviate with P(Z ≤ z) = `p`, for p in (0, 1) (Wichura, algorithm AS 241, as in statrs).
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    use statrs::function::erf::erfc_inv;
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p.clamp(1e-300, 1.0 - 1e-16))
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

    // Reference values: scipy 1.16, betabinom.sf(k - 1, n, a, b) and gammaincc(k, x); all of all is a product of ratios.

    fn check_refusals(count: u64, trials: u64, a: f64, b: f64, p: f64) {
        let tail = beta_binomial_tail(count, trials, a, b);
        assert!((tail / p - 1.0).abs() < 1e-8, "{count} of {trials}, {a}, {b}: {tail} is not {p}");
    }

    fn check_erlang(stages: u32, x: f64, p: f64) {
        let tail = erlang_tail(stages, x);
        assert!((tail / p - 1.0).abs() < 1e-12, "{stages}, {x}: {tail} is not {p}");
    }

    #[test]
    fn beta_binomial_tails() {
        check_refusals(1, 1, 0.2, 19.8, 0.01);
        check_refusals(5, 10, 0.2, 19.8, 1.455_368_800_973_3e-4);
        check_refusals(200, 200, 0.2, 19.8, 2.902_993_682_544_97e-30);
        check_refusals(3, 1000, 0.02, 19.98, 0.048_880_372_532_0);
        check_refusals(60, 3000, 0.2, 19.8, 0.151_361_401_623_06);
        assert!((beta_binomial_tail(0, 10, 0.2, 19.8) - 1.0).abs() < 1e-12);
        // Beyond the summed range, against the sum: within three in a hundred.
        let approximate = beta_binomial_tail(500, 5000, 0.2, 19.8);
        assert!((approximate / 0.012_350_997_678 - 1.0).abs() < 0.03, "{approximate}");
    }

    #[test]
    fn erlang_tails() {
        check_erlang(1, 3.0, 0.049_787_068_367_864);
        check_erlang(2, 3.0, 0.199_148_273_471_456);
        check_erlang(4, 20.0, 3.203_719_780_477e-6);
        check_erlang(4, 0.5, 0.998_248_377_443_709);
        check_erlang(3, -1.0, 1.0);
    }

    // Reference values: scipy 1.16, gammainc(a, x) and norm.ppf(p).

    #[test]
    fn gamma_tails_and_normal_quantiles() {
        for (shape, x, p) in [(5.5, 0.155, 1.073_339e-7), (5.5, 4.0, 0.286_696), (1.0, 0.5, 0.393_469_340)] {
            let found = ln_gamma_lower(shape, x).exp();
            assert!((found / p - 1.0).abs() < 1e-5, "{shape}, {x}: {found}");
        }
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_963_985), (1e-6, -4.753_424_309)] {
            assert!((normal_quantile(p) - z).abs() < 1e-6, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn the_greatest_ordinate_needs_a_large_share() {
        // Fisher's table: of 50 ordinates, one in twenty of the greatest is above 0.1313 of the sum.
        assert!((fisher_g_tail(50, 0.131_35) / 0.05 - 1.0).abs() < 0.03, "{}", fisher_g_tail(50, 0.131_35));
        assert!((fisher_g_tail(50, 0.01) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_quantile_inverts_the_tail() {
        for p in [0.4, 0.01, 1e-6] {
            let back = student_t_tail(student_t_quantile(p, 7.0), 7.0);
            assert!((back / p - 1.0).abs() < 1e-6, "{p}: {back}");
        }
    }
}

//! The generalised Pareto distribution, which tails of any distribution come close to (Balkema and de Haan 1974; Pickands
//! 1975): what lies beyond a threshold has P(Y > y) = (1 + ξy/σ)^(-1/ξ), and exp(-y/σ) for ξ = 0.
//!
//! It is fitted by probability-weighted moments (Hosking and Wallis, "Parameter and quantile estimation for the generalized
//! Pareto distribution", Technometrics 29 (1987) 339-349, section 3.2, with ξ = -k): closed form, and better than maximum
//! likelihood below 500 values.

/// Bounds of the shape. Scores are logarithms of p-values, whose tails are exponential where p-values are right; a shape
/// below zero would make anything beyond a bound impossible, and above the upper one moments do not exist.
const SHAPE_MIN: f64 = 0.0;
const SHAPE_MAX: f64 = 0.4;

/// A tail beyond a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tail {
    pub(crate) shape: f64,
    pub(crate) scale: f64,
}

impl Tail {
    /// Fits excesses over the threshold, in ascending order, each with its weight. None without any weight.
    pub(crate) fn fit(excesses: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let total: f64 = excesses.clone().map(|(_, weight)| weight).sum();
        if total <= 0.0 {
            return None;
        }
        let (mut below, mut mean, mut weighted) = (0.0, 0.0, 0.0);
        for (excess, weight) in excesses {
            // Share that lies above, the middle of its own weight taken.
            let above = 1.0 - (below + 0.5 * weight) / total;
            mean += excess * weight / total;
            weighted += excess * above * weight / total;
            below += weight;
        }
        let spread = mean - 2.0 * weighted;
        if mean <= 0.0 || spread <= 0.0 {
            return None;
        }
        let shape = (2.0 - mean / spread).clamp(SHAPE_MIN, SHAPE_MAX);
        // With the shape held, the scale that keeps the mean: E[Y] = σ/(1 - ξ).
        Some(Self { shape, scale: mean * (1.0 - shape) })
    }

    /// P(Y > `excess`).
    pub(crate) fn beyond(self, excess: f64) -> f64 {
        let ratio = (excess / self.scale).max(0.0);
        if self.shape < 1e-9 { (-ratio).exp() } else { (-(self.shape * ratio).ln_1p() / self.shape).exp() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Quantiles of a known tail come back as its parameters.
    fn check(shape: f64, scale: f64) {
        let count = 20_000;
        let excesses: Vec<(f64, f64)> = (0..count)
            .map(|place| {
                let above = 1.0 - (f64::from(place) + 0.5) / f64::from(count);
                let excess =
                    if shape == 0.0 { -scale * above.ln() } else { scale / shape * (above.powf(-shape) - 1.0) };
                (excess, 1.0)
            })
            .collect();
        let tail = Tail::fit(excesses.iter().copied()).unwrap();
        assert!((tail.shape - shape).abs() < 0.02, "{shape}, {scale}: {tail:?}");
        assert!((tail.scale / scale - 1.0).abs() < 0.03, "{shape}, {scale}: {tail:?}");
    }

    #[test]
    fn parameters_are_found_again() {
        check(0.0, 1.0);
        check(0.0, 7.5);
        check(0.2, 1.0);
        check(0.35, 3.0);
    }

    #[test]
    fn nothing_and_one_value() {
        assert_eq!(Tail::fit(std::iter::empty()), None);
        assert_eq!(Tail::fit([(0.0, 3.0)].into_iter()), None);
        let tail = Tail { shape: 0.25, scale: 2.0 };
        assert!((tail.beyond(0.0) - 1.0).abs() < 1e-12);
        // (1 + 0.25·8/2)^-4.
        assert!((tail.beyond(8.0) - 0.0625).abs() < 1e-12);
    }
}

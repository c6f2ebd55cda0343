//! LORD++: tests one hypothesis after another so that the expected share of false ones among all rejected stays below a
//! target (Ramdas, Yang, Wainwright, Jordan, "Online control of the false discovery rate with decaying memory", NeurIPS
//! 2017, section 3.1, improving Javanmard and Montanari 2018):
//!
//! α_t = γ_t·w0 + (α - w0)·γ_(t - τ1) + α·Σ_{j ≥ 2} γ_(t - τj), where τj is the time of the j-th rejection, w0 = α/10 and
//! γ_j = 0.07720838·ln(max(j, 2))/(j·e^√(ln j)), which sums to one (the choice of Javanmard and Montanari and of the R package
//! onlineFDR).

use crate::exact;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Rejections that are remembered: what older ones still grant is dropped, which only makes the test more cautious.
const REJECTIONS_MAX: usize = 512;

/// The test after some hypotheses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lord {
    #[serde(with = "exact")]
    rate: f64,
    /// Hypotheses so far.
    tested: u64,
    first: Option<u64>,
    later: VecDeque<u64>,
}

fn gamma(step: u64) -> f64 {
    let step = step as f64;
    0.077_208_38 * step.max(2.0).ln() / (step * step.ln().sqrt().exp())
}

impl Lord {
    /// Holds the false discovery rate below `rate`.
    pub(crate) const fn new(rate: f64) -> Self {
        Self { rate, tested: 0, first: None, later: VecDeque::new() }
    }

    /// Whether another one holds the same rate.
    pub(crate) fn has_rate_of(&self, other: &Self) -> bool {
        self.rate.to_bits() == other.rate.to_bits()
    }

    /// The level of the next hypothesis.
    pub(crate) fn level(&self) -> f64 {
        let step = self.tested + 1;
        let start = 0.1 * self.rate;
        let mut level = gamma(step) * start;
        if let Some(first) = self.first {
            level += (self.rate - start) * gamma(step - first);
        }
        level + self.rate * self.later.iter().map(|&rejected| gamma(step - rejected)).sum::<f64>()
    }

    /// Tests the next hypothesis: whether it is rejected.
    pub(crate) fn test(&mut self, p_value: f64) -> bool {
        let is_rejected = p_value <= self.level();
        self.tested += 1;
        if is_rejected {
            match self.first {
                None => self.first = Some(self.tested),
                Some(_) => {
                    self.later.push_back(self.tested);
                    if self.later.len() > REJECTIONS_MAX {
                        self.later.pop_front();
                    }
                }
            }
        }
        is_rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The p-values of the vignette of onlineFDR (Robertson and others, Bioconductor), in their order, at α = 0.05. The
    /// levels were computed from the formula above by a script of its own, in Python with 53 bits.
    const REFERENCE: [(f64, f64, bool); 15] = [
        (2.9e-14, 2.675838545630e-04, true),
        (0.06743, 2.466445719982e-03, false),
        (0.01514, 5.732817542047e-04, false),
        (0.08174, 4.872804760456e-04, false),
        (0.00171, 4.059066212003e-04, false),
        (3.61e-05, 3.447286386290e-04, true),
        (0.79149, 2.974501282098e-03, false),
        (0.27201, 8.450114061402e-04, false),
        (0.28295, 7.305648272027e-04, false),
        (7.59e-08, 6.243142501076e-04, true),
        (0.69274, 3.218591331671e-03, false),
        (0.30443, 1.061722672302e-03, false),
        (0.000487, 9.256824982994e-04, true),
        (0.72342, 3.477804234574e-03, false),
        (0.54757, 1.287871329722e-03, false),
    ];

    #[test]
    fn levels_are_those_of_the_reference() {
        let mut lord = Lord::new(0.05);
        for (p_value, level, is_rejected) in REFERENCE {
            assert!((lord.level() / level - 1.0).abs() < 1e-9, "{p_value}: {} is not {level}", lord.level());
            assert_eq!(lord.test(p_value), is_rejected, "{p_value}");
        }
    }

    #[test]
    fn levels_never_sum_to_more_than_the_wealth() {
        // Half of it is spent on the first two million, since ln j/(j·e^√(ln j)) falls slowly.
        let sum: f64 = (1..2_000_000).map(gamma).sum();
        assert!((0.5..=0.6).contains(&sum), "{sum}");
    }
}

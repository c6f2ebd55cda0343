//! Detector of bursts of refusals on a known edge, denied and failed apart: beta-binomial tail of the refused flows, the
//! edge's own share of them shrunk to that of all edges. The concentration never exceeds that of the prior, because
//! refusals come in bursts even where nothing is wrong.

use super::baseline::EdgeState;
use crate::distributions::beta_binomial_tail;
use crate::report::{EdgeCounts, Pools};

/// Flows that the prior is worth, and the most that prior and past are worth together.
pub(crate) const CONCENTRATION: f64 = 20.0;
/// Weight of the past after one window.
pub(crate) const FORGETTING: f64 = 0.95;

/// Share of refused flows over all edges; the prior is one in a hundred, worth fifty flows. `refused` counts tenths.
pub(crate) fn pooled_share(refused_tenths: u64, flows: u64) -> f64 {
    (0.5 + refused_tenths as f64 / 10.0) / (50.0 + flows as f64)
}

/// P(at least `refused` of `flows`), where before there were `past_refused` of `past_flows`; and the mean share by which
/// this was judged.
pub(crate) fn p_value(share: f64, past_refused: f64, past_flows: f64, refused: i64, flows: i64) -> (f64, f64) {
    let a = CONCENTRATION * share + past_refused;
    let b = CONCENTRATION * (1.0 - share) + (past_flows - past_refused).max(0.0);
    let scale = (CONCENTRATION / (a + b)).min(1.0);
    let (a, b) = (a * scale, (b * scale).max(1e-6));
    (beta_binomial_tail(refused.unsigned_abs(), flows.unsigned_abs(), a, b), a / (a + b))
}

/// Takes a window in.
pub(super) fn learn(state: &mut EdgeState, counts: &EdgeCounts, pools: &mut Pools) {
    #[allow(clippy::cast_possible_truncation)] // Single precision is what is kept.
    let fade = |past: f32, now: i64| (f64::from(past) * FORGETTING + now as f64) as f32;
    let refusals = &mut state.refusals;
    refusals.denied = fade(refusals.denied, counts.denied);
    refusals.failed = fade(refusals.failed, counts.failed);
    refusals.flows = fade(refusals.flows, counts.flows);
    // Robust: at most one flow in ten of a window enters the share of all.
    let flows = counts.flows.unsigned_abs();
    let tenths = |refused: i64| refused.unsigned_abs().saturating_mul(10).min(flows);
    pools.flows = pools.flows.saturating_add(flows);
    pools.denied = pools.denied.saturating_add(tenths(counts.denied));
    pools.failed = pools.failed.saturating_add(tenths(counts.failed));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(share: f64, past: (f64, f64), refused: i64, flows: i64, low: f64, high: f64) {
        let (p, _) = p_value(share, past.0, past.1, refused, flows);
        assert!((low..=high).contains(&p), "{refused} of {flows} after {past:?}: {p}");
    }

    #[test]
    fn bursts_are_unusual_where_they_were_not_usual() {
        check(0.01, (0.0, 1000.0), 0, 100, 1.0, 1.0);
        check(0.01, (0.0, 1000.0), 200, 200, 0.0, 1e-12);
        check(0.01, (500.0, 1000.0), 100, 200, 0.3, 1.0);
        check(0.01, (0.0, 0.0), 1, 100, 0.05, 1.0);
        check(0.01, (0.0, 0.0), i64::MAX, i64::MAX, 0.0, 1e-6);
    }
}

//! Detector of unusual sizes: a flow with far more or fewer bytes, either way, than the edge's flows have. Student-t on
//! ln(1 + bytes) per flow with slow forgetting; the variance of all edges is worth two flows.
//!
//! The baseline stands still inside a window, so the most unusual flow is the smallest or the largest, and one p-value
//! per edge and direction is enough.

use super::baseline::{EdgeState, Moments, Prediction};
use super::tally::{SQUARED_RESIDUAL_MAX, SizeTally, Tally};
use crate::distributions::student_t_quantile;
use crate::report::{Facts, Pools};
use std::sync::LazyLock;

/// Weight of the past after one flow.
const FORGETTING: f64 = 0.999;
/// Flows that the pooled variance is worth.
const VARIANCE_PRIOR: f64 = 2.0;
/// Upper bound of the degrees of freedom.
const FREEDOM_MAX: f64 = 30.0;
/// Weighted flows an edge needs before it is judged.
const FLOWS_MIN: f32 = 5.0;
/// Windows an edge needs before it is judged: one window says nothing of how others differ.
const WINDOWS_MIN: u32 = 3;
/// Weighted flows an edge needs before unusual flows are held back from learning.
const FLOWS_FOR_HOLD_MIN: f32 = 20.0;
/// A flow with a p-value below this is held back from learning.
const HOLD_P_VALUE: f64 = 1e-6;
/// After so many windows with flows held back the new sizes are learnt.
const HELD_WINDOWS_MAX: u8 = 6;
/// So many windows with flows held back are a habit.
const HABIT_WINDOWS: u8 = 3;
/// A deviation of fewer scales is no news whatever the degrees of freedom, and its probability is not computed.
const DEVIATION_MIN: f64 = 2.0;
/// Units of squared logarithms in the pools: the square of a tally's steps.
const UNITS: f64 = (1_u64 << 28) as f64;

/// Scales beyond which a flow is held back, per whole degree of freedom.
static HOLD_DEVIATIONS: LazyLock<Vec<f64>> =
    LazyLock::new(|| (1_u8..=30).map(|freedom| student_t_quantile(HOLD_P_VALUE / 2.0, freedom.into())).collect());

/// What was found of one edge.
pub(super) struct Judged {
    pub(super) p_value: f64,
    pub(super) facts: Facts,
}

/// The prior is two residuals of variance one half.
fn pooled_variance(pools: &Pools) -> f64 {
    (1.0 + pools.size_squares as f64 / UNITS) / (2.0 + pools.sizes as f64)
}

fn prediction(moments: &Moments, pools: &Pools) -> Prediction {
    moments.predict(pooled_variance(pools), VARIANCE_PRIOR, 0.0, FREEDOM_MAX)
}

/// An empty tally that knows which sizes to hold back.
pub(super) fn tally(state: &EdgeState, moments: &Moments, pools: &Pools, is_training: bool) -> SizeTally {
    let holds = !is_training && moments.weight >= FLOWS_FOR_HOLD_MIN && state.sizes_held < HELD_WINDOWS_MAX;
    let bound = if holds {
        let prediction = prediction(moments, pools);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // From 22 to 30.
        let place = prediction.freedom as usize - 1;
        prediction.scale * HOLD_DEVIATIONS[place.min(HOLD_DEVIATIONS.len() - 1)]
    } else {
        f64::INFINITY
    };
    SizeTally::new(f64::from(moments.mean), bound)
}

/// p-value of the edge's most unusual flow, times the flows and directions tested. None where nothing was tested; facts
/// only where it may be unusual.
pub(super) fn judge(state: &EdgeState, tally: &Tally, pools: &Pools) -> Option<Option<Judged>> {
    if state.windows < WINDOWS_MIN {
        return None;
    }
    let mut tests = 0;
    let mut strongest: Option<Judged> = None;
    for (is_out, moments, sizes) in [(true, &state.size_out, &tally.size_out), (false, &state.size_in, &tally.size_in)]
    {
        let Some(value) = sizes.farthest(moments.mean.into()).filter(|_| moments.weight >= FLOWS_MIN) else { continue };
        tests += sizes.count + sizes.held;
        let prediction = prediction(moments, pools);
        if prediction.deviation(value).abs() < DEVIATION_MIN {
            continue;
        }
        let p_value = prediction.two_sided(value);
        if strongest.as_ref().is_none_or(|known| p_value < known.p_value) {
            let Prediction { mean, scale, freedom } = prediction;
            let facts = Facts::Transfer { is_out, bytes: value.exp_m1(), mean, scale, freedom };
            strongest = Some(Judged { p_value, facts });
        }
    }
    (tests > 0).then(|| {
        let Judged { p_value, facts } = strongest?;
        Some(Judged { p_value: (p_value * tests as f64).max(habit(state)).min(1.0), facts })
    })
}

/// What an edge did in several windows already is no rarer than the share of them, whatever its model says: where sizes come of
/// two kinds of flows, no single distribution fits.
fn habit(state: &EdgeState) -> f64 {
    if state.sizes_held < HABIT_WINDOWS { 0.0 } else { f64::from(state.sizes_held) / (f64::from(state.windows) + 1.0) }
}

/// Takes the window's sizes in, but for those held back.
pub(super) fn learn(state: &mut EdgeState, tally: &Tally, pools: &mut Pools) {
    if tally.size_out.held + tally.size_in.held > 0 {
        state.sizes_held += 1;
    }
    let out = &tally.size_out;
    let (mean, squares) = out.moments();
    if state.size_out.weight >= 2.0 {
        pools.size_squares += u128::from(out.residuals());
        pools.sizes += out.count;
    } else if out.count >= 2 {
        // No baseline to differ from: the window's own spread.
        let freedom = (out.count - 1) as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // Bounded by the number of flows times 9 · 2^28.
        let units = (squares.min(SQUARED_RESIDUAL_MAX * freedom) * UNITS) as u128;
        pools.size_squares += units;
        pools.sizes += out.count - 1;
    }
    state.size_out.learn(out.count, mean, squares, FORGETTING);
    let (mean, squares) = tally.size_in.moments();
    state.size_in.learn(tally.size_in.count, mean, squares, FORGETTING);
}

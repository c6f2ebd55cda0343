//! Detector of unusual volumes: an edge on which far more connections open in a window than it had before, the common
//! change of the whole network taken out. Student-t on ln(1 + connections), exponential forgetting.
//!
//! Upper tail only: what is not heard any more has no window of its own, and is `entities::silence`' to judge. It decides on
//! floods and takes no part in the order of units, where it only adds noise.

use super::baseline::{EdgeState, Prediction};
use super::tally::SQUARED_RESIDUAL_MAX;
use crate::report::{Exchange, Pools};
use crate::settings::VolumeSettings;

/// Edges with a baseline that the network's common change needs at least: the median of fewer says little.
const EDGES_FOR_COMMON_MIN: u64 = 8;
/// Residuals are exchanged in steps of 2^-8.
const STEPS: f64 = 256.0;
/// A deviation of fewer scales is no news whatever the degrees of freedom, and its probability is not computed.
const DEVIATION_MIN: f64 = 1.5;

/// ln(1 + connections opened).
pub(crate) fn level(opened: i64) -> f64 {
    (opened as f64).ln_1p()
}

/// What an established edge is expected to do. The variance is at least that of a Poisson count in logarithms,
/// c/(1 + c)² by the delta method: an edge that had one connection in every window so far may have two.
pub(super) fn prediction(state: &EdgeState, pools: &Pools, settings: &VolumeSettings) -> Option<Prediction> {
    let is_established = f64::from(state.volume.weight) >= settings.windows_min;
    is_established.then(|| {
        let mean = f64::from(state.volume.mean);
        let least = mean.exp_m1() * (-2.0 * mean).exp();
        state.volume.predict(pooled_variance(pools), settings.variance_prior, least, settings.freedom_max)
    })
}

/// p-value of a level, where it may be unusual.
pub(crate) fn p_value(prediction: Prediction, level: f64) -> Option<f64> {
    (prediction.deviation(level) > DEVIATION_MIN).then(|| prediction.tail(level))
}

/// The prior is one residual of variance 0.25.
fn pooled_variance(pools: &Pools) -> f64 {
    (0.25 + pools.volume_squares as f64 / (STEPS * STEPS * 4096.0)) / (1.0 + pools.volumes as f64)
}

/// Adds an edge's residual to the exchange.
pub(super) fn exchange(state: &EdgeState, opened: i64, settings: &VolumeSettings, exchange: &mut Exchange) {
    if f64::from(state.volume.weight) >= settings.windows_min && opened > 0 {
        let residual = level(opened) - f64::from(state.volume.mean);
        #[allow(clippy::cast_possible_truncation)] // Logarithms of counts are below 44.
        let step = (residual * STEPS).round() as i32;
        *exchange.residuals.entry(step).or_default() += 1;
    }
}

/// The window's common change: the median residual of all shards.
pub(crate) fn common_change(exchange: &Exchange) -> f64 {
    let count: u64 = exchange.residuals.values().sum();
    if count < EDGES_FOR_COMMON_MIN {
        return 0.0;
    }
    let at = |rank: u64| {
        let mut seen = 0;
        let step = exchange.residuals.iter().find(|&(_, count)| {
            seen += count;
            seen > rank
        });
        step.map_or(0.0, |(&step, _)| f64::from(step))
    };
    0.5 * (at((count - 1) / 2) + at(count / 2)) / STEPS
}

/// Takes a window in, unless it is too unusual and has not been so for long.
pub(super) fn learn(state: &mut EdgeState, level: f64, is_unusual: bool, settings: &VolumeSettings, pools: &mut Pools) {
    if is_unusual && u32::from(state.volumes_held) < settings.held_windows_max.min(u8::MAX.into()) {
        state.volumes_held += 1;
        return;
    }
    state.volumes_held = 0;
    let weight = f64::from(state.volume.weight);
    if weight >= 1.0 {
        let residual = level - f64::from(state.volume.mean);
        let squared = (residual * residual * weight / (weight + 1.0)).min(SQUARED_RESIDUAL_MAX);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // From 0 to 9 · 2^28.
        let units = (squared * STEPS * STEPS * 4096.0) as u64;
        pools.volume_squares += u128::from(units);
        pools.volumes += 1;
    }
    state.volume.learn(1, level, 0.0, settings.forgetting);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(residuals: &[(i32, u64)], expected: f64) {
        let exchange = Exchange { residuals: residuals.iter().copied().collect() };
        assert!((common_change(&exchange) - expected).abs() < 1e-12, "{residuals:?}");
    }

    #[test]
    fn the_common_change_is_the_median() {
        check(&[], 0.0);
        check(&[(256, 7)], 0.0);
        check(&[(256, 8)], 1.0);
        check(&[(0, 4), (512, 4)], 1.0);
        check(&[(-256, 2), (0, 5), (2560, 2)], 0.0);
    }
}

//! One edge at a window's close: every detector of the edge level judges it, then learns it.

use super::baseline::EdgeState;
use super::digest::Digests;
use super::long_view::{Closed, LongView};
use super::tally::Tally;
use super::{refusal, transfer, volume};
use crate::network::Port;
use crate::report::{Common, DetectorName, EdgeSignal, Facts};
use crate::settings::VolumeSettings;

/// Windows in which the evidence of a birth halves.
const CARRY_HALF_LIFE: f64 = 2.0;
/// Evidence below this, -ln p, is not carried.
const CARRIED_MIN: f64 = 0.05;
/// The window being closed.
pub(super) struct Window<'a> {
    pub(super) index: i64,
    pub(super) age: u32,
    pub(super) is_partial: bool,
    pub(super) common: &'a Common,
}

/// Lets every detector judge an edge, then learn it. Its signals go to `kept`, where they are.
pub(super) fn close_edge(
    state: &mut EdgeState,
    tally: &Tally,
    window: &Window<'_>,
    volume: Option<&VolumeSettings>,
    long_view: &mut LongView,
    mut kept: Option<&mut Vec<(DetectorName, EdgeSignal)>>,
    digests: &mut Digests<'_>,
) {
    let Common { pools, change, is_training, .. } = window.common;
    let counts = &tally.counts;
    let level = volume::level(counts.opened) - change;
    let mut is_volume_unusual = false;
    let age = u64::from(window.age.saturating_sub(state.born));
    let (edge, windows) = (state.edge, u64::from(state.windows));
    let mut tell = |name: DetectorName, p_value: Option<(f64, Facts)>| {
        let signal = p_value.map(|(p_value, facts)| EdgeSignal {
            edge,
            p_value,
            counts: *counts,
            facts,
            born: window.index.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)),
            windows,
        });
        if let (Some(kept), Some(signal)) = (&mut kept, signal) {
            kept.push((name, signal));
        }
        digests.tell(name, edge, signal);
    };
    if !tally.is_birth {
        if let Some(judged) = transfer::judge(state, tally, pools) {
            tell(DetectorName::Transfer, judged.map(|judged| (judged.p_value, judged.facts)));
        }
        let refusals = [
            (DetectorName::Denied, counts.denied, state.refusals.denied, pools.denied),
            (DetectorName::Failed, counts.failed, state.refusals.failed, pools.failed),
        ];
        for (name, refused, past, pooled) in refusals {
            if refused > 0 {
                let share = refusal::pooled_share(pooled, pools.flows);
                let past_flows = f64::from(state.refusals.flows);
                let (p, usual_share) = refusal::p_value(share, past.into(), past_flows, refused, counts.flows);
                tell(name, Some((p, Facts::Refusal { usual_share })));
            } else {
                tell(name, None);
            }
        }
        let carried = f64::from(state.evidence) * 0.5_f64.powf(age as f64 / CARRY_HALF_LIFE);
        if age > 0 && carried > CARRIED_MIN {
            tell(DetectorName::Carry, Some(((-carried).exp(), Facts::Carry { age })));
        }
        if let Some(settings) = volume
            && counts.opened > 0
            && let Some(prediction) = volume::prediction(state, pools, settings)
        {
            let p_value = volume::p_value(prediction, level);
            is_volume_unusual = p_value.is_some_and(|p| p < settings.learn_p_min);
            let facts =
                Facts::Volume { mean: prediction.mean + change, scale: prediction.scale, freedom: prediction.freedom };
            tell(DetectorName::Volume, p_value.map(|p| (p, facts)));
        }
    }
    let closed = Closed { number: tally.number, index: window.index, age, counts, pools };
    long_view.close(state, &closed, tell);
    if tally.is_birth {
        digests.birth(state.edge, counts);
    }
    if state.watched_until >= window.age && state.watched_until > 0 {
        digests.watched(state.edge, counts);
    }
    if counts.answered > 0 && !state.is_answered {
        state.is_answered = true;
        if state.edge.port != Port::Unoriented {
            digests.answer(state.edge);
        }
    }
    state.windows += 1;
    state.last = window.age;
    transfer::learn(state, tally, &mut digests.pools);
    refusal::learn(state, counts, &mut digests.pools);
    // A window in which only old connections went on says nothing of how many open, nor does one that is not over.
    if let Some(settings) = volume.filter(|_| counts.opened > 0 && !window.is_partial) {
        volume::learn(state, level, is_volume_unusual && !is_training, settings, &mut digests.pools);
    }
}

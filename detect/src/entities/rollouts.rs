//! Services that are being replaced, or are down: many clients that they used to answer fail at once. Their clients' failures
//! say nothing of the clients then, so that these are not held against them.
//!
//! Only what failed, never what a policy stopped; only on edges that were answered before; only towards this service: whoever
//! fails elsewhere, too, is judged by that. And only for an hour a day, so that it is no cover.

use super::EntityStates;
use super::view::View;
use crate::numbered::keep_keys;
use crate::report::{DetectorName, EDGE_DETECTORS, EdgeSignal};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// So many clients at once are no chance.
const CLIENTS_MIN: usize = 3;
/// More failures than usual: edges with a higher p-value say nothing.
const P_MAX: f64 = 0.05;
/// Windows that an edge must be old.
const WINDOWS_MIN: u64 = 3;
/// After the last window with many such clients it lasts so many more: the last ones notice late.
const AFTER_WINDOWS: i64 = 2;
/// So long in a day at most, seconds.
const EXCUSED_MAX_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// Services that are remembered.
const SERVICES_MAX: usize = 4_096;

/// Services whose clients failed, by number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rollouts(BTreeMap<u32, Rollout>);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Rollout {
    /// The window from which its day counts.
    begun: i64,
    /// The last window in which many failed.
    last: i64,
    /// Windows of its day in which failures were excused.
    excused: i64,
}

fn place() -> usize {
    EDGE_DETECTORS.iter().position(|&name| name == DetectorName::Failed).unwrap_or_default()
}

impl Rollouts {
    /// Takes failures out of the view that say nothing of those who failed; to be called before it is judged.
    pub(super) fn excuse(&mut self, view: &mut View, states: &EntityStates, window_s: i64) {
        let place = place();
        let is_known = |signal: &EdgeSignal| {
            let edge = signal.edge;
            signal.windows >= WINDOWS_MIN
                && signal.counts.denied == 0
                && states.votes.has_voted(edge.source, edge.destination)
        };
        let mut clients: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for digest in &view.sources {
            for signal in digest.tests[place].top.iter().filter(|signal| signal.p_value < P_MAX && is_known(signal)) {
                clients.entry(signal.edge.destination).or_default().insert(digest.source);
            }
        }
        clients.retain(|_, clients| clients.len() >= CLIENTS_MIN);
        let failing: BTreeSet<u32> = clients.into_keys().collect();
        let excused = self.step(view.index, &failing, window_s);
        if excused.is_empty() {
            return;
        }
        for digest in &mut view.sources {
            let (mut failed, mut sum) = (0_i64, digest.tests[place].sum);
            digest.tests[place].top.retain(|signal| {
                let is_excused = excused.contains(&signal.edge.destination) && is_known(signal);
                if is_excused {
                    failed = failed.saturating_add(signal.counts.failed);
                    sum.silence(signal.p_value);
                }
                !is_excused
            });
            digest.tests[place].sum = sum;
            digest.failed = digest.failed.saturating_sub(failed).max(0);
            digest.flows = digest.flows.saturating_sub(failed).max(0);
        }
    }

    /// Takes the services in whose clients fail in this window; those whose clients are excused.
    fn step(&mut self, index: i64, failing: &BTreeSet<u32>, window_s: i64) -> BTreeSet<u32> {
        let day = DAY_S / window_s.max(1);
        let most = (EXCUSED_MAX_S / window_s.max(1)).max(1);
        self.0.retain(|_, known| index.saturating_sub(known.begun) < day || index - known.last <= AFTER_WINDOWS);
        for &service in failing {
            if self.0.len() < SERVICES_MAX || self.0.contains_key(&service) {
                self.0.entry(service).or_insert(Rollout { begun: index, last: index, excused: 0 }).last = index;
            }
        }
        let mut excused = BTreeSet::new();
        for (&service, known) in &mut self.0 {
            if index.saturating_sub(known.begun) >= day {
                (known.begun, known.excused) = (index, 0);
            }
            if index.saturating_sub(known.last) <= AFTER_WINDOWS && known.excused < most {
                known.excused += 1;
                excused.insert(service);
            }
        }
        excused
    }

    /// Forgets entities, or gives them other numbers.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        keep_keys(&mut self.0, numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows in which the clients of one service fail, and those in which they are excused, by windows of five minutes.
    fn check(failing: impl Fn(i64) -> bool, windows: i64, expected: &[i64]) {
        let mut rollouts = Rollouts::default();
        let excused = |index: &i64| {
            let now: BTreeSet<u32> = failing(*index).then_some(7).into_iter().collect();
            !rollouts.step(*index, &now, 300).is_empty()
        };
        let excused: Vec<i64> = (0..windows).filter(excused).collect();
        assert_eq!(excused, expected);
    }

    #[test]
    fn it_lasts_some_windows_and_no_more_than_an_hour_a_day() {
        check(|_| false, 20, &[]);
        check(|index| index == 4, 20, &[4, 5, 6]);
        check(|index| index == 4 || index == 10, 20, &[4, 5, 6, 10, 11, 12]);
        let hour: Vec<i64> = (0..12).collect();
        check(|_| true, 288, &hour);
        let again: Vec<i64> = (0..12).chain(288..300).collect();
        check(|_| true, 400, &again);
    }
}

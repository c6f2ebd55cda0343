//! What a shard keeps of edges beyond their moments, for the detectors that look beyond one window: which are young, when those
//! that are watched had contacts, and the days of those that are older than one. Knows no formula.

use super::amount::{self, Youth};
use super::baseline::EdgeState;
use super::beacon::{StoredWatch, Watch};
use super::drift::Drift;
use crate::numbered::keep_keys;
use crate::report::{AmountPools, DetectorName, EdgeCounts, Facts, Pools};
use crate::settings::{DriftSettings, Settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DAY_S: i64 = 86_400;

/// The long view of one shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LongView {
    window_s: i64,
    youth: Option<Youth>,
    pub(super) watch: Watch,
    drift: Option<DriftSettings>,
    /// Days of edges that are older than one, by their numbers.
    days: BTreeMap<u32, Drift>,
    /// What the window's young edges moved.
    learnt: AmountPools,
}

/// One edge in a window that is closed.
pub(super) struct Closed<'a> {
    pub(super) number: u32,
    /// Number of the window.
    pub(super) index: i64,
    /// Windows since the edge's birth.
    pub(super) age: u64,
    pub(super) counts: &'a EdgeCounts,
    pub(super) pools: &'a Pools,
}

/// What is stored of [`LongView`]: what is watched, and the days of edges.
pub(super) type StoredLongView = (StoredWatch, BTreeMap<u32, Drift>);

impl LongView {
    /// What is to be stored: all but the settings.
    pub(super) const fn stored(&self) -> impl Serialize {
        (self.watch.stored(), &self.days)
    }

    /// What was stored, gone on with under these settings.
    pub(super) fn of_stored((watch, days): StoredLongView, settings: &Settings) -> Self {
        let new = Self::new(settings);
        let watch = Watch::of_stored(watch, &settings.beacon, settings.window_s);
        Self { watch, days: if new.drift.is_some() { days } else { BTreeMap::new() }, ..new }
    }

    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            window_s: settings.window_s,
            youth: settings.exfiltration.is_enabled.then(|| Youth::new(settings.window_s)),
            watch: Watch::new(&settings.beacon, settings.window_s),
            drift: settings.drift.is_enabled.then(|| settings.drift.clone()),
            days: BTreeMap::new(),
            learnt: AmountPools::default(),
        }
    }

    /// Lets its detectors judge an edge, then learn it: `tell` takes what each has to say, where it tested the edge.
    pub(super) fn close(
        &mut self,
        state: &mut EdgeState,
        closed: &Closed<'_>,
        mut tell: impl FnMut(DetectorName, Option<(f64, Facts)>),
    ) {
        let Closed { number, index, age, counts, pools } = *closed;
        if let Some(youth) = self.youth
            && let Some(judged) = amount::judge(state, counts, age, youth, pools, &mut self.learnt)
        {
            tell(DetectorName::Exfiltration, judged);
        }
        if self.watch.has(number)
            && let Some(judged) = self.watch.close(number, age, counts.opened)
        {
            tell(DetectorName::Beacon, Some(judged));
        }
        if let Some(settings) = &self.drift
            && age.saturating_mul(self.window_s.unsigned_abs()) >= DAY_S.unsigned_abs()
        {
            let day = index.saturating_mul(self.window_s).div_euclid(DAY_S);
            let drift = self.days.entry(number).or_insert_with(|| Drift::new(day));
            if let Some(judged) = drift.window(day, counts, settings) {
                tell(DetectorName::Drift, judged);
            }
        }
    }

    /// Gives edges other numbers, or forgets them: `numbers` has the new one of each.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        keep_keys(&mut self.days, numbers);
        self.watch.keep(numbers);
    }

    /// Ends the window: what its young edges moved, for the pools of all. `age_of` knows the age of an edge.
    pub(super) fn end(&mut self, index: i64, age_of: impl Fn(u32) -> u32) -> AmountPools {
        self.watch.end(index, |number, windows_max| age_of(number) <= windows_max);
        std::mem::take(&mut self.learnt)
    }
}

//! What each observer sent, and lost, per minute: counted while importing.

use super::object::Object;
use std::collections::BTreeMap;
use tradewind_formats::contract::Gaps;
use tradewind_model::dictionary::Dictionary;
use tradewind_model::flow::{DATE, END_TIME, OBSERVER, POSITION, SOURCE};
use tradewind_model::time::{DAY, MINUTE};
use tradewind_model::{FlowBatch, NULL_CODE};
use tradewind_storage::Coverage;

/// Cells that are kept apart at most, per worker and group: some 100 MB when they become rows.
const CELLS_MAX: usize = 250_000;
/// Stands for observers that are not told apart.
const OTHERS: &str = "(others)";

/// Minute of an observer. Codes are those of [`Minutes::texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    position: u32,
    source: u32,
    observer: u32,
    minute: i64,
    gap_reason: u32,
}

/// Counts per object, source, observer and minute.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    texts: Dictionary,
    counts: BTreeMap<Key, u64>,
}

impl Minutes {
    /// Counts normalised flows: all times and positions are set.
    pub(super) fn add_flows(&mut self, flows: &FlowBatch) {
        let rows = flows.len();
        let [observers, sources, positions] = [OBSERVER, SOURCE, POSITION].map(|column| flows.text(column).codes(rows));
        let (times, dates) = (flows.num(END_TIME).values(rows), flows.num(DATE).values(rows));
        // Logs are in order of time, more or less: each observer's count stays in its cell for a minute.
        let mut open: Vec<Open> = vec![Open::default(); flows.text(OBSERVER).dictionary().len() + 1];
        for row in 0..rows {
            // A time that is not sound counts where the row is kept: on the day of its ingest.
            let is_sound = times[row].div_euclid(DAY) == dates[row];
            let minute = if is_sound { times[row].div_euclid(MINUTE) * MINUTE } else { dates[row] * DAY };
            let cell = &mut open[observers[row] as usize];
            if cell.flows > 0 && (cell.minute, cell.position, cell.source) == (minute, positions[row], sources[row]) {
                cell.flows += 1;
                continue;
            }
            let closed =
                std::mem::replace(cell, Open { minute, position: positions[row], source: sources[row], flows: 1 });
            self.close(flows, observers[row], &closed);
        }
        for (observer, cell) in (0u32..).zip(&open) {
            self.close(flows, observer, cell);
        }
    }

    fn close(&mut self, flows: &FlowBatch, observer: u32, cell: &Open) {
        if cell.flows == 0 {
            return;
        }
        let key = Key {
            position: self.code(flows.text(POSITION).dictionary().get(cell.position)),
            source: self.code(flows.text(SOURCE).dictionary().get(cell.source)),
            observer: self.code(flows.text(OBSERVER).dictionary().get(observer)),
            minute: cell.minute,
            gap_reason: NULL_CODE,
        };
        self.count(key, cell.flows);
    }

    /// Adds to a cell. When there are too many, further ones are one a day and object, under [`OTHERS`].
    fn count(&mut self, mut key: Key, count: u64) {
        if self.counts.len() >= CELLS_MAX && !self.counts.contains_key(&key) {
            key.observer = self.code(Some(OTHERS));
            key.minute = key.minute.div_euclid(DAY) * DAY;
        }
        *self.counts.entry(key).or_default() += count;
    }

    /// Counts records that state missing data.
    pub(super) fn add_gaps(&mut self, object: &Object, gaps: &Gaps) {
        for (observer, minute, reason, count) in gaps.iter() {
            let key = Key {
                position: self.code(Some(&object.content_hash)),
                source: self.code(object.source()),
                observer: self.code(observer),
                minute,
                gap_reason: self.code(Some(reason)),
            };
            self.count(key, count);
        }
    }

    fn code(&mut self, text: Option<&str>) -> u32 {
        text.map_or(NULL_CODE, |text| self.texts.intern(text).0)
    }

    /// Adds another worker's counts.
    pub(super) fn merge(&mut self, other: &Self) {
        for (key, count) in &other.counts {
            let key = Key {
                position: self.code(other.texts.get(key.position)),
                source: self.code(other.texts.get(key.source)),
                observer: self.code(other.texts.get(key.observer)),
                minute: key.minute,
                gap_reason: self.code(other.texts.get(key.gap_reason)),
            };
            self.count(key, *count);
        }
    }

    /// The rows of table `coverage`.
    pub(super) fn rows(&self) -> Vec<Coverage> {
        let text = |code: u32| self.texts.get(code).map(str::to_owned);
        self.counts
            .iter()
            .map(|(key, &count)| {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                let (flows, gaps) = if key.gap_reason == NULL_CODE { (count, 0) } else { (0, count) };
                Coverage {
                    minute: key.minute,
                    source: text(key.source).unwrap_or_default(),
                    observer: text(key.observer),
                    position: text(key.position).unwrap_or_default(),
                    flows,
                    gaps,
                    gap_reason: text(key.gap_reason),
                    rejected: None,
                    bytes_in: None,
                    lag_us: None,
                }
            })
            .collect()
    }
}

/// A minute of an observer that may still grow. Codes are those of the batch.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    minute: i64,
    position: u32,
    source: u32,
    flows: u64,
}

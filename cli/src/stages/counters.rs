//! What stages count: read by the metrics page and by status. Each hop says received = accepted + rejected (+ gaps).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tradewind_collect::CollectCounters;

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counters of all stages.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) collect: Collectors,
    pub(crate) normalise: NormaliseCounters,
    pub(crate) store: StoreCounters,
    pub(crate) detect: DetectCounters,
    pub(crate) correlate: CorrelateCounters,
    pub(crate) notify: Deliveries,
}

/// Of stage `notify`: how deliveries stand, as of about a second ago.
#[derive(Debug, Default)]
pub(crate) struct Deliveries(Mutex<Option<tradewind_notify::Status>>);

impl Deliveries {
    pub(crate) fn set(&self, status: tradewind_notify::Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    /// None where the stage does not run.
    pub(crate) fn get(&self) -> Option<tradewind_notify::Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Of stage `normalise`.
#[derive(Debug, Default)]
pub(crate) struct NormaliseCounters {
    /// Raw records read.
    pub(crate) raw_records: Counter,
    /// Records that became flows.
    pub(crate) flows: Counter,
    /// Records that became dead letters.
    pub(crate) rejected: Counter,
    /// Records that state missing data.
    pub(crate) gaps: Counter,
}

impl NormaliseCounters {
    pub(crate) fn add_received(&self, records: usize) {
        self.raw_records.add(records as u64);
    }

    pub(crate) fn add_made(&self, flows: u64, rejected: u64, gaps: u64) {
        self.flows.add(flows);
        self.rejected.add(rejected);
        self.gaps.add(gaps);
    }
}

/// Of stage `store`.
#[derive(Debug, Default)]
pub(crate) struct StoreCounters {
    /// Flows committed.
    pub(crate) flows: Counter,
    /// Dead letters committed.
    pub(crate) dead_letters: Counter,
    /// Findings committed.
    pub(crate) findings: Counter,
    /// Commits made.
    pub(crate) commits: Counter,
    /// Microseconds that commits took.
    pub(crate) commit_us: Counter,
}

/// Of stage `detect`.
#[derive(Debug, Default)]
pub(crate) struct DetectCounters {
    /// Flows taken in.
    pub(crate) flows: Counter,
    /// Signals written.
    pub(crate) signals: Counter,
    /// Flows that came after their window had closed.
    pub(crate) late: Counter,
    /// Windows that were closed because too much was held.
    pub(crate) forced: Counter,
    /// Edges of which only a sketch is kept, because there were too many.
    pub(crate) aged_out: Counter,
    /// Flows that were not judged, because there were too many new edges.
    pub(crate) unjudged: Counter,
    /// Bytes of snapshots written.
    pub(crate) snapshot_bytes: Counter,
}

/// Of stage `correlate`.
#[derive(Debug, Default)]
pub(crate) struct CorrelateCounters {
    /// Signals taken in.
    pub(crate) signals: Counter,
    /// Findings and updates of findings written.
    pub(crate) findings: Counter,
    /// What was said of findings and taken in.
    pub(crate) controls: Counter,
    /// Rows of what was said that could not be taken in.
    pub(crate) controls_rejected: Counter,
}

/// Counters of the sources of this process, by name.
#[derive(Debug, Default)]
pub(crate) struct Collectors(Mutex<BTreeMap<String, Arc<CollectCounters>>>);

impl Collectors {
    pub(crate) fn add(&self, source: &str, counters: Arc<CollectCounters>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), counters);
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Arc<CollectCounters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

//! The thread that writes: requests that wait together share one transaction. It answers each once that is durable.

use crate::collector::Wiring;
use crate::counters::{CollectCounters, RejectReason, add};
use crate::error::CollectError;
use crate::http::body::Held;
use crate::http::keys::{Answer, KEY, Keys};
use crate::http::settings::HttpSettings;
use crate::shutdown::Shutdown;
use crate::writer::{Settled, WriteFailure, Writer};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};
use tradewind_transport::{Outgoing, Record};

const TRANSACTION_BYTES_MAX: u64 = 16 * 1024 * 1024;
const TRANSACTION_REQUESTS_MAX: usize = 512;
/// Idempotency keys that one transaction forgets at most.
const EVICTED_MAX: usize = 1_000;

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const CANCELLED: u8 = 2;

/// One request on its way: it is counted once, by whoever decides about it.
#[derive(Debug)]
pub(crate) struct Ticket {
    state: AtomicU8,
    is_counted: AtomicBool,
    counters: Arc<CollectCounters>,
}

impl Ticket {
    /// Counts a request that came.
    pub(crate) fn new(counters: &Arc<CollectCounters>) -> Arc<Self> {
        add(&counters.received, 1);
        let counters = Arc::clone(counters);
        Arc::new(Self { state: AtomicU8::new(WAITING), is_counted: AtomicBool::new(false), counters })
    }

    pub(crate) fn accept(&self) {
        if !self.is_counted.swap(true, Ordering::AcqRel) {
            add(&self.counters.accepted, 1);
        }
    }

    pub(crate) fn reject(&self, reason: RejectReason) {
        if !self.is_counted.swap(true, Ordering::AcqRel) {
            self.counters.reject(reason);
        }
    }

    fn leave_waiting(&self, to: u8) -> bool {
        self.state.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Calls it off, unless it is being written.
    pub(crate) fn cancel(&self) -> bool {
        self.leave_waiting(CANCELLED)
    }
}

/// A request whose body is there.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) records: Vec<Record>,
    /// Its idempotency key with the answer to keep.
    pub(crate) key: Option<(String, Answer)>,
    pub(crate) bytes: u64,
    pub(crate) ticket: Arc<Ticket>,
    pub(crate) held: Held,
    pub(crate) reply: oneshot::Sender<Result<(), Failure>>,
}

/// A request was not written, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure;

/// What handlers and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) keys: Keys,
    /// Whether the log failed for longer than requests wait.
    pub(crate) is_away: AtomicBool,
}

/// The writing thread.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) settings: HttpSettings,
    pub(crate) wiring: Wiring,
    pub(crate) counters: Arc<CollectCounters>,
    pub(crate) shared: Arc<Shared>,
}

impl Group {
    /// Writes until no request can come any more.
    pub(crate) fn run(self, jobs: mpsc::Receiver<Job>, shutdown: &Shutdown) -> Result<(), CollectError> {
        let name = &self.settings.name;
        let opened = Writer::open(&self.wiring, name, self.settings.topic.as_deref(), &self.counters, shutdown);
        let opened = match opened {
            Err(CollectError::Away { .. }) if shutdown.is_requested() => return Ok(()),
            other => other?,
        };
        let prefix = opened.writer.prefix() + KEY;
        let kept = opened.checkpoints.iter().filter_map(|(key, record)| {
            let key = std::str::from_utf8(key).ok()?.strip_prefix(&prefix)?;
            Some((key, record.value.as_ref()))
        });
        self.shared.keys.restore(kept);
        self.shared.is_away.store(false, Ordering::Release);
        self.serve(opened.writer, jobs, shutdown)
    }

    fn serve(
        &self,
        mut writer: Writer,
        mut jobs: mpsc::Receiver<Job>,
        shutdown: &Shutdown,
    ) -> Result<(), CollectError> {
        let mut group = 0;
        while let Some(first) = jobs.blocking_recv() {
            let mut taken = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(job) = next {
                // Who called a request off looks after its key.
                if job.ticket.leave_waiting(TAKEN) {
                    bytes += job.bytes;
                    taken.push(job);
                }
                let is_full = bytes >= TRANSACTION_BYTES_MAX || taken.len() >= TRANSACTION_REQUESTS_MAX;
                next = if is_full { None } else { jobs.try_recv().ok() };
            }
            if !taken.is_empty() {
                group += 1;
                self.write(&mut writer, taken, group, shutdown)?;
            }
        }
        Ok(())
    }

    fn write(
        &self,
        writer: &mut Writer,
        mut jobs: Vec<Job>,
        group: u64,
        shutdown: &Shutdown,
    ) -> Result<(), CollectError> {
        let now = self.wiring.clock.now();
        let mut records: Vec<Outgoing> = Vec::new();
        for job in &mut jobs {
            records.extend(std::mem::take(&mut job.records).into_iter().map(|record| writer.raw(group, record)));
        }
        let raw = records.len() as u64;
        // Forgotten ones come first: where one of them comes again in this very transaction, that stays.
        for key in self.shared.keys.evict(now, EVICTED_MAX) {
            records.push(writer.checkpoint(&format!("{KEY}{key}"), Bytes::new()));
        }
        for (key, answer) in jobs.iter().filter_map(|job| job.key.as_ref()) {
            records.push(writer.checkpoint(&format!("{KEY}{key}"), answer.value()));
        }
        let deadline = Instant::now() + Duration::from_millis(self.settings.write_timeout_ms);
        let mut give_up = |time: Duration| {
            let left = deadline.saturating_duration_since(Instant::now());
            shutdown.pause(time.min(left)) || Instant::now() >= deadline
        };
        match writer.write(&records, &mut give_up) {
            Ok(()) => {
                add(&self.counters.records, raw);
                self.accept(jobs);
                Ok(())
            }
            Err(WriteFailure::Unsettled(failure)) => {
                warn!(source = self.settings.name, error = %failure, "log is away, requests are refused");
                self.shared.is_away.store(true, Ordering::Release);
                let keys = reject(jobs);
                drop(records);
                self.settle(writer, keys, raw, shutdown)
            }
            Err(failure) => {
                error!(source = self.settings.name, ?failure, "log refuses, the collector ends");
                for (key, _) in reject(jobs) {
                    self.shared.keys.abandon(&key);
                }
                Err(writer.end(failure))
            }
        }
    }

    fn accept(&self, jobs: Vec<Job>) {
        for job in jobs {
            if let Some((key, answer)) = job.key {
                self.shared.keys.done(&key, answer);
            }
            add(&self.counters.bytes, job.bytes);
            job.ticket.accept();
            drop(job.held);
            // A sender that went away does not need its answer.
            job.reply.send(Ok(())).ok();
        }
    }

    /// Waits until it is known what became of the last transaction. Its keys are in use until then, so that a repeated
    /// request is neither written twice nor taken for done.
    fn settle(
        &self,
        writer: &mut Writer,
        keys: Vec<(String, Answer)>,
        raw: u64,
        shutdown: &Shutdown,
    ) -> Result<(), CollectError> {
        match writer.settle(&mut |time| shutdown.pause(time)) {
            Ok(settled) => {
                for (key, answer) in keys {
                    match settled {
                        Settled::Committed => self.shared.keys.done(&key, answer),
                        Settled::Dropped => self.shared.keys.abandon(&key),
                    }
                }
                if settled == Settled::Committed {
                    add(&self.counters.records, raw);
                }
                self.shared.is_away.store(false, Ordering::Release);
                Ok(())
            }
            // Its requests were refused: nothing that was acknowledged is lost.
            Err(WriteFailure::Unsettled(_)) => Ok(()),
            Err(failure) => Err(writer.end(failure)),
        }
    }
}

/// Answers requests that were not written, as far as is known; their keys stay.
fn reject(jobs: Vec<Job>) -> Vec<(String, Answer)> {
    let mut keys = Vec::new();
    for job in jobs {
        job.ticket.reject(RejectReason::Unavailable);
        keys.extend(job.key);
        // A sender that went away does not need its answer.
        job.reply.send(Err(Failure)).ok();
    }
    keys
}

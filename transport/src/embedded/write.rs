//! How writes become durable: writers that wait at the same time are led by one of them, who puts all of theirs into one atomic
//! batch of the store and syncs once. Each write is checked, gets its offsets and succeeds or is refused by itself.
//!
//! Invariant: the memory's [`super::state::State`] is what was acknowledged, and changes after the store did. Where the store failed, it is opened
//! anew before the next write and made to hold what the memory says, so that a write that was not acknowledged leaves no trace.

use super::batch::{Batch, undo};
use super::codec::Mark;
use super::journal::JournalError;
use super::open::{OpenError, open_store};
use super::settings::SyncPolicy;
use super::state::lock;
use super::store::disk_error;
use super::{EmbeddedMember, Inner};
use crate::error::LogError;
use crate::record::TopicPartition;
use fjall::PersistMode;
use std::sync::{Arc, Mutex, PoisonError};

/// Writes that are led together have no more bytes than this, unless a single one has.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// What one caller wants written.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// Name and number of the producer.
    pub(super) producer: Option<(String, u64)>,
    /// Encoded records and where they go.
    pub(super) records: Vec<(TopicPartition, Vec<u8>)>,
    /// Offsets to commit, for this member or group.
    pub(super) inputs: Vec<(TopicPartition, i64)>,
    pub(super) member: Option<(String, EmbeddedMember)>,
}

/// A request that waits for a leader.
#[derive(Debug)]
pub(super) struct Pending {
    request: Request,
    bytes: usize,
    outcome: Mutex<Option<Result<(), LogError>>>,
}

impl Pending {
    fn finish(&self, outcome: Result<(), LogError>) {
        *lock(&self.outcome) = Some(outcome);
    }
}

/// What whoever writes has to know; its lock is the right to write.
#[derive(Debug)]
pub(super) struct Writer {
    /// The store failed: it is to be opened anew.
    pub(super) is_broken: bool,
    /// Number of the last batch.
    pub(super) number: u64,
    /// Number of the last batch that is on the disk.
    pub(super) synced: u64,
}

impl Inner {
    /// Has a request written, and waits until it is.
    pub(super) fn submit(&self, request: Request) -> Result<(), LogError> {
        let bytes = request.records.iter().map(|(_, value)| value.len()).sum();
        let pending = Arc::new(Pending { request, bytes, outcome: Mutex::new(None) });
        lock(&self.queue).push_back(Arc::clone(&pending));
        let mut writer = lock(&self.writer);
        loop {
            if let Some(outcome) = lock(&pending.outcome).take() {
                return outcome;
            }
            // Nobody else leads now, so this request is still in the queue, and comes to its turn.
            let group = self.next_group();
            self.write_group(&mut writer, &group);
        }
    }

    fn next_group(&self) -> Vec<Arc<Pending>> {
        let mut queue = lock(&self.queue);
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(pending) = queue.pop_front() {
            if bytes > 0 && bytes + pending.bytes > GROUP_BYTES_MAX {
                queue.push_front(pending);
                break;
            }
            bytes += pending.bytes;
            group.push(pending);
        }
        group
    }

    fn write_group(&self, writer: &mut Writer, group: &[Arc<Pending>]) {
        let mut batch = Batch::default();
        let mut admitted = Vec::new();
        {
            let state = lock(&self.state);
            for pending in group {
                match batch.admit(&state, &pending.request) {
                    Ok(()) => admitted.push(pending),
                    Err(error) => pending.finish(Err(error)),
                }
            }
        }
        match self.commit(writer, batch) {
            Ok(()) => admitted.iter().for_each(|pending| pending.finish(Ok(()))),
            Err(error) => admitted.iter().for_each(|pending| pending.finish(Err(self.error("write to", &error)))),
        }
    }

    /// Puts a batch into the store, then into the memory, and wakes whoever waits.
    pub(super) fn commit(&self, writer: &mut Writer, batch: Batch) -> Result<(), Arc<fjall::Error>> {
        if batch.is_empty() {
            return Ok(());
        }
        if writer.is_broken {
            self.reopen(writer)?;
        }
        let mut outcome = self.store_batch(writer, &batch);
        if matches!(&outcome, Err(fjall::Error::Poisoned)) {
            // A thread of the store failed before; of this batch nothing was written yet.
            self.reopen(writer)?;
            outcome = self.store_batch(writer, &batch);
        }
        outcome.inspect_err(|_| writer.is_broken = true).map_err(Arc::new)?;
        batch.apply(&mut lock(&self.state));
        self.changed.notify_all();
        Ok(())
    }

    fn store_batch(&self, writer: &mut Writer, batch: &Batch) -> Result<(), fjall::Error> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let store = store.as_ref().ok_or(fjall::Error::Poisoned)?;
        let mark =
            Mark { number: writer.number + 1, synced: writer.synced, writes: batch.writes, records: batch.records };
        let mode = match self.settings.sync {
            SyncPolicy::Always => PersistMode::SyncData,
            SyncPolicy::Interval => PersistMode::Buffer,
        };
        batch.build(store, mark).durability(Some(mode)).commit()?;
        writer.number += 1;
        if self.settings.sync == SyncPolicy::Always {
            writer.synced = writer.number;
        }
        Ok(())
    }

    /// Syncs what was written since the last time.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        let mut writer = lock(&self.writer);
        if writer.is_broken || writer.synced == writer.number {
            return Ok(());
        }
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = store.as_ref() else { return Ok(()) };
        let synced = open.db.persist(PersistMode::SyncData);
        drop(store);
        synced.inspect_err(|_| writer.is_broken = true).map_err(|error| self.error("sync", &Arc::new(error)))?;
        writer.synced = writer.number;
        Ok(())
    }

    /// Opens the store anew after a failure, and undoes what of the failed batch is in it.
    fn reopen(&self, writer: &mut Writer) -> Result<(), Arc<fjall::Error>> {
        writer.is_broken = true;
        let mut place = self.store.write().unwrap_or_else(PoisonError::into_inner);
        // The old one goes first: it has the store's lock, and its threads still write.
        *place = None;
        let opened = open_store(&self.folder, &self.settings, &self.floors).map_err(|error| match error {
            OpenError::Store(error) => error,
            OpenError::Journal(JournalError::Io(_, error)) => fjall::Error::Io(error),
            OpenError::Journal(JournalError::Damaged(detail)) | OpenError::Damaged(detail) => {
                tracing::error!(folder = %self.folder.display(), detail, "the embedded log is damaged");
                fjall::Error::Unrecoverable
            }
        })?;
        let number = opened.mark.map_or(writer.number, |mark| mark.number);
        let batch = undo(&lock(&self.state), &opened.state);
        let mark = Mark { number: number + 1, synced: number, writes: 0, records: 0 };
        batch.build(&opened.store, mark).durability(Some(PersistMode::SyncAll)).commit()?;
        *writer = Writer { is_broken: false, number: mark.number, synced: mark.number };
        *place = Some(opened.store);
        tracing::warn!(folder = %self.folder.display(), "the embedded log was opened anew after its store failed");
        Ok(())
    }

    /// An error of the store in the log's words.
    pub(super) fn error(&self, what: &str, error: &Arc<fjall::Error>) -> LogError {
        disk_error(what, &self.folder, Arc::clone(error))
    }
}

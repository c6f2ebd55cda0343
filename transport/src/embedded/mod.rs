//! The log on the local disk, for one process: what [`crate::kafka`] is with a cluster. Kept by `fjall`.
//!
//! - A write is one atomic batch of the store, with the offsets that it commits; by default it is on the disk before it is
//!   acknowledged ([`SyncPolicy`]), and writers that wait at the same time share one sync.
//! - Readers see what is committed, and nothing that is not. Offsets count from 0 without gaps, and none is ever given twice.
//! - The group's coordinator is in the process: partitions are divided by range, and change hands when who had them was told.
//! - A torn end of the journal is cut and counted ([`Embedded::recovered`]); other damage is an error when the log is opened or when what
//!   is damaged is read. Not a guard against somebody who changes files on purpose.
//! - Nothing is removed by itself: call [`Embedded::maintain`] now and then.
//!
//! Locks are taken in this order: `writer`, `store`, `state`; `queue` alone.

mod batch;
mod codec;
mod consumer;
mod group;
mod journal;
mod open;
mod producer;
mod read;
mod retain;
mod settings;
mod state;
mod store;
mod write;

pub use journal::Recovered;
pub use retain::Maintained;
pub use settings::{EmbeddedSettings, SyncPolicy};

use crate::error::LogError;
use crate::log::{Consumer, Log, Producer, Subscription};
use crate::record::TopicPartition;
use crate::topic::{TopicSpec, TopicState};
use batch::{Batch, insert_topic};
use codec::TopicId;
use open::{in_use, open_store};
use state::{State, lock};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use store::{Floors, Store};
use write::{Pending, Writer};

/// Another process that is just ending is waited for so long,
const LOCK_WAIT_MAX: Duration = Duration::from_millis(500);
/// and looked for so often.
const LOCK_WAIT_STEP: Duration = Duration::from_millis(20);

/// What the embedded log knows a group member by.
#[derive(Clone, Debug)]
pub(crate) enum EmbeddedMember {
    /// A member: its name, its number, and the last change of hands that it was told of.
    Member { name: String, id: u64, seen: u64 },
    /// A consumer whose partitions were given to it: nobody takes them away.
    Assigned,
}

/// The log on the local disk. Cheap to clone; the folder is closed when the last handle, consumer and producer is gone.
#[derive(Clone, Debug)]
pub struct Embedded {
    inner: Arc<Inner>,
}

/// What all handles share.
struct Inner {
    folder: PathBuf,
    settings: EmbeddedSettings,
    recovered: Recovered,
    floors: Arc<Floors>,
    /// Requests that wait for a leader.
    queue: Mutex<VecDeque<Arc<Pending>>>,
    /// The right to write.
    writer: Mutex<Writer>,
    /// None while it is opened anew.
    store: RwLock<Option<Store>>,
    state: Mutex<State>,
    /// The state is another by now.
    changed: Condvar,
    /// Bytes of each topic that were forgotten since it was last compacted.
    forgotten: Mutex<HashMap<TopicId, u64>>,
    /// Keeps other processes out. After the store, so that it is given up last.
    _lock: File,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Embedded").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the log of a folder, or makes one.
    ///
    /// # Errors
    /// Settings that cannot work, a folder that another process has open or that cannot be written, damage that is no torn end.
    pub fn open(folder: &Path, settings: &EmbeddedSettings) -> Result<Self, LogError> {
        settings.check()?;
        let lock = take_lock(folder)?;
        let floors = Arc::new(Floors::default());
        let opened = open_store(folder, settings, &floors).map_err(|error| error.into_log_error(folder))?;
        if opened.recovered != Recovered::default() {
            let Recovered { writes, records, bytes } = opened.recovered;
            tracing::warn!(folder = %folder.display(), writes, records, bytes, "cut a torn end off the log's journal");
        }
        for topic in opened.state.topics.values() {
            for (number, partition) in (0..).zip(&topic.partitions) {
                floors.raise(topic.id, number, partition.first);
            }
        }
        let number = opened.mark.map_or(0, |mark| mark.number);
        let inner = Arc::new(Inner {
            folder: folder.to_owned(),
            settings: settings.clone(),
            recovered: opened.recovered,
            floors,
            queue: Mutex::default(),
            // The store syncs its journal when it opens it.
            writer: Mutex::new(Writer { is_broken: false, number, synced: number }),
            store: RwLock::new(Some(opened.store)),
            state: Mutex::new(opened.state),
            changed: Condvar::new(),
            forgotten: Mutex::default(),
            _lock: lock,
        });
        if settings.sync == SyncPolicy::Interval {
            sync_regularly(&inner)?;
        }
        Ok(Self { inner })
    }

    /// What was cut off the end when the log was opened: writes that a loss of power left half-written. Nothing of a write that
    /// was acknowledged with `sync = always` is among them, unless the disk lost what it said it had.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.inner.recovered
    }

    /// Removes what the topics are to forget, and frees its space on the disk; beside readers and writers. `now` is in microseconds UTC.
    ///
    /// # Errors
    /// The disk failed or is full. What was removed until then is removed.
    pub fn maintain(&self, now: i64) -> Result<Maintained, LogError> {
        self.inner.maintain(now)
    }
}

impl Log for Embedded {
    fn topics(&self, names: &[&str]) -> Result<Vec<TopicState>, LogError> {
        let state = lock(&self.inner.state);
        let found = names.iter().filter_map(|name| state.topics.get(*name));
        Ok(found
            .map(|topic| TopicState {
                name: topic.spec.name.clone(),
                partitions: topic.spec.partitions,
                cleanup: Some(topic.spec.cleanup),
                message_bytes_max: Some(topic.spec.message_bytes_max),
            })
            .collect())
    }

    fn create(&self, topic: &TopicSpec) -> Result<bool, LogError> {
        if topic.name.is_empty() || topic.partitions < 1 {
            return Err(LogError::Settings(format!(
                "topic `{}` with {} partitions cannot be: give it a name and at least one partition",
                topic.name, topic.partitions
            )));
        }
        let mut writer = lock(&self.inner.writer);
        let id = {
            let state = lock(&self.inner.state);
            if state.topics.contains_key(topic.name.as_str()) {
                return Ok(false);
            }
            state.topics.values().map(|topic| topic.id + 1).max().unwrap_or(0)
        };
        let mut batch = Batch::default();
        batch.add_topic(id, topic)?;
        self.inner.commit(&mut writer, batch).map_err(|error| self.inner.error("create a topic in", &error))?;
        {
            let mut store = self.inner.store.write().unwrap_or_else(PoisonError::into_inner);
            let added = store.as_mut().map_or(Err(fjall::Error::Poisoned), |store| store.add_topic(id));
            added.map_err(|error| self.inner.error("create a topic in", &Arc::new(error)))?;
        }
        let mut state = lock(&self.inner.state);
        insert_topic(&mut state, id, topic);
        let counts = state.partition_counts();
        for group in state.groups.values_mut() {
            group.divide(&counts, Instant::now());
        }
        drop((state, writer));
        self.inner.changed.notify_all();
        Ok(true)
    }

    fn range(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
        self.inner.view(partition).map(|view| (view.first, view.end))
    }

    /// Exact, also where timestamps are out of order: no record before it has this timestamp or a later one.
    fn offset_at(&self, partition: &TopicPartition, timestamp: i64) -> Result<i64, LogError> {
        self.inner.search(partition, timestamp)
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError> {
        let state = lock(&self.inner.state);
        partitions
            .iter()
            .map(|partition| {
                let (topic, _) = state.partition(partition)?;
                Ok(state.committed(group, topic.id, partition.partition))
            })
            .collect()
    }

    fn consumer(&self, subscription: &Subscription) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(consumer::EmbeddedConsumer::new(Arc::clone(&self.inner), subscription)))
    }

    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(producer::EmbeddedProducer::new(Arc::clone(&self.inner), name)))
    }
}

/// Makes the folder and takes its lock, which the system gives up when the process ends, however it does.
fn take_lock(folder: &Path) -> Result<File, LogError> {
    let failed = |source: std::io::Error| LogError::Disk {
        what: format!("cannot make or write the folder {} of the log", folder.display()),
        is_full: store::is_full(&source),
        source: Box::new(source),
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT_MAX => {
                std::thread::sleep(LOCK_WAIT_STEP);
            }
            Err(std::fs::TryLockError::WouldBlock) => return Err(in_use(folder)),
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// Syncs every interval, until the log is closed.
fn sync_regularly(inner: &Arc<Inner>) -> Result<(), LogError> {
    let (inner, interval) = (Arc::downgrade(inner), Duration::from_millis(inner.settings.sync_interval_ms));
    let run = move || {
        loop {
            std::thread::sleep(interval);
            let Some(inner) = Weak::upgrade(&inner) else { return };
            if let Err(error) = inner.sync() {
                tracing::error!(%error, "what was written to the embedded log may not survive a loss of power");
            }
        }
    };
    std::thread::Builder::new()
        .name("tradewind-log-sync".to_owned())
        .spawn(run)
        .map(|_| ())
        .map_err(|error| LogError::Settings(format!("no thread can be started for `sync = \"interval\"`: {error}")))
}

//! The store below the log: a `fjall` database with a keyspace for the log's own data, one for the index of writes, and one for
//! each topic's records, whose payloads lie apart from the keys so that compaction does not rewrite them.
//!
//! Only how it is opened, read and asked to free space; what is written is made in `write`.

use super::codec::{
    COMMITTED_PREFIX, MARK_KEY, Mark, PARTITION_PREFIX, StoredTopic, TOPIC_PREFIX, TopicId, parse_committed_key,
    parse_record_key, partition_key,
};
use super::settings::EmbeddedSettings;
use super::state::{Partition, State, Topic};
use crate::error::LogError;
use fjall::compaction::filter::{CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Values from so many bytes on lie apart from their keys.
const SEPARATION_BYTES: u32 = 256;
/// Bytes of a file of payloads: files are dropped whole when all that is in them is forgotten.
const PAYLOAD_FILE_BYTES: u64 = 16 << 20;
/// A file of payloads is rewritten without what is forgotten when so much of it is. High, as the rest will be soon.
const PAYLOAD_STALE_MAX: f32 = 0.75;
/// The journals together are no longer than this, in bytes.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
/// Threads that write memory tables to disk and compact.
const WORKER_THREADS: usize = 2;
/// Maintenance waits for memory tables to be on disk no longer than this,
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(20);
/// and looks so often.
const FLUSH_WAIT_STEP: Duration = Duration::from_millis(5);

/// Below which offset the records of a partition are forgotten; the store drops them when it compacts.
#[derive(Debug, Default)]
pub(super) struct Floors(RwLock<HashMap<(TopicId, i32), i64>>);

impl Floors {
    pub(super) fn raise(&self, topic: TopicId, partition: i32, first: i64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert((topic, partition), first);
    }

    fn is_below(&self, key: &[u8]) -> bool {
        let Some((topic, partition, offset)) = parse_record_key(key) else { return false };
        let floors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        floors.get(&(topic, partition)).is_some_and(|&first| offset < first)
    }
}

/// Drops what is below the floors.
struct ForgetFactory(Arc<Floors>);

struct Forget(Arc<Floors>);

impl Factory for ForgetFactory {
    fn name(&self) -> &str {
        "forget"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Forget(Arc::clone(&self.0)))
    }
}

impl CompactionFilter for Forget {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        // A key is written once and never again once it is below the floor, so no tombstone is needed.
        Ok(if self.0.is_below(item.key()) { Verdict::Destroy } else { Verdict::Keep })
    }
}

/// An open store.
pub(super) struct Store {
    pub(super) db: Database,
    /// Topics, partitions, committed offsets, the mark.
    pub(super) meta: Keyspace,
    /// Index of writes, by partition and offset.
    pub(super) index: Keyspace,
    topics: HashMap<TopicId, Keyspace>,
    memtable_bytes: u64,
}

impl Store {
    /// Opens or creates it. The journal was looked at before: what `fjall` refuses is damage.
    pub(super) fn open(folder: &Path, settings: &EmbeddedSettings, floors: &Arc<Floors>) -> Result<Self, fjall::Error> {
        let floors = Arc::clone(floors);
        let db = Database::builder(folder)
            .cache_size(settings.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            // The store cuts a journal silently where it cannot decompress a value; what is not compressed has a checksum only.
            .journal_compression(CompressionType::None)
            .worker_threads(WORKER_THREADS)
            .with_compaction_filter_factories(Arc::new(move |keyspace| {
                let factory: Arc<dyn Factory> = Arc::new(ForgetFactory(Arc::clone(&floors)));
                (keyspace != "meta").then_some(factory)
            }))
            .open()?;
        let small = || KeyspaceCreateOptions::default().max_memtable_size(4 << 20);
        let meta = db.keyspace("meta", small)?;
        let index = db.keyspace("index", small)?;
        Ok(Self { db, meta, index, topics: HashMap::new(), memtable_bytes: settings.memtable_bytes })
    }

    /// The records of a topic.
    pub(super) fn topic(&self, id: TopicId) -> Option<&Keyspace> {
        self.topics.get(&id)
    }

    /// Makes the place for a topic's records, or opens it.
    pub(super) fn add_topic(&mut self, id: TopicId) -> Result<(), fjall::Error> {
        let options = || {
            let separation = KvSeparationOptions::default()
                .separation_threshold(SEPARATION_BYTES)
                .file_target_size(PAYLOAD_FILE_BYTES)
                .staleness_threshold(PAYLOAD_STALE_MAX)
                .age_cutoff(1.0);
            KeyspaceCreateOptions::default().max_memtable_size(self.memtable_bytes).with_kv_separation(Some(separation))
        };
        let keyspace = self.db.keyspace(&format!("topic-{id}"), options)?;
        self.topics.insert(id, keyspace);
        Ok(())
    }

    /// Reads all that the log knows of itself, and opens the topics. The mark is that of the last write.
    pub(super) fn load(&mut self) -> Result<(State, Option<Mark>), LoadError> {
        let mut state = State::default();
        let mut topics = Vec::new();
        for guard in self.meta.prefix([TOPIC_PREFIX]) {
            let (key, value) = guard.into_inner()?;
            let name = key.get(1..).and_then(|name| std::str::from_utf8(name).ok()).ok_or(LoadError::Entry("topic"))?;
            let stored: StoredTopic = serde_json::from_slice(&value).map_err(|_| LoadError::Entry("topic"))?;
            topics.push((Arc::<str>::from(name), stored.id, stored.spec(name)));
        }
        for (name, id, spec) in topics {
            self.add_topic(id)?;
            let mut partitions = Vec::new();
            for partition in 0..spec.partitions {
                let value = self.meta.get(partition_key(id, partition))?.ok_or(LoadError::Entry("partition"))?;
                partitions.push(Partition::decode(&value).ok_or(LoadError::Entry("partition"))?);
            }
            state.topics.insert(name, Topic { id, spec, partitions });
        }
        for guard in self.meta.prefix([COMMITTED_PREFIX]) {
            let (key, value) = guard.into_inner()?;
            let (group, topic, partition) = parse_committed_key(&key).ok_or(LoadError::Entry("committed offset"))?;
            let next =
                value.as_ref().try_into().map(i64::from_le_bytes).map_err(|_| LoadError::Entry("committed offset"))?;
            state.committed.entry(group.to_owned()).or_default().insert((topic, partition), next);
        }
        let mark = match self.meta.get(MARK_KEY)? {
            Some(value) => Some(Mark::decode(&value).ok_or(LoadError::Entry("mark"))?),
            None => None,
        };
        // What partitions there are at least one offset of is listed under their own prefix; one of no topic is damage.
        let listed = self.meta.prefix([PARTITION_PREFIX]).count();
        let known: usize = state.topics.values().map(|topic| topic.partitions.len()).sum();
        if listed != known {
            return Err(LoadError::Entry("topic"));
        }
        Ok((state, mark))
    }

    /// Whether records that are to be there are: the last of each partition. The first is not asked for; reading tells.
    pub(super) fn missing_end(&self, state: &State) -> Result<Option<(Arc<str>, usize, i64)>, fjall::Error> {
        for (name, topic) in state.topics.iter().filter(|(_, topic)| !topic.is_compacted()) {
            let Some(records) = self.topic(topic.id) else { continue };
            for (number, partition) in topic.partitions.iter().enumerate() {
                let Some(last) = Some(partition.end - 1).filter(|&last| last >= partition.first) else { continue };
                let number_key = i32::try_from(number).unwrap_or(i32::MAX);
                if !records.contains_key(super::codec::record_key(topic.id, number_key, last))? {
                    return Ok(Some((Arc::clone(name), number, last)));
                }
            }
        }
        Ok(None)
    }

    /// Writes memory tables to disk where they hold back journals that are full, so that those can go.
    pub(super) fn release_journals(&self) -> Result<(), fjall::Error> {
        if self.db.journal_count() > 1 {
            for keyspace in [&self.meta, &self.index].into_iter().chain(self.topics.values()) {
                keyspace.rotate_memtable()?;
            }
        }
        Ok(())
    }

    /// Rewrites the keys of a topic without those that are forgotten, and drops the payload files that nothing is left of.
    pub(super) fn compact(&self, topic: TopicId) -> Result<(), fjall::Error> {
        for keyspace in self.topic(topic).into_iter().chain([&self.index]) {
            keyspace.rotate_memtable()?;
            self.wait_for_flush(keyspace)?;
            keyspace.major_compact()?;
        }
        Ok(())
    }

    /// Waits until the memory tables that were rotated are on disk. Not by the store's own wait, which has no end where its threads
    /// gave up; what is not on disk in time is compacted the next time.
    fn wait_for_flush(&self, keyspace: &Keyspace) -> Result<(), fjall::Error> {
        let begun = Instant::now();
        while keyspace.sealed_memtable_count() > 0 && begun.elapsed() < FLUSH_WAIT_MAX {
            self.db.persist(PersistMode::Buffer)?;
            std::thread::sleep(FLUSH_WAIT_STEP);
        }
        Ok(())
    }
}

/// Why a store cannot be read.
pub(super) enum LoadError {
    Store(fjall::Error),
    /// An entry of this kind is missing or is not one.
    Entry(&'static str),
}

impl From<fjall::Error> for LoadError {
    fn from(error: fjall::Error) -> Self {
        Self::Store(error)
    }
}

/// Where the database is inside of the log's folder.
pub(super) fn database_folder(folder: &Path) -> PathBuf {
    folder.join("store")
}

/// Whether an error comes of a full disk.
pub(super) fn is_full(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero);
        }
        next = error.source();
    }
    false
}

/// Whether the disk takes no more at present: for errors that do not say why.
pub(super) fn takes_no_more(folder: &Path) -> bool {
    let path = folder.join("probe");
    let tried = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(&[1; 65_536])?;
        file.sync_data()
    });
    // One that cannot be removed is written again by the next probe.
    std::fs::remove_file(&path).ok();
    tried.is_err_and(|error| is_full(&error))
}

/// An error of the store in the log's words.
pub(super) fn disk_error(what: &str, folder: &Path, error: Arc<fjall::Error>) -> LogError {
    let full = is_full(error.as_ref()) || (matches!(*error, fjall::Error::Poisoned) && takes_no_more(folder));
    let advice = if full { "the disk is full; free some space" } else { "see the cause" };
    LogError::Disk {
        what: format!("cannot {what} the log in {}: {advice}", folder.display()),
        is_full: full,
        source: Box::new(error),
    }
}

/// What lies on the disk is not what was written there.
pub(super) fn damaged(folder: &Path, detail: &str) -> LogError {
    LogError::Disk {
        what: format!(
            "the log in {} is damaged, and not just cut off by a loss of power: {detail}. Restore the folder from a copy, or move it \
             away to begin with an empty log",
            folder.display()
        ),
        is_full: false,
        source: detail.into(),
    }
}

//! Committing rows of a stream, each exactly once: rows and the offsets they come from are one Delta commit.
//!
//! Each partition of each incarnation of a topic is an application transaction of the table,
//! `<table id>/<topic incarnation>/<partition>`, whose version is the next offset. A commit names the range of offsets it
//! covers in each partition. It lands only while the table stands exactly where each range begins; so a writer that was
//! stopped and resumed after its partitions went to another, or one that lost the answer to a commit that landed, adds
//! nothing twice, and a hole in the offsets is an error instead of a silent loss.

use crate::error::CommitError;
use crate::lake::Lake;
use crate::log::{Commit, Put, TableLog, append};
use crate::write::StagedFile;
use deltalake::kernel::{Action, Transaction};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Formatter};
use std::time::Duration;
use tradewind_model::table::Table;

/// How often a commit is tried against other writers that win.
const ATTEMPTS_MAX: usize = 200;
/// How often a commit is tried again after an error of the store.
const ERRORS_MAX: u32 = 5;
/// The wait after the first error; it doubles with each.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// The key of the ranges in a commit's metadata.
pub(crate) const RANGES_KEY: &str = "tradewind.ranges";

/// A partition of one incarnation of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxnKey {
    /// What tells a topic from an earlier one of the same name: Kafka's topic id, or the embedded log's.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl Display for TxnKey {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.topic, self.partition)
    }
}

impl TxnKey {
    /// The id of the application transaction in a table.
    pub(crate) fn application_id(&self, table_id: &str) -> String {
        format!("{table_id}/{self}")
    }
}

/// The offsets of one partition that a commit covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetRange {
    /// The partition.
    pub key: TxnKey,
    /// The first offset: the `next` of the commit before, also where the log has no record at that offset.
    pub from: i64,
    /// The offset after the last.
    pub next: i64,
}

/// Rows of a stream to commit, all or none.
#[derive(Clone, Debug, Default)]
pub struct StreamCommit {
    /// What the rows come from. At most one range for a partition.
    pub ranges: Vec<OffsetRange>,
    /// The rows, staged for the sink's table. None where no record of the ranges became a row.
    pub files: Vec<StagedFile>,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamCommitted {
    /// The rows are in this version of the table.
    Version(i64),
    /// All rows were in the table before, by another owner of the partitions or by an earlier attempt whose answer was
    /// lost. Staged files that are not part of the table were removed.
    Covered,
    /// Another owner committed some of the ranges. Nothing was committed and the staged files were removed: stage the rows
    /// again without those below the offsets given here, and commit with ranges that begin there.
    Moved(Vec<(TxnKey, i64)>),
}

/// Commits rows of a stream to one table. One for each table and process; not for two tasks at once.
#[derive(Debug)]
pub struct StreamSink {
    log: TableLog,
    table_id: String,
}

impl Lake {
    /// A sink for a table: `flows`, `dead_letters`, `findings` or `coverage`.
    ///
    /// # Errors
    /// The table cannot be opened, or its object store does not keep writers apart.
    pub async fn stream_sink(&self, table: &'static Table) -> Result<StreamSink, CommitError> {
        let log = TableLog::open(self, table).await?;
        let table_id = log.table_id()?;
        Ok(StreamSink { log, table_id })
    }
}

impl StreamSink {
    /// Where the table stands now: the next offset of each of the partitions that it has rows of. A reader of a partition
    /// seeks there when it is assigned.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn versions(&mut self, keys: &[TxnKey]) -> Result<BTreeMap<TxnKey, i64>, CommitError> {
        self.log.catch_up().await?;
        self.known(keys).await
    }

    async fn known(&mut self, keys: &[TxnKey]) -> Result<BTreeMap<TxnKey, i64>, CommitError> {
        let mut versions = BTreeMap::new();
        for key in keys {
            let version = self.log.transaction(&key.application_id(&self.table_id)).await?;
            versions.extend(version.map(|version| (key.clone(), version)));
        }
        Ok(versions)
    }

    /// Commits rows.
    ///
    /// # Errors
    /// [`CommitError::OffsetGap`] when a range begins after what the table holds: rows would be lost.
    /// [`CommitError::OffsetRanges`] for ranges that are none. Otherwise the store cannot be read or written: the same
    /// commit may be tried again, also by another process. Staged files stay after an error, for the commit may yet land;
    /// [`Lake::expire`] removes what stayed for nothing.
    pub async fn commit(&mut self, commit: &StreamCommit) -> Result<StreamCommitted, CommitError> {
        self.check(commit)?;
        let keys: Vec<TxnKey> = commit.ranges.iter().map(|range| range.key.clone()).collect();
        if commit.ranges.iter().all(|range| range.from == range.next) {
            return Ok(StreamCommitted::Covered);
        }
        let mut errors = 0;
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.known(&keys).await?;
            match self.standing(commit, &stored)? {
                Standing::Ready => {}
                Standing::Covered => {
                    self.discard(commit).await;
                    return Ok(StreamCommitted::Covered);
                }
                Standing::Moved(moved) => {
                    self.discard(commit).await;
                    return Ok(StreamCommitted::Moved(moved));
                }
            }
            match self.log.put(self.entry(commit), &commit.files).await? {
                Put::Landed(version) => return Ok(StreamCommitted::Version(version)),
                Put::Unknown(None) => {}
                Put::Unknown(Some(error)) => {
                    errors += 1;
                    if errors > ERRORS_MAX {
                        return self.landed_after_all(commit, &keys).await.ok_or(error);
                    }
                    tokio::time::sleep(ERROR_PAUSE * 2_u32.pow(errors - 1)).await;
                }
            }
            self.log.catch_up().await?;
        }
        Err(CommitError::Contended { table: self.log.table().name, attempts: ATTEMPTS_MAX })
    }

    /// Whether a commit whose last attempt ended in an error is in the table.
    async fn landed_after_all(&mut self, commit: &StreamCommit, keys: &[TxnKey]) -> Option<StreamCommitted> {
        self.log.catch_up().await.ok()?;
        let stored = self.known(keys).await.ok()?;
        matches!(self.standing(commit, &stored), Ok(Standing::Covered)).then_some(StreamCommitted::Covered)
    }

    fn check(&self, commit: &StreamCommit) -> Result<(), CommitError> {
        let wrong = |reason: String| CommitError::OffsetRanges { table: self.log.table().name, reason };
        let mut seen = std::collections::HashSet::new();
        for range in &commit.ranges {
            if range.from < 0 || range.from > range.next {
                return Err(wrong(format!("{} from {} to {} is no range", range.key, range.from, range.next)));
            }
            if !seen.insert(&range.key) {
                return Err(wrong(format!("{} is named twice", range.key)));
            }
        }
        if !commit.files.is_empty() && commit.ranges.iter().all(|range| range.from == range.next) {
            return Err(wrong("there are rows but no offsets".to_owned()));
        }
        Ok(())
    }

    fn standing(&self, commit: &StreamCommit, stored: &BTreeMap<TxnKey, i64>) -> Result<Standing, CommitError> {
        let ranges = || commit.ranges.iter().filter(|range| range.from < range.next);
        for range in ranges() {
            if let Some(&stored) = stored.get(&range.key)
                && stored < range.from
            {
                return Err(CommitError::OffsetGap {
                    table: self.log.table().name,
                    partition: range.key.to_string(),
                    stored,
                    from: range.from,
                });
            }
        }
        let at = |range: &OffsetRange| stored.get(&range.key).copied().filter(|&stored| stored > range.from);
        let moved: Vec<(TxnKey, i64)> = ranges().filter_map(|range| Some((range.key.clone(), at(range)?))).collect();
        if moved.is_empty() {
            return Ok(Standing::Ready);
        }
        if ranges().all(|range| at(range).is_some_and(|stored| stored >= range.next)) {
            return Ok(Standing::Covered);
        }
        Ok(Standing::Moved(moved))
    }

    fn entry(&self, commit: &StreamCommit) -> Commit {
        let now = self.log.lake().now();
        let ranges = || commit.ranges.iter().filter(|range| range.from < range.next);
        let named: serde_json::Map<String, Value> =
            ranges().map(|range| (range.key.to_string(), json!([range.from, range.next]))).collect();
        Commit {
            actions: commit.files.iter().map(|file| Action::Add(file.add(now))).collect(),
            transactions: ranges()
                .map(|range| Transaction::new(range.key.application_id(&self.table_id), range.next))
                .collect(),
            metadata: HashMap::from([
                (RANGES_KEY.to_owned(), Value::Object(named)),
                ("isBlindAppend".to_owned(), Value::Bool(true)),
            ]),
            operation: append(self.log.table()),
        }
    }

    /// Removes the files of a commit that cannot land any more: the entries that its attempts aimed at are taken.
    async fn discard(&self, commit: &StreamCommit) {
        let files: Vec<&StagedFile> = commit.files.iter().collect();
        self.log.lake().discard_unlisted(self.log.table(), &files).await;
    }
}

/// Where a table stands against a commit.
enum Standing {
    /// At the beginning of each range.
    Ready,
    /// At or past the end of each.
    Covered,
    /// Anywhere else: the partitions that are past the beginning.
    Moved(Vec<(TxnKey, i64)>),
}

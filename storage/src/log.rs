//! The log of one table as a writer follows it: what others committed since, and one attempt at a time to commit.
//!
//! An attempt is one conditional put of the entry after the last one seen. It lands only when nobody committed in between,
//! so what the writer knows of the table (application transactions, removed files) is exact at the moment of its commit;
//! nothing is concluded from how a failed attempt ended, only from the log read again. The library's own commit loop
//! replays the whole table for each commit, and takes removals of two compactors of one file for no conflict; this one
//! costs the same for the ten-thousandth commit as for the first.
//!
//! Invariant: the entry after the last one seen was not cleaned away while the writer slept; else a put of it would land
//! where no reader looks. So a writer that was stopped for longer than [`PAUSE_MAX`] starts anew, also right after a put.

use crate::durable;
use crate::error::CommitError;
use crate::lake::{CHECKPOINT_INTERVAL, Lake};
use crate::write::StagedFile;
use deltalake::DeltaTable;
use deltalake::kernel::transaction::{CommitData, PROTOCOL, TransactionError};
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::{CommitOrBytes, LogStoreRef};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tradewind_model::table::Table;
use tradewind_model::time::SECOND;
use uuid::Uuid;

/// For how long what was seen of a log may be built upon. Far below the shortest sound retention of log entries, an hour.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Delta's word for an entry that rewrites files without changing rows.
const OPTIMIZE: &str = "OPTIMIZE";
/// How many entries may follow the version that is loaded before a newer one is.
const ENTRIES_MAX: u64 = 2 * CHECKPOINT_INTERVAL;

/// A writer's place in the log of a table.
pub(crate) struct TableLog {
    lake: Lake,
    table: &'static Table,
    store: LogStoreRef,
    /// A loaded version, at or before `version`.
    opened: DeltaTable,
    /// The last entry seen.
    version: u64,
    /// Versions of application transactions as of `version`: all that were committed after `opened`, and those asked for.
    transactions: HashMap<String, Option<i64>>,
    /// What others did since it was last asked, where somebody asks.
    others: Option<Others>,
    seen: Seen,
}

/// What other writers did to the files of a table.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Paths of the data files they added. Also own ones, where the answer to a put that landed was lost.
    pub(crate) added: HashSet<String>,
    /// Paths of the data files they removed.
    pub(crate) removed: HashSet<String>,
    /// Whether one of them rewrote files without changing rows.
    pub(crate) compacted: bool,
    /// Whether this is not all of it: the writer had to start anew from the version that is loaded now.
    pub(crate) is_reset: bool,
}

impl std::fmt::Debug for TableLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TableLog")
            .field("table", &self.table.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// When the log was looked at. Two clocks: the monotonic one stands still while a machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
struct Seen {
    instant: Instant,
    micros: i64,
}

impl Seen {
    fn now(lake: &Lake) -> Self {
        Self { instant: Instant::now(), micros: lake.now() }
    }

    fn is_old(self, lake: &Lake) -> bool {
        let micros_max = i64::try_from(PAUSE_MAX.as_secs()).unwrap_or(i64::MAX).saturating_mul(SECOND);
        self.instant.elapsed() > PAUSE_MAX || lake.now().saturating_sub(self.micros) > micros_max
    }
}

/// What an attempt to commit came to.
#[derive(Debug)]
pub(crate) enum Put {
    /// It is entry number this.
    Landed(i64),
    /// It did not, or nobody knows: look at the log again. The error, where it was one.
    Unknown(Option<CommitError>),
}

/// What is wanted in the log.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) actions: Vec<Action>,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) metadata: HashMap<String, serde_json::Value>,
    pub(crate) operation: DeltaOperation,
}

/// An entry that another writer committed.
#[derive(Debug, Default)]
struct Entry {
    transactions: Vec<(String, i64)>,
    added: Vec<String>,
    removed: Vec<String>,
    compacts: bool,
    /// Whether it changes columns, properties or the protocol.
    changes_table: bool,
}

impl TableLog {
    pub(crate) async fn open(lake: &Lake, table: &'static Table) -> Result<Self, CommitError> {
        lake.check_store().await?;
        let seen = Seen::now(lake);
        let opened = lake.with_all_columns(table, lake.table(table).await?).await?;
        let version = opened.version().unwrap_or_default();
        let store = lake.store(table)?;
        Ok(Self { lake: lake.clone(), table, store, opened, version, transactions: HashMap::new(), others: None, seen })
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    pub(crate) fn table(&self) -> &'static Table {
        self.table
    }

    /// The loaded version: its files are those of a moment at or before the last entry seen.
    pub(crate) fn opened(&self) -> &DeltaTable {
        &self.opened
    }

    /// From now on keeps what others do to the files of the table, as of the version that is loaded.
    pub(crate) fn watch(&mut self) {
        self.others = Some(Others::default());
    }

    /// What others did since the last call. Call [`TableLog::catch_up`] before.
    pub(crate) fn others(&mut self) -> Others {
        self.others.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Delta's id of the table.
    pub(crate) fn table_id(&self) -> Result<String, CommitError> {
        Ok(self.opened.snapshot().map_err(|source| self.failed(source))?.metadata().id().to_owned())
    }

    fn failed(&self, source: impl Into<deltalake::DeltaTableError>) -> CommitError {
        CommitError::Commit { table: self.table.name, source: Box::new(source.into()) }
    }

    /// Loads the newest version and forgets the rest.
    pub(crate) async fn reset(&mut self) -> Result<(), CommitError> {
        let seen = Seen::now(&self.lake);
        let opened = self.lake.with_all_columns(self.table, self.lake.table(self.table).await?).await?;
        self.version = opened.version().unwrap_or_default();
        self.opened = opened;
        self.transactions.clear();
        if let Some(others) = &mut self.others {
            others.is_reset = true;
        }
        self.seen = seen;
        Ok(())
    }

    /// Reads the entries that others committed since. False: the log moved on too far, or the table was changed, and the
    /// writer has started anew.
    pub(crate) async fn catch_up(&mut self) -> Result<bool, CommitError> {
        if self.seen.is_old(&self.lake) {
            self.reset().await?;
            return Ok(false);
        }
        let seen = Seen::now(&self.lake);
        let first = self.version;
        while let Some(entry) = self.read(self.version + 1).await? {
            if entry.changes_table || self.version - first > ENTRIES_MAX {
                self.reset().await?;
                return Ok(false);
            }
            self.version += 1;
            self.take(entry);
        }
        if seen.is_old(&self.lake) {
            // Stopped in between: what looked like the end of the log may have been cleaned away.
            self.reset().await?;
            return Ok(false);
        }
        self.seen = seen;
        Ok(true)
    }

    fn take(&mut self, entry: Entry) {
        self.transactions.extend(entry.transactions.into_iter().map(|(id, version)| (id, Some(version))));
        if let Some(others) = &mut self.others {
            others.added.extend(entry.added);
            others.removed.extend(entry.removed);
            others.compacted |= entry.compacts;
        }
    }

    async fn read(&self, version: u64) -> Result<Option<Entry>, CommitError> {
        let bytes = self.store.read_commit_entry(version).await.map_err(|source| self.failed(source))?;
        let Some(bytes) = bytes else { return Ok(None) };
        parse(&bytes).map(Some).map_err(|error| {
            self.failed(deltalake::DeltaTableError::generic(format!("entry {version} of the log: {error}")))
        })
    }

    /// The version of an application transaction, as of the last entry seen.
    pub(crate) async fn transaction(&mut self, id: &str) -> Result<Option<i64>, CommitError> {
        if self.seen.is_old(&self.lake) {
            self.reset().await?;
        }
        if let Some(known) = self.transactions.get(id) {
            return Ok(*known);
        }
        let snapshot = self.opened.snapshot().map_err(|source| self.failed(source))?;
        let version = snapshot.transaction_version(&*self.store, id).await.map_err(|source| self.failed(source))?;
        self.transactions.insert(id.to_owned(), version);
        Ok(version)
    }

    /// One attempt to commit. `files` are the data files it adds; they are written through to the disk first.
    pub(crate) async fn put(&mut self, commit: Commit, files: &[StagedFile]) -> Result<Put, CommitError> {
        let unsafe_yet = |source| CommitError::Sync { table: self.table.name, source };
        let location = self.lake.location();
        durable::sync(location, self.table.name, files.iter().map(|file| &file.path)).await.map_err(unsafe_yet)?;
        if self.seen.is_old(&self.lake) {
            self.reset().await?;
            return Ok(Put::Unknown(None));
        }
        let snapshot = self.opened.snapshot().map_err(|source| self.failed(source))?;
        PROTOCOL.can_commit(snapshot, &commit.actions, &commit.operation).map_err(|source| self.failed(source))?;
        let transactions: Vec<(String, Option<i64>)> = commit
            .transactions
            .iter()
            .map(|transaction| (transaction.app_id.clone(), Some(transaction.version)))
            .collect();
        let data = CommitData::new(commit.actions, commit.operation, commit.metadata, commit.transactions);
        let bytes = data.get_bytes().map_err(|source| self.failed(source))?;
        let version = self.version + 1;
        let started = self.seen;
        let written = self.store.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), Uuid::new_v4()).await;
        match written {
            Ok(()) if started.is_old(&self.lake) => {
                self.reset().await?;
                return Ok(Put::Unknown(None));
            }
            Ok(()) => {}
            Err(TransactionError::VersionAlreadyExists(_)) => return Ok(Put::Unknown(None)),
            Err(error) => return Ok(Put::Unknown(Some(self.failed(error)))),
        }
        // The commit landed, so nothing that follows is a failure of it: a loss of power may undo it, but not a part of it.
        let entry = format!("_delta_log/{version:020}.json");
        if let Err(error) = durable::sync(self.lake.location(), self.table.name, [entry]).await {
            tracing::warn!(table = self.table.name, %error, "the commit could not be written through to the disk");
        }
        self.version = version;
        self.transactions.extend(transactions);
        self.seen = Seen::now(&self.lake);
        self.follow_up().await;
        Ok(Put::Landed(i64::try_from(version).unwrap_or(i64::MAX)))
    }

    /// What is due after a commit: a checkpoint and the clean-up of the log, and a newer version to build on.
    async fn follow_up(&mut self) {
        let is_due = (self.version + 1).is_multiple_of(CHECKPOINT_INTERVAL);
        let is_far = self.version.saturating_sub(self.opened.version().unwrap_or_default()) > ENTRIES_MAX;
        if !is_due && !is_far {
            return;
        }
        if let Err(error) = self.reopen(is_due).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(table = self.table.name, error, "the upkeep of the log failed; it is tried again later");
        }
    }

    /// Loads a newer version, and keeps what is known of transactions.
    async fn reopen(&mut self, is_checkpoint_due: bool) -> Result<(), CommitError> {
        let opened = self.lake.table(self.table).await?;
        let newest = opened.version().unwrap_or_default();
        if is_checkpoint_due {
            self.lake.upkeep(self.table, &opened).await?;
        }
        if newest < self.version || !self.catch_up().await? {
            return Ok(());
        }
        // Invariant: `opened` is at or before `version`, for `catch_up` has read at least as far.
        self.opened = opened;
        Ok(())
    }
}

/// The action of a commit that adds rows and reads none.
pub(crate) fn append(table: &'static Table) -> DeltaOperation {
    DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: table.partition.map(|column| vec![column.to_owned()]),
        predicate: None,
    }
}

/// One line of an entry, as far as it matters here (Delta protocol, "Actions").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    txn: Option<TransactionLine>,
    add: Option<FileLine>,
    remove: Option<FileLine>,
    commit_info: Option<InfoLine>,
    #[serde(rename = "metaData")]
    metadata: Option<IgnoredAny>,
    protocol: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionLine {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
struct FileLine {
    path: String,
}

#[derive(Deserialize)]
struct InfoLine {
    operation: Option<String>,
}

fn parse(bytes: &[u8]) -> Result<Entry, serde_json::Error> {
    let mut entry = Entry::default();
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let line: Line = serde_json::from_slice(line)?;
        entry.transactions.extend(line.txn.map(|txn| (txn.app_id, txn.version)));
        entry.added.extend(line.add.map(|file| file.path));
        entry.removed.extend(line.remove.map(|file| file.path));
        entry.compacts |= line.commit_info.and_then(|info| info.operation).is_some_and(|word| word == OPTIMIZE);
        entry.changes_table |= line.metadata.is_some() || line.protocol.is_some();
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_entry_gives_what_a_writer_must_know() {
        let lines = concat!(
            r#"{"commitInfo":{"timestamp":1,"operation":"WRITE"}}"#,
            "\n",
            r#"{"add":{"path":"date=2026-01-01/a.parquet","size":1}}"#,
            "\n",
            r#"{"remove":{"path":"date=2026-01-01/b.parquet","dataChange":false}}"#,
            "\n",
            r#"{"txn":{"appId":"t/x/0","version":7}}"#,
            "\n"
        );
        let entry = parse(lines.as_bytes()).unwrap();
        assert_eq!((entry.changes_table, entry.compacts), (false, false));
        assert_eq!(entry.transactions, [("t/x/0".to_owned(), 7)]);
        assert_eq!(entry.added, ["date=2026-01-01/a.parquet"]);
        assert_eq!(entry.removed, ["date=2026-01-01/b.parquet"]);
        assert!(parse(br#"{"commitInfo":{"operation":"OPTIMIZE"}}"#).unwrap().compacts);
        assert!(parse(br#"{"metaData":{"id":"x"}}"#).unwrap().changes_table);
        assert!(parse(br#"{"protocol":{"minReaderVersion":1}}"#).unwrap().changes_table);
        assert!(parse(b"{\"add\":").is_err(), "half an entry is not an empty one");
    }
}

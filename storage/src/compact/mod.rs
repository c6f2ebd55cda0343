//! Compaction: many small files become few, in the same order, beside writers. Rows do not change.
//!
//! Files of `flows` are merged in the order in which they are sorted, and a file that is made holds rows of one hour: the
//! hour of the end time, in UTC; rows whose end is not in the day they are kept under (their time is not sound) are a file
//! of their own. Files of the other tables are joined in the order of their names, which is that of their making.
//!
//! A group of files is one commit: the old ones out, the new ones in, `dataChange` false, no application transaction
//! touched. It lands only if none of the old ones left the table meanwhile, whoever took it out; so neither a second
//! compactor nor a retention nor a replay beside it loses or doubles a row. When another compactor is at work this one
//! stops: the other does it.

mod merge;
mod plan;

use crate::error::CommitError;
use crate::files::{self, ListedFile};
use crate::lake::Lake;
use crate::log::{Commit, Put, TableLog};
use crate::reader::open;
use crate::write::{StagedFile, base_properties, stage_bytes, stage_sorted};
use arrow::compute::filter_record_batch;
use deltalake::kernel::Action;
use deltalake::protocol::DeltaOperation;
use futures::TryStreamExt as _;
pub(crate) use merge::{Filter, Parts, merge};
use object_store::ObjectStore;
use parquet::arrow::ArrowWriter;
use plan::{FileInfo, Group, Limits};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tradewind_model::table::{FLOWS, Table};

/// How often a commit is tried against other writers that win.
const ATTEMPTS_MAX: usize = 200;
/// Rows that are decoded at once where files are only joined.
const JOINED_ROWS: usize = 4096;

/// How files are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactOptions {
    /// Rows of a file that is made, at most. Default 524,288, about 7 MB of flows. A file below half of it is small.
    pub rows_max: u32,
    /// Bytes of the small files that are merged at once, at most: they are in memory together. Default 64 MiB.
    pub bytes_max: u32,
    /// Small files that are merged at once, at most. Default 64.
    pub files_max: u16,
    /// Small files of like size that are worth a merge while their hour lasts. Default 8.
    pub files_min: u16,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self { rows_max: 1 << 19, bytes_max: 64 << 20, files_max: 64, files_min: 8 }
    }
}

/// What was done to one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableCompacted {
    /// The table.
    pub table: &'static str,
    /// Commits.
    pub groups: u64,
    /// Small files that are gone from the table.
    pub files_in: u64,
    /// Files that hold their rows now.
    pub files_out: u64,
    /// Rows that moved.
    pub rows: u64,
    /// Bytes of the small files.
    pub bytes_in: u64,
    /// Bytes of the files that hold their rows now.
    pub bytes_out: u64,
    /// Groups that were left because a file of theirs was removed meanwhile.
    pub conflicts: u64,
    /// Groups that were left because a file of theirs cannot be merged.
    pub skipped: u64,
}

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// What was done to each table that has something to do.
    pub tables: Vec<TableCompacted>,
    /// Whether another compactor was seen at work, and the rest was left to it.
    pub is_left_to_another: bool,
    /// Whether it was told to stop before all was done.
    pub is_stopped: bool,
}

impl Lake {
    /// Compacts all tables. `should_stop` is asked before each group.
    ///
    /// # Errors
    /// A table that cannot be read or written. What was committed before stays; what was staged for nothing is removed by
    /// [`Lake::expire`].
    pub async fn compact(
        &self,
        options: &CompactOptions,
        should_stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<CompactReport, CommitError> {
        let mut report = CompactReport::default();
        for table in self.tables().await? {
            let mut compaction = Compaction::open(self, table, options).await?;
            let ended = compaction.run(should_stop, &mut report).await;
            if compaction.done.groups + compaction.done.conflicts + compaction.done.skipped > 0 {
                report.tables.push(compaction.done);
            }
            ended?;
            if report.is_stopped || report.is_left_to_another {
                break;
            }
        }
        Ok(report)
    }
}

struct Compaction {
    log: TableLog,
    store: Arc<dyn ObjectStore>,
    limits: Limits,
    /// Files that left the table since the plan was made.
    removed: HashSet<String>,
    /// Whether another compactor committed since.
    has_rival: bool,
    done: TableCompacted,
}

/// How the commit of a group ended.
enum Ended {
    Landed,
    /// A file of the group is not there any more.
    Conflict,
}

impl Compaction {
    async fn open(lake: &Lake, table: &'static Table, options: &CompactOptions) -> Result<Self, CommitError> {
        let mut log = TableLog::open(lake, table).await?;
        log.watch();
        let limits = Limits {
            rows_max: i64::from(options.rows_max.max(1)),
            bytes_max: i64::from(options.bytes_max.max(1)),
            files_max: usize::from(options.files_max.max(2)),
            files_min: usize::from(options.files_min.max(2)),
        };
        let store = log.opened().log_store().object_store(None);
        let done = TableCompacted { table: table.name, ..TableCompacted::default() };
        Ok(Self { log, store, limits, removed: HashSet::new(), has_rival: false, done })
    }

    async fn run(
        &mut self,
        should_stop: &(dyn Fn() -> bool + Send + Sync),
        report: &mut CompactReport,
    ) -> Result<(), CommitError> {
        let table = self.log.table();
        let listed = files::list(table, self.log.opened())?;
        let known: HashMap<String, ListedFile> =
            listed.into_iter().filter(|file| !file.has_deleted_rows()).map(|file| (file.path.clone(), file)).collect();
        let infos = known.values().filter_map(info).collect();
        let groups = plan::groups(infos, table.name == FLOWS.name, self.log.lake().now(), self.limits);
        for group in groups {
            if should_stop() {
                report.is_stopped = true;
                return Ok(());
            }
            let is_plan_valid = self.look().await?;
            report.is_left_to_another |= self.has_rival;
            report.is_stopped |= !is_plan_valid;
            if report.is_left_to_another || report.is_stopped {
                return Ok(());
            }
            if group.files.iter().any(|file| self.removed.contains(&file.path)) {
                self.done.conflicts += 1;
                continue;
            }
            let staged = match self.rewrite(&group).await {
                Ok(staged) => staged,
                Err(error @ (CommitError::Unsorted { .. } | CommitError::Read { .. })) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(table = table.name, error, "files are left as they are");
                    self.done.skipped += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.commit(&group, &known, &staged).await? {
                Ended::Landed => self.count(&group, &staged),
                Ended::Conflict => {
                    self.log.lake().discard_unlisted(table, &staged.iter().collect::<Vec<_>>()).await;
                    self.done.conflicts += 1;
                }
            }
        }
        Ok(())
    }

    /// Reads what others did. False: too much to follow, the plan is of no use any more.
    async fn look(&mut self) -> Result<bool, CommitError> {
        self.log.catch_up().await?;
        let others = self.log.others();
        self.removed.extend(others.removed);
        self.has_rival |= others.compacted;
        Ok(!others.is_reset)
    }

    async fn rewrite(&self, group: &Group) -> Result<Vec<StagedFile>, CommitError> {
        let paths: Vec<&str> = group.files.iter().map(|file| file.path.as_str()).collect();
        if self.log.table().name != FLOWS.name {
            let partition = group.partition.clone();
            return Ok(join(&self.store, self.log.table(), partition, &paths, None).await?.into_iter().collect());
        }
        let date = group.partition.clone().unwrap_or_default();
        let mut staged = Vec::new();
        let parts = files::day(&date).map_or(Parts::One, Parts::HoursOf);
        for batch in merge(&self.store, &paths, parts, None).await? {
            staged.push(stage_sorted(&*self.store, batch, date.clone()).await?);
        }
        Ok(staged)
    }

    async fn commit(
        &mut self,
        group: &Group,
        known: &HashMap<String, ListedFile>,
        staged: &[StagedFile],
    ) -> Result<Ended, CommitError> {
        let table = self.log.table();
        let rows: i64 = staged.iter().map(|file| file.rows).sum();
        let expected: i64 = group.files.iter().map(|file| file.rows).sum();
        if rows != expected {
            return Err(CommitError::RowsDiffer { table: table.name, expected, found: rows });
        }
        for _ in 0..ATTEMPTS_MAX {
            let now = self.log.lake().now();
            let removes =
                group.files.iter().filter_map(|file| known.get(&file.path)).map(|file| file.remove(now, false));
            let adds = staged.iter().map(|file| {
                let mut add = file.add(now);
                add.data_change = false;
                Action::Add(add)
            });
            let commit = Commit {
                actions: removes.chain(adds).collect(),
                transactions: Vec::new(),
                metadata: HashMap::new(),
                operation: DeltaOperation::Optimize { predicate: None, target_size: self.limits.rows_max },
            };
            let error = match self.log.put(commit, staged).await? {
                Put::Landed(_) => return Ok(Ended::Landed),
                Put::Unknown(error) => error,
            };
            self.log.catch_up().await?;
            let mut others = self.log.others();
            if others.is_reset {
                // What happened is not known one by one, but what is there now is.
                let present = files::paths(table, self.log.opened())?;
                others.added.extend(staged.iter().map(|file| file.path.clone()).filter(|path| present.contains(path)));
                others.removed.extend(known.keys().filter(|path| !present.contains(*path)).cloned());
            }
            let is_ours = staged.iter().any(|file| others.added.contains(&file.path));
            self.removed.extend(others.removed);
            if is_ours {
                return Ok(Ended::Landed);
            }
            self.has_rival |= others.compacted;
            if group.files.iter().any(|file| self.removed.contains(&file.path)) {
                return Ok(Ended::Conflict);
            }
            if let Some(error) = error {
                return Err(error);
            }
        }
        Err(CommitError::Contended { table: table.name, attempts: ATTEMPTS_MAX })
    }

    fn count(&mut self, group: &Group, staged: &[StagedFile]) {
        let sum = |numbers: &mut dyn Iterator<Item = i64>| u64::try_from(numbers.sum::<i64>()).unwrap_or_default();
        self.removed.extend(group.files.iter().map(|file| file.path.clone()));
        self.done.groups += 1;
        self.done.files_in += group.files.len() as u64;
        self.done.files_out += staged.len() as u64;
        self.done.rows += sum(&mut staged.iter().map(|file| file.rows));
        self.done.bytes_in += sum(&mut group.files.iter().map(|file| file.bytes));
        self.done.bytes_out += sum(&mut staged.iter().map(|file| file.bytes));
    }
}

/// The rows of files of a small table as one file, one after the other, without those that `keeps` says no of. None: no row
/// is left.
pub(crate) async fn join(
    store: &Arc<dyn ObjectStore>,
    table: &'static Table,
    partition: Option<String>,
    paths: &[&str],
    keeps: Option<&Filter>,
) -> Result<Option<StagedFile>, CommitError> {
    let encode = |source| CommitError::Encode { table: table.name, source };
    let mut bytes = Vec::new();
    let schema = crate::schema::file_schema(table);
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(base_properties().build())).map_err(encode)?;
    let mut rows = 0;
    for path in paths {
        let mut source = open(store, table, path, JOINED_ROWS, None).await?;
        let failed = |source| CommitError::Read { table: table.name, path: (*path).to_owned(), source };
        while let Some(mut batch) = source.try_next().await.map_err(failed)? {
            if let Some(keeps) = keeps {
                let kept = keeps(&batch).and_then(|kept| filter_record_batch(&batch, &kept));
                batch = kept.map_err(|source| CommitError::Layout { table: table.name, source })?;
            }
            rows += batch.num_rows();
            writer.write(&batch).map_err(encode)?;
        }
    }
    writer.close().map_err(encode)?;
    if rows == 0 {
        return Ok(None);
    }
    stage_bytes(&**store, table, partition, rows, bytes.into()).await.map(Some)
}

/// A file as the plan sees it; none where the log does not say how many rows it has.
fn info(file: &ListedFile) -> Option<FileInfo> {
    Some(FileInfo {
        path: file.path.clone(),
        bytes: file.bytes,
        rows: file.rows?,
        partition: file.partition.clone(),
        day: file.day(),
        hours: file.hours,
    })
}

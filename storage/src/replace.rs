//! Replacing the rows of records that are read anew: after a fix of a parser, what a range of positions became leaves, and
//! what it becomes now comes in, in one commit.
//!
//! Rows of many positions share files, so the files that hold rows of the range are written again without them, in their
//! order. The commit has no application transaction: where streams stand does not change. Doing it twice is doing it once.

use crate::compact::{Filter, Parts, join, merge};
use crate::error::CommitError;
use crate::files::{self, ListedFile};
use crate::lake::Lake;
use crate::log::{Commit, Put, TableLog};
use crate::reader::open;
use crate::write::{StagedFile, stage_sorted};
use arrow::array::{Array as _, AsArray as _, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use deltalake::kernel::Action;
use deltalake::protocol::DeltaOperation;
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use tradewind_model::table::{FLOWS, Table};

/// How often a replacement is tried against other writers that take its files away.
const ATTEMPTS_MAX: usize = 20;
/// Rows that are decoded at once when positions are looked for.
const SEARCHED_ROWS: usize = 8192;

/// Records that are read anew: a range of offsets at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRange {
    /// Column `position`: topic and partition, or the content hash of an object.
    pub position: String,
    /// Column `position_offset`.
    pub offsets: Range<i64>,
}

/// What is replaced in one table, `flows` or `dead_letters`.
#[derive(Clone, Debug, Default)]
pub struct Replacement {
    /// Whose rows leave.
    pub ranges: Vec<PositionRange>,
    /// Days in which they are looked for, as days since 1970-01-01. None: all.
    pub days: Option<Range<i64>>,
    /// What comes in instead, staged.
    pub files: Vec<StagedFile>,
}

/// What was replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// The version of the table that has it; none when there was nothing to do.
    pub version: Option<i64>,
    /// Rows that left.
    pub rows_out: u64,
    /// Rows that came in.
    pub rows_in: u64,
    /// Files that were written again without them.
    pub files_rewritten: u64,
}

impl Lake {
    /// Replaces rows, all or none.
    ///
    /// # Errors
    /// A table that cannot be read or written. Nothing changed then, or all: the same call may be made again, with its
    /// files staged anew.
    pub async fn replace(&self, table: &'static Table, replacement: &Replacement) -> Result<Replaced, CommitError> {
        for _ in 0..ATTEMPTS_MAX {
            let mut attempt = Attempt::prepare(self, table, replacement).await?;
            if attempt.outgoing.is_empty() && replacement.files.is_empty() {
                return Ok(Replaced::default());
            }
            if let Some(replaced) = attempt.commit(replacement).await? {
                return Ok(replaced);
            }
            // Only what was rewritten: the files of the caller are used again.
            self.discard_unlisted(table, &attempt.rewritten.iter().collect::<Vec<_>>()).await;
        }
        Err(CommitError::Contended { table: table.name, attempts: ATTEMPTS_MAX })
    }
}

struct Attempt {
    log: TableLog,
    /// Files with rows that leave.
    outgoing: Vec<ListedFile>,
    /// Their other rows.
    rewritten: Vec<StagedFile>,
    rows_out: i64,
}

impl Attempt {
    async fn prepare(lake: &Lake, table: &'static Table, replacement: &Replacement) -> Result<Self, CommitError> {
        let mut log = TableLog::open(lake, table).await?;
        log.watch();
        let store = log.opened().log_store().object_store(None);
        let days = replacement.days.as_ref();
        let is_searched = |file: &ListedFile| {
            days.is_none_or(|days| file.day().is_none_or(|day| days.contains(&tradewind_model::time::day_of(day))))
        };
        let keeps = filter(replacement.ranges.clone());
        let mut attempt = Self { log, outgoing: Vec::new(), rewritten: Vec::new(), rows_out: 0 };
        for file in files::list(table, attempt.log.opened())?.into_iter().filter(is_searched) {
            let leaving = count(&store, table, &file.path, &keeps).await?;
            if leaving > 0 {
                attempt.rewrite(&store, &file, &keeps).await?;
                attempt.rows_out += leaving;
                attempt.outgoing.push(file);
            }
        }
        Ok(attempt)
    }

    /// Writes a file again without the rows that leave.
    async fn rewrite(
        &mut self,
        store: &Arc<dyn ObjectStore>,
        file: &ListedFile,
        keeps: &Filter,
    ) -> Result<(), CommitError> {
        let table = self.log.table();
        let paths = [file.path.as_str()];
        if table.name != FLOWS.name {
            self.rewritten.extend(join(store, table, file.partition.clone(), &paths, Some(keeps)).await?);
            return Ok(());
        }
        for batch in merge(store, &paths, Parts::One, Some(keeps)).await? {
            self.rewritten.push(stage_sorted(&**store, batch, file.partition.clone().unwrap_or_default()).await?);
        }
        Ok(())
    }

    /// None: a file was taken away meanwhile, begin anew.
    async fn commit(&mut self, replacement: &Replacement) -> Result<Option<Replaced>, CommitError> {
        let table = self.log.table();
        let incoming: Vec<StagedFile> = self.rewritten.iter().chain(&replacement.files).cloned().collect();
        let replaced = |version| Replaced {
            version,
            rows_out: u64::try_from(self.rows_out).unwrap_or_default(),
            rows_in: u64::try_from(replacement.files.iter().map(|file| file.rows).sum::<i64>()).unwrap_or_default(),
            files_rewritten: self.outgoing.len() as u64,
        };
        for _ in 0..ATTEMPTS_MAX {
            let now = self.log.lake().now();
            let removes = self.outgoing.iter().map(|file| file.remove(now, true));
            let adds = incoming.iter().map(|file| Action::Add(file.add(now)));
            let commit = Commit {
                actions: removes.chain(adds).collect(),
                transactions: Vec::new(),
                metadata: HashMap::new(),
                operation: DeltaOperation::Update { predicate: None },
            };
            let error = match self.log.put(commit, &incoming).await? {
                Put::Landed(version) => return Ok(Some(replaced(Some(version)))),
                Put::Unknown(error) => error,
            };
            self.log.catch_up().await?;
            let others = self.log.others();
            let present = if others.is_reset { files::paths(table, self.log.opened())? } else { others.added };
            if incoming.iter().any(|file| present.contains(&file.path)) {
                return Ok(Some(replaced(None)));
            }
            if others.is_reset || self.outgoing.iter().any(|file| others.removed.contains(&file.path)) {
                return Ok(None);
            }
            if let Some(error) = error {
                return Err(error);
            }
        }
        Ok(None)
    }
}

/// Keeps what is of none of the ranges.
fn filter(ranges: Vec<PositionRange>) -> Box<Filter> {
    Box::new(move |batch: &RecordBatch| {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("there is no column {name}")))
        };
        let positions = cast(column("position")?, &DataType::Utf8)?;
        let offsets = cast(column("position_offset")?, &DataType::Int64)?;
        let (positions, offsets) = (positions.as_string::<i32>(), offsets.as_primitive::<Int64Type>());
        let leaves = |row: usize| {
            let is_known = positions.is_valid(row) && offsets.is_valid(row);
            let of = |range: &PositionRange| {
                range.offsets.contains(&offsets.value(row)) && range.position == positions.value(row)
            };
            is_known && ranges.iter().any(of)
        };
        Ok((0..batch.num_rows()).map(|row| Some(!leaves(row))).collect::<BooleanArray>())
    })
}

/// How many rows of a file leave.
async fn count(
    store: &Arc<dyn ObjectStore>,
    table: &'static Table,
    path: &str,
    keeps: &Filter,
) -> Result<i64, CommitError> {
    let mut batches = open(store, table, path, SEARCHED_ROWS, Some(&["position", "position_offset"])).await?;
    let failed = |source| CommitError::Read { table: table.name, path: path.to_owned(), source };
    let mut leaving = 0;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        let kept = keeps(&batch).map_err(|source| CommitError::Layout { table: table.name, source })?;
        leaving += i64::try_from(kept.false_count()).unwrap_or(i64::MAX);
    }
    Ok(leaving)
}

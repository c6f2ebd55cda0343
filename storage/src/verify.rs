//! Looks whether a lake is whole: each file that a table names is there and reads, has the rows the log says, and no record
//! came in twice. Reads, never repairs.

use crate::error::{CommitError, QueryError};
use crate::files::{self, ListedFile};
use crate::lake::Lake;
use crate::logs;
use crate::reader::StoredFile;
use crate::rows::text_values;
use arrow::array::AsArray as _;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tradewind_model::table::{FLOWS, Table};
use tradewind_model::time::date_text;

/// How many files are looked at at once.
const AT_ONCE: usize = 16;
/// How many doubled records of a day are named.
const DOUBLED_MAX: usize = 20;

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Days whose rows of `flows` are searched for records that came in twice, as days since 1970-01-01. None: no day, for
    /// it reads three columns of every row.
    pub positions_of: Option<Range<i64>>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The table.
    pub table: &'static str,
    /// The file, commit, partition or record.
    pub subject: String,
    /// What is wrong with it.
    pub fault: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files that were looked at.
    pub files: u64,
    /// Rows that their footers count.
    pub rows: u64,
    /// Commits of streams whose ranges of offsets were compared.
    pub stream_ranges: u64,
    /// Rows whose positions were compared.
    pub positions: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Lake {
    /// Looks whether the lake is whole.
    ///
    /// # Errors
    /// A log that cannot be read. Damaged and missing data files are problems, not errors.
    pub async fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport, CommitError> {
        let mut report = VerifyReport::default();
        for table in self.tables().await? {
            self.verify_files(table, &mut report).await?;
            self.verify_ranges(table, &mut report).await?;
        }
        for day in options.positions_of.clone().unwrap_or_default() {
            self.verify_positions(day, &mut report).await?;
        }
        Ok(report)
    }

    async fn verify_files(&self, table: &'static Table, report: &mut VerifyReport) -> Result<(), CommitError> {
        let opened = self.table(table).await?;
        let store = opened.log_store().object_store(None);
        let looks = files::list(table, &opened)?.into_iter().map(|file| look(Arc::clone(&store), file));
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some((path, found)) = looks.next().await {
            report.files += 1;
            match found {
                Ok(rows) => report.rows += rows,
                Err(fault) => report.problems.push(Problem { table: table.name, subject: path, fault }),
            }
        }
        Ok(())
    }

    /// Whether the ranges of offsets of each partition follow upon one another, in the commits that are kept.
    async fn verify_ranges(&self, table: &'static Table, report: &mut VerifyReport) -> Result<(), CommitError> {
        let mut ends: BTreeMap<String, i64> = BTreeMap::new();
        for range in logs::ranges(self, table).await? {
            report.stream_ranges += 1;
            if let Some(&end) = ends.get(&range.partition)
                && end != range.from
            {
                let kind = if range.from < end { "were committed before" } else { "follow a hole" };
                report.problems.push(Problem {
                    table: table.name,
                    subject: format!("version {}", range.version),
                    fault: format!(
                        "offsets from {} of {} {kind}: the commit before ended at {end}",
                        range.from, range.partition
                    ),
                });
            }
            ends.insert(range.partition, range.next);
        }
        Ok(())
    }

    async fn verify_positions(&self, day: i64, report: &mut VerifyReport) -> Result<(), QueryError> {
        let date = date_text(day);
        let key = "position, position_offset, position_index";
        let sql = format!(
            "SELECT position, position_offset, coalesce(position_index, -1) AS position_index, count(*) AS times, \
             (SELECT count(*) FROM flows WHERE date = DATE '{date}') AS rows FROM flows WHERE date = DATE '{date}' \
             GROUP BY {key} ORDER BY times DESC LIMIT {DOUBLED_MAX}"
        );
        let mut answer = self.query(&sql).await?;
        let mut rows = 0;
        while let Some(batch) = answer.try_next().await? {
            let failed = |error: arrow::error::ArrowError| QueryError::Run(Box::new(error.into()));
            let positions = text_values(batch.column(0)).map_err(failed)?;
            let numbers = |column: usize| {
                cast(batch.column(column), &DataType::Int64).map(|column| column.as_primitive::<Int64Type>().clone())
            };
            let (offsets, indices) = (numbers(1).map_err(failed)?, numbers(2).map_err(failed)?);
            let (times, all) = (numbers(3).map_err(failed)?, numbers(4).map_err(failed)?);
            for (row, position) in positions.iter().enumerate() {
                rows = u64::try_from(all.value(row)).unwrap_or_default();
                if times.value(row) > 1 {
                    let position = position.as_deref().unwrap_or_default();
                    report.problems.push(Problem {
                        table: FLOWS.name,
                        subject: format!("{position} {} {}", offsets.value(row), indices.value(row)),
                        fault: format!("is there {} times on {date}", times.value(row)),
                    });
                }
            }
        }
        report.positions += rows;
        Ok(())
    }
}

/// The rows of a file, or what is wrong with it.
async fn look(store: Arc<dyn ObjectStore>, file: ListedFile) -> (String, Result<u64, String>) {
    let found = rows(store, &file).await;
    (file.path, found)
}

async fn rows(store: Arc<dyn ObjectStore>, file: &ListedFile) -> Result<u64, String> {
    let path = Path::from(file.path.as_str());
    let object = store.head(&path).await.map_err(|error| match error {
        object_store::Error::NotFound { .. } => "is not there".to_owned(),
        error => format!("cannot be looked at: {error}"),
    })?;
    if i64::try_from(object.size) != Ok(file.bytes) {
        return Err(format!("has {} bytes where the log says {}", object.size, file.bytes));
    }
    let mut reader = StoredFile::new(store, path).with_size(object.size);
    let footer = ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::default())
        .await
        .map_err(|error| format!("has no footer that can be read: {error}"))?;
    let rows = footer.metadata().file_metadata().num_rows();
    if file.rows.is_some_and(|expected| expected != rows) {
        return Err(format!("has {rows} rows where the log says {}", file.rows.unwrap_or_default()));
    }
    Ok(u64::try_from(rows).unwrap_or_default())
}

//! Retention: whole days leave the tables, and data files that no table holds leave the store.
//!
//! A day leaves by its partition, so nothing is rewritten. Its files are deleted later, once no reader of an older version
//! can need them: a file is deleted when the newest version does not hold it, and it was written, and if it was once part
//! of the table also removed, longer ago than a safety age. The age is also what keeps files apart that a writer has staged
//! and is about to commit.

use crate::error::CommitError;
use crate::files::{self, ListedFile};
use crate::lake::Lake;
use crate::log::{Commit, Put, TableLog};
use deltalake::protocol::DeltaOperation;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use std::collections::{HashMap, HashSet};
use tradewind_model::table::Table;
use tradewind_model::time::{DAY, HOUR, date_text};

/// How often a commit is tried against other writers that win.
const ATTEMPTS_MAX: usize = 50;
/// The least safety age: longer than any writer takes from staging a file to committing it.
const SAFETY_AGE_MIN: i64 = HOUR;

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpireOptions {
    /// Days before this one leave, as days since 1970-01-01. None: no day leaves, only files that no table holds.
    pub before_day: Option<i64>,
    /// For how long a file that no table holds stays, in microseconds. At least one hour; default one day.
    pub safety_age: i64,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl Default for ExpireOptions {
    fn default() -> Self {
        Self { before_day: None, safety_age: DAY, dry_run: false }
    }
}

/// What left one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableExpired {
    /// The table.
    pub table: &'static str,
    /// The days that left, oldest first.
    pub days: Vec<String>,
    /// Files of these days.
    pub files: u64,
    /// Their rows, as far as the log says.
    pub rows: u64,
    /// Their bytes. They are free once the safety age is over.
    pub bytes: u64,
    /// Files that no table held and that were deleted.
    pub deleted_files: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
}

/// What left the lake, or would in a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpireReport {
    /// By table.
    pub tables: Vec<TableExpired>,
}

impl Lake {
    /// Takes old days out of all tables that are kept by day, and deletes files that no table holds.
    ///
    /// # Errors
    /// A table that cannot be read or written. What was done before stays done.
    pub async fn expire(&self, options: &ExpireOptions) -> Result<ExpireReport, CommitError> {
        let mut report = ExpireReport::default();
        for table in self.tables().await? {
            let mut done = TableExpired { table: table.name, ..TableExpired::default() };
            if let Some(before) = options.before_day.filter(|_| table.partition.is_some()) {
                self.expire_days(table, before, options.dry_run, &mut done).await?;
            }
            self.sweep(table, options, &mut done).await?;
            report.tables.push(done);
        }
        Ok(report)
    }

    async fn expire_days(
        &self,
        table: &'static Table,
        before: i64,
        dry_run: bool,
        done: &mut TableExpired,
    ) -> Result<(), CommitError> {
        let limit = before.saturating_mul(DAY);
        let is_old = |file: &ListedFile| file.day().is_some_and(|day| day < limit);
        for _ in 0..ATTEMPTS_MAX {
            // Anew for each attempt: it lands only if nothing was committed since, so no file is missed or removed twice.
            let mut log = TableLog::open(self, table).await?;
            let old: Vec<ListedFile> = files::list(table, log.opened())?.into_iter().filter(is_old).collect();
            let ended = if old.is_empty() || dry_run {
                Put::Landed(0)
            } else {
                let now = self.now();
                let commit = Commit {
                    actions: old.iter().map(|file| file.remove(now, true)).collect(),
                    transactions: Vec::new(),
                    metadata: HashMap::new(),
                    operation: DeltaOperation::Delete { predicate: Some(predicate(table, before)) },
                };
                log.put(commit, &[]).await?
            };
            match ended {
                Put::Landed(_) => {
                    count(&old, done);
                    return Ok(());
                }
                Put::Unknown(Some(error)) => return Err(error),
                Put::Unknown(None) => {}
            }
        }
        Err(CommitError::Contended { table: table.name, attempts: ATTEMPTS_MAX })
    }

    /// Deletes what the newest version does not hold.
    async fn sweep(
        &self,
        table: &'static Table,
        options: &ExpireOptions,
        done: &mut TableExpired,
    ) -> Result<(), CommitError> {
        let before = self.now().saturating_sub(options.safety_age.max(SAFETY_AGE_MIN));
        let store = self.store(table)?.object_store(None);
        let unread = |source: Error| CommitError::Lake(self.open_error(table, source.into()));
        let mut old: Vec<ObjectMeta> = Vec::new();
        let mut objects = store.list(None);
        while let Some(object) = objects.try_next().await.map_err(unread)? {
            if is_data_file(&object.location) && object.last_modified.timestamp_micros() < before {
                old.push(object);
            }
        }
        if old.is_empty() {
            return Ok(());
        }
        // Loaded after the listing, so that what was committed meanwhile is known to be held.
        let held = self.held(table, before).await?;
        for object in old.into_iter().filter(|object| !held.contains(object.location.as_ref())) {
            if !options.dry_run {
                match store.delete(&object.location).await {
                    Ok(()) | Err(Error::NotFound { .. }) => {}
                    Err(source) => {
                        let path = object.location.to_string();
                        return Err(CommitError::Write { table: table.name, path, source });
                    }
                }
            }
            done.deleted_files += 1;
            done.deleted_bytes += object.size;
        }
        Ok(())
    }

    /// The files of the newest version, and those that left it after `before`.
    async fn held(&self, table: &'static Table, before: i64) -> Result<HashSet<String>, CommitError> {
        let opened = self.table(table).await?;
        let failed = |source| CommitError::Commit { table: table.name, source: Box::new(source) };
        let mut held = files::paths(table, &opened)?;
        let log_store = opened.log_store();
        let mut tombstones = opened.snapshot().map_err(failed)?.all_tombstones(&*log_store);
        while let Some(tombstone) = tombstones.try_next().await.map_err(failed)? {
            if tombstone.deletion_timestamp().is_none_or(|millis| millis.saturating_mul(1000) >= before) {
                held.insert(tombstone.path().into_owned());
            }
        }
        Ok(held)
    }
}

fn predicate(table: &Table, before: i64) -> String {
    format!("{} < '{}'", table.partition.unwrap_or_default(), date_text(before))
}

fn count(old: &[ListedFile], done: &mut TableExpired) {
    let mut days: Vec<String> = old.iter().filter_map(|file| file.partition.clone()).collect();
    days.sort();
    days.dedup();
    let sum = |numbers: &mut dyn Iterator<Item = i64>| u64::try_from(numbers.sum::<i64>()).unwrap_or_default();
    done.files = old.len() as u64;
    done.rows = sum(&mut old.iter().filter_map(|file| file.rows));
    done.bytes = sum(&mut old.iter().map(|file| file.bytes));
    done.days = days;
}

/// Whether an object is one that a writer of data made: what begins with `_` or `.` is the log's or another program's.
fn is_data_file(path: &Path) -> bool {
    let is_hidden = path.parts().any(|part| part.as_ref().starts_with(['_', '.']));
    !is_hidden && path.extension() == Some("parquet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_files_are_swept() {
        let check = |path: &str, expected| assert_eq!(is_data_file(&Path::from(path)), expected, "{path}");
        check("date=2026-01-01/part-1.parquet", true);
        check("part-1.parquet", true);
        check("_delta_log/00000000000000000049.checkpoint.parquet", false);
        check("date=2026-01-01/.part-1.parquet", false);
        check("date=2026-01-01/notes.txt", false);
    }
}

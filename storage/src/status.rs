//! What a lake holds and how its tables are: rows, files, days, positions of streams, the size of the logs.

use crate::error::CommitError;
use crate::files::{self, ListedFile};
use crate::lake::Lake;
use crate::logs::{self, Logged};
use std::collections::BTreeMap;
use tradewind_model::table::Table;

/// Rows below which a file counts as small.
const SMALL_ROWS: i64 = 1 << 18;

/// How one table is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStatus {
    /// The table.
    pub table: &'static str,
    /// Rows, as far as the log says.
    pub rows: u64,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files with fewer than 262,144 rows: what a compaction looks at.
    pub small_files: u64,
    /// Files by size: the key is an upper bound in bytes, a power of four.
    pub files_by_bytes: BTreeMap<u64, u64>,
    /// First and last day, where the table is kept by day.
    pub days: Option<(String, String)>,
    /// Its newest version.
    pub version: i64,
    /// When that was committed. Microseconds UTC.
    pub commit_time: Option<i64>,
    /// Versions of the application transactions. Those of streams are `<table id>/<topic>/<partition>`, and the version is
    /// the next offset.
    pub transactions: BTreeMap<String, i64>,
    /// Entries of the log that are kept.
    pub log_entries: u64,
    /// Bytes of the log, checkpoints included.
    pub log_bytes: u64,
}

/// How a lake is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LakeStatus {
    /// By table.
    pub tables: Vec<TableStatus>,
}

impl Lake {
    /// How the lake is.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub async fn status(&self) -> Result<LakeStatus, CommitError> {
        let mut status = LakeStatus::default();
        for table in self.tables().await? {
            status.tables.push(self.table_status(table).await?);
        }
        Ok(status)
    }

    async fn table_status(&self, table: &'static Table) -> Result<TableStatus, CommitError> {
        let opened = self.table(table).await?;
        let listed = files::list(table, &opened)?;
        let version = opened.version().unwrap_or_default();
        let Logged { transactions, commit_time, entries, bytes } = logs::read(self, table, version).await?;
        let mut files_by_bytes = BTreeMap::new();
        for file in &listed {
            *files_by_bytes.entry(upper_bound(file.bytes)).or_default() += 1;
        }
        let sum = |numbers: &mut dyn Iterator<Item = i64>| u64::try_from(numbers.sum::<i64>()).unwrap_or_default();
        Ok(TableStatus {
            table: table.name,
            rows: sum(&mut listed.iter().filter_map(|file| file.rows)),
            files: listed.len() as u64,
            bytes: sum(&mut listed.iter().map(|file| file.bytes)),
            small_files: listed.iter().filter(|file| file.rows.is_some_and(|rows| rows < SMALL_ROWS)).count() as u64,
            files_by_bytes,
            days: days(&listed),
            version: i64::try_from(version).unwrap_or(i64::MAX),
            commit_time,
            transactions,
            log_entries: entries,
            log_bytes: bytes,
        })
    }
}

fn days(listed: &[ListedFile]) -> Option<(String, String)> {
    let days = || listed.iter().filter_map(|file| file.partition.as_ref());
    Some((days().min()?.clone(), days().max()?.clone()))
}

/// The least power of four that is not below a size, from 4 KiB on.
fn upper_bound(bytes: i64) -> u64 {
    let bytes = u64::try_from(bytes).unwrap_or_default();
    let mut bound = 4096;
    while bound < bytes {
        bound *= 4;
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fall_under_powers_of_four() {
        let check = |bytes, expected| assert_eq!(upper_bound(bytes), expected, "{bytes}");
        check(0, 4096);
        check(4096, 4096);
        check(4097, 16_384);
        check(1 << 20, 1 << 20);
        check((1 << 20) + 1, 1 << 22);
    }
}

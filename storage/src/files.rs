//! The data files of a loaded version of a table, as its upkeep needs them. Not what queries read.

use crate::error::CommitError;
use deltalake::DeltaTable;
use deltalake::kernel::{Action, LogicalFileView, Remove};
use serde_json::Value;
use std::collections::HashSet;
use tradewind_model::flow::END_TIME;
use tradewind_model::table::Table;
use tradewind_model::time::{self, HOUR};

/// A data file that is part of a table.
#[derive(Clone)]
pub(crate) struct ListedFile {
    /// Path below the table's folder.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) bytes: i64,
    /// Rows, where the log says it.
    pub(crate) rows: Option<i64>,
    /// Value of the partition column.
    pub(crate) partition: Option<String>,
    /// The first and last hour in which its rows end, as hours since 1970.
    pub(crate) hours: Option<(i64, i64)>,
    view: LogicalFileView,
}

impl ListedFile {
    /// Start of the partition's day in microseconds UTC, where the partition is a date.
    pub(crate) fn day(&self) -> Option<i64> {
        day(self.partition.as_deref()?)
    }

    /// Whether rows of it are marked as deleted beside it, which no writer of ours does.
    pub(crate) fn has_deleted_rows(&self) -> bool {
        self.view.deletion_vector_descriptor().is_some()
    }

    /// The action that takes the file out of the table. `now` is in microseconds UTC; `changes_data` says that its rows go
    /// too, and not only to another file.
    pub(crate) fn remove(&self, now: i64, changes_data: bool) -> Action {
        let remove = self.view.remove_action(changes_data);
        Action::Remove(Remove { deletion_timestamp: Some(now / 1000), ..remove })
    }
}

/// Start of a day in microseconds UTC; none for what is no date.
pub(crate) fn day(date: &str) -> Option<i64> {
    let day = time::parse(date).ok()?;
    (time::date_text(time::day_of(day)) == date).then_some(day)
}

/// The files of a loaded version.
pub(crate) fn list(table: &'static Table, opened: &DeltaTable) -> Result<Vec<ListedFile>, CommitError> {
    let failed = |source| CommitError::Commit { table: table.name, source: Box::new(source) };
    let snapshot = opened.snapshot().map_err(failed)?;
    Ok(snapshot.log_data().into_iter().map(|view| listed(table, view)).collect())
}

/// Their paths.
pub(crate) fn paths(table: &'static Table, opened: &DeltaTable) -> Result<HashSet<String>, CommitError> {
    Ok(list(table, opened)?.into_iter().map(|file| file.path).collect())
}

fn listed(table: &'static Table, view: LogicalFileView) -> ListedFile {
    let statistics: Option<Value> = view.stats().and_then(|text| serde_json::from_str(&text).ok());
    let bound = |kind: &str| {
        let value = statistics.as_ref()?.get(kind)?.get(END_TIME.field().name)?;
        time::parse(value.as_str()?).ok()
    };
    // Bounds are whole milliseconds, rounded outwards: the upper one is past the last row (see `write`).
    let hours = bound("minValues").zip(bound("maxValues")).map(|(first, last)| {
        let last = last.saturating_sub(time::SECOND / 1000).max(first);
        (first.div_euclid(HOUR), last.div_euclid(HOUR))
    });
    ListedFile {
        path: view.path().into_owned(),
        bytes: view.size(),
        rows: view.num_records().and_then(|rows| i64::try_from(rows).ok()),
        partition: table.partition.and_then(|column| view.partition_values_map().remove(column).flatten()),
        hours,
        view,
    }
}

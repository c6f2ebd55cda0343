//! The log of a table, read for what the library does not tell: all application transactions, the ranges of streams, and
//! how large it is. For reports, not for writers.

use crate::error::CommitError;
use crate::lake::Lake;
use crate::reader::StoredFile;
use crate::sink::RANGES_KEY;
use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt as _;
use object_store::ObjectStore as _;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use serde_json::Value;
use std::collections::BTreeMap;
use tradewind_model::table::Table;

/// What a log says.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    /// Versions of all application transactions.
    pub(crate) transactions: BTreeMap<String, i64>,
    /// When the newest version was committed. Microseconds UTC.
    pub(crate) commit_time: Option<i64>,
    /// Entries that are kept.
    pub(crate) entries: u64,
    /// Bytes of entries and checkpoints.
    pub(crate) bytes: u64,
}

/// The offsets of one partition that one commit covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedRange {
    pub(crate) version: u64,
    pub(crate) partition: String,
    pub(crate) from: i64,
    pub(crate) next: i64,
}

/// The files of a log: numbers of its entries, and its checkpoints of one file each by their version.
#[derive(Debug, Default)]
struct Listing {
    entries: Vec<u64>,
    checkpoints: BTreeMap<u64, Path>,
    bytes: u64,
}

/// Reads the log up to a version.
pub(crate) async fn read(lake: &Lake, table: &'static Table, version: u64) -> Result<Logged, CommitError> {
    let listing = list(lake, table).await?;
    let mut logged = Logged { entries: listing.entries.len() as u64, bytes: listing.bytes, ..Logged::default() };
    let mut first = 0;
    if let Some((&at, path)) = listing.checkpoints.range(..=version).next_back() {
        logged.transactions = checkpoint_transactions(lake, table, path).await?;
        first = at + 1;
    }
    let wanted = |entry: &u64| (*entry >= first && *entry <= version) || *entry == version;
    for entry in listing.entries.iter().copied().filter(wanted) {
        for line in lines(lake, table, entry).await? {
            if let Some(transaction) = line.get("txn")
                && let (Some(id), Some(at)) = (transaction["appId"].as_str(), transaction["version"].as_i64())
            {
                logged.transactions.insert(id.to_owned(), at);
            }
            if let Some(millis) = line.get("commitInfo").and_then(|info| info["timestamp"].as_i64()) {
                logged.commit_time = Some(millis.saturating_mul(1000));
            }
        }
    }
    Ok(logged)
}

/// The ranges of offsets that the entries name which are kept, oldest first.
pub(crate) async fn ranges(lake: &Lake, table: &'static Table) -> Result<Vec<LoggedRange>, CommitError> {
    let mut ranges = Vec::new();
    for version in list(lake, table).await?.entries {
        let lines = lines(lake, table, version).await?;
        let named = lines.iter().find_map(|line| line.get("commitInfo")?.get(RANGES_KEY)?.as_object());
        for (partition, range) in named.into_iter().flatten() {
            let (from, next) = (range[0].as_i64().unwrap_or_default(), range[1].as_i64().unwrap_or_default());
            ranges.push(LoggedRange { version, partition: partition.clone(), from, next });
        }
    }
    Ok(ranges)
}

async fn list(lake: &Lake, table: &'static Table) -> Result<Listing, CommitError> {
    let store = lake.store(table)?.object_store(None);
    let mut listing = Listing::default();
    let mut objects = store.list(Some(&Path::from("_delta_log")));
    let failed = |source: object_store::Error| CommitError::Lake(lake.open_error(table, source.into()));
    while let Some(object) = objects.try_next().await.map_err(failed)? {
        listing.bytes += object.size;
        let Some(name) = object.location.filename() else { continue };
        if let Some(version) = name.strip_suffix(".json").and_then(|version| version.parse().ok()) {
            listing.entries.push(version);
        } else if let Some(version) = name.strip_suffix(".checkpoint.parquet").and_then(|version| version.parse().ok())
        {
            listing.checkpoints.insert(version, object.location);
        }
    }
    listing.entries.sort_unstable();
    Ok(listing)
}

/// The actions of an entry; none where it was cleaned away meanwhile.
async fn lines(lake: &Lake, table: &'static Table, version: u64) -> Result<Vec<Value>, CommitError> {
    let failed = |source| CommitError::Commit { table: table.name, source: Box::new(source) };
    let bytes = lake.store(table)?.read_commit_entry(version).await.map_err(failed)?.unwrap_or_default();
    bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|source| failed(source.into())))
        .collect()
}

/// Column `txn` of a checkpoint (Delta protocol, "Checkpoint Schema").
async fn checkpoint_transactions(
    lake: &Lake,
    table: &'static Table,
    path: &Path,
) -> Result<BTreeMap<String, i64>, CommitError> {
    let failed = |source| CommitError::Read { table: table.name, path: path.to_string(), source };
    let store = lake.store(table)?.object_store(None);
    let reader = StoredFile::new(store, path.clone());
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(failed)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn"]);
    let mut batches = builder.with_projection(mask).build().map_err(failed)?;
    let mut transactions = BTreeMap::new();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        take_transactions(&batch, &mut transactions).map_err(|error| failed(error.into()))?;
    }
    Ok(transactions)
}

fn take_transactions(
    batch: &RecordBatch,
    transactions: &mut BTreeMap<String, i64>,
) -> Result<(), arrow::error::ArrowError> {
    let Some(column) = batch.column_by_name("txn").and_then(|column| column.as_struct_opt()) else { return Ok(()) };
    let (Some(ids), Some(versions)) = (column.column_by_name("appId"), column.column_by_name("version")) else {
        return Ok(());
    };
    let ids = cast(ids, &DataType::Utf8)?;
    let (ids, versions) = (ids.as_string::<i32>(), versions.as_primitive::<Int64Type>());
    let present = (0..batch.num_rows()).filter(|&row| column.is_valid(row) && ids.is_valid(row));
    transactions.extend(present.map(|row| (ids.value(row).to_owned(), versions.value(row))));
    Ok(())
}

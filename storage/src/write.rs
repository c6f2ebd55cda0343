//! Data files: sorted rows to Parquet, put beside the table but not part of it until they are committed.

use crate::encode;
use crate::error::CommitError;
use crate::import::DeadLetter;
use crate::import_rows::dead_letter_rows;
use crate::rows::partitioned;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use deltalake::kernel::Add;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tradewind_model::flow::{DATE, DST_ENTITY, DST_PORT, END_TIME, SRC_ENTITY, START_TIME};
use tradewind_model::table::{DEAD_LETTERS, FLOWS, Table};
use tradewind_model::time::date_text;
use tradewind_model::{FlowBatch, NULL_CODE, NULL_NUM, NumCol, TextCol, time};
use uuid::Uuid;

/// A data file that is written but not committed.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedFile {
    /// Path below the table's folder.
    pub path: String,
    /// Size in bytes.
    pub bytes: i64,
    /// Rows.
    pub rows: i64,
    pub(crate) partition: Option<(&'static str, String)>,
    pub(crate) statistics: String,
}

impl StagedFile {
    /// The Delta action that makes the file part of its table. `now` is in microseconds UTC.
    pub(crate) fn add(&self, now: i64) -> Add {
        Add {
            path: self.path.clone(),
            size: self.bytes,
            partition_values: self
                .partition
                .iter()
                .map(|(column, value)| ((*column).to_owned(), Some(value.clone())))
                .collect::<HashMap<_, _>>(),
            modification_time: now / 1000,
            data_change: true,
            stats: Some(self.statistics.clone()),
            ..Add::default()
        }
    }
}

/// Writes data files of one lake. Cheap to clone; used by many threads outside the async runtime.
#[derive(Clone, Debug)]
pub struct Stager {
    pub(crate) flows: Arc<dyn ObjectStore>,
    pub(crate) dead_letters: Arc<dyn ObjectStore>,
    pub(crate) runtime: Handle,
}

impl Stager {
    /// Writes the rows `order` of `batch`, which must be in storage order, as one file for each date.
    ///
    /// # Errors
    /// A required column left out, or a store that cannot be written. Files written before are removed.
    pub fn stage(&self, batch: &FlowBatch, order: &[u32]) -> Result<Vec<StagedFile>, CommitError> {
        let dates = batch.num(DATE).values(batch.len());
        let mut staged = Vec::new();
        for rows in order.chunk_by(|&left, &right| dates[left as usize] == dates[right as usize]) {
            let date = date_text(dates[rows[0] as usize]);
            match self.stage_one(batch, rows, date) {
                Ok(file) => staged.push(file),
                Err(error) => {
                    self.discard(&staged);
                    return Err(error);
                }
            }
        }
        Ok(staged)
    }

    fn stage_one(&self, batch: &FlowBatch, rows: &[u32], date: String) -> Result<StagedFile, CommitError> {
        let (file, bytes) = encoded(batch, rows, date)?;
        self.runtime.block_on(put(&*self.flows, &FLOWS, &file, bytes))?;
        Ok(file)
    }

    /// Writes rows of `dead_letters` that are too many to hold until the commit.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn stage_dead_letters(&self, letters: &[DeadLetter]) -> Result<Vec<StagedFile>, CommitError> {
        let table = &DEAD_LETTERS;
        let rows = dead_letter_rows(letters).into_iter().map(|(_, row)| row).collect();
        let batches = partitioned(table, rows).map_err(|source| CommitError::Layout { table: table.name, source })?;
        self.runtime.block_on(stage_rows(&*self.dead_letters, table, batches))
    }

    /// Removes files that will not be committed. What cannot be removed stays, unseen by readers.
    pub fn discard(&self, files: &[StagedFile]) {
        self.remove(&*self.flows, files.iter());
    }

    /// As [`Stager::discard`], for files of `dead_letters`.
    pub fn discard_dead_letters(&self, files: &[(String, StagedFile)]) {
        self.remove(&*self.dead_letters, files.iter().map(|(_, file)| file));
    }

    fn remove<'a>(&self, store: &dyn ObjectStore, files: impl Iterator<Item = &'a StagedFile>) {
        for file in files {
            if let Err(error) = self.runtime.block_on(store.delete(&Path::from(file.path.as_str()))) {
                tracing::warn!(path = file.path, %error, "could not remove an uncommitted data file");
            }
        }
    }
}

/// Rows of a batch as a file of `flows`, not yet written.
fn encoded(batch: &FlowBatch, rows: &[u32], date: String) -> Result<(StagedFile, Bytes), CommitError> {
    let bytes = encode::flows(batch, rows).map_err(|source| CommitError::Encode { table: FLOWS.name, source })?;
    let file = StagedFile {
        path: format!("date={date}/part-{}.parquet", Uuid::now_v7()),
        bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        rows: i64::try_from(rows.len()).unwrap_or(i64::MAX),
        partition: Some(("date", date)),
        statistics: flow_statistics(batch, rows),
    };
    Ok((file, bytes))
}

async fn put(
    store: &dyn ObjectStore,
    table: &'static Table,
    file: &StagedFile,
    bytes: Bytes,
) -> Result<(), CommitError> {
    let failed = |source| CommitError::Write { table: table.name, path: file.path.clone(), source };
    store.put(&Path::from(file.path.as_str()), bytes.into()).await.map(|_| ()).map_err(failed)
}

/// Writes a whole batch that is in storage order, as one file of the partition `date`.
pub(crate) async fn stage_sorted(
    store: &dyn ObjectStore,
    batch: FlowBatch,
    date: String,
) -> Result<StagedFile, CommitError> {
    let encoding = tokio::task::spawn_blocking(move || {
        let order: Vec<u32> = (0..).take(batch.len()).collect();
        encoded(&batch, &order, date)
    });
    let stopped = |error: tokio::task::JoinError| CommitError::Encode {
        table: FLOWS.name,
        source: parquet::errors::ParquetError::General(error.to_string()),
    };
    let (file, bytes) = encoding.await.map_err(stopped)??;
    put(store, &FLOWS, &file, bytes).await?;
    Ok(file)
}

/// Encodes one row group.
pub(crate) fn encode_small(
    columns: &RecordBatch,
    properties: WriterProperties,
) -> Result<Bytes, parquet::errors::ParquetError> {
    let mut bytes = Vec::with_capacity(1 << 20);
    let mut writer = ArrowWriter::try_new(&mut bytes, columns.schema(), Some(properties))?;
    writer.write(columns)?;
    writer.close()?;
    Ok(bytes.into())
}

/// What all tables' files share: zstd, dictionaries, no statistics unless asked for.
pub(crate) fn base_properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by(concat!("tradewind ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a zstd level")))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
}

/// Statistics of a data file as Delta's log keeps them (Delta protocol, "Per-file Statistics").
fn flow_statistics(batch: &FlowBatch, rows: &[u32]) -> String {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for column in [START_TIME, END_TIME] {
        if let Some((low, high, absent)) = number_range(batch, column, rows) {
            // Delta keeps times of statistics in milliseconds: the bounds are rounded outwards.
            if let Some(low) = milliseconds(low.div_euclid(1000)) {
                min.insert(column.field().name.to_owned(), json!(low));
            }
            if let Some(high) = milliseconds(high.div_euclid(1000) + 1) {
                max.insert(column.field().name.to_owned(), json!(high));
            }
            nulls.insert(column.field().name.to_owned(), json!(absent));
        }
    }
    if let Some((low, high, absent)) = number_range(batch, DST_PORT, rows) {
        min.insert(DST_PORT.field().name.to_owned(), json!(low));
        max.insert(DST_PORT.field().name.to_owned(), json!(high));
        nulls.insert(DST_PORT.field().name.to_owned(), json!(absent));
    }
    for column in [SRC_ENTITY, DST_ENTITY] {
        if let Some((low, high)) = text_range(batch, column, rows) {
            min.insert(column.field().name.to_owned(), json!(low));
            max.insert(column.field().name.to_owned(), json!(high));
            nulls.insert(column.field().name.to_owned(), json!(0));
        }
    }
    json!({ "numRecords": rows.len(), "minValues": min, "maxValues": max, "nullCount": nulls }).to_string()
}

/// None for a time that no calendar holds: readers expect a timestamp, and a bound that is absent excludes no file.
fn milliseconds(millis: i64) -> Option<String> {
    let micros = millis.saturating_mul(1000);
    let text = time::rfc3339(micros);
    (time::parse(&text).ok()? == micros).then_some(text)
}

fn number_range(batch: &FlowBatch, column: NumCol, rows: &[u32]) -> Option<(i64, i64, usize)> {
    let values = batch.num(column).values(batch.len());
    let present = rows.iter().map(|&row| values[row as usize]).filter(|&value| value != NULL_NUM);
    let (low, high, count) = present
        .fold((i64::MAX, i64::MIN, 0usize), |(low, high, count), value| (low.min(value), high.max(value), count + 1));
    (count > 0).then_some((low, high, rows.len() - count))
}

/// The range of a required text, none when a bound is too long to keep.
fn text_range<'a>(batch: &'a FlowBatch, column: TextCol, rows: &[u32]) -> Option<(&'a str, &'a str)> {
    const KEPT_BYTES_MAX: usize = 256;
    let column = batch.text(column);
    let codes = column.codes(batch.len());
    let mut seen = vec![false; column.dictionary().len() + 1];
    for &row in rows {
        seen[codes[row as usize] as usize] = true;
    }
    if seen[NULL_CODE as usize] {
        return None;
    }
    let texts = || column.dictionary().iter().zip(&seen[1..]).filter(|(_, seen)| **seen).map(|(text, _)| text);
    let (low, high) = (texts().min()?, texts().max()?);
    (low.len() <= KEPT_BYTES_MAX && high.len() <= KEPT_BYTES_MAX).then_some((low, high))
}

/// Encodes rows of a small table and puts them as one file for each value of the partition column.
pub(crate) async fn stage_rows(
    store: &dyn ObjectStore,
    table: &'static Table,
    partitions: Vec<(Option<String>, RecordBatch)>,
) -> Result<Vec<StagedFile>, CommitError> {
    let mut staged = Vec::new();
    for (partition, columns) in partitions {
        let properties = base_properties().build();
        let bytes =
            encode_small(&columns, properties).map_err(|source| CommitError::Encode { table: table.name, source })?;
        match stage_bytes(store, table, partition, columns.num_rows(), bytes).await {
            Ok(file) => staged.push(file),
            Err(error) => {
                for file in &staged {
                    // A file that stays is unseen by readers.
                    store.delete(&Path::from(file.path.as_str())).await.ok();
                }
                return Err(error);
            }
        }
    }
    Ok(staged)
}

/// Writes an encoded file of a small table.
pub(crate) async fn stage_bytes(
    store: &dyn ObjectStore,
    table: &'static Table,
    partition: Option<String>,
    rows: usize,
    bytes: Bytes,
) -> Result<StagedFile, CommitError> {
    let folder = partition
        .as_ref()
        .map_or_else(String::new, |value| format!("{}={value}/", table.partition.unwrap_or_default()));
    let file = StagedFile {
        path: format!("{folder}part-{}.parquet", Uuid::now_v7()),
        bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        rows: i64::try_from(rows).unwrap_or(i64::MAX),
        partition: table.partition.zip(partition),
        statistics: json!({ "numRecords": rows, "minValues": Value::Object(Map::new()), "maxValues": Value::Object(Map::new()), "nullCount": Value::Object(Map::new()) })
            .to_string(),
    };
    put(store, table, &file, bytes).await?;
    Ok(file)
}

//! Our own Parquet encoder for flows: dictionary codes go into pages as they are, without hashing any text again.
//!
//! A file has one row group. Texts are dictionary pages and `RLE_DICTIONARY` data pages, and plain where nearly every
//! value differs; numbers are dictionaries while they repeat, else `DELTA_BINARY_PACKED`. Columns that are null or
//! constant cost nothing per row. Page layout: Apache Parquet format, "Data Pages", "Encodings". The framing of pages,
//! the footer and bloom filters are the library's.

mod column;
mod delta;
mod hybrid;
mod numbers;
mod texts;

use crate::schema::{file_fields, file_schema};
use bytes::Bytes;
use column::{Chunk, ColumnEncoder};
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::SerializedFileWriter;
use std::sync::Arc;
use tradewind_model::field::{Field, FieldType};
use tradewind_model::flow::{DST_IP, SRC_IP};
use tradewind_model::table::FLOWS;
use tradewind_model::{FlowBatch, NULL_NUM};

/// Rows of a data page: readers skip and decode by pages.
const PAGE_ROWS: usize = 128 * 1024;

/// Columns by which the rows are sorted; see `tradewind_normalise::storage_order`.
pub(crate) const SORTED_BY: [&str; 4] = ["src_entity", "dst_entity", "dst_port", "start_time"];
/// Number columns whose range is kept in the footer: those the rows are sorted by or queries cut time with.
const WITH_RANGE: [&str; 3] = ["dst_port", "start_time", "end_time"];

/// The rows `order` of a batch, in that order, as a Parquet file of `flows`.
///
/// # Errors
/// A required column that a row left out, or a bug in the encoder.
pub(crate) fn flows(batch: &FlowBatch, order: &[u32]) -> Result<Bytes> {
    let schema = ArrowSchemaConverter::new().schema_root("flows").convert(&file_schema(&FLOWS))?;
    let mut file = Vec::with_capacity(order.len() * 16 + 16 * 1024);
    let properties = Arc::new(properties());
    let mut writer = SerializedFileWriter::new(&mut file, schema.root_schema_ptr(), properties)?;
    let mut group = writer.next_row_group()?;
    let mut encoder = ColumnEncoder::new()?;
    let batch_columns = batch.columns().filter(|(_, field)| Some(field.name) != FLOWS.partition);
    for (place, (batch_place, field)) in batch_columns.enumerate() {
        let chunk =
            column(&mut encoder, batch, batch_place, field, order, Chunk::new(schema.column(place), order.len()))
                .map_err(|error| ParquetError::General(format!("column {}: {error}", field.name)))?;
        group.append_column(&chunk.bytes, chunk.close)?;
    }
    group.close()?;
    writer.close()?;
    Ok(file.into())
}

/// How the file describes itself: sorting, and who made it.
fn properties() -> WriterProperties {
    let place = |name: &str| file_fields(&FLOWS).position(|field| field.name == name);
    let sorting = SORTED_BY
        .into_iter()
        .filter_map(|name| i32::try_from(place(name)?).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true })
        .collect();
    crate::write::base_properties().set_sorting_columns(Some(sorting)).build()
}

fn column(
    encoder: &mut ColumnEncoder,
    batch: &FlowBatch,
    place: usize,
    field: &Field,
    order: &[u32],
    chunk: Chunk,
) -> Result<column::Encoded> {
    if field.ty == FieldType::Text {
        let has_filter = [SRC_IP, DST_IP].iter().any(|column| column.field().name == field.name);
        return texts::encode(encoder, chunk, batch.text_at(place), batch.len(), order, has_filter);
    }
    let values = batch.num_at(place);
    if let Some(constant) = values.constant(batch.len()) {
        let range = (constant != NULL_NUM).then_some((constant, constant));
        return numbers::encode_constant(encoder, chunk.with_statistics(statistics(field, range)), field.ty, constant);
    }
    let values = values.values(batch.len());
    // Brought into order first, in a loop that does nothing else, so that the processor waits for many values at once.
    let mut sorted = std::mem::take(&mut encoder.sorted);
    sorted.clear();
    sorted.extend(order.iter().map(|&row| values[row as usize]));
    let range = if WITH_RANGE.contains(&field.name) { range(&sorted) } else { None };
    let encoded = numbers::encode(encoder, chunk.with_statistics(statistics(field, range)), field.ty, &sorted);
    encoder.sorted = sorted;
    encoded
}

fn range(values: &[i64]) -> Option<(i64, i64)> {
    let present = values.iter().copied().filter(|&value| value != NULL_NUM);
    present.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

fn statistics(field: &Field, range: Option<(i64, i64)>) -> Option<Statistics> {
    let (low, high) = range.filter(|_| WITH_RANGE.contains(&field.name))?;
    Some(match field.ty {
        FieldType::Int16 | FieldType::Int32 => {
            let [low, high] = [low, high].map(|bound| i32::try_from(bound).ok());
            Statistics::Int32(ValueStatistics::new(low, high, None, None, false))
        }
        _ => Statistics::Int64(ValueStatistics::new(Some(low), Some(high), None, None, false)),
    })
}

#[cfg(test)]
mod tests;

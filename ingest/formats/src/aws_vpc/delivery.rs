//! Flow logs that AWS delivers as Parquet: columns named as the fields, with underscores, texts and integers.
//!
//! It reads row groups as batches, never the whole file.

use super::AwsVpc;
use super::layout::Layout;
use super::row::{Origin, Rows, no_words};
use crate::contract::{Decoded, Reason};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, new_empty_array};
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use std::fmt::{Display, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Columns that some writers repeat from the folder names of a Hive-partitioned bucket.
const PARTITIONS: [&str; 9] =
    ["aws-account-id", "aws-service", "aws-region", "year", "month", "day", "hour", "date", "partition"];

/// Decodes a Parquet file, at most `batch_rows` rows at a time. `sink` gets each batch and may take it; what it leaves is
/// cleared. A damaged file, or one without the columns of flow logs, becomes a reject after the rows that could be read.
///
/// # Errors
/// Only those of `sink`.
pub fn decode_parquet<R: ChunkReader + 'static, E>(
    reader: R,
    batch_rows: usize,
    sink: &mut dyn FnMut(&mut Decoded) -> Result<(), E>,
) -> Result<(), E> {
    let mut out = Decoded::default();
    let mut rows_read: u64 = 0;
    let opened = guarded(|| open(reader, batch_rows.max(1)));
    let (format, mut batches, rows_total) = match opened.unwrap_or_else(|detail| Err((Reason::CorruptInput, detail))) {
        Ok(opened) => opened,
        Err((reason, detail)) => {
            out.reject(reason, detail, 0, b"");
            return sink(&mut out);
        }
    };
    loop {
        let damage = match guarded(|| batches.next()) {
            Ok(None) if rows_read == rows_total => return Ok(()),
            Ok(None) => format!("it ends after {rows_read} rows"),
            Ok(Some(Err(error))) => error.to_string(),
            Err(detail) => detail,
            Ok(Some(Ok(batch))) => {
                let columns: Vec<Column> = batch.columns().iter().filter_map(|array| column(array.as_ref())).collect();
                rows(&format, &columns, batch.num_rows(), rows_read, &mut out);
                rows_read += batch.num_rows() as u64;
                sink(&mut out)?;
                out.clear();
                continue;
            }
        };
        let detail = format!("Parquet: {damage}; rows from {rows_read} on, of {rows_total}, were not read");
        out.reject(Reason::CorruptInput, detail, rows_read, b"");
        return sink(&mut out);
    }
}

/// Calls the Parquet reader, which panics on some damaged files instead of returning an error (for instance on levels that
/// disagree with the number of values). Nothing of it is used after a panic.
fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no detail");
        format!("the reader gave up: {text}")
    })
}

type Opened = (AwsVpc, ParquetRecordBatchReader, u64);

fn open<R: ChunkReader + 'static>(reader: R, batch_rows: usize) -> Result<Opened, (Reason, String)> {
    let corrupt = |error: ParquetError| (Reason::CorruptInput, error.to_string());
    // The Arrow schema that some writers embed could ask for other types than the file has.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(reader, options).map_err(corrupt)?;
    let wanted = wanted(builder.schema());
    for field in wanted.iter().map(|&index| builder.schema().field(index)) {
        if column(new_empty_array(field.data_type()).as_ref()).is_none() {
            let detail = format!("column {} has type {}, not text or integer", field.name(), field.data_type());
            return Err((Reason::UnknownFormat, detail));
        }
    }
    let names = wanted.iter().map(|&index| builder.schema().field(index).name().as_str());
    let layout = Layout::from_names(names).map_err(|error| (Reason::UnknownFormat, error.to_string()))?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let reader = builder.with_projection(mask).with_batch_size(batch_rows).build().map_err(corrupt)?;
    Ok((AwsVpc::new(layout), reader, rows))
}

fn wanted(schema: &Schema) -> Vec<usize> {
    let is_partition = |name: &str| PARTITIONS.contains(&name.to_ascii_lowercase().replace('_', "-").as_str());
    let fields = schema.fields().iter().enumerate();
    fields
        .filter(|(_, field)| !field.data_type().is_nested() && !is_partition(field.name()))
        .map(|(index, _)| index)
        .collect()
}

fn rows(format: &AwsVpc, columns: &[Column], count: usize, first: u64, out: &mut Decoded) {
    let mut rows = Rows::new(format.layout(), out);
    let mut words = no_words();
    for row in 0..count {
        for (word, column) in words.iter_mut().zip(columns) {
            *word = column.word(row);
        }
        let offset = first + row as u64;
        if let Err(fault) = rows.record(&words, &Origin::line(offset), out) {
            let record = words[..columns.len()].join(" ");
            out.reject(fault.reason, fault.detail, offset, record.as_bytes());
        }
    }
    rows.finish(out);
}

/// The values of one column as the text form of a log writes them.
#[derive(Default)]
struct Column {
    text: String,
    ends: Vec<usize>,
}

impl Column {
    fn word(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        match &self.text[start..self.ends[row]] {
            "" => "-",
            word => word,
        }
    }

    fn fill<T: Display>(values: impl Iterator<Item = Option<T>>) -> Self {
        let mut column = Self::default();
        for value in values {
            if let Some(value) = value {
                write!(column.text, "{value}").expect("writing to a String does not fail");
            }
            column.ends.push(column.text.len());
        }
        column
    }
}

/// The values of an array; none when its type is neither text nor a whole number nor a time.
fn column(array: &dyn Array) -> Option<Column> {
    Some(match array.data_type() {
        DataType::Utf8 => Column::fill(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => Column::fill(array.as_string::<i64>().iter()),
        DataType::Binary => {
            Column::fill(array.as_binary::<i32>().iter().map(|bytes| bytes.map(String::from_utf8_lossy)))
        }
        DataType::Int8 => numbers::<Int8Type>(array, 1),
        DataType::Int16 => numbers::<Int16Type>(array, 1),
        DataType::Int32 => numbers::<Int32Type>(array, 1),
        DataType::Int64 => numbers::<Int64Type>(array, 1),
        DataType::UInt8 => numbers::<UInt8Type>(array, 1),
        DataType::UInt16 => numbers::<UInt16Type>(array, 1),
        DataType::UInt32 => numbers::<UInt32Type>(array, 1),
        DataType::UInt64 => numbers::<UInt64Type>(array, 1),
        DataType::Timestamp(TimeUnit::Second, _) => numbers::<TimestampSecondType>(array, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => numbers::<TimestampMillisecondType>(array, 1_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => numbers::<TimestampMicrosecondType>(array, 1_000_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => numbers::<TimestampNanosecondType>(array, 1_000_000_000),
        _ => return None,
    })
}

/// Whole numbers, divided by `unit`: times become seconds, as the text form has them.
fn numbers<T: ArrowPrimitiveType>(array: &dyn Array, unit: i128) -> Column
where
    T::Native: Into<i128>,
{
    Column::fill(array.as_primitive::<T>().iter().map(|value| value.map(|value| value.into() / unit)))
}

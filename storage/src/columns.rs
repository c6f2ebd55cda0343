//! Flow rows as Arrow arrays, in the order they are stored.

use crate::schema::file_schema;
use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, PrimitiveArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;
use tradewind_model::dictionary::Dictionary;
use tradewind_model::field::{Field, FieldType};
use tradewind_model::{FlowBatch, NULL_CODE, NULL_NUM, table};

/// The rows `order` of a batch as a record batch of [`file_schema`]: without the partition column.
///
/// # Errors
/// A required column that a row left out.
pub fn record_batch(batch: &FlowBatch, order: &[u32]) -> Result<RecordBatch, ArrowError> {
    let mut arrays = Vec::with_capacity(table::FLOWS.fields.len());
    for (column, field) in batch.columns() {
        if Some(field.name) != table::FLOWS.partition {
            arrays.push(array(batch, column, field, order)?);
        }
    }
    RecordBatch::try_new(file_schema(&table::FLOWS), arrays)
}

fn array(batch: &FlowBatch, column: usize, field: &Field, order: &[u32]) -> Result<ArrayRef, ArrowError> {
    if field.ty == FieldType::Text {
        let column = batch.text_at(column);
        let values = texts(column.dictionary());
        let keys = match column.constant(batch.len()) {
            Some(NULL_CODE) => {
                let keys = Int32Array::new_null(order.len());
                return Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from(Vec::<&str>::new())))?));
            }
            Some(code) => Int32Array::from(vec![key(code); order.len()]),
            None => {
                let codes = column.codes(batch.len());
                gather(&codes, order, NULL_CODE, key)
            }
        };
        return Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(values))?));
    }
    let column = batch.num_at(column);
    let values = column.values(batch.len());
    Ok(match field.ty {
        FieldType::Int16 => Arc::new(gather::<i64, Int16Type>(&values, order, NULL_NUM, narrow_16)) as ArrayRef,
        FieldType::Int32 => Arc::new(gather::<i64, Int32Type>(&values, order, NULL_NUM, narrow_32)),
        FieldType::Timestamp => {
            let times: TimestampMicrosecondArray =
                gather::<i64, TimestampMicrosecondType>(&values, order, NULL_NUM, |value| value);
            Arc::new(times.with_timezone("UTC"))
        }
        FieldType::Bool => {
            let bits = BooleanBuffer::collect_bool(order.len(), |row| values[order[row] as usize] == 1);
            Arc::new(BooleanArray::new(bits, nulls(&values, order, NULL_NUM)))
        }
        FieldType::Int64 | FieldType::Float64 | FieldType::Date | FieldType::Text => {
            let numbers: Int64Array = gather::<i64, Int64Type>(&values, order, NULL_NUM, |value| value);
            Arc::new(numbers)
        }
    })
}

/// Codes count from 1, keys from 0. Null codes are masked by the null buffer.
#[allow(clippy::cast_possible_wrap)]
fn key(code: u32) -> i32 {
    code.wrapping_sub(1) as i32
}

/// Decoders check ranges; what passes here fits.
#[allow(clippy::cast_possible_truncation)]
fn narrow_16(value: i64) -> i16 {
    value as i16
}

#[allow(clippy::cast_possible_truncation)]
fn narrow_32(value: i64) -> i32 {
    value as i32
}

fn gather<S: Copy + PartialEq, T: ArrowPrimitiveType>(
    values: &[S],
    order: &[u32],
    null: S,
    convert: impl Fn(S) -> T::Native,
) -> PrimitiveArray<T> {
    let mut absent = 0usize;
    let gathered: Vec<T::Native> = order
        .iter()
        .map(|&row| {
            let value = values[row as usize];
            absent += usize::from(value == null);
            convert(value)
        })
        .collect();
    let nulls = (absent > 0).then(|| nulls(values, order, null)).flatten();
    PrimitiveArray::new(ScalarBuffer::from(gathered), nulls)
}

fn nulls<S: Copy + PartialEq>(values: &[S], order: &[u32], null: S) -> Option<NullBuffer> {
    let present = BooleanBuffer::collect_bool(order.len(), |row| values[order[row] as usize] != null);
    let nulls = NullBuffer::new(present);
    (nulls.null_count() > 0).then_some(nulls)
}

fn texts(dictionary: &Dictionary) -> StringArray {
    let offsets = OffsetBuffer::from_lengths(dictionary.iter().map(str::len));
    let bytes: Vec<u8> = dictionary.iter().flat_map(str::bytes).collect();
    StringArray::new(offsets, bytes.into(), None)
}

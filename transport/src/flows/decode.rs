//! The bytes of a message into rows of a batch.

use super::FlowsError;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RunArray, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use std::io::Cursor;
use tradewind_model::{FlowBatch, NULL_CODE, NULL_NUM, NumColumn, TextColumn, flow};

/// Appends the rows of a message to a batch. Returns how many.
///
/// # Errors
/// Bytes that are no such message; the batch is then of no more use.
pub fn decode(value: &Bytes, flows: &mut FlowBatch) -> Result<usize, FlowsError> {
    if value.is_empty() {
        return Ok(0);
    }
    let before = flows.len();
    let reader = StreamReader::try_new(Cursor::new(value.as_ref()), None).map_err(FlowsError::Value)?;
    for batch in reader {
        append(&batch.map_err(FlowsError::Value)?, flows)?;
    }
    Ok(flows.len() - before)
}

fn append(batch: &RecordBatch, flows: &mut FlowBatch) -> Result<(), FlowsError> {
    let from = flows.len();
    flows.extend_rows(batch.num_rows());
    let schema = batch.schema();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let unfit = || FlowsError::Column { column: field.name().clone(), found: array.data_type().clone() };
        // One value in all rows, else the values themselves.
        let (values, is_shared) = match array.as_any().downcast_ref::<RunArray<Int32Type>>() {
            Some(runs) if runs.values().len() == 1 => (runs.values(), true),
            Some(_) => return Err(unfit()),
            None => (array, false),
        };
        if let Some(column) = flow::text_column(field.name()) {
            if is_shared {
                let texts: &StringArray = values.as_string_opt().ok_or_else(unfit)?;
                flows.fill_text(column, from, texts.value(0));
                continue;
            }
            let target = flows.text_mut(column);
            match values.data_type() {
                DataType::Dictionary(key, _) => match **key {
                    DataType::Int8 => texts::<Int8Type>(values, from, target),
                    DataType::Int16 => texts::<Int16Type>(values, from, target),
                    DataType::Int32 => texts::<Int32Type>(values, from, target),
                    _ => None,
                },
                _ => None,
            }
            .ok_or_else(unfit)?;
        } else if let Some(column) = flow::num_column(field.name()) {
            if is_shared {
                let value = first_number(values).ok_or_else(unfit)?;
                flows.fill_num(column, from, value);
                continue;
            }
            let target = flows.num_mut(column);
            match values.data_type() {
                DataType::Boolean => {
                    let array = values.as_boolean();
                    target.extend(from, array.iter().map(|value| value.map_or(NULL_NUM, i64::from)));
                }
                DataType::Int16 => widen::<Int16Type>(values, from, target),
                DataType::Int32 => widen::<Int32Type>(values, from, target),
                DataType::Date32 => widen::<Date32Type>(values, from, target),
                DataType::Int64 => widen::<Int64Type>(values, from, target),
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    widen::<TimestampMicrosecondType>(values, from, target);
                }
                _ => return Err(unfit()),
            }
        } else {
            // A newer producer has a column that this version does not know: it cannot be dropped silently.
            return Err(unfit());
        }
    }
    Ok(())
}

/// None: the array is not what it should be.
fn texts<K: ArrowDictionaryKeyType>(array: &ArrayRef, from: usize, target: &mut TextColumn) -> Option<()>
where
    usize: TryFrom<K::Native>,
{
    let dictionary = array.as_dictionary_opt::<K>()?;
    let texts: &StringArray = dictionary.values().as_string_opt()?;
    let codes: Vec<u32> = (0..texts.len()).map(|place| target.intern(texts.value(place))).collect();
    let keys = dictionary.keys();
    // The reader has checked that keys are within the dictionary.
    let code = |key: &K::Native| usize::try_from(*key).ok().and_then(|place| codes.get(place)).copied();
    let code = |key: &K::Native| code(key).unwrap_or(NULL_CODE);
    match keys.nulls() {
        None => target.extend(from, keys.values().iter().map(code)),
        Some(nulls) => {
            let rows = keys.values().iter().zip(nulls.iter());
            target.extend(from, rows.map(|(key, is_valid)| if is_valid { code(key) } else { NULL_CODE }));
        }
    }
    Some(())
}

fn widen<T: ArrowPrimitiveType>(array: &ArrayRef, from: usize, target: &mut NumColumn)
where
    T::Native: Into<i64>,
{
    let array = array.as_primitive::<T>();
    let values = array.values().iter().map(|&value| value.into());
    match array.nulls() {
        None => target.extend(from, values),
        Some(nulls) => target
            .extend(from, values.zip(nulls.iter()).map(|(value, is_valid)| if is_valid { value } else { NULL_NUM })),
    }
}

/// The first value of an array of numbers, times or booleans; none for other arrays.
fn first_number(array: &ArrayRef) -> Option<i64> {
    let is_null = array.is_null(0);
    let value = match array.data_type() {
        DataType::Boolean => i64::from(array.as_boolean().value(0)),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(0).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(0).into(),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(0).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(0),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().value(0),
        _ => return None,
    };
    Some(if is_null { NULL_NUM } else { value })
}

//! Rows of a batch into the bytes of a message.

use super::FlowsError;
use arrow_array::builder::StringBuilder;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray, RecordBatch, RecordBatchOptions, RunArray,
    StringArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, Field as ArrowField, Schema};
use bytes::Bytes;
use std::sync::Arc;
use tradewind_model::field::FieldType;
use tradewind_model::{FlowBatch, NULL_CODE, NULL_NUM, TextColumn};

/// Encodes rows; keeps its memory from one message to the next.
#[derive(Debug)]
pub struct FlowEncoder {
    options: IpcWriteOptions,
    /// Per code of a column the place in the message's dictionary plus one; zero where it is not in it yet.
    places: Vec<u32>,
    /// Codes of a column in the order of the message's dictionary.
    used: Vec<u32>,
}

impl Default for FlowEncoder {
    fn default() -> Self {
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .expect("the feature lz4 is on");
        Self { options, places: Vec::new(), used: Vec::new() }
    }
}

impl FlowEncoder {
    /// The rows with these numbers, in this order.
    ///
    /// # Errors
    /// More distinct texts than a message can hold.
    pub fn encode(&mut self, flows: &FlowBatch, rows: &[u32]) -> Result<Bytes, FlowsError> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (place, field) in flows.columns() {
            let array = if field.ty == FieldType::Text {
                self.texts(flows.text_at(place), flows.len(), rows)
            } else {
                numbers(flows, place, field.ty, rows)
            };
            if let Some(array) = array.map_err(FlowsError::Value)? {
                fields.push(ArrowField::new(field.name, array.data_type().clone(), array.null_count() > 0));
                arrays.push(array);
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options);
        let mut bytes = Vec::new();
        let write = || {
            let mut writer = StreamWriter::try_new_with_options(&mut bytes, &schema, self.options.clone())?;
            writer.write(&batch?)?;
            writer.finish()
        };
        write().map_err(FlowsError::Value)?;
        Ok(bytes.into())
    }

    /// None: no row has a text.
    fn texts(&mut self, column: &TextColumn, all: usize, rows: &[u32]) -> Result<Option<ArrayRef>, ArrowError> {
        let dictionary = column.dictionary();
        let shared = |code| shared(rows.len(), &StringArray::from(vec![dictionary.get(code).unwrap_or_default()]));
        match column.constant(all) {
            Some(NULL_CODE) => return Ok(None),
            Some(code) => return shared(code),
            None => {}
        }
        let codes = column.codes(all);
        if self.places.len() <= dictionary.len() {
            self.places.resize(dictionary.len() + 1, 0);
        }
        let used = &mut self.used;
        used.clear();
        let mut nulls = 0;
        let keys: Vec<u32> = rows
            .iter()
            .map(|&row| {
                let code = codes[row as usize];
                if code == NULL_CODE {
                    nulls += 1;
                    return 0;
                }
                let place = &mut self.places[code as usize];
                if *place == 0 {
                    used.push(code);
                    *place = u32::try_from(used.len()).unwrap_or(u32::MAX);
                }
                *place - 1
            })
            .collect();
        for &code in &*used {
            self.places[code as usize] = 0;
        }
        match (used.as_slice(), nulls) {
            ([], _) => return Ok(None),
            ([code], 0) => return shared(*code),
            _ => {}
        }
        let mut texts = StringBuilder::with_capacity(used.len(), used.len() * 16);
        for &code in &*used {
            texts.append_value(dictionary.get(code).unwrap_or_default());
        }
        let is_valid = || BooleanBuffer::collect_bool(rows.len(), |place| codes[rows[place] as usize] != NULL_CODE);
        let nulls = (nulls > 0).then(|| NullBuffer::new(is_valid()));
        let texts = Arc::new(texts.finish());
        Ok(Some(match used.len() {
            0..=0x80 => coded::<Int8Type>(&keys, nulls, texts)?,
            0x81..=0x8000 => coded::<Int16Type>(&keys, nulls, texts)?,
            _ => coded::<Int32Type>(&keys, nulls, texts)?,
        }))
    }
}

/// A column that has one value in all rows.
fn shared<A: Array>(rows: usize, value: &A) -> Result<Option<ArrayRef>, ArrowError> {
    let end = i32::try_from(rows).map_err(|_| ArrowError::RunEndIndexOverflowError)?;
    if end == 0 {
        return Ok(None);
    }
    let ends = PrimitiveArray::<Int32Type>::from(vec![end]);
    Ok(Some(Arc::new(RunArray::<Int32Type>::try_new(&ends, value)?)))
}

/// Texts behind keys that are as narrow as they may be.
fn coded<K: ArrowDictionaryKeyType>(
    keys: &[u32],
    nulls: Option<NullBuffer>,
    texts: Arc<StringArray>,
) -> Result<ArrayRef, ArrowError>
where
    K::Native: TryFrom<u32> + Default,
{
    // All are below the number of texts, which the type was chosen by.
    let keys: Vec<K::Native> = keys.iter().map(|&key| K::Native::try_from(key).unwrap_or_default()).collect();
    let keys = PrimitiveArray::<K>::new(ScalarBuffer::from(keys), nulls);
    Ok(Arc::new(DictionaryArray::try_new(keys, texts)?))
}

/// None: no row has a number.
fn numbers(flows: &FlowBatch, place: usize, ty: FieldType, rows: &[u32]) -> Result<Option<ArrayRef>, ArrowError> {
    let column = flows.num_at(place);
    let all = match column.constant(flows.len()) {
        Some(NULL_NUM) => return Ok(None),
        Some(value) => return shared(rows.len(), &array(ty, vec![value], None)),
        None => column.values(flows.len()),
    };
    let values: Vec<i64> = rows.iter().map(|&row| all[row as usize]).collect();
    let nulls = values.iter().filter(|&&value| value == NULL_NUM).count();
    match values.first() {
        _ if nulls == values.len() => return Ok(None),
        Some(&first) if values.iter().all(|&value| value == first) => {
            return shared(rows.len(), &array(ty, vec![first], None));
        }
        _ => {}
    }
    let is_valid = || BooleanBuffer::collect_bool(values.len(), |place| values[place] != NULL_NUM);
    let nulls = (nulls > 0).then(|| NullBuffer::new(is_valid()));
    Ok(Some(array(ty, values, nulls)))
}

fn array(ty: FieldType, values: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    match ty {
        FieldType::Bool => {
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(values.len(), |place| values[place] == 1), nulls))
        }
        FieldType::Int16 => narrow::<Int16Type>(&values, nulls),
        FieldType::Int32 => narrow::<Int32Type>(&values, nulls),
        FieldType::Date => narrow::<Date32Type>(&values, nulls),
        FieldType::Timestamp => {
            let times = PrimitiveArray::<TimestampMicrosecondType>::new(ScalarBuffer::from(values), nulls);
            Arc::new(times.with_timezone("UTC"))
        }
        FieldType::Int64 | FieldType::Float64 | FieldType::Text => {
            Arc::new(PrimitiveArray::<Int64Type>::new(ScalarBuffer::from(values), nulls))
        }
    }
}

fn narrow<T: ArrowPrimitiveType>(values: &[i64], nulls: Option<NullBuffer>) -> ArrayRef
where
    T::Native: TryFrom<i64> + Default,
{
    // What does not fit is null already: normalise checks the range of each column.
    let values: Vec<T::Native> = values.iter().map(|&value| T::Native::try_from(value).unwrap_or_default()).collect();
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
}

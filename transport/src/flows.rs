//! Flows on their way from `normalise` to `store` and `detect`: batches in Arrow's IPC stream format, with raw positions.
//!
//! A message holds rows of one raw partition for one partition of the topic `flows`; columns without a value are left out.
//! Any Arrow reader opens it. Beside rows, messages carry how far the raw partition is: [`FlowsHeader`].

use crate::record::{Record, TopicPartition};
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{ArrowPrimitiveType, Date32Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, DataType, Field as ArrowField, Schema};
use bytes::Bytes;
use std::io::Cursor;
use std::sync::Arc;
use thiserror::Error;
use tradewind_model::field::FieldType;
use tradewind_model::{FlowBatch, NULL_CODE, NULL_NUM, TextColumn, flow};

/// Header: the raw partition that the rows are from, `topic/partition`.
pub const HEADER_RAW: &str = "tw-raw";
/// Header: the first offset of the raw records, and the one after the last: `from-next`.
pub const HEADER_OFFSETS: &str = "tw-offsets";
/// Header: all flows of the raw partition up to this event time are in, microseconds UTC.
pub const HEADER_WATERMARK: &str = "tw-watermark";
/// Header: nothing came from the raw partition for a while; nobody should wait for it.
pub const HEADER_IDLE: &str = "tw-idle";

/// A message of the topic `flows` cannot be read: it was damaged, or written by another program.
#[derive(Debug, Error)]
pub enum FlowsError {
    /// A header is missing or is not what it should be.
    #[error("a batch of flows lacks header `{0}`, or it cannot be read")]
    Header(&'static str),
    /// The value is not what it should be.
    #[error("a batch of flows cannot be read")]
    Value(#[source] ArrowError),
    /// A column of another type than the flow record has.
    #[error("column `{column}` of a batch of flows has type {found}")]
    Column {
        /// Its name.
        column: String,
        /// Its type.
        found: DataType,
    },
}

/// What a message of the topic `flows` says beside its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowsHeader {
    /// The raw partition.
    pub raw: TopicPartition,
    /// First offset of the raw records, and the one after the last. Equal: no rows, only a watermark.
    pub offsets: (i64, i64),
    /// All flows of the raw partition up to this event time are in. None: nothing is known.
    pub watermark: Option<i64>,
    /// Nothing came from it for a while.
    pub is_idle: bool,
}

impl FlowsHeader {
    /// The message with these rows; empty: none.
    #[must_use]
    pub fn record(&self, rows: Bytes, timestamp: i64) -> Record {
        let mut record = Record { key: None, headers: Vec::with_capacity(4), value: rows, timestamp };
        record.add_header(HEADER_RAW, self.raw.to_string());
        record.add_header(HEADER_OFFSETS, format!("{}-{}", self.offsets.0, self.offsets.1));
        if let Some(watermark) = self.watermark {
            record.add_header(HEADER_WATERMARK, watermark.to_string());
        }
        if self.is_idle {
            record.add_header(HEADER_IDLE, Bytes::from_static(b"1"));
        }
        record
    }

    /// What a message says.
    ///
    /// # Errors
    /// Headers that are missing or cannot be read.
    pub fn of(record: &Record) -> Result<Self, FlowsError> {
        let text = |name: &'static str| {
            record
                .header(name)
                .map(|value| std::str::from_utf8(value).map_err(|_| FlowsError::Header(name)))
                .transpose()
        };
        let raw = text(HEADER_RAW)?.and_then(|raw| raw.rsplit_once('/'));
        let (topic, partition) = raw.ok_or(FlowsError::Header(HEADER_RAW))?;
        let partition = partition.parse().map_err(|_| FlowsError::Header(HEADER_RAW))?;
        let offsets = text(HEADER_OFFSETS)?.and_then(|offsets| {
            let (from, next) = offsets.split_once('-')?;
            Some((from.parse().ok()?, next.parse().ok()?))
        });
        let watermark = text(HEADER_WATERMARK)?.map(str::parse).transpose();
        Ok(Self {
            raw: TopicPartition::new(topic, partition),
            offsets: offsets.ok_or(FlowsError::Header(HEADER_OFFSETS))?,
            watermark: watermark.map_err(|_| FlowsError::Header(HEADER_WATERMARK))?,
            is_idle: record.header(HEADER_IDLE).is_some(),
        })
    }
}

/// Encodes rows; keeps its memory from one message to the next.
#[derive(Debug)]
pub struct FlowEncoder {
    options: IpcWriteOptions,
    /// Per code of a column the place in the message's dictionary plus one; zero where it is not in it yet.
    places: Vec<u32>,
}

impl Default for FlowEncoder {
    fn default() -> Self {
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .expect("the feature lz4 is on");
        Self { options, places: Vec::new() }
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
            if let Some(array) = array {
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
    fn texts(&mut self, column: &TextColumn, all: usize, rows: &[u32]) -> Option<ArrayRef> {
        if column.constant(all) == Some(NULL_CODE) {
            return None;
        }
        let codes = column.codes(all);
        let dictionary = column.dictionary();
        if self.places.len() <= dictionary.len() {
            self.places.resize(dictionary.len() + 1, 0);
        }
        let mut used: Vec<u32> = Vec::new();
        let mut has_nulls = false;
        let keys: Vec<i32> = rows
            .iter()
            .map(|&row| {
                let code = codes[row as usize];
                if code == NULL_CODE {
                    has_nulls = true;
                    return 0;
                }
                let place = &mut self.places[code as usize];
                if *place == 0 {
                    used.push(code);
                    *place = u32::try_from(used.len()).unwrap_or(u32::MAX);
                }
                i32::try_from(*place - 1).unwrap_or(i32::MAX)
            })
            .collect();
        for &code in &used {
            self.places[code as usize] = 0;
        }
        if used.is_empty() {
            return None;
        }
        let mut texts = StringBuilder::with_capacity(used.len(), used.len() * 16);
        for &code in &used {
            texts.append_value(dictionary.get(code).unwrap_or_default());
        }
        let is_valid = || BooleanBuffer::collect_bool(rows.len(), |place| codes[rows[place] as usize] != NULL_CODE);
        let nulls = has_nulls.then(|| NullBuffer::new(is_valid()));
        let keys = PrimitiveArray::<Int32Type>::new(ScalarBuffer::from(keys), nulls);
        Some(Arc::new(DictionaryArray::new(keys, Arc::new(texts.finish()))))
    }
}

/// None: no row has a number.
fn numbers(flows: &FlowBatch, place: usize, ty: FieldType, rows: &[u32]) -> Option<ArrayRef> {
    let column = flows.num_at(place);
    if column.constant(flows.len()) == Some(NULL_NUM) {
        return None;
    }
    let values = column.values(flows.len());
    let value = |place: usize| values[rows[place] as usize];
    let valid = BooleanBuffer::collect_bool(rows.len(), |place| value(place) != NULL_NUM);
    let nulls = NullBuffer::new(valid);
    if nulls.null_count() == rows.len() {
        return None;
    }
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Some(match ty {
        FieldType::Bool => {
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(rows.len(), |place| value(place) == 1), nulls))
        }
        FieldType::Int16 => primitive::<Int16Type>(rows.len(), value, nulls),
        FieldType::Int32 => primitive::<Int32Type>(rows.len(), value, nulls),
        FieldType::Date => primitive::<Date32Type>(rows.len(), value, nulls),
        FieldType::Timestamp => {
            let times = (0..rows.len()).map(value).collect::<Vec<i64>>();
            let times = PrimitiveArray::<TimestampMicrosecondType>::new(ScalarBuffer::from(times), nulls);
            Arc::new(times.with_timezone("UTC"))
        }
        FieldType::Int64 | FieldType::Float64 | FieldType::Text => primitive::<Int64Type>(rows.len(), value, nulls),
    })
}

fn primitive<T: ArrowPrimitiveType>(rows: usize, value: impl Fn(usize) -> i64, nulls: Option<NullBuffer>) -> ArrayRef
where
    T::Native: TryFrom<i64> + Default,
{
    // What does not fit is null already: normalise checks the range of each column.
    let narrow = |place| T::Native::try_from(value(place)).unwrap_or_default();
    let values: Vec<T::Native> = (0..rows).map(narrow).collect();
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
}

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
        if let Some(column) = flow::text_column(field.name()) {
            let dictionary = array.as_dictionary_opt::<Int32Type>().ok_or_else(unfit)?;
            let texts: &StringArray = dictionary.values().as_string_opt().ok_or_else(unfit)?;
            let keys = dictionary.keys();
            if texts.len() == 1 && keys.null_count() == 0 {
                flows.fill_text(column, from, texts.value(0));
                continue;
            }
            let target = flows.text_mut(column);
            let codes: Vec<u32> = (0..texts.len()).map(|place| target.intern(texts.value(place))).collect();
            for row in 0..keys.len() {
                let code = if keys.is_valid(row) {
                    let place = usize::try_from(keys.value(row)).map_err(|_| unfit())?;
                    *codes.get(place).ok_or_else(unfit)?
                } else {
                    NULL_CODE
                };
                target.set(from + row, code);
            }
        } else if let Some(column) = flow::num_column(field.name()) {
            let target = flows.num_mut(column);
            let mut set = |row: usize, value: i64| target.set(from + row, value);
            match array.data_type() {
                DataType::Boolean => {
                    let array = array.as_boolean();
                    for row in 0..array.len() {
                        set(row, if array.is_valid(row) { i64::from(array.value(row)) } else { NULL_NUM });
                    }
                }
                DataType::Int16 => widen::<Int16Type>(array, set),
                DataType::Int32 => widen::<Int32Type>(array, set),
                DataType::Date32 => widen::<Date32Type>(array, set),
                DataType::Int64 => widen::<Int64Type>(array, set),
                DataType::Timestamp(..) => {
                    let times = array.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(unfit)?;
                    for row in 0..times.len() {
                        set(row, if times.is_valid(row) { times.value(row) } else { NULL_NUM });
                    }
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

fn widen<T: ArrowPrimitiveType>(array: &ArrayRef, mut set: impl FnMut(usize, i64))
where
    T::Native: Into<i64>,
{
    let array = array.as_primitive::<T>();
    for row in 0..array.len() {
        set(row, if array.is_valid(row) { array.value(row).into() } else { NULL_NUM });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tradewind_model::flow::{
        BYTES_OUT, DATE, DST_PORT, OPENS, PROTOCOL_NUM, SOURCE, SRC_ENTITY, SRC_IP, START_TIME,
    };

    fn sample() -> FlowBatch {
        let mut flows = FlowBatch::default();
        for row in 0..5 {
            flows.set_text(SOURCE, "aws_vpc");
            flows.set_text(SRC_IP, ["10.0.0.1", "10.0.0.2"][usize::from(row % 2 == 1)]);
            if row > 2 {
                flows.set_text(SRC_ENTITY, "a/b/service/c");
                flows.set_num(BYTES_OUT, i64::MAX - row);
            }
            flows.set_num(START_TIME, 1_700_000_000_000_000 + row);
            flows.set_num(DATE, 19_000);
            flows.set_num(DST_PORT, 65_535);
            flows.set_num(PROTOCOL_NUM, 6);
            flows.set_num(OPENS, row % 2);
            flows.end_row();
        }
        flows
    }

    #[test]
    fn rows_come_back_in_order() {
        let flows = sample();
        let mut encoder = FlowEncoder::default();
        let check = |encoder: &mut FlowEncoder, rows: &[u32]| {
            let message = encoder.encode(&flows, rows).unwrap();
            let mut back = sample();
            assert_eq!(decode(&message, &mut back).unwrap(), rows.len());
            let wanted = (0..5).chain(rows.iter().map(|&row| row as usize)).map(|row| flows.row_json(row));
            assert_eq!((0..back.len()).map(|row| back.row_json(row)).collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        };
        for rows in [&[0, 1, 2, 3, 4][..], &[4, 0], &[3], &[0, 1], &[]] {
            check(&mut encoder, rows);
        }
    }

    #[test]
    fn rows_are_appended_to_a_batch_with_other_columns() {
        let mut flows = FlowBatch::default();
        flows.set_num(BYTES_OUT, 7);
        flows.end_row();
        let message = FlowEncoder::default().encode(&sample(), &[0, 4]).unwrap();
        decode(&message, &mut flows).unwrap();
        assert_eq!(flows.num(BYTES_OUT).get(0), Some(7));
        assert_eq!(flows.num(BYTES_OUT).get(1), None);
        assert_eq!(flows.text(SOURCE).get(0), None);
        assert_eq!(flows.text(SOURCE).get(1), Some("aws_vpc"));
    }

    #[test]
    fn damage_is_told() {
        let message = FlowEncoder::default().encode(&sample(), &[0, 1, 2]).unwrap();
        for end in [1, 8, message.len() / 2] {
            assert!(decode(&message.slice(..end), &mut FlowBatch::default()).is_err(), "{end}");
        }
        assert_eq!(decode(&Bytes::new(), &mut FlowBatch::default()).unwrap(), 0);
    }

    #[test]
    fn headers_come_back() {
        for (watermark, is_idle) in [(None, true), (Some(-5), false)] {
            let header = FlowsHeader { raw: TopicPartition::new("a/b.c", 3), offsets: (7, 9), watermark, is_idle };
            assert_eq!(FlowsHeader::of(&header.record(Bytes::new(), 1)).unwrap(), header);
        }
        assert!(FlowsHeader::of(&Record::default()).is_err());
    }
}

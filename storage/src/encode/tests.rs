//! What the encoder writes is read back by the library as it was.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_possible_wrap)]

use super::flows;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tradewind_model::field::FieldType;
use tradewind_model::flow::{self, FIELDS};
use tradewind_model::{FlowBatch, NULL_NUM, NumCol, TextCol};

/// A small generator: the tests need variety, not secrecy.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

const REQUIRED_TEXTS: [TextCol; 10] = [
    flow::SRC_ENTITY,
    flow::SRC_KIND,
    flow::SRC_ENTITY_SOURCE,
    flow::DST_ENTITY,
    flow::DST_KIND,
    flow::DST_ENTITY_SOURCE,
    flow::OUTCOME,
    flow::RECORD_KIND,
    flow::SOURCE,
    flow::POSITION,
];
const REQUIRED_NUMBERS: [NumCol; 6] = [
    flow::START_TIME,
    flow::END_TIME,
    flow::INGEST_TIME,
    flow::IS_SRC_DST_ASSIGNMENT_KNOWN,
    flow::POSITION_OFFSET,
    flow::NORMALISER_VERSION,
];

/// Rows with columns of every shape: constant, absent, sparse, few texts, all different, runs, extremes.
fn batch(rows: u64, seed: u64) -> FlowBatch {
    let mut random = Random(seed);
    let mut batch = FlowBatch::default();
    for row in 0..rows {
        for column in REQUIRED_TEXTS {
            batch.set_text(column, &format!("entity-{}", random.next(1 + row / 40)));
        }
        for column in REQUIRED_NUMBERS {
            batch.set_num(column, 1 + (row % 2) as i64);
        }
        batch.set_num(flow::POSITION_OFFSET, (row * 113 + random.next(40)) as i64);
        batch.set_num(flow::IS_SRC_DST_ASSIGNMENT_KNOWN, random.next(2) as i64);
        if random.next(3) > 0 {
            batch.set_text(flow::SRC_IP, &format!("10.0.{}.{}", random.next(9), random.next(200)));
            batch.set_num(flow::SRC_PORT, random.next(65_536) as i64);
            batch.set_text(flow::TRACE_ID, &format!("{:016x}-{row}", random.next(u64::MAX)));
            batch.set_num(flow::SRC_VERIFIED, random.next(2) as i64);
        }
        if row > rows / 2 {
            batch.set_num(flow::BYTES_OUT, random.next(1 << 40) as i64 - (1 << 39));
            batch.set_num(flow::PACKETS_OUT, [i64::MAX, i64::MIN + 1, 0][random.next(3) as usize]);
            batch.set_num(flow::ICMP_TYPE, random.next(3) as i64 - 1);
        }
        batch.set_num(flow::BYTES_IN, if random.next(50) == 0 { 5 } else { 6 });
        batch.end_row();
    }
    batch.fill_text(flow::OBSERVER, 0, "eni-1");
    batch.fill_num(flow::FLOW_COUNT, 0, 3);
    batch.fill_num(flow::DST_VERIFIED, 0, 1);
    batch
}

fn read(file: bytes::Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().with_batch_size(1 << 20).build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn number(array: &ArrayRef, ty: FieldType, row: usize) -> i64 {
    if array.is_null(row) {
        return NULL_NUM;
    }
    match ty {
        FieldType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        FieldType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        FieldType::Int64 => array.as_primitive::<Int64Type>().value(row),
        FieldType::Timestamp => array.as_primitive::<TimestampMicrosecondType>().value(row),
        FieldType::Bool => array.as_boolean().value(row).into(),
        other => panic!("{other:?} is not in files of flows"),
    }
}

#[track_caller]
fn check(batch: &FlowBatch, order: &[u32]) {
    let found = read(flows(batch, order).unwrap());
    assert_eq!(found.num_rows(), order.len());
    for (place, field) in batch.columns().filter(|(_, field)| field.name != "date") {
        let array = found.column_by_name(field.name).unwrap();
        assert_eq!(array.data_type(), &field.ty.arrow(), "{}", field.name);
        for (index, &row) in order.iter().enumerate() {
            let row = row as usize;
            if field.ty == FieldType::Text {
                let text = array.is_valid(index).then(|| array.as_string::<i32>().value(index));
                assert_eq!(text, batch.text_at(place).get(row), "{} of row {index}", field.name);
            } else {
                assert_eq!(
                    number(array, field.ty, index),
                    batch.num_at(place).raw(row),
                    "{} of row {index}",
                    field.name
                );
            }
        }
    }
}

#[test]
fn rows_come_back() {
    for (rows, seed) in [(1, 1), (2, 2), (7, 3), (8, 4), (9, 5), (129, 6), (1000, 7), (5000, 8)] {
        let batch = batch(rows, seed);
        let forward: Vec<u32> = (0..rows as u32).collect();
        check(&batch, &forward);
        let backward: Vec<u32> = forward.iter().rev().copied().step_by(2).collect();
        check(&batch, &backward);
    }
}

#[test]
fn more_rows_than_a_page_come_back() {
    let rows = super::PAGE_ROWS as u64 + 77;
    let batch = batch(rows, 9);
    check(&batch, &(0..rows as u32).collect::<Vec<_>>());
}

#[test]
fn a_required_value_that_is_missing_is_an_error() {
    let mut batch = batch(20, 10);
    batch.set_num(flow::START_TIME, 1);
    batch.end_row();
    let error = flows(&batch, &(0..21).collect::<Vec<_>>()).unwrap_err().to_string();
    assert!(error.contains("required"), "{error}");
    assert!(FIELDS.iter().any(|field| error.contains(field.name)), "{error}");
}

#[test]
fn filters_and_ranges_are_in_the_footer() {
    let batch = batch(500, 11);
    let file = flows(&batch, &(0..500).collect::<Vec<_>>()).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let metadata = builder.metadata().clone();
    let place = |name: &str| {
        metadata.file_metadata().schema_descr().columns().iter().position(|column| column.name() == name).unwrap()
    };
    let group = metadata.row_group(0);
    assert_eq!(group.column(place("end_time")).statistics().unwrap().min_bytes_opt(), Some(&1i64.to_le_bytes()[..]));
    assert!(group.column(place("src_ip")).bloom_filter_offset().is_some());
    assert!(group.column(place("dst_port")).statistics().is_none(), "it is absent in all rows");
    assert_eq!(group.sorting_columns().unwrap().len(), 4);
}

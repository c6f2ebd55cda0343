//! Flow logs delivered as Parquet: the columns AWS writes, other types, batches, damage.

use crate::vpc::{check_counts, rejects, rows};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMillisecondArray,
};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tradewind_formats::Reason;
use tradewind_formats::aws_vpc::decode_parquet;

pub(crate) fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

pub(crate) fn text<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// Three records: a flow, one without data, one with a bad address. The column names and types are AWS's own.
fn delivery() -> Vec<u8> {
    file(vec![
        ("version", Arc::new(Int32Array::from(vec![3, 3, 3]))),
        ("account_id", text([Some("1"), Some("1"), None])),
        ("interface_id", text([Some("eni-1"), Some("eni-1"), None])),
        ("srcaddr", text([Some("10.0.0.1"), None, Some("10.0.0")])),
        ("dstaddr", text([Some("2001:DB8::1"), Some("-"), Some("::1")])),
        ("srcport", Arc::new(Int32Array::from(vec![Some(40000), None, Some(1)]))),
        ("protocol", Arc::new(Int64Array::from(vec![Some(6), None, Some(6)]))),
        ("bytes", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(1)]))),
        ("start", Arc::new(Int64Array::from(vec![1_418_530_010, 1_418_530_010, 1]))),
        ("end", Arc::new(TimestampMillisecondArray::from(vec![1_418_530_070_000, 1_418_530_070_000, 1]))),
        ("action", text([Some("REJECT"), None, Some("ACCEPT")])),
        ("log_status", text([Some("OK"), Some("NODATA"), Some("OK")])),
        ("reject_reason", text([Some("BPA"), None, Some("")])),
        ("new_field", text([Some("x"), None, None])),
        ("aws-region", text([Some("eu-west-1"), None, None])),
        ("year", text([Some("2014"), None, None])),
    ])
}

/// All rows, and what was rejected, batch by batch.
fn decode(bytes: Vec<u8>, batch_rows: usize) -> (Vec<Map<String, Value>>, Vec<String>, u64) {
    let (mut all, mut rejected, mut gaps) = (Vec::new(), Vec::new(), 0);
    let result: Result<(), Infallible> = decode_parquet(Bytes::from(bytes), batch_rows, &mut |out| {
        check_counts(out);
        assert!(out.counts.records <= batch_rows as u64);
        all.extend(rows(out));
        rejected.extend(rejects(out));
        gaps += out.counts.gaps;
        Ok(())
    });
    result.unwrap();
    (all, rejected, gaps)
}

#[test]
fn columns_of_aws() {
    for batch_rows in [1, 2, 1000] {
        let (rows, rejected, gaps) = decode(delivery(), batch_rows);
        assert_eq!((rows.len(), gaps), (1, 1));
        assert_eq!(rejected, ["bad_address at 2"]);
        let expected = json!({
            "account": "1", "observer": "eni-1", "src_ip": "10.0.0.1", "dst_ip": "2001:db8::1", "src_port": 40000,
            "protocol_num": 6, "protocol": "tcp", "bytes_out": i64::MAX, "start_time": "2014-12-14T04:06:50Z",
            "end_time": "2014-12-14T04:07:50Z", "verdict": "denied", "outcome": "denied", "status_code": "REJECT",
            "outcome_reason": "BPA", "unmapped": r#"{"new-field":"x"}"#, "source": "aws_vpc", "record_kind": "interval",
            "is_src_dst_assignment_known": false, "position_offset": 0,
        });
        assert_eq!(Value::from(rows[0].clone()), expected);
    }
}

#[test]
fn rows_keep_their_numbers_over_batches_and_groups() {
    let addresses: Vec<String> = (0..1000).map(|row| format!("10.0.{}.{}", row / 250, row % 250)).collect();
    let bytes = file(vec![
        ("srcaddr", text(addresses.iter().map(|address| Some(address.as_str())))),
        ("dstaddr", text((0..1000).map(|_| Some("::1")))),
    ]);
    let (rows, rejected, _) = decode(bytes, 300);
    assert!(rejected.is_empty());
    for (number, (row, address)) in rows.iter().zip(&addresses).enumerate() {
        assert_eq!((&row["src_ip"], &row["position_offset"]), (&json!(address), &json!(number)));
    }
    assert_eq!(rows.len(), 1000);
}

#[test]
fn files_that_are_no_flow_logs() {
    let check = |bytes: Vec<u8>, reason: Reason| {
        let (rows, rejected, _) = decode(bytes, 100);
        assert_eq!((rows.len(), rejected), (0, vec![format!("{} at 0", reason.as_str())]));
    };
    check(Vec::new(), Reason::CorruptInput);
    check(b"PAR1".to_vec(), Reason::CorruptInput);
    check(b"PAR1 and then something else PAR1".to_vec(), Reason::CorruptInput);
    check(delivery()[..500].to_vec(), Reason::CorruptInput);
    check(file(vec![("colour", text([Some("red")]))]), Reason::UnknownFormat);
}

#[test]
fn damage_anywhere_ends_in_rows_or_rejects() {
    let whole = delivery();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let (rows, rejected, gaps) = decode(damaged, 2);
        assert!(rows.len() as u64 + rejected.len() as u64 + gaps > 0, "byte {at}: nothing is told");
    }
}

/// One column that is none of a flow log's does not make the others unreadable.
#[test]
fn columns_that_are_not_known() {
    let check = |name: &str, array: ArrayRef, expected: Value| {
        let bytes = file(vec![("srcaddr", text([Some("10.0.0.1")])), (name, array)]);
        let (rows, rejected, _) = decode(bytes, 10);
        assert_eq!((rows.len(), rejected.len()), (1, 0), "{name}: {rejected:?}");
        let unmapped =
            rows[0].get("unmapped").map(|json| serde_json::from_str::<Value>(json.as_str().unwrap()).unwrap());
        assert_eq!(unmapped.unwrap_or_default(), expected, "{name}");
    };
    check("is_odd", Arc::new(BooleanArray::from(vec![true])), json!({"is-odd": "true"}));
    check("is_odd", Arc::new(BooleanArray::from(vec![None])), Value::Null);
    check("score", Arc::new(Float64Array::from(vec![0.25])), json!({"score": "0.25"}));
    check("score", Arc::new(Float64Array::from(vec![f64::NAN])), Value::Null);
    check("score", Arc::new(Float32Array::from(vec![1.5])), json!({"score": "1.5"}));
    check("taken_on", Arc::new(Date32Array::from(vec![16_418])), json!({"taken-on": "2014-12-14"}));
    check("taken_at", Arc::new(Time64MicrosecondArray::from(vec![3_600_000_000])), json!({"taken-at": "01:00:00"}));
    let decimal = Decimal128Array::from(vec![12_345]).with_precision_and_scale(10, 2).unwrap();
    check("price", Arc::new(decimal), json!({"price": "123.45"}));
    check("hash", Arc::new(BinaryArray::from_vec(vec![b"a\xffb"])), json!({"hash": "a\u{fffd}b"}));
    check("id", Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8, 0xab]].iter()).unwrap()), json!({"id": "01ab"}));
    // Names that no layout has, among them the index that data frames write.
    check("__index_level_0__", Arc::new(Int64Array::from(vec![7])), json!({"index-level-0--": "7"}));
    check("Größe", text([Some("x")]), json!({"gr--e": "x"}));
    check("_dstaddr", text([Some("x")]), json!({"column-2": "x"}));
    check("SRCADDR", text([Some("x")]), json!({"column-2-srcaddr": "x"}));
    check("1", text([Some("x")]), json!({"column-2": "x"}));
    check(" ", text([Some("x")]), json!({"column-2": "x"}));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    check("list", Arc::new(list), Value::Null);
}

/// Counts come as floating point from data frames, texts unmarked from old writers.
#[test]
fn known_columns_of_other_types() {
    let bytes = file(vec![
        ("srcaddr", Arc::new(BinaryArray::from_vec(vec![b"10.0.0.1", b"10.0\xff"]))),
        ("srcport", Arc::new(Float64Array::from(vec![Some(443.0), None]))),
        ("protocol", Arc::new(Float32Array::from(vec![6.0, 6.5]))),
    ]);
    let (rows, rejected, _) = decode(bytes, 10);
    assert_eq!(
        (&rows[0]["src_ip"], &rows[0]["src_port"], &rows[0]["protocol"]),
        (&json!("10.0.0.1"), &json!(443), &json!("tcp"))
    );
    assert_eq!(rejected, ["bad_number at 1"]);
    let bytes = file(vec![("srcaddr", Arc::new(Float64Array::from(vec![1.0])))]);
    assert_eq!(decode(bytes, 10).1, ["bad_address at 0"]);
}

#[test]
fn a_file_that_is_refused_shows_its_beginning() {
    let bytes = file(vec![("colour", text([Some("red")])), ("size", Arc::new(Int32Array::from(vec![1])))]);
    let mut seen = Vec::new();
    let result: Result<(), Infallible> = decode_parquet(Bytes::from(bytes.clone()), 10, &mut |out| {
        seen.append(&mut out.rejects);
        Ok(())
    });
    result.unwrap();
    assert_eq!((seen.len(), seen[0].reason, seen[0].length), (1, Reason::UnknownFormat, bytes.len() as u64));
    assert_eq!(seen[0].bytes, bytes);
    assert!(seen[0].detail.contains("`colour size`"), "{}", seen[0].detail);
}

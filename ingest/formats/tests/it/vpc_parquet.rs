//! Flow logs delivered as Parquet: the columns AWS writes, other types, batches, damage.

use crate::vpc::{check_counts, rejects, rows};
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tradewind_formats::Reason;
use tradewind_formats::aws_vpc::decode_parquet;

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn text<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
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
        assert!(out.flows.len() <= batch_rows);
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
    check(file(vec![("srcaddr", Arc::new(arrow_array::Float64Array::from(vec![1.0])))]), Reason::UnknownFormat);
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

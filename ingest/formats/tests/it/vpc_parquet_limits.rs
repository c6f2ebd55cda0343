//! Parquet files made to fill memory or disk out of few bytes: what is handed out, and when it ends.

use crate::vpc::check_counts;
use crate::vpc_parquet::{file, text};
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use std::convert::Infallible;
use std::sync::Arc;
use tradewind_formats::aws_vpc::decode_parquet;
use tradewind_formats::{Decoded, Reason};

const MIB: usize = 1024 * 1024;

/// What came of a file, part by part.
#[derive(Debug, Default)]
struct Seen {
    flows: u64,
    records: u64,
    /// The most bytes of texts, rejects and gaps that a part held.
    part_bytes_max: usize,
    /// The last reason of a reject, and what it says.
    last: Option<(Reason, String)>,
    rejected: u64,
    reject_lengths_max: u64,
}

fn part_bytes(out: &Decoded) -> usize {
    let gaps: usize = out.gaps.iter().map(|(observer, ..)| observer.map_or(0, str::len)).sum();
    out.flows.text_bytes() + out.reject_bytes + out.rejects.len() * 128 + gaps
}

fn decode(bytes: Vec<u8>) -> Seen {
    let mut seen = Seen::default();
    let result: Result<(), Infallible> = decode_parquet(Bytes::from(bytes), 64 * 1024, &mut |out| {
        check_counts(out);
        assert!(out.counts.records <= 64 * 1024);
        seen.flows += out.counts.flows;
        seen.records += out.counts.records;
        seen.rejected += out.counts.rejected;
        seen.part_bytes_max = seen.part_bytes_max.max(part_bytes(out));
        for reject in &out.rejects {
            seen.reject_lengths_max = seen.reject_lengths_max.max(reject.length);
            seen.last = Some((reject.reason, reject.detail.clone()));
        }
        Ok(())
    });
    result.unwrap();
    seen
}

/// The same texts in every row, by a dictionary of one text each.
fn constant(rows: usize, columns: &[(&str, &str)]) -> Vec<(String, ArrayRef)> {
    let column = |(name, value): &(&str, &str)| {
        let keys = Int32Array::from(vec![0; rows]);
        let array = DictionaryArray::new(keys, Arc::new(StringArray::from(vec![*value])));
        ((*name).to_owned(), Arc::new(array) as ArrayRef)
    };
    columns.iter().map(column).collect()
}

fn write(columns: Vec<(String, ArrayRef)>, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_statistics_enabled(EnabledStatistics::None)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(9).unwrap()))
        .set_writer_version(WriterVersion::PARQUET_1_0)
}

fn check_refused(seen: &Seen, expected: &str) {
    let (reason, detail) = seen.last.as_ref().expect("a reject");
    assert_eq!(*reason, Reason::DecompressionLimit, "{detail}");
    assert!(reason.is_of_object() && detail.contains(expected), "{detail}");
    assert!(seen.part_bytes_max < 32 * MIB, "{} bytes in a part", seen.part_bytes_max);
}

/// 4 kB that took 8 GB: two texts of 20 kB in a dictionary, for each of many rows.
#[test]
fn long_texts_in_a_dictionary_end_at_the_limit() {
    let long = "x".repeat(20_000);
    let columns = [("srcaddr", "10.0.0.1"), ("dstaddr", "10.0.0.2"), ("instance_id", &long), ("new_field", &long)];
    let bytes = write(constant(200_000, &columns), properties());
    assert!(bytes.len() < 8_000, "{} bytes", bytes.len());
    let seen = decode(bytes);
    check_refused(&seen, "made of");
    assert!(seen.flows < 10_000, "{} flows", seen.flows);
}

/// 62 kB that became 2,000,000 flows.
#[test]
fn rows_made_of_nothing_are_refused_before_the_first() {
    let columns = [("srcaddr", "10.0.0.1"), ("dstaddr", "10.0.0.2"), ("protocol", "6")];
    let seen = decode(write(constant(2_000_000, &columns), properties()));
    check_refused(&seen, "2000000 rows made of");
    assert_eq!((seen.records, seen.rejected), (1, 1));
}

/// As many rows as an hour of idle interfaces has are read, whatever they pack to.
#[test]
fn constant_columns_alone_are_no_bomb() {
    let columns = [("srcaddr", "10.0.0.1"), ("dstaddr", "10.0.0.2"), ("protocol", "6")];
    let seen = decode(write(constant(100_000, &columns), properties()));
    assert_eq!((seen.flows, seen.rejected), (100_000, 0), "{:?}", seen.last);
}

/// What the footer says of sizes is right here, and the pages are ones that nobody writes.
#[test]
fn pages_that_fill_memory_are_not_unpacked() {
    let check = |compression: Compression| {
        let properties = properties()
            .set_compression(compression)
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(1 << 30)
            .set_write_batch_size(1 << 20);
        let columns = vec![("srcaddr".to_owned(), text([Some("x".repeat(100 * MIB).as_str())]))];
        let bytes = write(columns, properties);
        assert!(bytes.len() < MIB, "{} bytes", bytes.len());
        check_refused(&decode(bytes), "its pages take");
    };
    check(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()));
    check(Compression::GZIP(GzipLevel::try_new(6).unwrap()));
}

/// Many pages of a size that is read, and too many of them for the bytes they are made of.
#[test]
fn many_packed_pages_are_refused_by_their_sum() {
    let value = "x".repeat(2 * MIB);
    let properties = properties().set_dictionary_enabled(false).set_data_page_size_limit(MIB).set_write_batch_size(1);
    let columns = vec![("srcaddr".to_owned(), text(std::iter::repeat_n(Some(value.as_str()), 150)))];
    check_refused(&decode(write(columns, properties)), "more than 250 times");
}

/// Values that share their beginning with the one before: each costs nothing in the page, and all its bytes in memory.
#[test]
fn shared_beginnings_end_at_the_limit() {
    let long = "x".repeat(500_000);
    let properties = properties()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BYTE_ARRAY);
    let columns = vec![("instance_id".to_owned(), text(std::iter::repeat_n(Some(long.as_str()), 2_000)))];
    let bytes = write(columns, properties);
    assert!(bytes.len() < 10_000, "{} bytes", bytes.len());
    let seen = decode(bytes);
    check_refused(&seen, "made of");
    assert!(seen.records < 700, "{} records", seen.records);
}

#[test]
fn a_row_longer_than_any_is_rejected_alone() {
    let long = "x".repeat(2 * MIB);
    let bytes = file(vec![("srcaddr", text([Some("10.0.0.1"), Some(&long), Some("10.0.0.2")]))]);
    let seen = decode(bytes);
    assert_eq!((seen.flows, seen.rejected, seen.reject_lengths_max), (2, 1, long.len() as u64));
    assert!(matches!(seen.last, Some((Reason::RecordTooLong, _))), "{:?}", seen.last);
    assert!(seen.part_bytes_max < MIB);
}

/// Rejects and gaps are held as well as rows.
#[test]
fn parts_are_handed_out_by_what_they_hold() {
    let check = |columns: Vec<(&str, ArrayRef)>, records: u64| {
        let seen = decode(file(columns));
        assert_eq!(seen.records, records, "{:?}", seen.last);
        assert!(seen.part_bytes_max < 24 * MIB, "{} bytes in a part", seen.part_bytes_max);
        assert!(seen.part_bytes_max > 8 * MIB, "{} bytes in a part", seen.part_bytes_max);
    };
    let texts: Vec<String> = (0..100).map(|number| format!("{number}{}", "x".repeat(500_000))).collect();
    let all = || text(texts.iter().map(|text| Some(text.as_str())));
    check(vec![("instance_id", all())], 100);
    check(vec![("log_status", text((0..100).map(|_| Some("NODATA")))), ("interface_id", all())], 100);
    let many: Vec<String> = (0..1000).map(|number| format!("{number}{}", "x".repeat(60_000))).collect();
    check(vec![("srcaddr", text(many.iter().map(|text| Some(text.as_str()))))], 1000);
}

/// gzip unpacks to its end, whatever the header says.
#[test]
fn a_gzip_page_that_has_more_than_it_says_is_refused() {
    let properties = properties()
        .set_compression(Compression::GZIP(GzipLevel::try_new(6).unwrap()))
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(1 << 30);
    let columns = vec![("srcaddr".to_owned(), text([Some("x".repeat(100 * MIB).as_str())]))];
    let mut bytes = write(columns, properties);
    // A page header: `15 00` its type, `15` and its size unpacked, in four bytes of which the last has the highest bits.
    assert_eq!(bytes[4..7], [0x15, 0, 0x15]);
    assert!(bytes[7..10].iter().all(|byte| byte & 0x80 != 0) && bytes[10] > 60, "{:?}", &bytes[..12]);
    bytes[10] = 2;
    let (reason, detail) = decode(bytes).last.expect("a reject");
    assert_eq!(reason, Reason::CorruptInput);
    assert!(detail.contains("has more"), "{detail}");
}

/// Texts coded by their lengths are read; and not when the lengths say there are 2^56 of them, which ended the process.
#[test]
fn lengths_without_values_are_refused() {
    let check = |encoding: Encoding, version: WriterVersion| {
        let properties = properties()
            .set_compression(Compression::UNCOMPRESSED)
            .set_writer_version(version)
            .set_dictionary_enabled(false)
            .set_encoding(encoding);
        let texts: Vec<String> = (0..1000).map(|number| format!("eni-{}", "0".repeat(number % 40))).collect();
        let all = text(texts.iter().enumerate().map(|(row, text)| (row % 3 > 0).then_some(text.as_str())));
        let mut bytes = write(vec![("interface_id".to_owned(), all)], properties);
        let seen = decode(bytes.clone());
        assert_eq!((seen.flows, seen.rejected), (1000, 0), "{:?}", seen.last);
        // Blocks of 128 numbers in 4 parts, and 666 numbers, in the encoding's own form; all become one number.
        let at = bytes.windows(5).position(|window| window == [0x80, 1, 4, 0x9a, 5]).expect("the lengths");
        bytes[at + 3..at + 11].fill(0xff);
        bytes[at + 11] = 1;
        let seen = decode(bytes);
        let (reason, detail) = seen.last.expect("a reject");
        assert_eq!((reason, seen.records), (Reason::CorruptInput, 1), "{detail}");
        assert!(detail.contains("has no lengths"), "{detail}");
    };
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        check(Encoding::DELTA_LENGTH_BYTE_ARRAY, version);
        check(Encoding::DELTA_BYTE_ARRAY, version);
    }
}

#[test]
fn a_footer_that_fills_memory_is_not_read() {
    let mut file = vec![0; 6 * MIB];
    let length = u32::try_from(file.len() - 12).unwrap();
    let end = file.len();
    file[..4].copy_from_slice(b"PAR1");
    file[end - 8..end - 4].copy_from_slice(&length.to_le_bytes());
    file[end - 4..].copy_from_slice(b"PAR1");
    check_refused(&decode(file), "its footer has");
}

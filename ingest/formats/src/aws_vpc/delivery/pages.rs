//! What decoding a Parquet file costs, by its pages; and whether that is too much. It decodes no value.
//!
//! The sizes in the footer are claims that nothing holds a page to, and a page is unpacked whole.

use super::page_header::{Kind, PageHeader};
use super::{Refusal, corrupt, lengths};
use crate::contract::Reason;
use crate::unpack::{Limits, UnpackError};
use bytes::Buf as _;
use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader;
use std::io::{self, Read as _};
use std::sync::Arc;

/// Bytes of pages that may have to be in memory at once. Writers close a page at about 1 MiB, or with a row group of some
/// 100,000 rows, which makes a few MiB a column; with groups of 1,000,000 rows the default fields come to 112 MiB.
const PAGE_BYTES_MAX: u64 = 160 * 1024 * 1024;
/// Bytes that the rows decoded at once may take beside their pages.
const BATCH_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Rows decoded at once: enough that the cost of a batch does not show.
const BATCH_ROWS_MAX: u64 = 8 * 1024;
/// Bytes of the description at the end of the file, which grows about twentyfold in memory. It has some 100 bytes a column
/// and row group.
const FOOTER_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Rows that any file may have, however small.
const ROWS_ALWAYS: u64 = 1024 * 1024;
/// Rows for each byte of the file beyond that. A flow log's addresses, ports, counts and times take several bytes a row
/// even where all other columns are constant; constant columns alone take next to nothing for any number of rows.
const ROWS_PER_BYTE_MAX: u64 = 1;
/// The most that deflate makes of a byte (zlib, "Technical Details", "Maximum Compression Factor").
const GZIP_RATIO_MAX: u64 = 1032;
/// The most that LZ4 makes of a byte: lengths grow by 255 a byte (LZ4 block format).
const LZ4_RATIO_MAX: u64 = 255;
/// What a gzip page may grow to unseen.
const UNCHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The place of a value in a page, in memory.
const VIEW_BYTES: u64 = 16;
/// `DELTA_LENGTH_BYTE_ARRAY` and `DELTA_BYTE_ARRAY` in `parquet.thrift`.
const DELTA_LENGTH_BYTE_ARRAY: i64 = 6;
const DELTA_BYTE_ARRAY: i64 = 7;
/// Lengths of a delta-coded value: of what it shares with the one before, and of the rest.
const LENGTHS_BYTES: u64 = 8;

/// A column that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    /// Its place among the file's columns of values.
    pub(super) index: usize,
    /// Bytes of a value beside its page.
    pub(super) value_bytes: u64,
    /// Whether values of any length are copied out of the page.
    pub(super) is_copied: bool,
}

/// Refuses a file whose description alone would fill memory, before it is read.
pub(super) fn check_footer<R: ChunkReader>(reader: &R) -> Result<(), Refusal> {
    // The last 8 bytes are the length of the footer, and the magic number.
    let Some(start) = reader.len().checked_sub(8) else { return Ok(()) };
    let length = reader.get_bytes(start, 4).map_err(corrupt)?.get_u32_le();
    if length > FOOTER_BYTES_MAX && u64::from(length) <= reader.len() {
        let detail = format!("its footer has {length} bytes, more than {FOOTER_BYTES_MAX}");
        return Err(Refusal::new(Reason::DecompressionLimit, detail));
    }
    Ok(())
}

/// How many rows can be decoded at once, or why none should be.
pub(super) fn rows_at_once<R: ChunkReader>(
    reader: &Arc<R>,
    metadata: &ParquetMetaData,
    leaves: &[Leaf],
) -> Result<usize, Refusal> {
    let file_bytes = reader.len();
    check_rows(metadata, file_bytes)?;
    let (mut all, mut bytes_read, mut delta_coded) = (Sums::default(), 0, Vec::new());
    for leaf in leaves {
        let mut column = Sums::default();
        for group in metadata.row_groups() {
            let (chunk, rows) = (group.column(leaf.index), u64::try_from(group.num_rows()).unwrap_or_default());
            let walked = walk(reader.as_ref(), chunk, rows, leaf, &mut column)?;
            bytes_read += walked.bytes;
            delta_coded.extend(walked.has_lengths.then_some(chunk));
            if bytes_read > file_bytes {
                return Err(Refusal::new(Reason::CorruptInput, "its columns take more bytes than it has".to_owned()));
            }
        }
        all.unpacked += column.unpacked;
        all.dictionary += column.dictionary;
        all.data += column.data;
        all.row += column.row + leaf.value_bytes + VIEW_BYTES;
    }
    let limits = Limits::default();
    if limits.are_passed(file_bytes, all.unpacked) {
        let why = UnpackError::Limit { packed: file_bytes, unpacked: all.unpacked, limits };
        return Err(Refusal::new(Reason::DecompressionLimit, why.to_string()));
    }
    let held = all.dictionary + all.data;
    if held > PAGE_BYTES_MAX {
        let detail = format!("its pages take {held} bytes at once, more than {PAGE_BYTES_MAX}");
        return Err(Refusal::new(Reason::DecompressionLimit, detail));
    }
    for chunk in delta_coded {
        lengths::check(reader, chunk)?;
    }
    let rows = (BATCH_BYTES_MAX / all.row.max(1)).clamp(1, BATCH_ROWS_MAX);
    Ok(usize::try_from(rows).expect("at most BATCH_ROWS_MAX"))
}

fn check_rows(metadata: &ParquetMetaData, file_bytes: u64) -> Result<(), Refusal> {
    let groups = metadata.row_groups().iter().map(|group| group.num_rows());
    let rows = groups.fold(0_u64, |sum, rows| sum.saturating_add(u64::try_from(rows).unwrap_or_default()));
    if rows > ROWS_ALWAYS && rows / ROWS_PER_BYTE_MAX > file_bytes {
        let detail = format!("{rows} rows made of {file_bytes} bytes: no flow log packs as well");
        return Err(Refusal::new(Reason::DecompressionLimit, detail));
    }
    Ok(())
}

/// What the pages of a column, or of all columns, take.
#[derive(Debug, Default)]
struct Sums {
    /// All pages unpacked.
    unpacked: u64,
    /// The largest dictionary, with the places of its values.
    dictionary: u64,
    /// What the largest page of values takes.
    data: u64,
    /// The most bytes of pages that a row takes.
    row: u64,
}

/// What was found in a column chunk.
#[derive(Debug)]
struct Walked {
    /// Its bytes in the file.
    bytes: u64,
    /// Whether it has pages that begin with the lengths of their values.
    has_lengths: bool,
}

/// Adds the pages of one column chunk, of a group of `rows`.
fn walk<R: ChunkReader>(
    reader: &R,
    chunk: &ColumnChunkMetaData,
    rows: u64,
    leaf: &Leaf,
    sums: &mut Sums,
) -> Result<Walked, Refusal> {
    let (start, length) = chunk.byte_range();
    let end = start.checked_add(length).filter(|&end| end <= reader.len());
    let end = end.ok_or_else(|| Refusal::new(Reason::CorruptInput, "a column ends after the file".to_owned()))?;
    let mut walked = Walked { bytes: length, has_lengths: false };
    let mut at = start;
    while at < end {
        let input = reader.get_read(at).map_err(corrupt)?;
        let page = PageHeader::read(input, end - at).map_err(corrupt)?;
        at += page.header_bytes;
        if page.packed > end - at {
            return Err(Refusal::new(Reason::CorruptInput, "a page ends after its column".to_owned()));
        }
        if page.kind == Kind::Data && page.values > rows {
            let detail = format!("a page of {} values for {rows} rows", page.values);
            return Err(Refusal::new(Reason::CorruptInput, detail));
        }
        if page.kind != Kind::Index {
            walked.has_lengths |= has_lengths(&page);
            check_growth(reader, chunk.compression(), at, &page)?;
            add(&page, leaf, chunk.column_type() == Type::BYTE_ARRAY, sums);
        }
        at += page.packed;
    }
    Ok(walked)
}

fn has_lengths(page: &PageHeader) -> bool {
    page.kind == Kind::Data && matches!(page.encoding, DELTA_LENGTH_BYTE_ARRAY | DELTA_BYTE_ARRAY)
}

fn add(page: &PageHeader, leaf: &Leaf, is_text: bool, sums: &mut Sums) {
    // A page that is not packed is read as long as it is, whatever it says.
    let bytes = page.unpacked.max(page.packed);
    sums.unpacked += bytes;
    if page.kind == Kind::Dictionary {
        sums.dictionary = sums.dictionary.max(bytes + page.values * VIEW_BYTES);
    } else {
        let lengths = if has_lengths(page) { page.values * LENGTHS_BYTES } else { 0 };
        // Texts of a batch are in two pages, where one ends.
        sums.data = sums.data.max(lengths + if is_text { 2 * bytes } else { bytes });
        sums.row = sums.row.max(bytes.div_ceil(page.values.max(1)));
    }
    // A copied value may be all of its page: here a row may bring one, by a number or by a shared beginning.
    if is_text && (leaf.is_copied || (page.kind == Kind::Data && page.encoding == DELTA_BYTE_ARRAY)) {
        sums.row = sums.row.max(bytes);
    }
}

/// Refuses a page that grows beyond what it says, where the decompressor does not hold it to that.
fn check_growth<R: ChunkReader>(
    reader: &R,
    compression: Compression,
    at: u64,
    page: &PageHeader,
) -> Result<(), Refusal> {
    let is_gzip = match compression {
        Compression::GZIP(_) => true,
        // Hadoop's LZ4 may hold frames, which grow as they like.
        Compression::LZ4 => false,
        _ => return Ok(()),
    };
    if !is_gzip && page.packed * LZ4_RATIO_MAX > PAGE_BYTES_MAX {
        let detail = format!("an LZ4 page of {} bytes", page.packed);
        return Err(Refusal::new(Reason::DecompressionLimit, detail));
    }
    if !is_gzip || !page.is_packed || page.packed * GZIP_RATIO_MAX <= UNCHECKED_BYTES_MAX {
        return Ok(());
    }
    let levels = page.levels.min(page.packed);
    let length = usize::try_from(page.packed - levels).expect("it is less than 2 GiB");
    let packed = reader.get_bytes(at + levels, length).map_err(corrupt)?;
    let mut decoder = MultiGzDecoder::new(packed.reader()).take(page.unpacked + 1);
    let unpacked = io::copy(&mut decoder, &mut io::sink()).map_err(corrupt)?;
    if unpacked + levels > page.unpacked {
        let detail = format!("a page of {} bytes has more", page.unpacked);
        return Err(Refusal::new(Reason::CorruptInput, detail));
    }
    Ok(())
}

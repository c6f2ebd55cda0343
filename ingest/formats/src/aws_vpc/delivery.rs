//! Flow logs that AWS delivers as Parquet: columns named as the fields, with underscores, texts and integers.
//!
//! It reads a few rows at a time, never the whole file. What the columns mean is in the layout and the rows of the text
//! form; what a file may cost is in `pages`.

mod column;
mod lengths;
mod page_header;
mod pages;
mod schema;

use super::AwsVpc;
use super::row::{Origin, Rows, Words, no_words};
use crate::contract::{Decoded, REJECT_BYTES_MAX, Reason};
use crate::detect::HEAD_BYTES;
use crate::unpack::{Limits, UnpackError};
use arrow_array::RecordBatch;
use bytes::Bytes;
use column::Column;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::borrow::Cow;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The longest row that is read, in bytes of its words: the longest field is a resource name of at most 2048 characters
/// (IAM, "Quotas", "Character limits"), and a text form takes no event over 1 MiB (CloudWatch Logs quotas, "Event size").
const ROW_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of words after which a part is looked at.
const STEP_BYTES: u64 = 1024 * 1024;
/// Bytes that a part may hold when it is looked at: less than [`Decoded::is_large`], since what is decoded here may come
/// out of next to nothing.
const PART_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What the words of all rows may be for each byte of the file; both must be passed. With every field there is a row has
/// some 1,500 bytes of words, most of them repeated names of resources; and ports, counts and times, which no dictionary
/// makes small, leave several bytes of it in the file.
const WORDS: Limits = Limits { ratio_max: 1000, unpacked_bytes_max: 256 * 1024 * 1024 };

/// Decodes a Parquet file, at most `batch_rows` records at a time. `sink` gets each part and may take it; what it leaves is
/// cleared. A damaged file, or one without the columns of flow logs, becomes a reject after the rows that could be read;
/// so does one made to fill memory. Columns that are not known go to `unmapped`, except nested ones and intervals.
///
/// # Errors
/// Only those of `sink`.
pub fn decode_parquet<R: ChunkReader + 'static, E>(
    reader: R,
    batch_rows: usize,
    sink: &mut dyn FnMut(&mut Decoded) -> Result<(), E>,
) -> Result<(), E> {
    let file_bytes = reader.len();
    let mut parts = Parts {
        out: Decoded::default(),
        sink,
        records_max: u64::try_from(batch_rows.max(1)).unwrap_or(u64::MAX),
        file_bytes,
        rows_read: 0,
        word_bytes: 0,
        next_look: STEP_BYTES,
    };
    match open(reader, batch_rows.max(1)) {
        Ok(opened) => parts.read(opened),
        Err((refusal, head)) => parts.refuse(&refusal, 0, &head),
    }
}

/// Why a file is not read, or not to its end.
#[derive(Debug)]
struct Refusal {
    reason: Reason,
    detail: String,
}

impl Refusal {
    fn new(reason: Reason, detail: String) -> Self {
        Self { reason, detail }
    }
}

fn corrupt(error: impl Display) -> Refusal {
    Refusal::new(Reason::CorruptInput, error.to_string())
}

/// Calls the Parquet reader, which panics on some damaged files instead of returning an error (for instance on levels that
/// disagree with the number of values). Nothing of it is used after a panic.
fn guarded<T>(read: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no detail");
        Err(Refusal::new(Reason::CorruptInput, format!("the reader gave up: {text}")))
    })
}

/// A file that can be read.
struct Opened {
    format: AwsVpc,
    batches: ParquetRecordBatchReader,
    rows: u64,
}

/// What was found out about a file.
struct Plan {
    format: AwsVpc,
    metadata: ArrowReaderMetadata,
    wanted: Vec<usize>,
    rows_at_once: usize,
}

/// Opens a file, or says why not and shows its beginning.
fn open<R: ChunkReader + 'static>(reader: R, batch_rows: usize) -> Result<Opened, (Refusal, Vec<u8>)> {
    let reader = Arc::new(reader);
    let plan = guarded(|| plan(&reader)).map_err(|refusal| (refusal, head(reader.as_ref())))?;
    let opened = guarded(|| {
        let rows = u64::try_from(plan.metadata.metadata().file_metadata().num_rows()).unwrap_or_default();
        let mask = ProjectionMask::roots(plan.metadata.parquet_schema(), plan.wanted);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(Shared(reader), plan.metadata);
        let builder = builder.with_projection(mask).with_batch_size(plan.rows_at_once.min(batch_rows));
        Ok(Opened { format: plan.format, batches: builder.build().map_err(corrupt)?, rows })
    });
    opened.map_err(|refusal| (refusal, Vec::new()))
}

/// The file, for several readers at once.
struct Shared<R>(Arc<R>);

impl<R: ChunkReader> Length for Shared<R> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<R: ChunkReader> ChunkReader for Shared<R> {
    type T = R::T;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.0.get_bytes(start, length)
    }
}

fn plan<R: ChunkReader>(reader: &Arc<R>) -> Result<Plan, Refusal> {
    pages::check_footer(reader.as_ref())?;
    // The Arrow schema that some writers embed could ask for other types than the file has.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let found = ArrowReaderMetadata::load(reader.as_ref(), options).map_err(corrupt)?;
    let wanted = schema::wanted(found.schema());
    let unknown = |error: super::LayoutError| Refusal::new(Reason::UnknownFormat, error.to_string());
    let format = AwsVpc::new(schema::layout(found.schema(), &wanted).map_err(unknown)?);
    let leaves = schema::leaves(found.schema(), found.parquet_schema(), &wanted);
    let rows_at_once = pages::rows_at_once(reader, found.metadata(), &leaves)?;
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema::reading(found.schema())));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options).map_err(corrupt)?;
    Ok(Plan { format, metadata, wanted, rows_at_once })
}

/// The first bytes of a file, as for any input that is not recognised; none where they cannot be read.
fn head<R: ChunkReader>(reader: &R) -> Vec<u8> {
    let length = usize::try_from(reader.len()).unwrap_or(HEAD_BYTES).min(HEAD_BYTES);
    reader.get_bytes(0, length).map(Vec::from).unwrap_or_default()
}

/// What was decoded and not handed out yet, and how much there was.
struct Parts<'s, E> {
    out: Decoded,
    sink: &'s mut dyn FnMut(&mut Decoded) -> Result<(), E>,
    records_max: u64,
    file_bytes: u64,
    rows_read: u64,
    /// Bytes of the words of all rows.
    word_bytes: u64,
    /// After how many of them the part is looked at again.
    next_look: u64,
}

impl<E> Parts<'_, E> {
    fn read(&mut self, opened: Opened) -> Result<(), E> {
        let Opened { format, mut batches, rows } = opened;
        loop {
            let next = guarded(|| batches.next().transpose().map_err(corrupt));
            let refusal = match next {
                Ok(Some(batch)) => match self.add(&format, &batch)? {
                    None if self.rows_read <= rows => continue,
                    None => corrupt(format_args!("it goes on after {} rows", self.rows_read)),
                    Some(refusal) => refusal,
                },
                Ok(None) if self.rows_read == rows => return self.hand_over(),
                Ok(None) => corrupt(format_args!("it ends after {} rows", self.rows_read)),
                Err(refusal) => refusal,
            };
            let detail = format!("{}; rows from {} on, of {rows}, were not read", refusal.detail, self.rows_read);
            return self.refuse(&Refusal { detail, ..refusal }, self.rows_read, b"");
        }
    }

    /// Adds the rows of a batch; says when there is too much in them.
    fn add(&mut self, format: &AwsVpc, batch: &RecordBatch) -> Result<Option<Refusal>, E> {
        let columns: Vec<Column> = batch.columns().iter().map(Column::new).collect();
        let mut row = 0;
        while row < batch.num_rows() {
            let mut rows = Rows::new(format.layout(), &self.out);
            let mut words = no_words();
            let mut is_full = false;
            while row < batch.num_rows() && !is_full {
                self.word_bytes += one(&mut rows, &mut words, &columns, row, self.rows_read, &mut self.out);
                row += 1;
                self.rows_read += 1;
                is_full = self.out.counts.records >= self.records_max;
                if self.word_bytes >= self.next_look {
                    if WORDS.are_passed(self.file_bytes, self.word_bytes) {
                        rows.finish(&mut self.out);
                        let (packed, unpacked) = (self.file_bytes, self.word_bytes);
                        let why = UnpackError::Limit { packed, unpacked, limits: WORDS };
                        return Ok(Some(Refusal::new(Reason::DecompressionLimit, why.to_string())));
                    }
                    self.next_look = self.word_bytes + STEP_BYTES;
                    is_full |= held(&self.out) >= PART_BYTES_MAX;
                }
            }
            rows.finish(&mut self.out);
            if is_full {
                self.hand_over()?;
            }
        }
        Ok(None)
    }

    /// Ends with the reject of the whole file.
    fn refuse(&mut self, refusal: &Refusal, offset: u64, head: &[u8]) -> Result<(), E> {
        // The part at hand may be full.
        self.hand_over()?;
        self.out.reject(refusal.reason, format!("Parquet: {}", refusal.detail), offset, head);
        if let Some(reject) = self.out.rejects.last_mut() {
            reject.length = self.file_bytes;
        }
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<(), E> {
        if self.out.counts.records > 0 {
            (self.sink)(&mut self.out)?;
            self.out.clear();
        }
        Ok(())
    }
}

/// Bytes that a part holds for texts, rejects and gaps.
fn held(out: &Decoded) -> usize {
    let rejects = out.reject_bytes + out.rejects.len() * 128;
    let gaps: usize = out.gaps.iter().map(|(observer, ..)| observer.map_or(0, str::len) + 128).sum();
    out.flows.text_bytes() + rejects + gaps
}

/// Decodes one row, and returns the bytes of its words.
fn one<'a>(
    rows: &mut Rows<'_>,
    words: &mut Words<'a>,
    columns: &'a [Column],
    row: usize,
    offset: u64,
    out: &mut Decoded,
) -> u64 {
    let mut length = columns.len().saturating_sub(1);
    let mut is_readable = true;
    for (word, column) in words.iter_mut().zip(columns) {
        match column.word(row) {
            Ok(text) => {
                *word = text;
                length += text.len();
            }
            Err(bytes) => {
                is_readable = false;
                length += bytes.len();
            }
        }
    }
    if length > ROW_BYTES_MAX {
        too_long(columns, row, length, offset, out);
    } else if is_readable {
        record(rows, words, columns.len(), offset, out);
    } else {
        let readable: Vec<Cow<'_, str>> = columns.iter().map(|column| column.readable(row)).collect();
        let mut words = no_words();
        for (word, text) in words.iter_mut().zip(&readable) {
            *word = text;
        }
        record(rows, &words, columns.len(), offset, out);
    }
    length as u64
}

fn record(rows: &mut Rows<'_>, words: &Words<'_>, count: usize, offset: u64, out: &mut Decoded) {
    if let Err(fault) = rows.record(words, &Origin::line(offset), out) {
        out.reject(fault.reason, fault.detail, offset, words[..count].join(" ").as_bytes());
    }
}

/// Keeps the beginning of a row that is longer than any real one.
#[cold]
fn too_long(columns: &[Column], row: usize, length: usize, offset: u64, out: &mut Decoded) {
    let mut record = Vec::new();
    for column in columns {
        let bytes = column.word(row).map_or_else(|bytes| bytes, str::as_bytes);
        record.extend_from_slice(&bytes[..bytes.len().min(REJECT_BYTES_MAX - record.len())]);
        if record.len() >= REJECT_BYTES_MAX {
            break;
        }
        record.push(b' ');
    }
    let detail = format!("the row has {length} bytes, more than {ROW_BYTES_MAX}");
    out.reject(Reason::RecordTooLong, detail, offset, &record);
    if let Some(reject) = out.rejects.last_mut() {
        reject.length = length as u64;
    }
}

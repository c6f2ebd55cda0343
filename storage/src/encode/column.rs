//! One column chunk: its pages, compressed, and what the footer says of it.

use super::hybrid;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

/// The level of zstd: 1 costs a third of level 3's time and 2 % more space.
const ZSTD_LEVEL: i32 = 1;

/// Which rows of a page have a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Presence<'a> {
    /// All of them.
    All,
    /// None of them.
    Nothing,
    /// Those with a 1.
    Some(&'a [u32]),
}

/// Compresses and holds the memory that columns share.
pub(super) struct ColumnEncoder {
    compressor: Compressor<'static>,
    /// Codes or values of one page.
    pub(super) codes: Vec<u32>,
    pub(super) present: Vec<u32>,
    pub(super) numbers: Vec<i64>,
    /// Numbers of a column in the order of the file.
    pub(super) sorted: Vec<i64>,
}

impl ColumnEncoder {
    pub(super) fn new() -> Result<Self> {
        let compressor = Compressor::new(ZSTD_LEVEL)?;
        Ok(Self { compressor, codes: Vec::new(), present: Vec::new(), numbers: Vec::new(), sorted: Vec::new() })
    }
}

/// A column chunk ready to be put into a row group.
pub(super) struct Encoded {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// A column chunk being made.
pub(super) struct Chunk {
    descriptor: ColumnDescPtr,
    rows: usize,
    sink: TrackedWrite<Vec<u8>>,
    uncompressed: i64,
    dictionary_offset: Option<i64>,
    data_offset: Option<i64>,
    encodings: Vec<Encoding>,
    statistics: Option<Statistics>,
    filter: Option<Sbbf>,
}

impl Chunk {
    pub(super) fn new(descriptor: ColumnDescPtr, rows: usize) -> Self {
        Self {
            descriptor,
            rows,
            sink: TrackedWrite::new(Vec::new()),
            uncompressed: 0,
            dictionary_offset: None,
            data_offset: None,
            encodings: Vec::new(),
            statistics: None,
            filter: None,
        }
    }

    pub(super) fn with_statistics(mut self, statistics: Option<Statistics>) -> Self {
        self.statistics = statistics;
        self
    }

    pub(super) fn set_filter(&mut self, filter: Sbbf) {
        self.filter = Some(filter);
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends the dictionary page: `values` in plain encoding.
    pub(super) fn dictionary(&mut self, encoder: &mut ColumnEncoder, values: &[u8], count: usize) -> Result<()> {
        let buf = Bytes::from(encoder.compressor.compress(values)?);
        let page =
            Page::DictionaryPage { buf, num_values: narrow(count)?, encoding: Encoding::PLAIN, is_sorted: false };
        self.dictionary_offset = Some(self.page(page, values.len())?);
        self.note(Encoding::PLAIN);
        Ok(())
    }

    /// Appends a data page of `rows` rows; `values` are the encoded values of those that are present.
    pub(super) fn data(
        &mut self,
        encoder: &mut ColumnEncoder,
        rows: usize,
        presence: Presence<'_>,
        encoding: Encoding,
        values: &[u8],
    ) -> Result<()> {
        let mut body = Vec::with_capacity(values.len() + 16);
        if self.descriptor.max_def_level() == 0 {
            if !matches!(presence, Presence::All) {
                return Err(ParquetError::General("a required value is missing".to_owned()));
            }
        } else {
            levels(rows, presence, &mut body);
        }
        body.extend_from_slice(values);
        let page = Page::DataPage {
            buf: Bytes::from(encoder.compressor.compress(&body)?),
            num_values: narrow(rows)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let offset = self.page(page, body.len())?;
        self.data_offset.get_or_insert(offset);
        self.note(encoding);
        self.note(Encoding::RLE);
        Ok(())
    }

    fn note(&mut self, encoding: Encoding) {
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
    }

    fn page(&mut self, page: Page, uncompressed: usize) -> Result<i64> {
        let written = SerializedPageWriter::new(&mut self.sink).write_page(CompressedPage::new(page, uncompressed))?;
        self.uncompressed += wide(written.uncompressed_size)?;
        i64::try_from(written.offset).map_err(too_large)
    }

    pub(super) fn finish(self) -> Result<Encoded> {
        let bytes = Bytes::from(self.sink.into_inner()?);
        let mut metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_encodings(self.encodings)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_num_values(wide(self.rows)?)
            .set_total_compressed_size(wide(bytes.len())?)
            .set_total_uncompressed_size(self.uncompressed)
            .set_data_page_offset(self.data_offset.unwrap_or_default())
            .set_dictionary_page_offset(self.dictionary_offset);
        if let Some(statistics) = self.statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: self.filter,
            column_index: None,
            offset_index: None,
        };
        Ok(Encoded { bytes, close })
    }
}

/// Definition levels of a flat optional column: 1 where a value is present, behind their length.
fn levels(rows: usize, presence: Presence<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    match presence {
        Presence::All => hybrid::repeat(1, rows, 1, out),
        Presence::Nothing => hybrid::repeat(0, rows, 1, out),
        Presence::Some(present) => hybrid::encode(present, 1, out),
    }
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn narrow(count: usize) -> Result<u32> {
    u32::try_from(count).map_err(too_large)
}

fn wide(count: usize) -> Result<i64> {
    i64::try_from(count).map_err(too_large)
}

fn too_large(error: std::num::TryFromIntError) -> ParquetError {
    ParquetError::General(format!("a page is too large: {error}"))
}

//! Parquet: rows with their types, for other tools.

use super::BatchWriter;
use anyhow::Context as _;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::io::Write;

/// Rows held in memory before they are written.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Writes one Parquet file.
pub(super) struct ParquetWriter(ArrowWriter<Box<dyn Write + Send>>);

impl ParquetWriter {
    pub(super) fn new(schema: &SchemaRef, out: Box<dyn Write + Send>) -> anyhow::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))
            .context("these columns cannot be written as Parquet")?;
        Ok(Self(writer))
    }
}

impl BatchWriter for ParquetWriter {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        self.0.write(batch).context("failed to write Parquet")
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        let mut out = self.0.into_inner().context("failed to write Parquet")?;
        out.flush().context("failed to write Parquet")
    }
}

//! JSON, newline-delimited JSON and CSV.
//!
//! Rows are made in memory batch by batch, so that an error of standard output keeps its kind: a reader that left is no
//! failure.

use super::{BatchWriter, terminal, times};
use anyhow::Context as _;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::io::Write;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Ndjson,
    Csv,
}

/// Writes one of the text formats.
pub(super) struct TextWriter {
    kind: Kind,
    out: Box<dyn Write + Send>,
    is_first: bool,
    /// Whether a person sees it at once.
    is_terminal: bool,
}

impl TextWriter {
    pub(super) fn json(out: Box<dyn Write + Send>) -> Self {
        Self { kind: Kind::Json, out, is_first: true, is_terminal: false }
    }

    pub(super) fn ndjson(out: Box<dyn Write + Send>) -> Self {
        Self { kind: Kind::Ndjson, out, is_first: true, is_terminal: false }
    }

    /// Writes the header line at once: it is there even when no row is.
    pub(super) fn csv(schema: &SchemaRef, out: Box<dyn Write + Send>, is_terminal: bool) -> anyhow::Result<Self> {
        let mut writer = Self { kind: Kind::Csv, out, is_first: true, is_terminal };
        let names = schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        let header = RecordBatch::new_empty(Arc::new(Schema::new(names.collect::<Vec<_>>())));
        let mut bytes = Vec::new();
        csv::WriterBuilder::new().with_header(true).build(&mut bytes).write(&header)?;
        writer.put(bytes)?;
        Ok(writer)
    }

    /// Writes text. JSON has escapes for what steers a terminal; CSV has none, and is changed only where a person sees it.
    fn put(&mut self, bytes: Vec<u8>) -> anyhow::Result<()> {
        let text = String::from_utf8(bytes).context("the answer is not UTF-8")?;
        let harmless = match self.kind {
            Kind::Json | Kind::Ndjson => terminal::json(&text),
            Kind::Csv if self.is_terminal => terminal::printable_lines(&text),
            Kind::Csv => text.as_str().into(),
        };
        self.out.write_all(harmless.as_bytes()).context("failed to write to standard output")
    }
}

impl BatchWriter for TextWriter {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = times::as_text(batch)?;
        let mut bytes = Vec::new();
        match self.kind {
            Kind::Ndjson => {
                let mut writer = json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, json::writer::LineDelimited>(&mut bytes);
                writer.write(&batch)?;
                writer.finish()?;
            }
            Kind::Json => {
                bytes.extend_from_slice(if self.is_first { b"[\n" } else { b",\n" });
                let mut writer =
                    json::WriterBuilder::new().with_explicit_nulls(true).build::<_, SeparatedObjects>(&mut bytes);
                writer.write(&batch)?;
                writer.finish()?;
            }
            Kind::Csv => {
                let batch = flat(&batch)?;
                csv::WriterBuilder::new().with_header(false).build(&mut bytes).write(&batch)?;
            }
        }
        self.is_first = false;
        self.put(bytes)?;
        // A person who follows a long query, or a program behind a pipe, sees each batch as it comes.
        self.out.flush().context("failed to write to standard output")
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        if self.kind == Kind::Json {
            let close = if self.is_first { "[]\n" } else { "\n]\n" };
            self.put(close.into())?;
        }
        self.out.flush().context("failed to write to standard output")
    }
}

/// Objects with a comma and a newline between them: the inside of a JSON array.
#[derive(Debug, Default)]
struct SeparatedObjects;

impl json::writer::JsonFormat for SeparatedObjects {
    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        if !is_first_row {
            writer.write_all(b",\n")?;
        }
        Ok(())
    }
}

/// CSV has no lists and no structures: they become text, as in a table.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    if !schema.fields().iter().any(|field| field.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if !field.data_type().is_nested() {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        }
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(column, &options)?;
        let texts = (0..column.len()).map(|row| (!column.is_null(row)).then(|| formatter.value(row).to_string()));
        fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
        columns.push(Arc::new(texts.collect::<StringArray>()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

//! Writes decoded records and rejects in the wanted format.

use crate::output::{self, BatchWriter, OutputFormat, note};
use anyhow::Context as _;
use arrow::array::{Array as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use serde_json::{Map, Value};
use std::io::Write;
use std::sync::Arc;
use tradewind_formats::{Decoded, Reject};
use tradewind_model::FlowBatch;
use tradewind_model::table::FLOWS;

/// Rows that a table is made of.
const TABLE_ROWS_MAX: usize = 10_000;
/// Columns that a table begins with, so that they are seen on a narrow terminal.
const FIRST_COLUMNS: [&str; 14] = [
    "start_time",
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "protocol",
    "outcome",
    "outcome_reason",
    "src_entity",
    "dst_entity",
    "bytes_out",
    "bytes_in",
    "direction",
    "end_time",
];

/// Where records go.
pub(super) struct Report {
    sink: Sink,
    names_file: bool,
}

enum Sink {
    /// One object a line.
    Lines(Box<dyn Write + Send>),
    /// One array; whether nothing was written yet.
    Array(Box<dyn Write + Send>, bool),
    /// CSV, Parquet: all columns.
    Columns(SchemaRef, Box<dyn BatchWriter>),
    /// Laid out at the end, with the columns that have a value.
    Table(SchemaRef, Vec<RecordBatch>, usize),
}

impl Report {
    pub(super) fn new(format: OutputFormat, names_file: bool) -> anyhow::Result<Self> {
        let sink = match format {
            OutputFormat::Ndjson => Sink::Lines(output::standard_output()),
            OutputFormat::Json => Sink::Array(output::standard_output(), true),
            OutputFormat::Csv | OutputFormat::Parquet => {
                let schema = FLOWS.schema();
                let writer = output::to_standard_output(format, &schema)?;
                Sink::Columns(schema, writer)
            }
            OutputFormat::Table => Sink::Table(table_schema(), Vec::new(), 0),
        };
        Ok(Self { sink, names_file })
    }

    /// Writes the flows and rejects of one part of a file.
    pub(super) fn add(&mut self, file: &str, decoded: &Decoded) -> anyhow::Result<()> {
        let flows = &decoded.flows;
        match &mut self.sink {
            Sink::Lines(out) => {
                for row in 0..flows.len() {
                    object_line(out, &Value::Object(flows.row_json(row)))?;
                }
                for reject in &decoded.rejects {
                    object_line(out, &rejected(reject, file, self.names_file))?;
                }
                out.flush().context("failed to write to standard output")
            }
            Sink::Array(out, is_first) => {
                let flows = (0..flows.len()).map(|row| Value::Object(flows.row_json(row)));
                let rejects = decoded.rejects.iter().map(|reject| rejected(reject, file, self.names_file));
                for object in flows.chain(rejects) {
                    let separator = if std::mem::take(is_first) { "[" } else { "," };
                    write!(out, "{separator}\n{object}").context("failed to write to standard output")?;
                }
                Ok(())
            }
            Sink::Columns(schema, writer) => {
                note_rejects(decoded, file, self.names_file);
                writer.write(&batch(schema, flows, flows.len())?)
            }
            Sink::Table(schema, batches, rows) => {
                note_rejects(decoded, file, self.names_file);
                let taken = flows.len().min(TABLE_ROWS_MAX + 1 - *rows);
                *rows += taken;
                batches.push(batch(schema, flows, taken)?);
                Ok(())
            }
        }
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self.sink {
            Sink::Lines(_) => Ok(()),
            Sink::Array(mut out, is_first) => {
                let end = if is_first { "[]\n" } else { "\n]\n" };
                out.write_all(end.as_bytes()).and_then(|()| out.flush()).context("failed to write to standard output")
            }
            Sink::Columns(_, writer) => writer.finish(),
            Sink::Table(schema, batches, _) => {
                let table = concat_batches(&schema, &batches)?;
                let kept: Vec<usize> = (0..table.num_columns())
                    .filter(|&index| table.column(index).null_count() < table.num_rows())
                    .collect();
                let table = table.project(&kept)?;
                output::write_batches(OutputFormat::Table, &table.schema(), &[table])
            }
        }
    }
}

fn object_line(out: &mut dyn Write, object: &Value) -> anyhow::Result<()> {
    writeln!(out, "{object}").context("failed to write to standard output")
}

fn rejected(reject: &Reject, file: &str, names_file: bool) -> Value {
    let mut object = Map::new();
    object.insert("rejected".to_owned(), reject.reason.as_str().into());
    if names_file {
        object.insert("file".to_owned(), file.into());
    }
    object.insert("position".to_owned(), reject.offset.into());
    if let Some(index) = reject.index {
        object.insert("index".to_owned(), index.into());
    }
    object.insert("detail".to_owned(), reject.detail.as_str().into());
    Value::Object(object)
}

fn note_rejects(decoded: &Decoded, file: &str, names_file: bool) {
    for reject in &decoded.rejects {
        note(&rejected(reject, file, names_file).to_string());
    }
}

/// The first rows as Arrow columns. A value that a row lacks is null.
fn batch(schema: &SchemaRef, flows: &FlowBatch, rows: usize) -> anyhow::Result<RecordBatch> {
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(rows.max(1)).build_decoder()?;
    let objects: Vec<Map<String, Value>> = (0..rows).map(|row| flows.row_json(row)).collect();
    decoder.serialize(&objects)?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema))))
}

/// The columns of table flows with those first that a reader looks for.
fn table_schema() -> SchemaRef {
    let schema = FLOWS.schema();
    let place =
        |field: &Field| FIRST_COLUMNS.iter().position(|name| name == field.name()).unwrap_or(FIRST_COLUMNS.len());
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.sort_by_key(|field| place(field));
    Arc::new(Schema::new(fields))
}

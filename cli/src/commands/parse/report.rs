//! Writes decoded records and rejects in the wanted format.

use crate::output::{self, BatchWriter, OutputFormat, Record, json, note};
use anyhow::Context as _;
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::Write;
use std::sync::Arc;
use tradewind_formats::{Decoded, Reject};
use tradewind_model::FlowBatch;
use tradewind_model::table::FLOWS;

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
    /// CSV, Parquet: all columns. A table: those that have a value.
    Columns(SchemaRef, Box<dyn BatchWriter>),
}

/// A reject as a reader sees it, its keys in this order.
#[derive(Debug, Serialize)]
struct Rejected<'a> {
    rejected: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    detail: &'a str,
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
            OutputFormat::Table => {
                let schema = table_schema();
                let writer = output::sparse_table(&schema);
                Sink::Columns(schema, writer)
            }
        };
        Ok(Self { sink, names_file })
    }

    /// Writes the flows and rejects of one part of a file.
    pub(super) fn add(&mut self, file: &str, decoded: &Decoded) -> anyhow::Result<()> {
        let flows = &decoded.flows;
        let records = (0..flows.len()).map(|row| json(&Record::new(FLOWS.fields, flows.row_json(row))));
        let rejects = decoded.rejects.iter().map(|reject| json(&rejected(reject, file, self.names_file)));
        match &mut self.sink {
            Sink::Lines(out) => {
                for object in records.chain(rejects) {
                    writeln!(out, "{}", object?).context("failed to write to standard output")?;
                }
                out.flush().context("failed to write to standard output")
            }
            Sink::Array(out, is_first) => {
                for object in records.chain(rejects) {
                    let separator = if std::mem::take(is_first) { "[" } else { "," };
                    write!(out, "{separator}\n{}", object?).context("failed to write to standard output")?;
                }
                Ok(())
            }
            Sink::Columns(schema, writer) => {
                rejects.into_iter().try_for_each(|object| object.map(|object| note(&object)))?;
                if writer.is_full() { Ok(()) } else { writer.write(&batch(schema, flows)?) }
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
        }
    }
}

fn rejected<'a>(reject: &'a Reject, file: &'a str, names_file: bool) -> Rejected<'a> {
    Rejected {
        rejected: reject.reason.as_str(),
        file: names_file.then_some(file),
        position: reject.offset,
        index: reject.index,
        detail: &reject.detail,
    }
}

/// The rows as Arrow columns. A value that a row lacks is null.
fn batch(schema: &SchemaRef, flows: &FlowBatch) -> anyhow::Result<RecordBatch> {
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(flows.len().max(1)).build_decoder()?;
    let objects: Vec<Map<String, Value>> = (0..flows.len()).map(|row| flows.row_json(row)).collect();
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

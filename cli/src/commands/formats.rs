//! `tradewind formats`: which log formats are read, and how they are told apart.

use crate::context::Context;
use crate::output::{self, OutputFormat};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use clap::Args;
use std::sync::Arc;
use tradewind_formats::detect::names;

/// List the log formats that are read
///
/// The format of a file is found out from its first bytes: a header line, the keys of JSON, or the shape of the lines.
/// The names are those of --input-format.
#[derive(Args, Debug)]
pub(crate) struct FormatsArgs {}

pub(crate) fn run(_args: &FormatsArgs, context: &Context) -> anyhow::Result<()> {
    let column = |texts: Vec<&'static str>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("name", column(names().into_iter().map(|(name, _)| name).collect())),
        ("what", column(names().into_iter().map(|(_, what)| what).collect())),
    ])?;
    output::write_batches(context.output.unwrap_or(OutputFormat::Table), &batch.schema(), &[batch])
}

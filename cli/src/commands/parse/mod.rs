//! `tradewind parse`: what the records of a file mean, without a lake. A person's debugging tool.

mod report;

use crate::context::Context;
use crate::output::{OutputFormat, note, printable};
use crate::{normaliser, source};
use anyhow::anyhow;
use clap::Args;
use report::Report;
use std::path::PathBuf;
use tradewind_formats::{Counts, FormatChoice, UnknownFormat};
use tradewind_model::flow::POSITION;
use tradewind_normalise::Scratch;

/// Show what the records of log files mean, without a lake
///
/// Each record is written as one line of JSON with the columns of table flows; values that are absent are left out. What
/// cannot be read is a line {"rejected": reason, "position": byte offset, "detail": what is wrong}. In the other formats
/// rejects go to standard error. gzip, zstd and framed Snappy are unpacked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tradewind parse flows.log.gz | head -3\n  \
    zcat access.log.gz | tradewind parse - --input-format 'envoy:[%START_TIME%] %RESPONSE_CODE%'")]
pub(crate) struct ParseArgs {
    /// Files to read; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Format of the files: a name that `tradewind formats` lists, a name and a layout such as `envoy:FORMAT STRING`,
    /// or `mapping:FILE` for a format of your own [default: auto, by content]
    #[arg(long, value_name = "FORMAT", value_parser = crate::source::input_format)]
    input_format: Option<FormatChoice>,
}

pub(crate) fn run(args: &ParseArgs, context: &Context) -> anyhow::Result<()> {
    let wanted = args.input_format.as_ref().unwrap_or(&context.settings.import.input_format);
    let normaliser = normaliser::from_settings(&context.settings)?;
    let when = tradewind_normalise::Context { ingest_time: context.clock.now(), retention: None };
    let mut scratch = Scratch::default();
    let mut report = Report::new(context.output.unwrap_or(OutputFormat::Ndjson), args.files.len() > 1)?;
    let mut counts = Counts::default();
    let mut unknown = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        let shown = printable(&name);
        let source = source::open(path, wanted)?;
        match &source.chosen {
            Ok(chosen) => {
                note(&format!("{shown}: {}, {}", chosen.format.name(), printable(&chosen.reason)));
                chosen.notes.iter().for_each(|text| note(&format!("{shown}: {}", printable(text))));
            }
            Err(UnknownFormat::Empty) => note(&format!("{shown}: {}", UnknownFormat::Empty)),
            Err(_) => unknown.push(shown.clone().into_owned()),
        }
        source.decode(&mut |decoded| {
            decoded.flows.fill_text(POSITION, 0, &name);
            normaliser.apply(&mut decoded.flows, &mut scratch, &when);
            counts.add(decoded.counts);
            report.add(&name, decoded)
        })?;
    }
    report.finish()?;
    let Counts { records, flows, rejected, gaps } = counts;
    note(&format!("records={records} flows={flows} rejected={rejected} gaps={gaps}"));
    if unknown.is_empty() { Ok(()) } else { Err(anyhow!("no known format: {}", unknown.join(", "))) }
}

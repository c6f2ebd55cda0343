//! `tradewind import`: log files straight into the lake, without a log between.
//!
//! Inputs are taken in groups. A group's objects are read, decoded, normalised and written as data files by several
//! threads, and then committed together: all of it or nothing. What the lake holds already is recognised by its content
//! and skipped, so an import that was stopped anywhere is finished by running it again.

mod coverage;
mod group;
mod inputs;
mod object;
mod progress;
mod reader;
mod stop;
mod summary;
mod turns;
mod worker;

pub(crate) use summary::Summary;
pub(crate) use worker::printable;

use crate::context::Context;
use crate::failure::usage;
use crate::memory::Memory;
use crate::output::{OutputFormat, counted};
use anyhow::{Context as _, bail};
use clap::Args;
use group::{Attempt, Pipeline};
use inputs::Input;
use progress::Progress;
use std::collections::{HashMap, HashSet};
use std::time::Instant;
use stop::Stop;
use tradewind_formats::FormatChoice;
use tradewind_storage::{Committed, Imported, Lake};

/// Read log files into the lake.
///
/// Files may be packed with gzip, zstd or framed Snappy. The format is found out from the content, and told. Input that
/// cannot be read goes to table `dead_letters` with its reason; nothing is dropped. The same bytes are never imported
/// twice, whatever the file is called, so an import that was stopped is finished by running it again. Import files that
/// are complete: a file that has grown since is refused, because its beginning is in the lake already. A file that cannot
/// be read to its end is not imported at all.
#[derive(Args, Clone, Debug)]
pub(crate) struct ImportArgs {
    /// Files, folders (with all files below), patterns such as `logs/*.gz`, or `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,

    /// Format of the files: auto, a name that `tradewind formats` lists, NAME:LAYOUT, or mapping:FILE [default: auto]
    #[arg(long, value_name = "FORMAT", value_parser = crate::source::input_format)]
    pub(crate) input_format: Option<FormatChoice>,

    /// Threads that decode and write [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Say nothing but errors and the summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Runs the import and prints its summary.
///
/// # Errors
/// When nothing could be imported, or not everything: what could is in the lake.
pub(crate) fn run(args: ImportArgs, context: &Context) -> anyhow::Result<Summary> {
    if matches!(context.output, Some(OutputFormat::Csv | OutputFormat::Parquet)) {
        return Err(usage("the summary of an import is written as table, json or ndjson"));
    }
    let summary = import(&args, context)?;
    summary.print(context.output)?;
    if summary.interrupted {
        bail!("interrupted; what was committed stays, and running the same command again goes on from there");
    }
    match summary.failures.as_slice() {
        [] => Ok(summary),
        [one] => bail!("could not import {}: {}", one.path, one.error),
        [first, ..] => {
            bail!("could not import {} inputs; the first is {}: {}", summary.failures.len(), first.path, first.error)
        }
    }
}

/// Imports without printing a summary; for `demo` too.
///
/// # Errors
/// As [`run`], but single inputs that fail are told in the summary.
pub(crate) fn import(args: &ImportArgs, context: &Context) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let mut summary = Summary::new(context.lake());
    let found = inputs::expand(&args.paths, context.lake())?;
    summary.notes.extend(found.note());
    summary.failures.extend(found.failures);
    summary.files = found.inputs.len() + summary.failures.len();

    let stop = Stop::on_signals(context);
    let lake = context.runtime.block_on(Lake::open_or_create(context.lake_location()?))?;
    let known = context.runtime.block_on(lake.imported()).context("failed to read what was imported before")?;
    let ingest_time = context.clock.now();
    let importer = Importer {
        pipeline: Pipeline {
            stager: context.runtime.block_on(lake.stager(context.runtime.handle().clone()))?,
            normaliser: crate::normaliser::from_settings(&context.settings)?,
            memory: Memory::new(
                context.settings.connect.clone(),
                lake.clone(),
                context.runtime.handle().clone(),
                ingest_time,
            ),
            policy: crate::policy::from_settings(&context.settings)?,
            wanted: args.input_format.clone().unwrap_or_else(|| context.settings.import.input_format.clone()),
            threads: args.threads.unwrap_or_else(processors).clamp(1, 256),
            ingest_time,
            progress: Progress::start(&found.inputs, context.shows_progress(), args.quiet),
            stop,
        },
        lake,
        context,
    };
    let mut known = known;
    for inputs in inputs::groups(found.inputs) {
        importer.group(inputs, &mut known, &mut summary)?;
        if importer.pipeline.stop.is_set() {
            summary.interrupted = true;
            break;
        }
    }
    let forgotten = importer.pipeline.memory.forgotten();
    if forgotten > 0 {
        summary.notes.insert(format!(
            "{} to bound memory ([connect] connections_max); what came later of them \
             counts again",
            counted(
                usize::try_from(forgotten).unwrap_or(usize::MAX),
                "connection was forgotten",
                "connections were forgotten"
            )
        ));
    }
    importer.pipeline.progress.finish();
    importer.pipeline.stop.disarm();
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

struct Importer<'a> {
    pipeline: Pipeline,
    lake: Lake,
    context: &'a Context,
}

impl Importer<'_> {
    /// Imports one group: again and again, each time without what turned out to be in the lake or to be unreadable.
    fn group(&self, mut inputs: Vec<Input>, known: &mut Imported, summary: &mut Summary) -> anyhow::Result<()> {
        let mut condemned = HashMap::new();
        loop {
            let attempt = self.pipeline.run(&inputs, known, &condemned)?;
            let stager = &self.pipeline.stager;
            if self.pipeline.stop.is_set() {
                attempt.discard(stager);
                return Ok(());
            }
            if attempt.is_tainted() {
                // Rows of a file that failed in the middle are among the others: begin again without it.
                let failed: HashSet<usize> = attempt.failures.iter().map(|failure| failure.index).collect();
                inputs =
                    (0..).zip(inputs).filter(|(index, _)| !failed.contains(index)).map(|(_, input)| input).collect();
                // The same bytes under other names fail at once in the next attempt, not one name an attempt.
                let hashes =
                    attempt.failures.iter().filter_map(|failed| Some((failed.condemned.clone()?, &failed.error)));
                condemned.extend(hashes.map(|(hash, error)| (hash, error.clone())));
                summary.failures.extend(attempt.failures.iter().map(object::Failure::told));
                attempt.discard(stager);
                self.pipeline.memory.rebuild()?;
                continue;
            }
            match self.commit(&attempt)? {
                Committed::Version(_) => {
                    for object in &attempt.import.objects {
                        known.insert(object);
                    }
                    summary.add(attempt);
                    return Ok(());
                }
                Committed::Covered(hashes) => {
                    tracing::info!(objects = hashes.len(), "another import brought these first");
                    *known = self.context.runtime.block_on(self.lake.imported())?;
                    self.discard_uncommitted(&attempt);
                    self.pipeline.memory.rebuild()?;
                }
            }
        }
    }

    fn commit(&self, attempt: &Attempt) -> anyhow::Result<Committed> {
        if attempt.import.objects.is_empty() {
            return Ok(Committed::Version(0));
        }
        let committed = self.context.runtime.block_on(self.lake.commit_import(&attempt.import));
        committed
            .inspect_err(|_| self.discard_uncommitted(attempt))
            .context("failed to commit; run the same command again to go on")
    }

    /// After a commit was tried: what landed of it must stay.
    fn discard_uncommitted(&self, attempt: &Attempt) {
        self.context.runtime.block_on(self.lake.discard_uncommitted(&attempt.import));
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

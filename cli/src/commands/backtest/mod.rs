//! `tradewind backtest`: what the detectors would have found with other settings, beside what they find with the current ones.
//! Writes nothing to the lake.

mod compare;
mod edit;
mod told;

use crate::commands::detect::judge::Judge;
use crate::commands::detect::{SpanArgs, replay};
use crate::context::Context;
use crate::feedback;
use crate::findings::origin;
use crate::output::note;
use clap::Args;
use compare::{Counts, changes};
use edit::{Assignment, changed};
use std::ops::ControlFlow;
use tradewind_detect::FlowEvent;
use tradewind_model::table::FLOWS;
use tradewind_storage::Lake;

/// Show what other settings would find in the stored flows
///
/// The flows are replayed once, and judged with the current settings of section detect and with the changed ones. What
/// appears, vanishes or moves (severity, time, risk score) is listed. Nothing is written to the lake. Times are RFC 3339 such as
/// 2026-01-31T08:00:00Z, or a date.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tradewind backtest --from 2026-01-01 --set decision.findings_per_day=3\n  \
    tradewind backtest --set volume.is_enabled=false --set p_value_max=1e-6 -o csv")]
pub(crate) struct BacktestArgs {
    #[command(flatten)]
    span: SpanArgs,

    /// Change a setting of section detect, as in volume.is_enabled=false; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<Assignment>,
}

pub(crate) fn run(args: &BacktestArgs, context: &Context) -> anyhow::Result<()> {
    let current = &context.settings.detect;
    let wanted = changed(current, &args.assignments)?;
    let runtime = &context.runtime;
    let lake = runtime.block_on(Lake::open(context.lake_location()?))?;
    let span = args.span.span()?;
    // Slices are read one after the other, all of them from one version.
    let version = runtime.block_on(lake.version(&FLOWS))?;
    let lake = runtime.block_on(lake.as_of(&FLOWS, version))?.unwrap_or(lake);
    let Some(extent) = runtime.block_on(span.extent(&lake))? else {
        note("there are no flows in this time: nothing to replay");
        return Ok(());
    };
    // The same time teaches both, so that only the settings differ.
    let training = args.span.training(&extent, current);
    note(&training.text(&extent));
    let mut before = Judge::new(current.clone(), Some(training.until))?;
    let mut after = Judge::new(wanted.clone(), Some(training.until))?;
    let controls = runtime.block_on(feedback::all(&lake))?;
    before.control(&controls);
    after.control(&controls);
    let mut observe = |event: &FlowEvent<'_>| {
        before.observe(event);
        after.observe(event);
        ControlFlow::Continue(())
    };
    let flows = runtime.block_on(replay::run(&lake, &span, &extent, context.shows_progress(), &mut observe))?;
    before.finish();
    after.finish();
    let (before, after) = (before.into_findings(), after.into_findings());
    let judged = extent.last.saturating_sub(training.until.max(extent.first)).max(0);
    let (changes, unchanged) = changes(&before, &after);
    let report = told::Report {
        from: extent.first,
        to: extent.last,
        trained_until: training.until,
        flows,
        changed: origin::differing(&wanted, current)?,
        before: Counts::of(&before, judged),
        after: Counts::of(&after, judged),
        unchanged,
        changes,
    };
    told::write(&report, context.output)
}

//! `tradewind replay`: raw records again, after a fix.

use crate::context::Context;
use crate::output::{check_summary, summary};
use crate::stages::replay::{self, From};
use crate::stages::{Runtime, Stop};
use crate::transport;
use clap::Args;
use indicatif::HumanCount;

/// Read raw records of the log again: what was made of them leaves the lake, and what is made of them now comes in.
///
/// For a format that is read better by now, an inventory that was corrected, a policy that changed. Rows leave and come in
/// with one commit a table, so nobody sees them missing or doubled. Findings are not raised anew.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// Where to begin: a time or date (UTC) when records were received, or TOPIC/PARTITION/OFFSET
    #[arg(long, value_name = "TIME|POSITION")]
    from: From,

    /// Only records of which something was rejected
    #[arg(long)]
    dead_letters: bool,
}

/// Runs the replay.
///
/// # Errors
/// A log or lake that cannot be read; then nothing was changed, unless it says otherwise.
pub(crate) fn run(args: &ReplayArgs, context: &Context) -> anyhow::Result<()> {
    check_summary(context.output)?;
    let log = transport::open(&context.settings)?.log;
    let runtime = Runtime::new(context, log)?;
    let stop = Stop::default();
    let told = stop.clone();
    context.runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.set();
        }
    });
    let report = replay::run(&runtime, &args.from, args.dead_letters, &stop)?;
    let lines = || {
        let moved = |what, out, came| format!("  {what}: {} rows out, {} in", HumanCount(out), HumanCount(came));
        vec![
            format!("{} raw records were read again", HumanCount(report.raw_records)),
            moved("flows", report.flows_out, report.flows_in),
            moved("dead letters", report.dead_letters_out, report.dead_letters_in),
        ]
    };
    summary(&report, lines, context.output)
}

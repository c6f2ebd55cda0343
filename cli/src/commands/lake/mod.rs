//! `tradewind lake`: how the lake is, whether it is whole, and its upkeep beside writers.

mod told;

use crate::context::Context;
use crate::failure::usage;
use crate::output::check_summary;
use anyhow::bail;
use clap::{Args, Subcommand};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tradewind_model::time::{DAY, day_of};
use tradewind_storage::Lake;
use tradewind_storage::compact::CompactOptions;
use tradewind_storage::expire::ExpireOptions;
use tradewind_storage::verify::VerifyOptions;

/// Look after the lake: its state, compaction, retention. All of it can run beside writers.
#[derive(Args, Debug)]
pub(crate) struct LakeArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what each table holds: rows, files, days, how far streams are stored
    Status,
    /// Merge small files into large ones, in the same order; rows do not change
    Compact,
    /// Take old days out, and delete files that no table holds any more
    Expire {
        /// Days before this one leave, such as 2026-01-31 (UTC)
        #[arg(long, value_name = "DATE", conflicts_with = "keep_days")]
        before: Option<String>,
        /// Keep so many days, today included; older ones leave
        #[arg(long, value_name = "N")]
        keep_days: Option<u32>,
        /// How long a file that no table holds stays, hours; at least 1
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        safety_hours: u32,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Look whether each file is there and whole, and whether any record came in twice; exit code 1 if not
    Verify {
        /// Search rows of this day for records that came in twice
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        /// Up to this day, it included [default: that of --from]
        #[arg(long, value_name = "DATE", requires = "from")]
        to: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// A lake that cannot be read or written, or that is not whole.
pub(crate) fn run(args: &LakeArgs, context: &Context) -> anyhow::Result<()> {
    check_summary(context.output)?;
    let lake = context.runtime.block_on(Lake::open(context.lake_location()?))?;
    match &args.action {
        Action::Status => told::status(&context.runtime.block_on(lake.status())?, context.output),
        Action::Compact => {
            let stop = Arc::new(AtomicBool::new(false));
            let told = Arc::clone(&stop);
            context.runtime.spawn(async move {
                if tokio::signal::ctrl_c().await.is_ok() {
                    told.store(true, Ordering::Relaxed);
                }
            });
            let should_stop = move || stop.load(Ordering::Relaxed);
            let report = context.runtime.block_on(lake.compact(&CompactOptions::default(), &should_stop))?;
            told::compacted(&report, context.output)
        }
        Action::Expire { before, keep_days, safety_hours, dry_run } => {
            let before_day = match (before, keep_days) {
                (Some(date), _) => Some(day(date)?),
                (None, Some(0)) => {
                    return Err(usage("--keep-days 0 would take all days out: name the day with --before"));
                }
                (None, Some(days)) => Some(day_of(context.clock.now()) - i64::from(*days) + 1),
                (None, None) => None,
            };
            let safety_age = i64::from(*safety_hours) * DAY / 24;
            let options = ExpireOptions { before_day, safety_age, dry_run: *dry_run };
            let report = context.runtime.block_on(lake.expire(&options))?;
            told::expired(&report, *dry_run, context.output)
        }
        Action::Verify { from, to } => {
            let positions_of = match (from, to) {
                (None, _) => None,
                (Some(from), to) => Some(day(from)?..day(to.as_ref().unwrap_or(from))? + 1),
            };
            let report = context.runtime.block_on(lake.verify(&VerifyOptions { positions_of }))?;
            told::verified(&report, context.output)?;
            match report.problems.len() {
                0 => Ok(()),
                1 => bail!("the lake is not whole: there is a problem"),
                problems => bail!("the lake is not whole: there are {problems} problems"),
            }
        }
    }
}

fn day(text: &str) -> anyhow::Result<i64> {
    let date: jiff::civil::Date =
        text.parse().map_err(|_| usage(format!("`{text}` is no date; a date is such as 2026-01-31")))?;
    let start = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| usage(format!("`{text}` is out of range")))?;
    Ok(day_of(start.timestamp().as_microsecond()))
}

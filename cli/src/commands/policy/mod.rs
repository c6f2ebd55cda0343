//! `tradewind policy`: the declared communication policy, held against the flows of the lake.

mod observe;
mod told;

use crate::context::Context;
use crate::failure::{PolicyBroken, usage};
use crate::output::{OutputFormat, counted, line, note};
use anyhow::bail;
use clap::{Args, Subcommand};
use observe::Period;
use std::path::PathBuf;
use tradewind_model::time;
use tradewind_policy::Report;
use tradewind_storage::Lake;

/// Hold the declared communication policy against the flows of the lake
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(CheckArgs),
}

/// Check policy files, and report what in the stored flows they forbid
///
/// Reads the files and tells every fault with file, line and key. Then goes through the flows of the lake and reports:
/// edges that break the policy, agents that have none, plaintext where mutual TLS is required, flows whose verdict hangs
/// on what was not seen, and rules that no flow used, each with the SQL that shows the flows. It judges by these files,
/// whatever was declared when the flows were imported.
#[derive(Args, Debug)]
struct CheckArgs {
    /// Policy files in TOML or YAML, or folders of them [default: the one of the settings, `[policy] path`]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Look at flows that end at this time or later [default: all]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from: Option<i64>,

    /// Look at flows that end before this time [default: all]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    to: Option<i64>,

    /// Check the files alone, not the flows of the lake
    #[arg(long, conflicts_with_all = ["from", "to"])]
    files_only: bool,

    /// End with exit code 2 when flows break the policy or an agent has none, and with 1 when there are no flows to check
    #[arg(long)]
    exit_code: bool,
}

pub(crate) fn run(args: &PolicyArgs, context: &Context) -> anyhow::Result<()> {
    match &args.action {
        Action::Check(args) => check(args, context),
    }
}

fn check(args: &CheckArgs, context: &Context) -> anyhow::Result<()> {
    let files = match (args.files.as_slice(), context.settings.policy.path()) {
        ([], Some(path)) => vec![path.to_owned()],
        ([], None) => {
            return Err(usage("no policy to check: name its files, or set [policy] path in the configuration file"));
        }
        (files, _) => files.to_vec(),
    };
    let period = Period { from: args.from, to: args.to };
    period.check()?;
    let compiled = crate::policy::read(&files)?;
    for warning in compiled.warnings.list() {
        note(&format!("warning: {warning}"));
    }
    let set = &compiled.set;
    if args.files_only {
        return told::files(set, context.output);
    }
    let mut report = Report::new(set);
    let lake = context.runtime.block_on(Lake::open(context.lake_location()?))?;
    let seen = context.runtime.block_on(observe::feed(&lake, &period, &mut report))?;
    let mut summary = report.summary();
    if seen.flows == 0 {
        // Nothing was looked at, so nothing can be said of rules.
        summary.unused_rules.clear();
    }
    match context.output {
        None | Some(OutputFormat::Table) => line(told::text(&summary, &period, &seen, set.policy_count()).trim_end())?,
        Some(OutputFormat::Json) => line(&told::json(&summary, &period)?)?,
        Some(format) => told::rows(&summary, &period, format)?,
    }
    if args.exit_code && seen.flows == 0 {
        bail!("there are no flows to check");
    }
    let edges = summary.violations.len() + summary.plaintext.len();
    let agents = summary.agents_without_policy.len();
    if args.exit_code && edges + agents > 0 {
        let (edges, agents) = (counted(edges, "edge", "edges"), counted(agents, "agent", "agents"));
        return Err(PolicyBroken(format!("the policy is broken: on {edges}, and by {agents} without one")).into());
    }
    Ok(())
}

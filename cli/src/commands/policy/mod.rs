//! `tradewind policy`: the declared communication policy, held against the flows of the lake.

mod observe;
mod told;

use crate::context::Context;
use crate::failure::usage;
use crate::output::{OutputFormat, counted, line, note};
use anyhow::{anyhow, bail};
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
/// whatever was declared when the flows were imported. Without a lake only the files are checked.
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

    /// End with exit code 1 when flows break the policy
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
        let rules = set.rules().len();
        let (policies, rules) = (counted(set.policy_count(), "policy", "policies"), counted(rules, "rule", "rules"));
        return line(&format!("{policies} with {rules}, version {}: no faults", set.version()));
    }
    let mut report = Report::new(set);
    let lake = context.runtime.block_on(Lake::open(context.lake()))?;
    let seen = context.runtime.block_on(observe::feed(&lake, &period, &mut report))?;
    let summary = report.summary();
    match context.output {
        None | Some(OutputFormat::Table) => line(told::text(&summary, &period, &seen, set.policy_count()).trim_end())?,
        Some(OutputFormat::Json) => line(&told::json(&summary, &period)?)?,
        Some(format) => told::rows(&summary, &period, format)?,
    }
    let edges = summary.violations.len() + summary.plaintext.len();
    let agents = summary.agents_without_policy.len();
    if args.exit_code && edges + agents > 0 {
        bail!(anyhow!("{edges} edges break the policy, and {agents} agents have none"));
    }
    Ok(())
}

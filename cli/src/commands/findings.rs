//! `tradewind findings`: what the detectors recorded in the lake.

use crate::context::Context;
use crate::findings::{self, Filter};
use crate::output::{OutputFormat, counted, line, note};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use tradewind_model::Severity;
use tradewind_storage::Lake;

/// List findings, or show one with its evidence
///
/// Without a subcommand they are listed, the newest first. `tradewind detect` records them.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    tradewind findings --severity high\n  \
    tradewind findings show 3f2a"
)]
pub(crate) struct FindingsArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List findings, the newest first
    List(ListArgs),
    /// Show one finding: what was seen, what was expected, every observation, and the SQL that shows its flows
    Show {
        /// Its id, or the first characters of it
        id: String,
    },
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Only findings that are at least so severe
    #[arg(long, value_name = "SEVERITY",
          value_parser = PossibleValuesParser::new(Severity::ALL.iter().map(|severity| severity.as_str())))]
    severity: Option<String>,

    /// Only findings of this entity: its id, or the last part of it
    #[arg(long, value_name = "ENTITY")]
    entity: Option<String>,

    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
}

pub(crate) fn run(args: &FindingsArgs, context: &Context) -> anyhow::Result<()> {
    let lake = context.runtime.block_on(Lake::open(context.lake_location()?))?;
    match &args.action {
        Some(Action::Show { id }) => show(&lake, id, context),
        Some(Action::List(list)) => self::list(&lake, list, context),
        None => list(&lake, &args.list, context),
    }
}

fn list(lake: &Lake, args: &ListArgs, context: &Context) -> anyhow::Result<()> {
    let filter = Filter {
        id_prefix: None,
        severity_min: args.severity.as_deref().and_then(Severity::from_word),
        entity: args.entity.clone(),
        limit: Some(args.limit),
    };
    let stored = context.runtime.block_on(findings::load(lake, &filter))?;
    let format = context.output.unwrap_or(OutputFormat::Table);
    if stored.is_empty() && format == OutputFormat::Table {
        let is_filtered = args.severity.is_some() || args.entity.is_some();
        note(if is_filtered { "no finding matches" } else { "no findings (`tradewind detect` looks for them)" });
        return Ok(());
    }
    let findings: Vec<_> = stored.iter().map(|stored| (&stored.finding, &stored.provenance)).collect();
    findings::write(&findings, format)?;
    if stored.len() == args.limit {
        note(&format!("{} listed: there may be more, see --limit", counted(args.limit, "finding is", "findings are")));
    }
    Ok(())
}

fn show(lake: &Lake, id: &str, context: &Context) -> anyhow::Result<()> {
    let stored = context.runtime.block_on(findings::find(lake, id))?;
    match context.output {
        None | Some(OutputFormat::Table) => line(findings::explain(&stored.finding).trim_end()),
        Some(format) => findings::write(&[(&stored.finding, &stored.provenance)], format),
    }
}

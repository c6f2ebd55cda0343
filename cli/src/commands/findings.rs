//! `tradewind findings`: what the detectors recorded in the lake, and what people say of it.

mod say;
mod scope;

use crate::context::Context;
use crate::feedback;
use crate::findings::{self, Beside, Filter};
use crate::output::{self, OutputFormat, counted, line, note};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use say::{FindingArgs, LiftArgs, SuppressArgs};
use tradewind_model::{ControlAction, Severity};
use tradewind_storage::Lake;

/// List findings, show one with its evidence, or say what is to be made of them
///
/// Without a subcommand they are listed, the newest first. `tradewind detect` and the service record them. What is said of
/// findings is recorded with who said it and why; `tradewind detect` goes by it, and a running service takes it in within
/// seconds.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    tradewind findings --severity high\n  \
    tradewind findings show 3f2a\n  \
    tradewind findings accept 3f2a --reason \"planned migration\"\n  \
    tradewind findings suppress --scope entity=nightly-scan,behaviour=scan --until 30d"
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
    /// Say that somebody looks after a finding: its incident says so, and pagers stop calling
    Acknowledge(FindingArgs),
    /// Say that a finding is as it should be: it becomes the entity's habit, and is told no more
    Accept(FindingArgs),
    /// Say that a finding is not worth attention: it is told no more while it goes on
    Dismiss(FindingArgs),
    /// Take back that a finding was accepted or dismissed: it is listed again, and told while it goes on
    Revoke(FindingArgs),
    /// Tell nothing of a scope for some time; chains and breaches of the policy are told nevertheless
    Suppress(SuppressArgs),
    /// End a suppression before its time
    Lift(LiftArgs),
    /// List what was said of findings, by whom and why, the newest first
    Controls {
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
    },
    /// List incidents: findings that belong together, the newest first
    Incidents {
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
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

    /// Also those that were accepted or dismissed
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &FindingsArgs, context: &Context) -> anyhow::Result<()> {
    let lake = context.runtime.block_on(Lake::open(context.lake_location()?))?;
    match &args.action {
        Some(Action::Show { id }) => show(&lake, id, context),
        Some(Action::List(list)) => self::list(&lake, list, context),
        None => list(&lake, &args.list, context),
        Some(Action::Acknowledge(args)) => say::acknowledge(&lake, args, context),
        Some(Action::Accept(args)) => say::of_finding(&lake, ControlAction::Accept, args, context),
        Some(Action::Dismiss(args)) => say::of_finding(&lake, ControlAction::Dismiss, args, context),
        Some(Action::Revoke(args)) => say::revoke(&lake, args, context),
        Some(Action::Suppress(args)) => say::suppress(&lake, args, context),
        Some(Action::Lift(args)) => say::lift(&lake, args, context),
        Some(Action::Controls { limit }) => rows(&lake, &findings::controls_query(*limit, context.output), context),
        Some(Action::Incidents { limit }) => rows(&lake, &findings::incidents_query(*limit, context.output), context),
    }
}

/// Answers with the rows of a query.
fn rows(lake: &Lake, query: &str, context: &Context) -> anyhow::Result<()> {
    let format = context.output.unwrap_or(OutputFormat::Table);
    context.runtime.block_on(write_rows(lake, query, format))
}

async fn write_rows(lake: &Lake, query: &str, format: OutputFormat) -> anyhow::Result<()> {
    let rows = lake.query(query).await?;
    let schema = rows.schema();
    output::write_stream(format, &schema, Box::pin(rows)).await?;
    Ok(())
}

fn list(lake: &Lake, args: &ListArgs, context: &Context) -> anyhow::Result<()> {
    let filter = Filter {
        id_prefix: None,
        severity_min: args.severity.as_deref().and_then(Severity::from_word),
        entity: args.entity.clone(),
        limit: Some(args.limit),
        is_open_only: !args.all,
    };
    let stored = context.runtime.block_on(findings::load(lake, &filter))?;
    let format = context.output.unwrap_or(OutputFormat::Table);
    if stored.is_empty() && format == OutputFormat::Table {
        let is_filtered = args.severity.is_some() || args.entity.is_some();
        note(if is_filtered { "no finding matches" } else { "no findings (`tradewind detect` looks for them)" });
        return settled(lake, args, context);
    }
    let findings: Vec<_> = stored.iter().map(|stored| (&stored.finding, &stored.provenance)).collect();
    if format == OutputFormat::Table {
        let incidents = context.runtime.block_on(findings::incidents(lake))?;
        findings::write_short(&findings, &incidents)?;
    } else {
        findings::write(&findings, format)?;
    }
    settled(lake, args, context)?;
    if stored.len() == args.limit {
        note(&format!("{} listed: there may be more, see --limit", counted(args.limit, "finding is", "findings are")));
    }
    Ok(())
}

/// Says how many are not listed because somebody settled them.
fn settled(lake: &Lake, args: &ListArgs, context: &Context) -> anyhow::Result<()> {
    if args.all {
        return Ok(());
    }
    let controls = context.runtime.block_on(feedback::all(lake))?;
    let settled = feedback::words_on_findings(&controls).len();
    if settled > 0 {
        let counted = counted(settled, "finding that was", "findings that were");
        note(&format!("without {counted} accepted or dismissed: --all lists all"));
    }
    Ok(())
}

fn show(lake: &Lake, id: &str, context: &Context) -> anyhow::Result<()> {
    let stored = context.runtime.block_on(findings::find(lake, id))?;
    let incidents = context.runtime.block_on(findings::incidents(lake))?;
    let controls = context.runtime.block_on(feedback::all(lake))?;
    let beside = Beside::of(&stored.finding, &incidents, &controls);
    if let Some(format) = context.output.filter(|&format| format != OutputFormat::Table) {
        return findings::write_shown((&stored.finding, &stored.provenance), &beside, format);
    }
    line(findings::explain(&stored.finding).trim_end())?;
    let beside = beside.lines(&stored.finding);
    if beside.is_empty() { Ok(()) } else { line(&format!("\n{}", beside.join("\n"))) }
}

//! The command line: global options and the tree of commands. What a command does is in `commands`.

use crate::commands::{
    backtest, completions, config, detect, findings, formats, lake, notify, parse, policy, replay, run, sql, status,
    topics, verify,
};
use crate::output::OutputFormat;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Collects connection logs from inside a network, keeps them in an open table, and says when something is not normal.
#[derive(Debug, Parser)]
#[command(
    name = "tradewind",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Start with `tradewind demo`, or with your own logs: `tradewind import LOGS`, then `tradewind sql`.\n\n\
                  Exit codes: 0 done, 1 failed, 2 flows break the policy (`policy check --exit-code`), \
                  3 a finding is not what the stored flows give (`verify`), 64 wrong arguments or configuration."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes. Each overrides the environment, which overrides the configuration file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Folder or URL of the lake [default: lake] [env: TRADEWIND_LAKE]
    #[arg(long, global = true, value_name = "PLACE")]
    pub(crate) lake: Option<PathBuf>,

    /// Configuration file [default: tradewind.toml, if there is one] [env: TRADEWIND_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// How results are written [default: table; `parse` writes ndjson]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<OutputFormat>,

    /// How log messages are written to standard error: text or json [default: text] [env: TRADEWIND_LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,

    /// Which log messages are written: error, warn, info, debug, trace, or a filter such as
    /// `warn,tradewind=debug` [default: warn] [env: TRADEWIND_LOG_LEVEL]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// What to do. The arguments of each command say what it is for: their documentation is its help text.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(crate::demo::DemoArgs),
    Import(crate::import::ImportArgs),
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Replay(replay::ReplayArgs),
    Topics(topics::TopicsArgs),
    Lake(lake::LakeArgs),
    Parse(parse::ParseArgs),
    Sql(sql::SqlArgs),
    Detect(detect::DetectArgs),
    Findings(findings::FindingsArgs),
    Verify(verify::VerifyArgs),
    Backtest(backtest::BacktestArgs),
    Notify(notify::NotifyArgs),
    Policy(policy::PolicyArgs),
    Formats(formats::FormatsArgs),
    Config(config::ConfigArgs),
    Completions(completions::CompletionsArgs),
}

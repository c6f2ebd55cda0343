//! One module for each command. A command reads its arguments, calls the crates that do the work, and writes results.

pub(crate) mod backtest;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod detect;
pub(crate) mod findings;
pub(crate) mod formats;
pub(crate) mod lake;
pub(crate) mod notify;
pub(crate) mod parse;
pub(crate) mod policy;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod topics;
pub(crate) mod verify;

use crate::args::Command;
use crate::context::Context;
use crate::failure;

/// What a demo has left undone that nobody reads to the end: it does its work step by step, as it shows it.
const DEMO_UNFINISHED: &str = "the steps of the demo that it could not show are not done";

/// Runs the command.
pub(crate) fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => {
            crate::demo::run(&args, context).map_err(|error| failure::unfinished(error, DEMO_UNFINISHED))
        }
        Command::Import(args) => crate::import::run(args, context).map(|_summary| ()),
        Command::Replay(args) => replay::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Lake(args) => lake::run(&args, context),
        Command::Topics(args) => topics::run(&args, context),
        Command::Notify(args) => notify::run(&args, context),
        Command::Parse(args) => parse::run(&args, context),
        Command::Sql(args) => sql::run(args, context),
        Command::Detect(args) => detect::run(&args, context),
        Command::Findings(args) => findings::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Backtest(args) => backtest::run(&args, context),
        Command::Policy(args) => policy::run(&args, context),
        Command::Formats(args) => formats::run(&args, context),
        Command::Run(_) | Command::Config(_) | Command::Completions(_) => unreachable!("main runs these itself"),
    }
}

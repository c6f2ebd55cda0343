//! The program `tradewind`: reads the command line, sets up logging, and turns errors into messages and exit codes.
//!
//! Everything else is in modules; this file decides nothing about flows, lakes or findings.

mod args;
mod commands;
mod config;
mod context;
mod demo;
mod failure;
mod findings;
mod import;
mod logging;
mod normaliser;
mod output;
mod policy;
#[cfg(test)]
mod reference;
mod source;

use crate::args::Cli;
use crate::context::Context;
use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::report_arguments(&error),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // These work without a configuration, or although it is faulty.
    let command = match cli.command {
        args::Command::Completions(args) => return commands::completions::run(&args),
        args::Command::Config(args) => return commands::config::run(args, &cli.global),
        other => other,
    };
    let config = config::load(&config::Sources::of_process(&cli.global))?;
    logging::set_up(&config.settings.log)?;
    let context = Context::new(config.settings, cli.global.output)?;
    commands::run(command, &context)
}

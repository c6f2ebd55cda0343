//! The program `tradewind`: reads the command line, sets up logging, and turns errors into messages and exit codes.
//!
//! Everything else is in modules; this file decides nothing about flows, lakes or findings.

mod args;
mod commands;
mod config;
mod context;
mod demo;
mod failure;
mod feedback;
mod findings;
mod import;
mod logging;
mod memory;
mod normaliser;
mod notify;
mod output;
mod policy;
#[cfg(test)]
mod reference;
mod serve;
mod source;
mod stages;
mod telemetry;
mod transport;

use crate::args::Cli;
use crate::context::Context;
use crate::telemetry::Exporters;
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
    // Two cryptographic libraries are linked, by way of other crates; TLS must be told which to take.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let config = config::load(&config::Sources::of_process(&cli.global))?;
    let context = Context::new(config.settings, cli.global.output)?;
    let exporters = match &command {
        args::Command::Run(_) => {
            let _entered = context.runtime.enter();
            Exporters::start(&context.settings.telemetry, &context.settings.run.instance)?
        }
        _ => None,
    };
    logging::set_up(&context.settings.log, exporters.as_ref())?;
    match command {
        args::Command::Run(args) => commands::run::run(&args, &context, exporters.as_ref()),
        command => commands::run(command, &context),
    }
}

//! `tradewind config`: shows the settings in force, and checks a file without running anything.

use crate::args::GlobalArgs;
use crate::config::{self, DEFAULTS, Sources};
use crate::output::line;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Print or check the configuration
///
/// Settings come from flags, else from the environment, else from the configuration file, else from the defaults.
/// The file is the one that --config or TRADEWIND_CONFIG names, else `tradewind.toml` in the working folder.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the settings in force as TOML
    Print {
        /// Print the defaults with their explanations instead: a file to start from
        #[arg(long)]
        default: bool,
    },
    /// Check a configuration file, and the inventory, policy and suppressions it names: every fault is told, with its line
    Check {
        /// The file [default: the one that other commands would read]
        file: Option<PathBuf>,
    },
}

pub(crate) fn run(args: ConfigArgs, global: &GlobalArgs) -> anyhow::Result<()> {
    match args.action {
        Action::Print { default: true } => line(DEFAULTS.trim_end()),
        Action::Print { default: false } => {
            let loaded = config::load(&Sources::of_process(global))?;
            let text = toml::to_string(&loaded.effective).context("failed to write the settings as TOML")?;
            line(text.trim_end())
        }
        Action::Check { file } => {
            let global = GlobalArgs { config: file.or_else(|| global.config.clone()), ..global.clone() };
            let loaded = config::load(&Sources::of_process(&global))?;
            crate::normaliser::from_settings(&loaded.settings)?;
            crate::policy::from_settings(&loaded.settings)?;
            crate::feedback::from_settings(&loaded.settings)?;
            match loaded.file {
                Some(file) => line(&format!("{}: no faults", file.display())),
                None => line("no configuration file: the defaults are in force"),
            }
        }
    }
}

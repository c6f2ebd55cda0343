//! The command line.

use crate::notify::NotifyArguments;
use crate::outcome::Totals;
use crate::system::LogKind;
use anyhow::{Context as _, bail};
use clap::Parser;
use std::path::{Path, PathBuf};

/// Torture an installation of Tradewind, and count what is missing, doubled or foreign afterwards
///
/// Producers send numbered records by HTTP push and in files that are rotated. Meanwhile processes, broker and object store are
/// killed, stopped, cut off, slowed down and made to answer with errors. Then every acknowledged record must be in the lake exactly once,
/// the malformed ones among the dead letters, nothing else anywhere, and the findings must be those of an undisturbed run.
///
/// Exit codes: 0 all is right, 1 something is wrong, 3 a server cannot be had on this machine.
#[derive(Debug, Parser)]
#[command(name = "tradewind-torture", max_term_width = 100, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// Another torture than that of the whole
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Log between the stages
    #[arg(long, value_enum, default_value = "kafka")]
    log: LogKind,

    /// How many faults
    #[arg(long, value_name = "N", default_value_t = 20)]
    faults: u64,

    /// Decides on records, faults and their order
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Records a second
    #[arg(long, value_name = "N", default_value_t = 1_200)]
    rate: u64,

    /// Records of each round at least
    #[arg(long, value_name = "N", default_value_t = 0)]
    records: u64,

    /// Write the result as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Folder for data, logs and totals; rounds in which all was right are removed from it
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    keep: Option<PathBuf>,

    /// Go on with the run of this folder, with its settings and totals
    #[arg(long, value_name = "DIR")]
    pub(crate) resume: Option<PathBuf>,

    /// The program [default: `tradewind` beside this one]
    #[arg(long, value_name = "FILE", env = "TRADEWIND_BIN")]
    tradewind: Option<PathBuf>,
}

/// Another torture than that of the whole.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Notify(NotifyArguments),
}

impl Arguments {
    /// The folder that was named.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.resume.as_deref().or(self.keep.as_deref())
    }

    /// The program under test.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn program(&self) -> anyhow::Result<PathBuf> {
        program_at(self.tradewind.as_deref())
    }

    /// A run that has not begun.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            log: self.log,
            seed: self.seed,
            faults_wanted: self.faults,
            rate: self.rate,
            records_min: self.records,
            rounds: Vec::new(),
            void_rounds: Vec::new(),
        }
    }
}

/// The program under test: this one, or the one beside this program.
///
/// # Errors
/// When it is not there.
pub(crate) fn program_at(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let program = match named {
        Some(program) => std::path::absolute(program).context("failed to find the program")?,
        None => std::env::current_exe().context("failed to find this program")?.with_file_name("tradewind"),
    };
    if !program.is_file() {
        bail!("{} is not there: build it, or name it with --tradewind", program.display());
    }
    Ok(program)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_understood() {
        let arguments = Arguments::try_parse_from(["x", "--log", "embedded", "--faults", "5", "--seed", "9"]).unwrap();
        let totals = arguments.totals();
        assert_eq!((totals.log, totals.faults_wanted, totals.seed), (LogKind::Embedded, 5, 9));
        assert!(Arguments::try_parse_from(["x", "--keep", "a", "--resume", "b"]).is_err());
        let arguments = Arguments::try_parse_from(["x", "notify", "--findings", "5", "--json"]).unwrap();
        assert!(matches!(arguments.command, Some(Command::Notify(_))));
        assert!(Arguments::try_parse_from(["x", "--faults", "5", "notify"]).is_err());
    }
}

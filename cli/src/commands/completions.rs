//! `tradewind completions`: scripts that let a shell complete commands and options.

use crate::args::Cli;
use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::io::Write as _;

/// Print a completion script for a shell
///
/// For bash: `tradewind completions bash > ~/.local/share/bash-completion/completions/tradewind`.
/// For zsh: write it to a file named `_tradewind` in a folder of `$fpath`.
/// For fish: `tradewind completions fish > ~/.config/fish/completions/tradewind.fish`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tradewind", &mut script);
    std::io::stdout().lock().write_all(&script).context("failed to write to standard output")
}

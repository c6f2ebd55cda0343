//! `tradewind-torture`: kills, stops and cuts off everything of an installation, and counts what is missing, doubled or foreign
//! afterwards. It drives the real program and real servers and links neither.
//!
//! With the command `notify` it tortures the deliveries alone: see [`notify`].
//!
//! A run is made of rounds of at most 40 faults, each with servers and a lake of its own, judged at its end. With a folder
//! (`--keep`, `--resume`) totals stay there and a run can be gone on with; the folder of a round that went wrong is kept in any case.

mod arguments;
mod configuration;
mod faults;
mod journal;
mod notify;
mod oracle;
mod outcome;
mod ports;
mod process;
mod producers;
mod push;
mod random;
mod round;
mod stored;
mod strike;
mod system;
mod told;
mod traffic;

use anyhow::{Context as _, bail};
use arguments::{Arguments, Command};
use clap::Parser as _;
use outcome::Totals;
use round::Plan;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use told::say;
use tradewind_kafka_testkit::ServerError;

/// So many rounds may say nothing, and one more for each that does.
const VOID_MAX: usize = 3;
/// Faults of one round.
const ROUND: u64 = 40;
const TOTALS: &str = "totals.json";
/// The exit code where a server cannot be had on this machine, so that nothing was tested.
const SKIPPED: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match &arguments.command {
        Some(Command::Notify(arguments)) => notify::run(arguments),
        None => run(&arguments),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let is_unavailable = matches!(error.downcast_ref::<ServerError>(), Some(ServerError::Unavailable { .. }));
            say(&format!("{}{error:#}", if is_unavailable { "SKIPPED: " } else { "" }));
            if is_unavailable { ExitCode::from(SKIPPED) } else { ExitCode::FAILURE }
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let program = arguments.program()?;
    let folder = match arguments.folder() {
        Some(folder) => std::path::absolute(folder).context("failed to find the folder")?,
        // Kept, so that what went wrong can be looked at; removed below where nothing did.
        None => {
            tempfile::Builder::new().prefix("tradewind-torture-").tempdir().context("failed to make a folder")?.keep()
        }
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let mut totals = match arguments.resume {
        Some(_) => read(&folder)?,
        None => arguments.totals(),
    };
    while totals.faults() < totals.faults_wanted || totals.rounds.is_empty() {
        let number = totals.rounds.len() + totals.void_rounds.len();
        let plan = Plan {
            log: totals.log,
            seed: seed_of(totals.seed, number),
            faults: usize::try_from((totals.faults_wanted - totals.faults()).min(ROUND)).unwrap_or(1),
            rate: totals.rate,
            records_min: totals.records_min,
            program: program.clone(),
            folder: folder.join(format!("round-{number}")),
        };
        say(&format!("round {number} with {} faults in {}", plan.faults, plan.folder.display()));
        remove(&plan.folder)?;
        let outcome = round::run(&plan).with_context(|| format!("round {number}, see {}", plan.folder.display()))?;
        say(&outcome.line());
        for line in outcome.troubles.iter().chain(&outcome.finding_differences).chain(&outcome.examples) {
            say(&format!("  {line}"));
        }
        if outcome.is_right() {
            remove(&plan.folder)?;
        } else {
            say(&format!("see {}", plan.folder.display()));
        }
        let is_fruitless = outcome.faults == 0;
        let rounds = if outcome.is_void() { &mut totals.void_rounds } else { &mut totals.rounds };
        rounds.push(outcome);
        write(&folder, &totals)?;
        if is_fruitless {
            break;
        }
        if totals.void_rounds.len() > VOID_MAX + totals.rounds.len() {
            bail!("{} rounds say nothing, since the broker itself failed", totals.void_rounds.len());
        }
    }
    if arguments.folder().is_none() && totals.is_right() {
        remove(&folder)?;
    }
    tell(arguments, &totals)?;
    Ok(totals.is_right())
}

/// The seed of a round. Runs with neighbouring seeds share none but by chance.
fn seed_of(run: u64, number: usize) -> u64 {
    if number == 0 { run } else { random::mixed(random::mixed(run) ^ number as u64) >> 16 }
}

fn tell(arguments: &Arguments, totals: &Totals) -> anyhow::Result<()> {
    let report = totals.report();
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&report).context("failed to encode the report")?,
        false => totals.rounds.iter().map(outcome::Outcome::line).collect::<Vec<_>>().join("\n"),
    };
    writeln!(std::io::stdout(), "{text}").context("failed to write the report")
}

fn read(folder: &Path) -> anyhow::Result<Totals> {
    let path = folder.join(TOTALS);
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not of a run that can be gone on with", path.display()))
}

fn write(folder: &Path, totals: &Totals) -> anyhow::Result<()> {
    let (path, part): (PathBuf, PathBuf) = (folder.join(TOTALS), folder.join("totals.part"));
    let failed = || format!("failed to write {}", path.display());
    let text = serde_json::to_string_pretty(totals).with_context(failed)?;
    std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &path)).with_context(failed)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn rounds_of_neighbouring_runs_differ() {
        let seeds: HashSet<u64> =
            (1_000..1_100).flat_map(|run| (0..10).map(move |number| seed_of(run, number))).collect();
        assert_eq!(seeds.len(), 1_000);
        assert_eq!(seed_of(7, 0), 7);
    }
}

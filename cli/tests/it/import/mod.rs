//! `tradewind import` from end to end: what comes in is in the lake once, or is told, whatever happens on the way.

mod bad_input;
mod exactly_once;
mod full_disk;
mod inputs;
mod interrupted;
mod readers;
mod vpc_log;

use crate::program::{Outcome, Program};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// No import of these tests may take longer.
const LIMIT: Duration = Duration::from_secs(120);
/// How often a state is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// An import that ended, with its summary; what holds for each of them was checked.
#[derive(Debug)]
struct Imported {
    outcome: Outcome,
    summary: Value,
}

impl Imported {
    fn number(&self, key: &str) -> u64 {
        self.summary[key].as_u64().unwrap_or_else(|| panic!("{key} is no number in {}", self.summary))
    }
}

/// Imports `paths` into `lake` and checks the exit code.
fn import(program: &Program, paths: &[&str], code: i32) -> Imported {
    let arguments: Vec<&str> = ["import", "-o", "json"].iter().chain(paths).copied().collect();
    checked(program.run(&arguments), code)
}

/// Checks what every import with a summary keeps to.
fn checked(outcome: Outcome, code: i32) -> Imported {
    assert_eq!(outcome.code, code, "{}{}", outcome.out, outcome.err);
    assert!(!outcome.err.contains("panicked"), "{}", outcome.err);
    let summary: Value = serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("no summary: {}", outcome.err));
    let imported = Imported { outcome, summary };
    let [records, flows, rejected, gaps] = ["records", "flows", "rejected", "gaps"].map(|key| imported.number(key));
    assert_eq!(records, flows + rejected + gaps, "{}", imported.summary);
    let reasons = imported.summary["reject_reasons"].as_object().unwrap();
    assert_eq!(rejected, reasons.values().filter_map(Value::as_u64).sum::<u64>(), "{}", imported.summary);
    assert_eq!(code == 0, imported.outcome.err.is_empty(), "{}", imported.outcome.err);
    imported
}

/// The rows that a query of the lake in the working folder answers.
fn ask(program: &Program, query: &str) -> Vec<Value> {
    ask_lake(program, "lake", query)
}

fn ask_lake(program: &Program, lake: &str, query: &str) -> Vec<Value> {
    let answer = program.run(&["sql", "--lake", lake, "-o", "json", query]);
    assert_eq!(answer.code, 0, "{query}: {}", answer.err);
    serde_json::from_str(&answer.out).unwrap()
}

fn outcome(output: &Output) -> Outcome {
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// An import as a process that can be watched and stopped.
struct Running {
    child: Child,
}

impl Running {
    fn start(mut command: Command) -> Self {
        Self { child: command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap() }
    }

    /// Waits until `state` holds. False when the process ended before.
    fn until(&mut self, state: impl Fn() -> bool) -> bool {
        let started = Instant::now();
        loop {
            if state() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(started.elapsed() < LIMIT, "the state did not come");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Sends a signal such as `TERM`.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end, and ends it by force when that takes too long.
    fn end(mut self) -> Outcome {
        if self.wait().is_none() {
            self.child.kill().unwrap();
            panic!("the import did not end: {:?}", self.child.wait_with_output().unwrap());
        }
        outcome(&self.child.wait_with_output().unwrap())
    }

    /// Ends it by force, as a power cut does.
    fn kill(mut self) -> ExitStatus {
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }

    /// How much memory it holds at most, in bytes, watched until it ends.
    fn peak_memory(&mut self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let peak = std::cell::Cell::new(0);
        self.until(|| {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak.set(peak.get().max(kilobytes.unwrap_or_default() * 1024));
            false
        });
        peak.get()
    }

    fn wait(&mut self) -> Option<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        None
    }
}

/// All files below a folder, by their path in it.
fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let (mut files, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(open) = folders.pop() {
        for entry in std::fs::read_dir(&open).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => {
                    files.insert(entry.path().strip_prefix(folder).unwrap().to_owned());
                }
            }
        }
    }
    files
}

/// Whether a table has a data file, committed or not.
fn has_data_file(table: &Path) -> bool {
    files_below(table).iter().any(|file| !file.starts_with("_delta_log"))
}

/// Files in the folder of a table that its log does not name.
fn uncommitted(table: &Path) -> BTreeSet<PathBuf> {
    let is_log = |file: &PathBuf| file.starts_with("_delta_log");
    let (log, data): (Vec<_>, Vec<_>) = files_below(table).into_iter().partition(is_log);
    let mut named = BTreeSet::new();
    for file in log.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        for line in std::fs::read_to_string(table.join(file)).unwrap().lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            named.extend(action["add"]["path"].as_str().map(PathBuf::from));
        }
    }
    for file in &named {
        assert!(data.contains(file), "{} is named by the table, but it is not there", file.display());
    }
    data.into_iter().filter(|file| !named.contains(file)).collect()
}

/// Checks that every table has its files, and that nothing else lies about.
fn assert_tidy(lake: &Path) {
    for table in ["flows", "dead_letters", "coverage", "imports"] {
        assert_eq!(uncommitted(&lake.join(table)), BTreeSet::new(), "{table} has files that no commit names");
    }
}

//! Half-space trees (Tan, Ting and Liu, "Fast anomaly detection for streaming data", IJCAI 2011) by Python's `river`: scores of
//! edges by minutes from what can be counted of them. Not an implementation: where no Python has `river`, this peer is left out.

use crate::flows::{Flow, Stream};
use anyhow::{Context as _, ensure};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tradewind_model::Outcome;
use tradewind_model::time::MINUTE;

const SCRIPT: &str = include_str!("../../peers/half_space_trees.py");
const REQUIREMENTS: &str = include_str!("../../peers/requirements.txt");
/// Holds the requirements that were installed.
const STAMP: &str = "requirements.installed";

/// Which Python has `river`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PythonArguments {
    /// A Python that has the package river, for the peer half-space trees [default: python3, where it has it]
    #[arg(long, value_name = "FILE", conflicts_with = "venv")]
    python: Option<PathBuf>,
    /// A virtual environment with river, made where it is missing (needs python3 with venv, and PyPI)
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
}

/// A Python that has `river`.
#[derive(Clone, Debug)]
pub(crate) struct Python(PathBuf);

impl Python {
    /// The Python that was asked for, else `python3`. None where nothing was asked for and `python3` has no `river`.
    pub(crate) fn of(arguments: &PythonArguments) -> anyhow::Result<Option<Self>> {
        let is_asked = arguments.python.is_some() || arguments.venv.is_some();
        let path = match (&arguments.python, &arguments.venv) {
            (Some(python), _) => python.clone(),
            (None, Some(venv)) => environment(venv)?,
            (None, None) => PathBuf::from("python3"),
        };
        let has_river = Command::new(&path).args(["-c", "import river.anomaly"]).output();
        let has_river = has_river.is_ok_and(|output| output.status.success());
        ensure!(has_river || !is_asked, "{} has no package river", path.display());
        Ok(has_river.then_some(Self(path)))
    }
}

/// The Python of a virtual environment, which is made where it is missing or has another version.
fn environment(folder: &Path) -> anyhow::Result<PathBuf> {
    let (python, installed) = (folder.join("bin/python"), folder.join(STAMP));
    if fs::read_to_string(&installed).is_ok_and(|versions| versions == REQUIREMENTS) {
        return Ok(python);
    }
    eprintln!("making a Python environment with river in {}", folder.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).with_context(|| format!("failed to write {}", requirements.display()))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(&python).args(pip).arg(&requirements))?;
    fs::write(&installed, REQUIREMENTS).with_context(|| format!("failed to write {}", installed.display()))?;
    Ok(python)
}

/// Runs a program; what it printed.
fn run(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("failed to start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", said.trim_end());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What can be counted of an edge in a minute.
#[derive(Debug, Default)]
struct Row {
    source: u32,
    flows: f64,
    bytes_out: f64,
    bytes_in: f64,
    failed: f64,
    ports: HashSet<Option<u16>>,
    is_new: bool,
    /// Destinations of its source in this minute, and those that it never had before.
    destinations: f64,
    new_destinations: f64,
}

/// Rows in the order of time, and the row of each flow.
fn rows(stream: &Stream) -> (Vec<Row>, Vec<usize>) {
    let mut rows: Vec<Row> = Vec::new();
    let mut known: HashSet<(u32, u32)> = HashSet::new();
    let mut open: HashMap<(u32, u32), usize> = HashMap::new();
    let mut minute = i64::MIN;
    let mut place_of = |flow: &Flow| {
        let (now, edge) = (flow.time.div_euclid(MINUTE), (flow.source, flow.destination));
        if now != minute {
            close(&mut rows, &open);
            open.clear();
            minute = now;
        }
        let place = *open.entry(edge).or_insert_with(|| {
            rows.push(Row { source: flow.source, is_new: known.insert(edge), ..Row::default() });
            rows.len() - 1
        });
        let row = &mut rows[place];
        row.flows += 1.0;
        row.bytes_out += flow.bytes_out.unwrap_or(0) as f64;
        row.bytes_in += flow.bytes_in.unwrap_or(0) as f64;
        row.failed += f64::from(u8::from(matches!(flow.outcome, Outcome::Failed | Outcome::Denied)));
        row.ports.insert(flow.port);
        place
    };
    let places = stream.flows.iter().map(&mut place_of).collect();
    close(&mut rows, &open);
    (rows, places)
}

/// At the end of a minute: what its edges' sources did altogether.
fn close(rows: &mut [Row], open: &HashMap<(u32, u32), usize>) {
    let mut sources: HashMap<u32, (f64, f64)> = HashMap::new();
    for (&(source, _), &place) in open {
        let sums = sources.entry(source).or_default();
        sums.0 += 1.0;
        sums.1 += f64::from(u8::from(rows[place].is_new));
    }
    for &place in open.values() {
        (rows[place].destinations, rows[place].new_destinations) = sources[&rows[place].source];
    }
}

/// A score per flow: that of its edge in its minute.
pub(super) fn scores(stream: &Stream, python: &Python) -> anyhow::Result<Vec<f64>> {
    let (rows, places) = rows(stream);
    let mut text = String::from("flows,bytes_out,bytes_in,failed,ports,is_new,destinations,new_destinations\n");
    for row in &rows {
        let ports = row.ports.len() as f64;
        let counts = [row.flows, row.bytes_out, row.bytes_in, row.failed, ports];
        let more = [f64::from(u8::from(row.is_new)), row.destinations, row.new_destinations];
        let fields: Vec<String> = counts.iter().chain(&more).map(|count| format!("{:.6}", count.ln_1p())).collect();
        writeln!(text, "{}", fields.join(",")).expect("a string takes any text");
    }
    let table = std::env::temp_dir().join(format!("tradewind-eval-rows-{}.csv", std::process::id()));
    fs::write(&table, text).with_context(|| format!("failed to write {}", table.display()))?;
    let printed = run(Command::new(&python.0).args(["-c", SCRIPT]).arg(&table));
    // What is left in the folder for temporary files harms nobody.
    fs::remove_file(&table).ok();
    let printed = printed?;
    let scores: Vec<f64> = printed.lines().map_while(|line| line.parse().ok()).collect();
    ensure!(scores.len() == rows.len(), "half-space trees: {} scores of {} rows", scores.len(), rows.len());
    Ok(places.into_iter().map(|place| scores[place]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::stream;

    #[test]
    fn a_row_is_an_edge_in_a_minute() {
        let (rows, places) = rows(&stream(&[(0.1, 1, 80), (0.2, 2, 80), (0.3, 1, 443), (1.5, 1, 80)]));
        assert_eq!(places, [0, 1, 0, 2]);
        let counts = |row: &Row| (row.flows, row.ports.len(), row.is_new, row.destinations, row.new_destinations);
        let found: Vec<_> = rows.iter().map(counts).collect();
        assert_eq!(found, [(2.0, 2, true, 2.0, 2.0), (1.0, 1, true, 2.0, 2.0), (1.0, 1, false, 1.0, 0.0)]);
    }
}

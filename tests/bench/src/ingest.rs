//! Benchmark `ingest`: generated log files into the lake, against Polars and DuckDB turning the same files into Parquet.
//!
//! The product does more work than its peers (orientation, entities, sorting, exactly-once commits); the peers only
//! parse and write. Their start-up, which is Python and the library's loading, is measured apart and taken off.

use crate::process::{Cost, Runner};
use crate::report::{Report, Run, Workload};
use crate::tally::Counts;
use crate::{Arguments, envoy, peers, policy, vpc};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter};
use std::path::{Path, PathBuf};

const SEED: u64 = 20_260_115;
/// The configuration of the program under test.
const CONFIG: &str = "tradewind.toml";

/// A log format with its data.
#[derive(Debug)]
struct Data {
    name: &'static str,
    file: PathBuf,
    /// The same with one record, to measure start-up.
    single: PathBuf,
    counts: Counts,
}

/// Makes the data, runs everybody, prints the report.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = program(arguments)?;
    let beside = std::env::current_exe().context("failed to find this program's folder")?;
    let beside = beside.parent().context("this program lies in no folder")?;
    let python = match &arguments.python {
        Some(python) => python.clone(),
        None => {
            // The programs lie in `target/PROFILE`.
            let target = beside.parent().unwrap_or(beside);
            peers::environment(&arguments.venv.clone().unwrap_or_else(|| target.join("venv")))?
        }
    };
    let temporary = tempfile::tempdir().context("failed to make a temporary folder")?;
    let folder = arguments.keep.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    peers::write_scripts(folder)?;
    let runner = Runner { python, folder: folder.to_owned() };
    if let Some(rules) = arguments.policy_rules {
        fs::write(folder.join("policy.toml"), policy::document(usize::try_from(rules)?))?;
    }
    // Always a file of our own, so that none of the working folder counts.
    let policy = if arguments.policy_rules.is_some() { "[policy]\npath = \"policy.toml\"\n" } else { "" };
    fs::write(folder.join(CONFIG), policy)?;

    let (default_rows, envoy_tenths) = if arguments.quick { (500_000, 3) } else { (5_000_000, 4) };
    let rows = arguments.rows.unwrap_or(default_rows);
    let repetitions = arguments.repetitions.unwrap_or(if arguments.quick { 1 } else { 3 });
    let mut workloads = Vec::new();
    for (name, lines) in [("vpc", rows), ("envoy", rows * envoy_tenths / 10)] {
        eprintln!("{name}: making {lines} lines");
        let data = make(name, lines, folder)?;
        eprintln!("{name}: {}", data.counts);
        let runs = (0..repetitions)
            .map(|repetition| {
                eprintln!("{name}: repetition {} of {repetitions}", repetition + 1);
                repeat(&runner, &program, &data, repetition)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        workloads.push(Workload { name, counts: data.counts, runs });
        if arguments.keep.is_none() {
            fs::remove_file(&data.file)?;
        }
    }
    let report = Report { is_quick: arguments.quick, repetitions, seed: SEED, workloads };
    match arguments.json {
        true => println!("{:#}", report.json()?),
        false => println!("{report}"),
    }
    Ok(())
}

/// The program under test.
///
/// # Errors
/// When it is not there.
pub(crate) fn program(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe().context("failed to find this program's folder")?;
    let program = arguments.tradewind.clone().unwrap_or_else(|| beside.with_file_name("tradewind"));
    program.canonicalize().with_context(|| {
        format!("no program at {}: build it with `cargo build --profile ci -p tradewind`", program.display())
    })
}

fn make(name: &'static str, lines: u64, folder: &Path) -> anyhow::Result<Data> {
    let (file, single) = (folder.join(format!("{name}.log")), folder.join(format!("{name}-single.log")));
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&file).context("failed to make the data file")?);
    let counts = match name {
        "vpc" => vpc::write(&mut out, lines, SEED),
        _ => envoy::write(&mut out, lines, SEED),
    };
    let counts = counts.with_context(|| format!("failed to write {}", file.display()))?;
    // With the header, where there is one.
    let head = BufReader::new(File::open(&file)?).lines().take(if name == "vpc" { 2 } else { 1 });
    let head = head.collect::<Result<Vec<_>, _>>()?.join("\n") + "\n";
    fs::write(&single, head)?;
    Ok(Data { name, file, single, counts })
}

/// Everybody once. The order turns with each repetition, so that nobody always follows the same one.
fn repeat(runner: &Runner, program: &Path, data: &Data, repetition: u16) -> anyhow::Result<Run> {
    let (mut ours, mut polars, mut duckdb) = (None, None, None);
    for turn in 0..3 {
        match (turn + repetition) % 3 {
            0 => ours = Some(import(runner, program, data)?),
            1 => polars = Some(peer(runner, "polars_peer.py", data)?),
            _ => duckdb = Some(peer(runner, "duckdb_peer.py", data)?),
        }
    }
    let everybody = "three turns reach everybody";
    let (polars, polars_startup, polars_bytes) = polars.expect(everybody);
    let (duckdb, duckdb_startup, duckdb_bytes) = duckdb.expect(everybody);
    let (ours, flow_bytes, lake_bytes) = ours.expect(everybody);
    Ok(Run { ours, flow_bytes, lake_bytes, polars, polars_startup, polars_bytes, duckdb, duckdb_startup, duckdb_bytes })
}

/// Our import into a fresh lake: its cost, the bytes of the files with flows and those of the whole lake.
fn import(runner: &Runner, program: &Path, data: &Data) -> anyhow::Result<(Cost, u64, u64)> {
    let lake = runner.folder.join(format!("{}-lake", data.name));
    if lake.exists() {
        fs::remove_dir_all(&lake)?;
    }
    let config = runner.folder.join(CONFIG);
    let words =
        ["--config".as_ref(), config.as_os_str(), "--lake".as_ref(), lake.as_os_str(), "-o".as_ref(), "json".as_ref()];
    let command = [&[program.as_os_str(), "import".as_ref(), data.file.as_os_str()], &words[..]].concat();
    let (cost, printed) = runner.run(&command)?;
    verify(&printed, data.counts)?;
    let is_flow_data = |path: &Path| {
        let inside = path.strip_prefix(&lake).unwrap_or(path);
        inside.starts_with("flows") && !inside.starts_with("flows/_delta_log")
    };
    let (flow_bytes, lake_bytes) = (folder_bytes(&lake, &is_flow_data)?, folder_bytes(&lake, &|_| true)?);
    ensure!(flow_bytes > 0, "the lake holds no files of table flows");
    Ok((cost, flow_bytes, lake_bytes))
}

/// Fails unless the import's summary accounts for every generated line.
fn verify(summary: &str, counts: Counts) -> anyhow::Result<()> {
    let parsed: Value = serde_json::from_str(summary).with_context(|| format!("the summary is no JSON: {summary}"))?;
    let summary = parsed.get(0).unwrap_or(&parsed);
    let expected =
        [("records", counts.lines), ("flows", counts.lines - counts.gaps), ("gaps", counts.gaps), ("rejected", 0)];
    for (key, expected) in expected {
        let got = summary.get(key).and_then(Value::as_u64);
        ensure!(
            got == Some(expected),
            "the import's summary has {key} = {got:?}, generated were {expected}: {summary}"
        );
    }
    Ok(())
}

/// A peer's job: its cost, that of its start-up, and the size of its Parquet file.
fn peer(runner: &Runner, script: &str, data: &Data) -> anyhow::Result<(Cost, Cost, u64)> {
    let (script, target) = (runner.folder.join(script), runner.folder.join("peer.parquet"));
    let job = |source: &Path| {
        let words = [script.as_os_str(), data.name.as_ref(), source.as_os_str(), target.as_os_str()];
        runner.run(&[&[runner.python.as_os_str()], &words[..]].concat())
    };
    let (startup, _) = job(&data.single)?;
    let (cost, _) = job(&data.file)?;
    let rows: &[&OsStr] =
        &[runner.python.as_os_str(), &runner.folder.join("rows.py").into_os_string(), target.as_os_str()];
    let (_, rows) = runner.run(rows)?;
    ensure!(
        rows.trim() == data.counts.lines.to_string(),
        "{} wrote {rows} rows of {}",
        script.display(),
        data.counts.lines
    );
    Ok((cost, startup, fs::metadata(&target)?.len()))
}

/// Sum of the sizes of the files below a folder that are wanted.
fn folder_bytes(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            sum += folder_bytes(&path, is_wanted)?;
        } else if is_wanted(&path) {
            sum += fs::metadata(&path)?.len();
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_must_account_for_every_line() {
        let counts = Counts { lines: 10, gaps: 1, bytes: 0, addresses: 0, ports: 0, pairs: 0 };
        let check = |summary: &str, expected: bool| assert_eq!(verify(summary, counts).is_ok(), expected, "{summary}");
        check(r#"{"records":10,"flows":9,"gaps":1,"rejected":0}"#, true);
        check(r#"[{"records":10,"flows":9,"gaps":1,"rejected":0}]"#, true);
        check(r#"{"records":10,"flows":8,"gaps":1,"rejected":1}"#, false);
        check(r#"{"records":9,"flows":8,"gaps":1,"rejected":0}"#, false);
        check(r#"{"flows":9,"gaps":1,"rejected":0}"#, false);
        check("imported", false);
    }
}

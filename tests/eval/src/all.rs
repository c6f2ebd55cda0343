//! Every labelled set with every peer in one run, as one report. Knows no protocol: those are [`hybrid`]'s, [`stream`]'s and
//! [`budget`]'s.

mod networks;
mod published;
mod report;
mod streams;

use crate::budget::{self, Network};
use crate::flows::Stream;
use crate::hybrid::{self, Judgement};
use crate::peers::{HALF_SPACE_TREES, Python, PythonArguments};
use crate::{reader, stream};
use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use tradewind_model::Outcome;
use tradewind_model::time::SECOND;

/// Seconds of the main set that teach.
const TRAIN_SECONDS: f64 = 1570.9;
/// How the grid of windows is moved, seconds.
const SHIFTS: [u32; 4] = [60, 120, 180, 240];
/// Seconds of learning before the test part, for the curve of a cold start.
const COLD_STARTS: [u32; 6] = [0, 150, 300, 600, 900, 1200];
/// Streams with captures placed on random services.
const SEEDS: u32 = 5;
/// Sets of streams.
const STREAMS: [&str; 4] = ["darpa98", "westermo", "apt29-day1", "nezha"];
/// Target of the false discovery rate at which the other mode of decision is shown: the shipped one.
const RATE: f64 = 0.1;

/// Detectors with a switch that the flows of made-up networks can show, and whether it is on as shipped.
const SWITCHES: [(&str, bool); 8] = [
    ("destination", true),
    ("volume", true),
    ("scan", true),
    ("exfiltration", true),
    ("beacon", false),
    ("drift", false),
    ("slow_scan", false),
    ("dark", false),
];

/// Of what `--quick` leaves out, what it still does.
const QUICK_SEEDS: u32 = 2;
const QUICK_NETWORKS: u64 = 4;
const QUICK_LEAVES_OUT: &str = "darpa98";

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct AllArguments {
    /// Folder with the sets
    dir: PathBuf,
    /// Say what each detector adds; made-up networks are run with each switched, too, which takes minutes
    #[arg(long)]
    ablation: bool,
    /// Write the report, with what each detector adds, to this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Half a minute: two seeds of each kind instead of five, four networks, no cold start, not the long stream
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Made-up networks, each of two weeks; 0 leaves them out [default: 20, quick: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1000))]
    networks: Option<u64>,
    #[command(flatten)]
    python: PythonArguments,
    /// Print one JSON object instead of the report
    #[arg(long)]
    json: bool,
}

/// Everything that was judged.
struct Everything {
    /// The main set and its variants, by name in order.
    units: Vec<(String, Judgement)>,
    /// The main set after so many seconds of learning.
    cold_starts: Vec<(u32, Judgement)>,
    streams: Vec<(&'static str, BTreeMap<String, stream::Quality>)>,
    /// Made-up networks, with the shipped budget.
    networks: Vec<Network>,
    /// The same, deciding by the rate of false findings.
    by_rate: Vec<Network>,
    /// Half of them again with one detector switched: its name, and whether it is on then.
    switched: Vec<(&'static str, bool, Vec<Network>)>,
    /// What could not be judged, and why.
    skipped: Vec<String>,
}

/// Says on standard error what is being done.
struct Progress(Instant);

impl Progress {
    fn say(&self, name: &str) {
        eprintln!("{:>4} s  {name}", self.0.elapsed().as_secs());
    }
}

/// Judges everything below a folder; writes the report to a file, where one is given.
pub(crate) fn run(arguments: &AllArguments) -> anyhow::Result<()> {
    let everything = judge(arguments)?;
    if arguments.json {
        println!("{}", report::json(&everything));
    } else {
        println!("{}", report::markdown(&everything, arguments.ablation));
    }
    if let Some(path) = &arguments.write {
        std::fs::write(path, report::markdown(&everything, true))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

fn judge(arguments: &AllArguments) -> anyhow::Result<Everything> {
    let dir = arguments.dir.as_path();
    ensure!(dir.is_dir(), "{} is not a folder; the labelled sets are no part of the source, see --help", dir.display());
    let main = dir.join("hybrid");
    let has_any = main.is_dir() || STREAMS.iter().any(|name| dir.join(name).is_dir());
    ensure!(has_any, "{} holds none of the folders hybrid, {}", dir.display(), STREAMS.join(", "));
    let progress = Progress(Instant::now());
    let python = Python::of(&arguments.python)?;
    let mut everything = Everything {
        units: Vec::new(),
        cold_starts: Vec::new(),
        streams: Vec::new(),
        networks: Vec::new(),
        by_rate: Vec::new(),
        switched: Vec::new(),
        skipped: Vec::new(),
    };
    if python.is_none() {
        let why = "python3 has no package river; --venv DIR makes an environment that has it";
        everything.skipped.push(format!("{HALF_SPACE_TREES}: {why}"));
    }
    if main.is_dir() {
        units(&mut everything, &main, python.as_ref(), &progress)?;
        let seeds = if arguments.quick { QUICK_SEEDS } else { SEEDS };
        injected(&mut everything, dir, seeds, python.as_ref(), &progress)?;
        if arguments.quick {
            everything.skipped.push(String::from("cold start: left out by --quick"));
        } else {
            cold_starts(&mut everything, &main, python.as_ref(), &progress)?;
        }
    } else {
        everything.skipped.push(String::from("hybrid: not there"));
    }
    for name in STREAMS {
        let folder = dir.join(name);
        if !folder.is_dir() {
            everything.skipped.push(format!("{name}: not there"));
        } else if arguments.quick && name == QUICK_LEAVES_OUT {
            everything.skipped.push(format!("{name}: left out by --quick"));
        } else {
            progress.say(name);
            everything.streams.push((name, stream::judge_all(&folder, python.as_ref())?));
        }
    }
    networks(&mut everything, arguments, &progress)?;
    progress.say("done");
    Ok(everything)
}

/// The main set and its variants.
fn units(everything: &mut Everything, main: &Path, python: Option<&Python>, progress: &Progress) -> anyhow::Result<()> {
    let mut judge = |name: String, stream: &Stream, train_seconds: f64| {
        progress.say(&name);
        everything.units.push((name, hybrid::judge(stream, train_seconds, python)?));
        anyhow::Ok(())
    };
    judge(String::from("hybrid"), &reader::flows_of(main, 0.0)?, TRAIN_SECONDS)?;
    for (name, edit) in variants() {
        let mut stream = reader::flows_of(main, 0.0)?;
        stream.flows.iter_mut().for_each(edit);
        judge(format!("hybrid, {name}"), &stream, TRAIN_SECONDS)?;
    }
    for shift in SHIFTS.map(f64::from) {
        let name = format!("hybrid, grid moved by {shift} s");
        judge(name, &reader::flows_of(main, shift)?, TRAIN_SECONDS + shift)?;
    }
    Ok(())
}

type Edit = fn(&mut crate::flows::Flow);

/// The main set with less to go by.
fn variants() -> [(&'static str, Edit); 3] {
    [
        ("without outcomes", |flow| flow.outcome = Outcome::Unknown),
        ("without ports", |flow| flow.port = None),
        ("attacks all allowed", |flow| {
            if flow.is_attack {
                flow.outcome = Outcome::Allowed;
            }
        }),
    ]
}

/// The main set when little was learnt.
fn cold_starts(
    everything: &mut Everything,
    main: &Path,
    python: Option<&Python>,
    progress: &Progress,
) -> anyhow::Result<()> {
    for seconds in COLD_STARTS {
        progress.say(&format!("hybrid after {seconds} s of learning"));
        let mut stream = reader::flows_of(main, 0.0)?;
        #[allow(clippy::cast_possible_truncation)] // Saturates.
        let from = ((TRAIN_SECONDS - f64::from(seconds)) * SECOND as f64) as i64;
        stream.flows.retain(|flow| flow.time >= from);
        everything.cold_starts.push((seconds, hybrid::judge(&stream, TRAIN_SECONDS, python)?));
    }
    Ok(())
}

/// Streams with real captures placed on random services, made by the script beside the data.
fn injected(
    everything: &mut Everything,
    dir: &Path,
    seeds: u32,
    python: Option<&Python>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let (script, main, captures) = (dir.join("inject.py"), dir.join("hybrid"), dir.join("lateral-captures"));
    for (kind, more) in [("injected", &[][..]), ("hardest", &["--served", "1.0", "--allowed"][..])] {
        for seed in 1..=seeds {
            let name = format!("{kind}, seed {seed}");
            progress.say(&name);
            let made =
                Folder(std::env::temp_dir().join(format!("tradewind-eval-{}-{kind}-{seed}", std::process::id())));
            let status = Command::new("python3")
                .arg(&script)
                .args([main.as_path(), captures.as_path(), made.0.as_path()])
                .args(["--seed", &seed.to_string()])
                .args(more)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if !status.is_ok_and(|status| status.success()) {
                everything.skipped.push(format!("{name}: python3 could not make it"));
                continue;
            }
            let stream = reader::flows_of(&made.0, 0.0)?;
            everything.units.push((name, hybrid::judge(&stream, TRAIN_SECONDS, python)?));
        }
    }
    Ok(())
}

/// Weeks of made-up networks: with the shipped budget, then with a target of the rate of false findings.
fn networks(everything: &mut Everything, arguments: &AllArguments, progress: &Progress) -> anyhow::Result<()> {
    let networks = arguments.networks.unwrap_or(if arguments.quick { QUICK_NETWORKS } else { budget::NETWORKS });
    if networks == 0 {
        everything.skipped.push(String::from("made-up networks: left out by --networks 0"));
        return Ok(());
    }
    let asked = budget::Asked { has_cold_start: !arguments.quick, ..budget::Asked::of_networks(networks) };
    progress.say(&format!("{networks} made-up networks"));
    everything.networks = budget::judge(&asked)?;
    if arguments.quick {
        everything.skipped.push(String::from("target of the false discovery rate: left out by --quick"));
        return Ok(());
    }
    progress.say(&format!("{networks} made-up networks, by rate"));
    let asked = budget::Asked { fdr: Some(RATE), has_cold_start: false, ..asked };
    everything.by_rate = budget::judge(&asked)?;
    if arguments.ablation || arguments.write.is_some() {
        let half = budget::Asked::of_networks(networks.div_ceil(2));
        for (name, is_shipped_on) in SWITCHES {
            progress.say(&format!("{} of them with {name} {}", half.seeds.end - 1, on_or_off(!is_shipped_on)));
            let changes = vec![format!("{name}.is_enabled={}", !is_shipped_on)];
            let made = budget::judge(&budget::Asked { changes, ..half.clone() })?;
            everything.switched.push((name, !is_shipped_on, made));
        }
    }
    Ok(())
}

const fn on_or_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// A folder that goes when it is no longer needed.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the folder for temporary files harms nobody.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

//! Every labelled set with every peer in one run, as one report. Knows no protocol: those are [`hybrid`]'s and [`stream`]'s.

mod report;

use crate::flows::Stream;
use crate::hybrid::{self, Judgement};
use crate::{reader, stream};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tradewind_model::Outcome;
use tradewind_model::time::SECOND;

/// Seconds of the main set that teach.
const TRAIN_SECONDS: f64 = 1570.9;
/// How the grid of windows is moved, seconds.
const SHIFTS: [u32; 4] = [60, 120, 180, 240];
/// Seconds of learning before the test part, for the curve of a cold start.
const COLD_STARTS: [u32; 4] = [300, 600, 900, 1200];
const SEEDS: std::ops::RangeInclusive<u32> = 1..=5;
/// Sets of streams.
const STREAMS: [&str; 4] = ["darpa98", "westermo", "apt29-day1", "nezha"];

/// Everything that was judged.
struct Everything {
    /// The main set and its variants, by name in order.
    units: Vec<(String, Judgement)>,
    /// The main set after so many seconds of learning.
    cold_starts: Vec<(u32, Judgement)>,
    streams: Vec<(&'static str, BTreeMap<String, stream::Quality>)>,
    /// What could not be judged, and why.
    skipped: Vec<String>,
}

/// Judges everything below a folder; writes the report to a file, where one is given.
pub(crate) fn run(dir: &Path, has_ablation: bool, write: Option<&Path>, as_json: bool) -> anyhow::Result<()> {
    let everything = judge(dir)?;
    if as_json {
        println!("{}", report::json(&everything));
    } else {
        let text = report::markdown(&everything, has_ablation);
        println!("{text}");
    }
    if let Some(path) = write {
        std::fs::write(path, report::markdown(&everything, true))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

fn judge(dir: &Path) -> anyhow::Result<Everything> {
    let mut skipped = vec![String::from("half-space trees: not computed here; published figures are in the notes")];
    let mut units = Vec::new();
    let mut cold_starts = Vec::new();
    let main = dir.join("hybrid");
    if main.is_dir() {
        let read = |shift: f64| reader::flows_of(&main, shift);
        let stream = read(0.0)?;
        units.push((String::from("hybrid"), hybrid::judge(&stream, TRAIN_SECONDS)?));
        for (name, edit) in variants() {
            let mut stream = read(0.0)?;
            stream.flows.iter_mut().for_each(edit);
            units.push((format!("hybrid, {name}"), hybrid::judge(&stream, TRAIN_SECONDS)?));
        }
        for shift in SHIFTS.map(f64::from) {
            let stream = read(shift)?;
            units.push((format!("hybrid, grid moved by {shift} s"), hybrid::judge(&stream, TRAIN_SECONDS + shift)?));
        }
        for seconds in COLD_STARTS {
            cold_starts.push((seconds, hybrid::judge(&late(read(0.0)?, f64::from(seconds)), TRAIN_SECONDS)?));
        }
        injected(dir, &main, &mut units, &mut skipped)?;
    } else {
        skipped.push(String::from("hybrid: not there"));
    }
    let mut streams = Vec::new();
    for name in STREAMS {
        match dir.join(name) {
            folder if folder.is_dir() => streams.push((name, stream::judge_all(&folder)?)),
            _ => skipped.push(format!("{name}: not there")),
        }
    }
    Ok(Everything { units, cold_starts, streams, skipped })
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

/// The stream from so many seconds before its test part on.
fn late(mut stream: Stream, seconds: f64) -> Stream {
    #[allow(clippy::cast_possible_truncation)] // Saturates.
    let from = ((TRAIN_SECONDS - seconds) * SECOND as f64) as i64;
    stream.flows.retain(|flow| flow.time >= from);
    stream
}

/// Streams with real captures placed on random services, made by the script beside the data.
fn injected(
    dir: &Path,
    main: &Path,
    units: &mut Vec<(String, Judgement)>,
    skipped: &mut Vec<String>,
) -> anyhow::Result<()> {
    let script = dir.join("inject.py");
    let captures = dir.join("lateral-captures");
    for (name, more) in [("injected", &[][..]), ("hardest", &["--served", "1.0", "--allowed"][..])] {
        for seed in SEEDS {
            let made =
                Folder(std::env::temp_dir().join(format!("tradewind-eval-{}-{name}-{seed}", std::process::id())));
            let status = Command::new("python3")
                .arg(&script)
                .args([main, captures.as_path(), made.0.as_path()])
                .args(["--seed", &seed.to_string()])
                .args(more)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if !status.is_ok_and(|status| status.success()) {
                skipped.push(format!("{name}, seed {seed}: python3 could not make it"));
                continue;
            }
            let stream = reader::flows_of(&made.0, 0.0)?;
            units.push((format!("{name}, seed {seed}"), hybrid::judge(&stream, TRAIN_SECONDS)?));
        }
    }
    Ok(())
}

/// A folder that goes when it is no longer needed.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the folder for temporary files harms nobody.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

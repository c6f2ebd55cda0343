//! One round: an installation, traffic, faults, the wait until all is through, and the judgement beside an undisturbed run.

use crate::faults;
use crate::oracle::{Expected, Oracle};
use crate::outcome::Outcome;
use crate::producers::{Progress, produce};
use crate::stored;
use crate::strike::strike;
use crate::system::{LogKind, System};
use crate::told::say;
use crate::traffic::{EPOCH_RECORDS_MIN, Traffic};
use anyhow::Context as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An epoch takes so long at least, so that rates are kept.
const EPOCH_TIME: Duration = Duration::from_secs(1);
/// Ten windows: detection has learnt what is usual, and has met each kind of misbehaviour.
const EPOCHS_MIN: u64 = 50;
/// Epochs before the first fault: all stages are at work.
const EPOCHS_CALM: u64 = 3;
const CALM_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take until all is in the lake and judged, once nothing is disturbed any more.
const DRAIN_LIMIT: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_secs(2);
/// What the broker says when it leaves markers of a transaction out.
const LOST_MARKERS: &str = "these partitions are likely deleted already and hence can be skipped";
/// What the embedded log says of a torn write.
const TORN: &str = "cut a torn end off the log's journal";

/// What a round is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) log: LogKind,
    pub(crate) seed: u64,
    pub(crate) faults: usize,
    /// Records a second, of all producers.
    pub(crate) rate: u64,
    pub(crate) records_min: u64,
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

/// A system and what was sent to it.
struct Side {
    system: System,
    oracle: Oracle,
    progress: Progress,
}

impl Side {
    fn start(log: LogKind, plan: &Plan, name: &str) -> anyhow::Result<Self> {
        let system = System::start(log, &plan.program, &plan.folder.join(name), plan.seed)?;
        Ok(Self { system, oracle: Oracle::default(), progress: Progress::default() })
    }
}

/// Runs a round.
///
/// # Errors
/// What keeps it from being judged; a server that cannot be had downcasts to `ServerError`.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let mut outcome = Outcome { seed: plan.seed, ..Outcome::default() };
    let mut side = Side::start(plan.log, plan, "disturbed")?;
    let lanes = side.system.lanes.len() as u64;
    let traffic = Traffic { seed: plan.seed, lanes, epoch_records: plan.rate.max(EPOCH_RECORDS_MIN) / lanes * lanes };
    outcome.epochs = disturb(plan, &traffic, &side, &mut outcome)?;
    say(&format!("all faults are over after {} epochs; the undisturbed run begins", outcome.epochs));
    let healed = Instant::now();
    let mut reference = Side::start(LogKind::Embedded, plan, "reference")?;
    let (epochs, given) = (outcome.epochs, &reference);
    produce(&traffic, &given.system.lanes, &given.oracle, &given.progress, Duration::ZERO, &|epoch| epoch == epochs)
        .context("failed to send the undisturbed records")?;
    drain(&traffic, &side, &reference, &mut outcome, healed)?;
    let ended: Vec<String> = side
        .system
        .processes
        .iter()
        .flat_map(|process| {
            process.own_ends().into_iter().map(|end| format!("{} ended by itself: {end}", process.name))
        })
        .collect();
    outcome.troubles.extend(ended);
    outcome.starts = side.system.processes.iter().map(crate::process::Process::starts).sum();
    outcome
        .troubles
        .extend(side.system.end().into_iter().map(|name| format!("{name} did not end within its grace period")));
    reference.system.end();
    count_torn(&side.system, &mut outcome);
    if let Some(servers) = &side.system.servers {
        let log = std::fs::read_to_string(servers.kafka.log_file()).unwrap_or_default();
        outcome.broker_lost_markers = log.matches(LOST_MARKERS).count() as u64;
    }
    judge(&traffic, &side, &reference, &mut outcome)?;
    outcome.seconds = begun.elapsed().as_secs();
    side.system.keep_logs();
    Ok(outcome)
}

/// Sends records while faults are done. Returns how many epochs it were.
fn disturb(plan: &Plan, traffic: &Traffic, side: &Side, outcome: &mut Outcome) -> anyhow::Result<u64> {
    let is_calm = AtomicBool::new(false);
    let Side { system, oracle, progress } = side;
    let is_last = |epoch: u64| {
        let is_enough = epoch >= EPOCHS_MIN && progress.records.load(Ordering::Relaxed) >= plan.records_min;
        is_enough && is_calm.load(Ordering::Relaxed)
    };
    let epochs = thread::scope(|scope| {
        let producers = scope.spawn(|| produce(traffic, &system.lanes, oracle, progress, EPOCH_TIME, &is_last));
        let begun = Instant::now();
        while progress.epochs.load(Ordering::Relaxed) < EPOCHS_CALM
            && begun.elapsed() < CALM_LIMIT
            && !producers.is_finished()
        {
            thread::sleep(Duration::from_millis(100));
        }
        if progress.epochs.load(Ordering::Relaxed) == 0 {
            progress.is_stuck.store(true, Ordering::Relaxed);
            return Err(std::io::Error::other(
                "the service has not taken the first records; see the logs of its processes",
            ));
        }
        say(&format!("{} epochs are sent; faults begin", progress.epochs.load(Ordering::Relaxed)));
        let struck = strike(system, &faults::draw(plan.log, plan.faults, plan.seed), plan.seed);
        is_calm.store(true, Ordering::Relaxed);
        outcome.faults = struck.kinds.values().sum();
        outcome.faults_by_kind = struck.kinds;
        outcome.troubles.extend(struck.troubles);
        producers.join().unwrap_or_else(|_| Err(std::io::Error::other("the producers panicked")))
    });
    outcome.requests = progress.requests.load(Ordering::Relaxed);
    outcome.retries = progress.retries.load(Ordering::Relaxed);
    if progress.is_stuck.load(Ordering::Relaxed) {
        outcome.troubles.push("a request was not acknowledged for minutes".to_owned());
    }
    let refused = progress.refused.load(Ordering::Relaxed);
    if refused > 0 {
        outcome.troubles.push(format!("{refused} requests were refused as wrong"));
    }
    epochs.context("failed to send the records")
}

/// Waits until everything is in the lake and the findings are those of the undisturbed run, or the time is over.
fn drain(
    traffic: &Traffic,
    side: &Side,
    reference: &Side,
    outcome: &mut Outcome,
    healed: Instant,
) -> anyhow::Result<()> {
    let mut seen = None;
    let begun = Instant::now();
    loop {
        let counts = (progress_of(traffic, side), progress_of(traffic, reference));
        if seen != Some(counts.clone()) {
            say(&format!("in the lake: {}; of the undisturbed run: {}", counts.0.1, counts.1.1));
        }
        let is_through = counts.0.0 && counts.1.0;
        if is_through && outcome.drain_s == 0 {
            outcome.drain_s = healed.elapsed().as_secs();
        }
        if is_through && seen == Some(counts.clone()) && differences(side, reference)?.0.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > DRAIN_LIMIT {
            say("the time to wait is over");
            return Ok(());
        }
        seen = Some(counts);
        thread::sleep(LOOK);
    }
}

/// Whether all is in, and how much is.
fn progress_of(traffic: &Traffic, side: &Side) -> (bool, String) {
    let Expected { flows, letters, unknown } = side.oracle.expected(traffic);
    match stored::counts(&side.system).and_then(|counts| Ok((counts, stored::findings(&side.system)?.1))) {
        Ok(((found_flows, found_letters), findings)) => {
            let is_in = found_flows + found_letters >= flows + letters
                && found_flows + found_letters <= flows + letters + unknown;
            (
                is_in,
                format!(
                    "{found_flows} flows of {flows}, {found_letters} letters of {letters}, {findings} rows of findings"
                ),
            )
        }
        Err(error) => (false, format!("{error:#}")),
    }
}

/// Every torn write has to have been noticed: what is cut off a journal is said, with how much it was.
fn count_torn(system: &System, outcome: &mut Outcome) {
    let torn = outcome.faults_by_kind.get("torn_write").copied().unwrap_or_default();
    let logs = system.processes.iter().map(|process| system.folder.join(format!("{}.log", process.name)));
    let logs = logs.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    outcome.torn_ends_cut = logs.map(|log| log.matches(TORN).count() as u64).sum();
    if outcome.torn_ends_cut < torn {
        outcome.troubles.push(format!("of {torn} torn writes {} were noticed", outcome.torn_ends_cut));
    }
}

fn judge(traffic: &Traffic, side: &Side, reference: &Side, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.take(side.oracle.judge(traffic, &stored::flows(&side.system)?, &stored::letters(&side.system)?));
    let undisturbed =
        reference.oracle.judge(traffic, &stored::flows(&reference.system)?, &stored::letters(&reference.system)?);
    if !undisturbed.is_right() {
        outcome.troubles.push(format!("the undisturbed run is wrong, too: {undisturbed:?}"));
    }
    let (differences, found, expected) = differences(side, reference)?;
    (outcome.finding_differences, outcome.findings, outcome.findings_expected) = (differences, found, expected);
    if expected == 0 {
        outcome.troubles.push("the undisturbed run has no findings, so that nothing could be compared".to_owned());
    }
    let verify =
        side.system.command("verify", &["lake", "verify", "--from", "2026-01-05", "--to", "2026-01-06"], false)?;
    outcome.is_lake_whole = verify.command()?.status().context("failed to start tradewind")?.success();
    Ok(())
}

/// What the findings differ in; how many there are, and of the undisturbed run.
fn differences(side: &Side, reference: &Side) -> anyhow::Result<(Vec<String>, u64, u64)> {
    let (found, _) = stored::findings(&side.system)?;
    let (expected, _) = stored::findings(&reference.system)?;
    Ok((compare(&found, &expected), found.len() as u64, expected.len() as u64))
}

fn compare(found: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>) -> Vec<String> {
    let mut differences = Vec::new();
    let ids: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    for id in ids {
        match (found.get(id), expected.get(id)) {
            (Some(found), Some(expected)) if found == expected => {}
            (Some(found), Some(expected)) => {
                let names: BTreeSet<&String> = [found, expected]
                    .into_iter()
                    .filter_map(Value::as_object)
                    .flat_map(|fields| fields.keys())
                    .collect();
                for name in names.into_iter().filter(|name| found[name.as_str()] != expected[name.as_str()]) {
                    differences.push(format!(
                        "{id}: {name} is {}, not {}",
                        found[name.as_str()],
                        expected[name.as_str()]
                    ));
                }
            }
            (Some(found), None) => {
                differences.push(format!("{id} is too much: {} at {}", found["title"], found["time"]))
            }
            (None, Some(expected)) => {
                differences.push(format!("{id} is missing: {} at {}", expected["title"], expected["time"]))
            }
            (None, None) => {}
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(found: &Value, expected: &Value, differences: &[&str]) {
        let by_id = |rows: &Value| {
            let rows = rows.as_array().cloned().unwrap_or_default();
            rows.into_iter().map(|row| (row["finding_id"].as_str().unwrap_or_default().to_owned(), row)).collect()
        };
        assert_eq!(compare(&by_id(found), &by_id(expected)), differences);
    }

    #[test]
    fn findings_are_compared_field_by_field() {
        let (scan, breach) = (
            json!({"finding_id": "1", "title": "scan", "flow_count": 40, "time": 5}),
            json!({"finding_id": "2", "title": "breach", "time": 6}),
        );
        let changed = json!({"finding_id": "1", "title": "scan", "flow_count": 39, "time": 5});
        check(&json!([scan, breach]), &json!([breach, scan]), &[]);
        check(&json!([scan]), &json!([scan, breach]), &["2 is missing: \"breach\" at 6"]);
        check(&json!([scan, breach]), &json!([scan]), &["2 is too much: \"breach\" at 6"]);
        check(&json!([changed]), &json!([scan]), &["1: flow_count is 39, not 40"]);
    }
}

//! Benchmark `restore`: with many edges known, how long the stages of detection take from a SIGKILL to their work, how large
//! their snapshots are, what one writes when a hundredth of the edges has changed, and how long detection stands still for it.

use crate::sender::{PARTITIONS, Sender, connect};
use crate::service::{self, Member, Running, Service};
use crate::snapshots::{self, Newest};
use crate::vpc::push_number;
use crate::{Arguments, pipeline};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tradewind_model::{Clock, SystemClock};

/// Destinations of one source.
const REACHED: u64 = 100;
/// Destinations of all.
const SERVERS: u64 = 2_000;
/// Windows in which each edge has a flow, and their length in seconds.
const WINDOWS: u64 = 3;
const WINDOW: u64 = 300;
/// Lines of a raw record.
const RECORD_LINES: u64 = 2_000;
/// Seconds between two snapshots.
const SNAPSHOT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(600);
/// How long snapshots are waited for at most.
const SETTLED: Duration = Duration::from_secs(60);
/// How long it is looked whether detection stands still.
const STEADY: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_millis(10);
const FLOWS: &str = "tradewind.detect.flows";
const SIGNALS: &str = "tradewind.correlate.signals";

/// Runs the benchmark and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = crate::ingest::program(arguments)?;
    let temporary = tempfile::tempdir().context("failed to make a temporary folder")?;
    let folder = service::folder(arguments, &temporary)?;
    let kafka = pipeline::broker()?;
    let settings = format!("[detection]\nsnapshot_s = {}\n[log]\nlevel = \"info\"\n", SNAPSHOT.as_secs());
    let service = Service { program, folder: folder.clone(), brokers: kafka.bootstrap(), settings };
    let members = [service.member("detect")?, service.member("correlate")?];
    let normalise = service.member("normalise")?;
    normalise.finish(&["topics", "create"])?;
    let _normalise = normalise.start("normalise")?;
    let edges = arguments.edges.unwrap_or(if arguments.quick { 100_000 } else { 1_000_000 });
    let mut bench = Bench {
        edges,
        detection: Detection::start(&members)?,
        sender: Sender::new(&connect(&kafka.bootstrap())?)?,
        lake: folder.join("lake"),
        second: u64::try_from(SystemClock.now() / 1_000_000)? / WINDOW * WINDOW - (WINDOWS + 10) * WINDOW,
        sent: 0,
        unknown: 0,
    };
    let report = bench.run(&members, arguments.repetitions.unwrap_or(3))?;
    crate::tell(arguments, &report);
    Ok(())
}

/// The two stages of detection.
#[derive(Debug)]
struct Detection {
    detect: Running,
    correlate: Running,
}

impl Detection {
    fn start([detect, correlate]: &[Member; 2]) -> anyhow::Result<Self> {
        Ok(Self { detect: detect.start("detect")?, correlate: correlate.start("correlate")? })
    }

    /// Resident memory now and the most so far, MB, by stage.
    fn memory(&self) -> anyhow::Result<Value> {
        let of = |running: &Running| {
            let (now, peak) = running.memory_mb()?;
            Ok::<_, anyhow::Error>(json!({ "now_mb": now.round(), "peak_mb": peak.round() }))
        };
        Ok(json!({ "detect": of(&self.detect)?, "correlate": of(&self.correlate)? }))
    }
}

struct Bench {
    edges: u64,
    detection: Detection,
    sender: Sender,
    lake: PathBuf,
    /// Event time.
    second: u64,
    /// Flows since detection was started.
    sent: u64,
    /// How often edges were met that were not known.
    unknown: u64,
}

impl Bench {
    fn run(&mut self, members: &[Member; 2], repetitions: u16) -> anyhow::Result<Value> {
        let begun = Instant::now();
        for window in 1..=WINDOWS {
            eprintln!("window {window} of {WINDOWS}: {} edges", self.edges);
            self.send((0..self.edges).collect())?;
            self.second += WINDOW;
        }
        self.consumed()?;
        let learning_s = begun.elapsed().as_secs_f64();
        // The last window closes.
        self.pass(3 * WINDOW)?;
        let full = self.settled()?.0;
        eprintln!("a hundredth of the edges has a flow");
        let changed = self.written_by(|bench| bench.send((0..bench.edges).step_by(100).collect()))?;
        let unchanged = self.written_by(|_| Ok(()))?;
        eprintln!("a few flows all the time");
        let (stall_s, snapshots) = self.steady()?;
        let learnt = self.detection.memory()?;
        let mut restores = Vec::new();
        for repetition in 1..=repetitions {
            eprintln!("restore {repetition} of {repetitions}");
            restores.push(self.restore(members)?);
        }
        let most = |of: fn(&(f64, f64)) -> f64| restores.iter().map(of).fold(0.0, f64::max);
        self.settled()?;
        let restored = self.detection.memory()?;
        let sum = |of: fn(&Newest) -> u64, prefix: &str| -> u64 {
            full.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, newest)| of(newest)).sum()
        };
        Ok(json!({
            "bench": "restore",
            "edges": self.edges,
            "restore_s": most(|times| times.0.max(times.1)),
            "restore_detect_s": most(|times| times.0),
            "restore_correlate_s": most(|times| times.1),
            "repetitions": repetitions,
            "detect_state_mb": megabytes(sum(|newest| newest.bytes, "detect")),
            "detect_packed_mb": megabytes(sum(|newest| newest.packed, "detect")),
            "detect_state_bytes_per_edge": sum(|newest| newest.bytes, "detect") / self.edges,
            "correlate_state_mb": megabytes(sum(|newest| newest.bytes, "correlate")),
            "correlate_packed_mb": megabytes(sum(|newest| newest.packed, "correlate")),
            "written_hundredth_mb": megabytes(changed.0),
            "snapshots_hundredth": changed.1,
            "written_nothing_mb": megabytes(unchanged.0),
            "snapshots_nothing": unchanged.1,
            "detect_stands_still_s": stall_s,
            "snapshots_meanwhile": snapshots,
            "memory_learnt": learnt,
            "memory_restored": restored,
            "learning_s": learning_s,
        }))
    }

    /// Sends a flow of each of these edges, at the event time.
    fn send(&mut self, edges: Vec<u64>) -> anyhow::Result<()> {
        self.sent += edges.len() as u64;
        let mut records = edges.chunks(usize::try_from(RECORD_LINES)?).map(|edges| lines(edges, self.second));
        loop {
            let texts: Vec<Vec<u8>> = records.by_ref().take(usize::try_from(PARTITIONS)?).collect();
            if texts.is_empty() {
                return Ok(());
            }
            self.sender.write(texts)?;
        }
    }

    /// Lets event time pass: one flow in each raw partition after it.
    fn pass(&mut self, seconds: u64) -> anyhow::Result<()> {
        self.second += seconds;
        let count = u64::try_from(PARTITIONS)?;
        let texts = (0..count).map(|edge| lines(&[edge], self.second)).collect();
        self.sender.write(texts)?;
        self.sent += count;
        self.consumed()
    }

    /// Waits until detection has all that was sent.
    fn consumed(&mut self) -> anyhow::Result<()> {
        let sent = self.sent;
        self.detection.detect.until(|metrics| metrics[FLOWS].as_u64() >= Some(sent))
    }

    /// Bytes that stage detect writes for snapshots from something being done until all windows have closed, and how many
    /// snapshots of a partition these are.
    fn written_by(&mut self, act: impl FnOnce(&mut Self) -> anyhow::Result<()>) -> anyhow::Result<(u64, usize)> {
        const WRITTEN: &str = "tradewind.detect.snapshot_bytes";
        let before = self.detection.detect.metric(WRITTEN);
        act(self)?;
        self.pass(3 * WINDOW)?;
        let (_, snapshots) = self.settled()?;
        Ok((self.detection.detect.metric(WRITTEN) - before, snapshots))
    }

    /// Waits until what was told is in the snapshots: until there are two more of each partition, or none comes any more. The
    /// newest ones, and how many of stage detect were written meanwhile.
    fn settled(&mut self) -> anyhow::Result<(BTreeMap<String, Newest>, usize)> {
        let before = snapshots::newest(&self.lake)?;
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let begun = Instant::now();
        loop {
            std::thread::sleep(LOOK * 20);
            let found = snapshots::newest(&self.lake)?;
            for (state, newest) in found.iter().filter(|(state, _)| state.starts_with("detect")) {
                if before.get(state) != Some(newest) {
                    names.entry(state.clone()).or_default().insert(newest.name.clone());
                }
            }
            let is_settled = i32::try_from(names.len())? == PARTITIONS && names.values().all(|names| names.len() >= 2);
            if is_settled || begun.elapsed() > SETTLED {
                return Ok((found, names.values().map(BTreeSet::len).sum()));
            }
        }
    }

    /// The longest time in which detection took no flow in though there were some all the time, in seconds; and how many
    /// snapshots were written meanwhile.
    fn steady(&mut self) -> anyhow::Result<(f64, usize)> {
        let begun = Instant::now();
        let (mut last, mut at, mut longest, mut names) = (0, Instant::now(), Duration::ZERO, BTreeSet::new());
        while begun.elapsed() < STEADY {
            let texts = (0..u64::try_from(PARTITIONS)?).map(|edge| lines(&[edge * 7], self.second)).collect();
            self.sender.write(texts)?;
            self.sent += u64::try_from(PARTITIONS)?;
            let flows = self.detection.detect.metric(FLOWS);
            if flows > last {
                (last, longest, at) = (flows, longest.max(at.elapsed()), Instant::now());
            }
            let found = snapshots::newest(&self.lake)?;
            names.extend(found.into_iter().map(|(state, newest)| (state, newest.name)));
            std::thread::sleep(LOOK);
        }
        self.consumed()?;
        Ok((longest.as_secs_f64(), names.len()))
    }

    /// Kills both stages, and starts them when there is something to do. Seconds until each has done something.
    fn restore(&mut self, members: &[Member; 2]) -> anyhow::Result<(f64, f64)> {
        self.detection.detect.kill();
        self.detection.correlate.kill();
        self.second += WINDOW;
        self.sent = 0;
        // Edges that nobody knows: each is a signal.
        self.send((self.edges + self.unknown..).step_by(977).take(100).collect())?;
        self.unknown += 1;
        let begun = Instant::now();
        self.detection = Detection::start(members)?;
        let (mut detect_s, mut correlate_s) = (None, None);
        loop {
            let Detection { detect, correlate } = &mut self.detection;
            detect.check()?;
            correlate.check()?;
            if detect_s.is_none() && detect.metric(FLOWS) > 0 {
                detect_s = Some(begun.elapsed().as_secs_f64());
            }
            if correlate_s.is_none() && correlate.metric(SIGNALS) > 0 {
                correlate_s = Some(begun.elapsed().as_secs_f64());
            }
            if let (Some(detect_s), Some(correlate_s)) = (detect_s, correlate_s) {
                return Ok((detect_s, correlate_s));
            }
            ensure!(begun.elapsed() < PATIENCE, "detection does not come back: {}", members[0].said());
            std::thread::sleep(LOOK);
        }
    }
}

fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1e4).round() / 100.0
}

/// A line of each of these edges.
fn lines(edges: &[u64], second: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(edges.len() * 110);
    for &edge in edges {
        let (client, place) = (edge / REACHED, edge % REACHED);
        // 13 and the number of servers have no common divisor, so all destinations of a client differ.
        let server = (client * 37 + place * 13) % SERVERS;
        text.extend_from_slice(b"2 123456789010 eni-0bench 10.");
        for (network, number, end) in [(64, client, &b" 10."[..]), (96, server, b" ")] {
            for (part, behind) in
                [(network + (number >> 16), &b"."[..]), (number >> 8 & 255, b"."), (number & 255, end)]
            {
                push_number(&mut text, part);
                text.extend_from_slice(behind);
            }
        }
        push_number(&mut text, 32_768 + second / WINDOW % 20_000);
        text.extend_from_slice(b" 8443 6 10 4000 ");
        push_number(&mut text, second.saturating_sub(1));
        text.push(b' ');
        push_number(&mut text, second);
        text.extend_from_slice(b" ACCEPT OK\n");
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn edges_differ() {
        let text = String::from_utf8(lines(&(0..50_000).collect::<Vec<_>>(), 1_800_000_000)).unwrap();
        let pairs: HashSet<(&str, &str)> = text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                assert_eq!(words.len(), 14, "{line}");
                assert!(words[3].starts_with("10.64.") && words[4].starts_with("10.96."), "{line}");
                (words[3], words[4])
            })
            .collect();
        assert_eq!(pairs.len(), 50_000);
    }
}

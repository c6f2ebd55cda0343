//! Benchmark `latency`: under a constant load, how long a record takes from Kafka to its row in the lake and to a finding, and how
//! much memory each stage has meanwhile.
//!
//! A producer of its own writes VPC lines of now into the raw topic at a steady rate, and among them marks that a finding must
//! follow at once. Whoever wants to know whether memory stays flat lets it run for ten minutes.

use crate::marks::{self, Kind, Mark};
use crate::sampler::{self, Series};
use crate::sender::{PARTITIONS, Sender, connect};
use crate::service::{self, Running, Service};
use crate::spread::Spread;
use crate::vpc::Stream;
use crate::watch::{Seen, Trace, Watch};
use crate::{Arguments, pipeline};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};
use tradewind_model::{Clock, SystemClock};

const SEED: u64 = 20_260_115;
/// The default of `[store] interval_ms`.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two marks of each kind. Contacts are few, so that they stay unusual.
const BREACH_EVERY: Duration = Duration::from_millis(200);
const CONTACT_EVERY: Duration = Duration::from_secs(2);
/// The past, so that detection has learnt what is usual: windows, their length in seconds, and lines of each.
const PAST: (u64, u64, u64) = (6, 300, 20_000);
/// Lines are written so often at most.
const TICK: Duration = Duration::from_millis(10);
/// How long the last rows and findings are waited for.
const DRAIN: Duration = Duration::from_secs(60);
const STAGES: [&str; 4] = ["normalise", "store", "detect", "correlate"];

/// Runs the benchmark and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = crate::ingest::program(arguments)?;
    let temporary = tempfile::tempdir().context("failed to make a temporary folder")?;
    let folder = service::folder(arguments, &temporary)?;
    let time = Duration::from_secs(arguments.seconds.unwrap_or(if arguments.quick { 15 } else { 60 }));
    let load = Load { rate: arguments.rate, time };
    let mut stream = Stream::new(SEED);
    let inventory = stream.estate.inventory() + &marks::inventory(load.marks(BREACH_EVERY), load.marks(CONTACT_EVERY));
    fs::write(folder.join("inventory.csv"), inventory)?;
    fs::write(folder.join("policy.toml"), marks::POLICY)?;
    let kafka = pipeline::broker()?;
    let settings = "[inventory]\nfile = \"inventory.csv\"\n[policy]\npath = \"policy.toml\"\n".to_owned();
    let service = Service { program, folder: folder.clone(), brokers: kafka.bootstrap(), settings };
    let aside = service.member("aside")?;
    aside.finish(&["topics", "create"])?;
    let groups: Vec<String> = match arguments.together {
        true => vec![STAGES.join(",")],
        false => STAGES.map(str::to_owned).into(),
    };
    let mut processes = BTreeMap::new();
    for stages in groups {
        let name = if arguments.together { "all" } else { &stages };
        processes.insert(name.to_owned(), service.member(name)?.start(&stages)?);
    }
    let mut sender = Sender::new(&connect(&kafka.bootstrap())?)?;
    eprintln!("telling the past");
    let past = tell_past(&mut stream, &mut sender, load)?;
    for metric in ["tradewind.store.flows", "tradewind.detect.flows"] {
        let stage = if metric.contains("store") { "store" } else { "detect" };
        let process = processes.get_mut(if arguments.together { "all" } else { stage }).context("no such process")?;
        process.until(|metrics| metrics[metric].as_u64() >= Some(past))?;
    }
    eprintln!("{} flows a second for {} s", load.rate, load.time.as_secs());
    let watch = Watch::start(&kafka.bootstrap(), &folder.join("lake"))?;
    std::thread::sleep(Duration::from_secs(2));
    let cpu_before = cpu(&processes)?;
    let (sent, series) = std::thread::scope(|scope| {
        let sampling = scope.spawn(|| sample(&processes, load.time));
        let sent = load.send(&mut stream, &mut sender);
        let series = sampling.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the sampling panicked")));
        Ok::<_, anyhow::Error>((sent?, series?))
    })?;
    let cpu_after = cpu(&processes)?;
    drain(&watch, &sent, &mut processes)?;
    let seen = watch.end()?;
    let stored =
        aside.ask("SELECT count(DISTINCT src_entity) FROM flows WHERE src_entity LIKE '-/bench/%/breach-%'")?;
    ensure!(stored.trim() == sent.count(Kind::Breach).to_string(), "the lake holds {stored} of the breaches");
    let cores: Value = cpu_after
        .iter()
        .map(|(name, after)| (name.clone(), json!((after - cpu_before[name]) / sent.seconds)))
        .collect();
    let mut report = report(load, &sent, &seen, &series);
    report["cores"] = cores;
    report["processes"] = json!(processes.len());
    processes.values_mut().try_for_each(Running::stop)?;
    crate::tell(arguments, &report);
    Ok(())
}

/// So many flows a second for so long.
#[derive(Clone, Copy, Debug)]
struct Load {
    rate: u64,
    time: Duration,
}

/// What was sent.
#[derive(Debug, Default)]
struct Sent {
    flows: u64,
    seconds: f64,
    /// When the record of each mark was made, microseconds since 1970.
    marks: BTreeMap<Mark, i64>,
    /// From the making of records until they were durable in the raw topic.
    produced: Spread,
}

impl Sent {
    fn count(&self, kind: Kind) -> usize {
        self.marks.keys().filter(|mark| mark.kind == kind).count()
    }
}

impl Load {
    /// How many marks there may be.
    fn marks(self, every: Duration) -> u32 {
        u32::try_from(self.time.as_millis() / every.as_millis()).unwrap_or(u32::MAX - 1) + 1
    }

    /// Sends as many lines as are due, as often as the broker answers.
    fn send(self, stream: &mut Stream, sender: &mut Sender) -> anyhow::Result<Sent> {
        let (begun, mut sent) = (Instant::now(), Sent::default());
        let mut next = [(Kind::Breach, BREACH_EVERY, 0), (Kind::Contact, CONTACT_EVERY, 0_u32)];
        let mut first = 0;
        loop {
            let elapsed = begun.elapsed();
            if elapsed >= self.time {
                sent.seconds = elapsed.as_secs_f64();
                return Ok(sent);
            }
            let due = u64::try_from(elapsed.as_micros())?.saturating_mul(self.rate) / 1_000_000;
            let second = u64::try_from(SystemClock.now() / 1_000_000)?;
            let mut texts = vec![Vec::new(); usize::try_from(PARTITIONS)?];
            let parts = texts.len() as u64;
            for (place, text) in (0..parts).zip(&mut texts) {
                let count = (due - sent.flows + place) / parts;
                stream.push(text, count, second);
            }
            sent.flows = due;
            let mut marks = Vec::new();
            for (kind, every, number) in &mut next {
                if elapsed >= *every * *number {
                    marks.push(Mark { kind: *kind, number: *number });
                    *number += 1;
                }
            }
            for mark in &marks {
                mark.push(&mut texts[first], second);
                first = (first + 1) % texts.len();
            }
            let made = sender.write(texts)?;
            sent.produced.add(SystemClock.now() - made, 1);
            sent.marks.extend(marks.into_iter().map(|mark| (mark, made)));
            let rest = (elapsed + TICK).saturating_sub(begun.elapsed());
            std::thread::sleep(rest);
        }
    }
}

/// Sends a thinner past of what is usual. How many flows it has.
fn tell_past(stream: &mut Stream, sender: &mut Sender, load: Load) -> anyhow::Result<u64> {
    let (windows, length, lines) = PAST;
    let now = u64::try_from(SystemClock.now() / 1_000_000)?;
    let contacts = load.marks(CONTACT_EVERY);
    let mut flows = 0;
    const STEPS: u64 = 20;
    for step in (1..=windows * STEPS).rev() {
        let second = now - step * length / STEPS;
        let mut texts = vec![Vec::new(); usize::try_from(PARTITIONS)?];
        for text in &mut texts {
            stream.push(text, lines / STEPS / 4, second);
            flows += lines / STEPS / 4;
        }
        if step % STEPS == STEPS / 2 {
            for number in 0..contacts {
                let place = usize::try_from(number)? % texts.len();
                Mark { kind: Kind::Contact, number }.push_usual(&mut texts[place], second);
                flows += 4;
            }
        }
        sender.write(texts)?;
    }
    Ok(flows)
}

fn cpu(processes: &BTreeMap<String, Running>) -> anyhow::Result<BTreeMap<String, f64>> {
    processes.iter().map(|(name, process)| Ok((name.clone(), process.cpu_seconds()?))).collect()
}

fn sample(processes: &BTreeMap<String, Running>, time: Duration) -> anyhow::Result<BTreeMap<String, Series>> {
    let (begun, mut all) = (Instant::now(), BTreeMap::<String, Series>::new());
    while begun.elapsed() < time {
        for (name, process) in processes {
            all.entry(name.clone()).or_default().look(process)?;
        }
        std::thread::sleep(sampler::INTERVAL);
    }
    Ok(all)
}

/// Waits until all rows are in the lake and every breach was told, but not for ever.
fn drain(watch: &Watch, sent: &Sent, processes: &mut BTreeMap<String, Running>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < DRAIN {
        processes.values_mut().try_for_each(Running::check)?;
        let seen = watch.seen();
        let is_told = |mark: &Mark| seen.marks.get(mark).is_some_and(|trace| trace.in_findings.is_some());
        if seen.flows >= sent.flows && seen.waiting() == 0 && sent.marks.keys().all(is_told) {
            break;
        }
        drop(seen);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn report(load: Load, sent: &Sent, seen: &Seen, series: &BTreeMap<String, Series>) -> Value {
    let findings = |kind| {
        let mut spread = Spread::default();
        for (mark, &made) in sent.marks.iter().filter(|(mark, _)| mark.kind == kind) {
            let told = seen.marks.get(mark).and_then(|trace| trace.in_findings);
            told.into_iter().for_each(|told| spread.add(told - made, 1));
        }
        spread
    };
    let (breaches, contacts) = (findings(Kind::Breach), findings(Kind::Contact));
    let peak = series.values().map(Series::peak_mb).fold(0.0, f64::max);
    json!({
        "bench": "latency",
        "rate": load.rate,
        "flows": sent.flows,
        "flows_seen": seen.flows,
        "seconds": sent.seconds.round(),
        "commit_interval_s": COMMIT_INTERVAL.as_secs(),
        "commits": seen.commits,
        "row_visible_p50_s": seen.rows.permille_s(500),
        "row_visible_p99_s": seen.rows.permille_s(990),
        "row_visible_max_s": seen.rows.permille_s(1_000),
        "rows": seen.rows.count(),
        "finding_p50_s": breaches.permille_s(500),
        "finding_p99_s": breaches.permille_s(990),
        "finding_max_s": breaches.permille_s(1_000),
        "findings": format!("{} of {}", breaches.count(), sent.count(Kind::Breach)),
        "contact_finding_p50_s": contacts.permille_s(500),
        "contact_finding_p99_s": contacts.permille_s(990),
        "contact_finding_max_s": contacts.permille_s(1_000),
        "contact_findings": format!("{} of {}", contacts.count(), sent.count(Kind::Contact)),
        "findings_in_all": seen.findings,
        "hops": hops(sent, seen),
        "memory": sampler::json(series),
        "peak_rss_mb": peak.round(),
        "seed": SEED,
    })
}

/// Where the time goes on the way of a breach, one hop after the other.
fn hops(sent: &Sent, seen: &Seen) -> Value {
    type Step = fn(&Trace) -> Option<i64>;
    let steps: [(&str, Step); 6] = [
        ("to_normalised", |trace| trace.normalised),
        ("to_flows_read", |trace| trace.in_flows),
        ("to_signalled", |trace| trace.signalled),
        ("to_signals_read", |trace| trace.in_signals),
        ("to_decided", |trace| trace.decided),
        ("to_findings_read", |trace| trace.in_findings),
    ];
    let mut spreads = vec![Spread::default(); steps.len()];
    for (mark, &made) in sent.marks.iter().filter(|(mark, _)| mark.kind == Kind::Breach) {
        let Some(trace) = seen.marks.get(mark) else { continue };
        let mut before = made;
        for ((_, step), spread) in steps.iter().zip(&mut spreads) {
            let Some(at) = step(trace) else { break };
            spread.add(at - before, 1);
            before = at;
        }
    }
    let mut hops: Value =
        steps.iter().zip(&spreads).map(|((name, _), spread)| ((*name).to_owned(), spread.json())).collect();
    hops["raw_durable"] = sent.produced.json();
    hops
}

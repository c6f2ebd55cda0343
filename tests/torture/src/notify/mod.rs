//! `tradewind-torture notify`: stage `notify` on a real Kafka, with sinks that fail in 30 of a hundred requests and a process that is
//! killed again and again, also between what a sink has taken in and the outbox's note of it. Afterwards each finding has to be at
//! every sink, each incident opened once and ended once, in order, and the outbox empty.

mod ledger;
mod outcome;
mod sinks;
mod story;
mod vendors;
mod web;

use crate::arguments::program_at;
use crate::process::{Process, Program, tail};
use crate::random::Random;
use crate::told::say;
use crate::{ports, remove};
use anyhow::{Context as _, bail};
use outcome::Outcome;
use sinks::Sinks;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use story::{Line, Story, Topic};
use tradewind_kafka_testkit::{Feed, Kafka, KafkaOptions};

const TOPIC_PREFIX: &str = "torture";
/// When nothing was taken in for so long, nothing more will be.
const STALLED: Duration = Duration::from_secs(30);
/// After the last delivery: what comes too late comes now.
const QUIET: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(100);
const END_LIMIT: Duration = Duration::from_secs(30);
/// Between two kills, on average: the time to start and to deliver something.
const KILL_EVERY: Duration = Duration::from_millis(3_500);
/// All is told within this time at least.
const TIME_MIN: Duration = Duration::from_secs(10);
/// Findings a second at most.
const FINDINGS_PER_SECOND: u64 = 60;

/// Torture stage `notify`: sinks fail in 30 of a hundred requests, and the process is killed again and again
///
/// Afterwards each finding has to be at every sink, each incident opened once and ended once, in order, and nothing left.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct NotifyArguments {
    /// How many findings
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    findings: u64,

    /// How often the process is killed
    #[arg(long, value_name = "N", default_value_t = 3)]
    kills: u64,

    /// Decides on findings, faults and kills
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Of a hundred requests to sinks so many fail
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=90))]
    failing: u64,

    /// Write the result as JSON
    #[arg(long)]
    json: bool,

    /// Folder for configuration, outbox and logs; kept
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// The program [default: `tradewind` beside this one]
    #[arg(long, value_name = "FILE", env = "TRADEWIND_BIN")]
    tradewind: Option<PathBuf>,
}

/// Runs it and tells the result. Whether all is right.
///
/// # Errors
/// What keeps it from being judged; a server that cannot be had downcasts to `ServerError`.
pub(crate) fn run(arguments: &NotifyArguments) -> anyhow::Result<bool> {
    let program = program_at(arguments.tradewind.as_deref())?;
    let folder = match &arguments.keep {
        Some(folder) => std::path::absolute(folder).context("failed to find the folder")?,
        // Kept, so that what went wrong can be looked at; removed below where nothing did.
        None => {
            tempfile::Builder::new().prefix("tradewind-torture-").tempdir().context("failed to make a folder")?.keep()
        }
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let outcome = torture(arguments, &program, &folder).with_context(|| format!("see {}", folder.display()))?;
    outcome.tell(arguments.json)?;
    match (outcome.is_right(), &arguments.keep) {
        (true, None) => remove(&folder)?,
        (false, _) => say(&format!("see {}", folder.display())),
        _ => {}
    }
    Ok(outcome.is_right())
}

fn torture(arguments: &NotifyArguments, program: &Path, folder: &Path) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let kills = u32::try_from(arguments.kills).unwrap_or(u32::MAX);
    let time = (KILL_EVERY * kills).max(TIME_MIN).max(Duration::from_secs(arguments.findings / FINDINGS_PER_SECOND));
    let story = Story::new(arguments.findings, arguments.seed, time);
    let kafka = Kafka::start(KafkaOptions::default())?;
    let sinks = Sinks::serve(arguments.seed, arguments.failing, folder)?;
    let port = ports::free(1)?.first().copied().context("there is no free port")?;
    let text = configuration(&kafka.bootstrap(), port, &sinks);
    let file = folder.join("notify.toml");
    std::fs::write(&file, text).context("failed to write the configuration")?;
    let command = |name: &str, arguments: &[&str]| Program {
        name: name.to_owned(),
        path: program.to_owned(),
        arguments: ["--config", &file.display().to_string()]
            .iter()
            .chain(arguments)
            .map(|&word| word.to_owned())
            .collect(),
        environment: sinks::environment(),
        log: folder.join(format!("{name}.log")),
    };
    let created = command("topics", &["topics", "create"]).command()?.status().context("failed to start tradewind")?;
    if !created.success() {
        bail!("`tradewind topics create` fails:\n{}", tail(&folder.join("topics.log"), 10));
    }
    let feeds = [kafka.feed(&format!("{TOPIC_PREFIX}.findings"))?, kafka.feed(&format!("{TOPIC_PREFIX}.incidents"))?];
    let mut process = Process::start(command("notify", &["run", "--stages", "notify"]), arguments.seed);
    say(&format!("{} findings in {} incidents over {} s", arguments.findings, story.incidents(), time.as_secs()));
    let killed = thread::scope(|scope| {
        let killer = scope.spawn(|| kill(&process, &sinks, arguments, time));
        let feeder = scope.spawn(|| feed(&story, feeds));
        let killed = killer.join().unwrap_or_default();
        let fed = feeder.join().unwrap_or_else(|_| bail!("the feeder panicked"));
        fed.map(|()| killed)
    })?;
    say(&format!("all is told, {killed} kills are over"));
    let told = Instant::now();
    let (mut taken, mut moved) = (sinks.taken(), Instant::now());
    while !sinks.have_all(arguments.findings, story.incidents()) && moved.elapsed() < STALLED {
        thread::sleep(LOOK);
        if sinks.taken() != taken {
            (taken, moved) = (sinks.taken(), Instant::now());
        }
    }
    let drain = told.elapsed();
    thread::sleep(QUIET);
    let mut outcome = Outcome::new(arguments, &story, &sinks);
    outcome.kills = killed;
    outcome.drain_s = drain.as_secs();
    outcome.starts = process.starts();
    if !process.end(END_LIMIT) {
        outcome.troubles.push("the process did not end in time".to_owned());
    }
    outcome.troubles.extend(process.own_ends().into_iter().map(|end| format!("the process ended by itself: {end}")));
    outcome.look_into_outbox(&command("status", &["notify", "status", "-o", "json"]))?;
    outcome.seconds = begun.elapsed().as_secs();
    Ok(outcome)
}

/// Writes the lines of the story at their times.
fn feed(story: &Story, feeds: [Feed; 2]) -> anyhow::Result<()> {
    let [mut findings, mut incidents] = feeds;
    let begun = Instant::now();
    let mut rest: &[Line] = &story.lines;
    while !rest.is_empty() {
        let elapsed = begun.elapsed();
        let due = rest.partition_point(|line| line.at <= elapsed);
        let now = now();
        let of = |topic: Topic| -> Vec<String> {
            rest[..due].iter().filter(|line| line.topic == topic).map(|line| story.text(line, now)).collect()
        };
        findings.write(of(Topic::Findings).iter().map(String::as_str))?;
        incidents.write(of(Topic::Incidents).iter().map(String::as_str))?;
        rest = &rest[due..];
        thread::sleep(Duration::from_millis(5));
    }
    findings.end()?;
    incidents.end()?;
    Ok(())
}

/// What stage `correlate` writes of the time of a finding is compared with the clock of the machine.
#[allow(clippy::disallowed_methods)]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Kills the process. Half of the kills come when a sink has taken a request in and a few milliseconds later, so that they hit what is
/// between it and the note of it in the outbox, and that note itself; some come while the process starts. How many there were.
fn kill(process: &Process, sinks: &Sinks, arguments: &NotifyArguments, time: Duration) -> u64 {
    let mut random = Random::new(arguments.seed, "kills");
    let begun = Instant::now();
    let mut starts = 0;
    for number in 0..arguments.kills {
        let span = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let slot = span / arguments.kills.max(1);
        let at = Duration::from_millis(slot * number + random.between(slot / 4, slot));
        thread::sleep(at.saturating_sub(begun.elapsed()));
        let waits = Instant::now();
        // A kill that meets no process would be none.
        while process.starts() == starts && waits.elapsed() < END_LIMIT {
            thread::sleep(Duration::from_millis(5));
        }
        starts = process.starts();
        match random.below(10) {
            // While it starts.
            0 => thread::sleep(Duration::from_millis(random.below(500))),
            1..6 => {
                sinks.trigger.wait(Duration::from_secs(10));
                thread::sleep(Duration::from_micros(random.below(12_000)));
            }
            _ => {
                sinks.trigger.wait(Duration::from_secs(10));
                thread::sleep(Duration::from_millis(random.below(1_000)));
            }
        }
        process.kill();
    }
    arguments.kills
}

fn configuration(brokers: &str, port: u16, sinks: &Sinks) -> String {
    format!(
        "version = 1\n\n[lake]\npath = \"lake\"\n\n[run]\nstages = [\"notify\"]\ninstance = \"notify-0\"\n\
         listen = \"127.0.0.1:{port}\"\ngrace_s = 10\n\n[transport]\nlog = \"kafka\"\ntopic_prefix = {TOPIC_PREFIX:?}\n\n\
         [transport.kafka]\nbrokers = [{brokers:?}]\nclient_id = \"notify\"\nrequest_timeout_ms = 5000\n\
         session_timeout_ms = 6000\nrebalance_timeout_ms = 10000\ntransaction_timeout_ms = 10000\n\n[log]\nlevel = \"info\"\n\n\
         [notify]\noutbox = \"outbox\"\nlink = \"https://tradewind.example/incidents/{{incident}}\"\n\n{}",
        sinks.configuration()
    )
}

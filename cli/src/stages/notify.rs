//! Stage `notify`: findings and incidents out of the log into the outbox of the sinks, and what sinks refuse for good into the
//! dead letters. One at a time in the whole system: the topic of incidents has one partition. How far the log was read is in the
//! outbox; the offsets of the group are for displays of lag, and for an outbox that begins anew.

use super::health::Working;
use super::messages::{DeadLetterRow, FindingMessage, IncidentMessage, chunks};
use super::tell::needs_person;
use super::{Runtime, Stop};
use crate::notify;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tradewind_notify::{DeadLetter, Input, Notifier, NotifyError, Position};
use tradewind_transport::{
    Batch, Consumer, Event, Inputs, LogError, Outgoing, Producer, Record, Start, Subscription, TopicPartition,
};

/// How long a poll waits for incidents.
const POLL: Duration = Duration::from_millis(20);
/// How often what time alone makes due is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How long it waits while the outbox is full.
const FULL: Duration = Duration::from_millis(200);
/// How long the log may take to give a topic.
const ASSIGNED_WITHIN: Duration = Duration::from_secs(30);
/// Reason of dead letters.
const REASON: &str = "sink_refused";

/// Runs until it is told to stop.
///
/// # Errors
/// Of the log or the outbox; what was not taken in is read again.
pub(super) fn run(runtime: &Runtime, member: &str, stop: &Stop, working: &mut Working<'_>) -> anyhow::Result<()> {
    if runtime.settings.notify.sinks.is_empty() {
        tracing::info!("there is no [[notify.sink]] in the configuration: nobody is told");
        while !stop.is_set() {
            working.step(false);
            stop.wait(TICK);
        }
        return Ok(());
    }
    let mut incidents = runtime.log.consumer(&Subscription::Group {
        group: runtime.group("notify"),
        member: member.to_owned(),
        topics: vec![runtime.topics.incidents.clone()],
    })?;
    let mut stage = Stage {
        runtime,
        producer: runtime.log.producer(&runtime.producer("notify", member))?,
        requests: notify::requests(&runtime.settings),
        at: None,
        last_tick: Instant::now(),
    };
    let ended = stage.work(&mut *incidents, stop, working);
    // What is on its way is waited for in any case: it would be delivered twice.
    let stopped = stage.end();
    ended.and(stopped)
}

/// While the partition of incidents is this process's.
struct At {
    notifier: Notifier,
    findings: Box<dyn Consumer>,
}

struct Stage<'a> {
    runtime: &'a Runtime,
    producer: Box<dyn Producer>,
    requests: PathBuf,
    at: Option<At>,
    last_tick: Instant,
}

impl Stage<'_> {
    fn work(&mut self, incidents: &mut dyn Consumer, stop: &Stop, working: &mut Working<'_>) -> anyhow::Result<()> {
        while !stop.is_set() {
            if let Some(cause) = self.at.as_ref().and_then(|at| at.notifier.obstacle()) {
                working.wait(cause);
                stop.wait(FULL);
                self.tick()?;
                continue;
            }
            self.read_findings()?;
            match incidents.poll(POLL)? {
                Event::Batch(batch) => self.take(incidents, &batch)?,
                Event::Assigned(partitions) => {
                    for partition in partitions {
                        self.begin(incidents, &partition)?;
                    }
                }
                Event::Revoked(_) => self.end()?,
                Event::Idle => {}
            }
            if self.last_tick.elapsed() >= TICK {
                self.tick()?;
            }
            working.step(false);
        }
        Ok(())
    }

    fn begin(&mut self, incidents: &mut dyn Consumer, partition: &TopicPartition) -> anyhow::Result<()> {
        let runtime = self.runtime;
        let notifier = notify::start(runtime).map_err(failed)?;
        let positions = notifier.positions().map_err(failed)?;
        let start = |partition: &TopicPartition| {
            positions.get(&partition.to_string()).map_or(Start::Committed, |&next| Start::At(next))
        };
        seek(incidents, partition, start(partition))?;
        let source = TopicPartition::new(runtime.topics.findings.as_str(), 0);
        let mut findings = runtime.log.consumer(&Subscription::Assigned {
            group: runtime.group("notify"),
            partitions: vec![(source.clone(), Start::Committed)],
        })?;
        let begun = Instant::now();
        while !matches!(findings.poll(POLL)?, Event::Assigned(_)) {
            anyhow::ensure!(begun.elapsed() < ASSIGNED_WITHIN, "the log does not give the topic of findings");
        }
        seek(&mut *findings, &source, start(&source))?;
        tracing::info!(?positions, "telling");
        self.at = Some(At { notifier, findings });
        Ok(())
    }

    /// Findings come before the incidents that name them are looked for.
    fn read_findings(&mut self) -> anyhow::Result<()> {
        let Some(at) = &mut self.at else { return Ok(()) };
        while let Event::Batch(batch) = at.findings.poll(Duration::ZERO)? {
            let inputs = decode(&batch, |message: FindingMessage| Input::Finding {
                recorded_time: message.recorded_time,
                finding: Box::new(message.finding),
            })?;
            take(self.runtime, at, inputs, &batch)?;
            note(&mut *at.findings, &batch);
        }
        Ok(())
    }

    fn take(&mut self, incidents: &mut dyn Consumer, batch: &Batch) -> anyhow::Result<()> {
        self.read_findings()?;
        let Some(at) = &mut self.at else { return Ok(()) };
        let inputs = decode(batch, |message: IncidentMessage| Input::Incident {
            recorded_time: message.recorded_time,
            incident: message.incident,
        })?;
        take(self.runtime, at, inputs, batch)?;
        note(incidents, batch);
        Ok(())
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        self.last_tick = Instant::now();
        let runtime = self.runtime;
        let Some(at) = &mut self.at else { return Ok(()) };
        let causes = runtime.health.causes();
        let causes = causes.iter().map(|(stage, cause)| format!("{stage}: {cause}")).collect();
        runtime.handle.block_on(at.notifier.tick(causes)).map_err(failed)?;
        for sink in requested(&self.requests)? {
            let count = at.notifier.replay(&sink).map_err(failed)?;
            tracing::info!(sink, count, "what was refused is delivered once more");
            std::fs::remove_file(self.requests.join(&sink)).context("failed to remove a request to replay")?;
        }
        let letters = at.notifier.untold().map_err(failed)?;
        if !letters.is_empty() {
            let rows = letters.iter().map(row);
            let to = TopicPartition::new(runtime.topics.dead_letters.as_str(), 0);
            let timestamp = runtime.clock.now();
            let outgoing = chunks(rows)?
                .into_iter()
                .map(|value| Outgoing { to: to.clone(), record: Record { value, timestamp, ..Record::default() } });
            self.producer.write(outgoing.collect(), None)?;
            at.notifier.told(&letters).map_err(failed)?;
        }
        runtime.counters.notify.set(at.notifier.status().map_err(failed)?);
        Ok(())
    }

    /// Waits for what is on its way, and gives the outbox back.
    fn end(&mut self) -> anyhow::Result<()> {
        match self.at.take() {
            Some(at) => self.runtime.handle.block_on(at.notifier.stop()).map_err(failed),
            None => Ok(()),
        }
    }
}

fn take(runtime: &Runtime, at: &At, inputs: Vec<Input>, batch: &Batch) -> anyhow::Result<()> {
    let position = Position { place: batch.from.to_string(), next: batch.next };
    runtime.handle.block_on(at.notifier.take(inputs, Some(position))).map_err(failed)
}

fn decode<T: serde::de::DeserializeOwned>(batch: &Batch, input: impl Fn(T) -> Input) -> anyhow::Result<Vec<Input>> {
    let one = |received: &tradewind_transport::Received| match serde_json::from_slice(&received.record.value) {
        Ok(message) => Ok(input(message)),
        Err(error) => Err(needs_person(format!(
            "{} at offset {} is not what Tradewind writes there ({error}); is another program writing to this topic?",
            batch.from, received.offset
        ))),
    };
    batch.records.iter().map(one).collect()
}

/// The outbox knows how far it is; this is for displays, and may fail.
fn note(consumer: &mut dyn Consumer, batch: &Batch) {
    let inputs = Inputs { next: vec![(batch.from.clone(), batch.next)] };
    if let Err(error) = consumer.commit(&inputs) {
        tracing::debug!(%error, "offsets of the group were not noted");
    }
}

/// Goes on at a place; where the log has it no more, at the first that it has, and says so.
fn seek(consumer: &mut dyn Consumer, partition: &TopicPartition, start: Start) -> anyhow::Result<()> {
    match consumer.seek(partition, start) {
        Err(LogError::OutOfRange { first, end, wanted, .. }) => {
            tracing::error!(%partition, wanted, first, end, "the log does not have what was to be told next: what is gone is told nobody");
            Ok(consumer.seek(partition, Start::First)?)
        }
        other => Ok(other?),
    }
}

/// Sinks whose refused messages are asked for.
fn requested(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", folder.display())),
    };
    let mut sinks = Vec::new();
    for entry in entries {
        sinks.extend(entry?.file_name().into_string());
    }
    sinks.sort();
    Ok(sinks)
}

fn row(letter: &DeadLetter) -> DeadLetterRow {
    DeadLetterRow {
        ingest_time: letter.time,
        source: Some(format!("notify/{}", letter.sink)),
        reason: REASON.to_owned(),
        detail: letter.answer.clone(),
        position: format!("outbox/{}", letter.sink),
        position_offset: i64::try_from(letter.number).unwrap_or(i64::MAX),
        position_index: 0,
        path: None,
        raw_bytes: i64::try_from(letter.content.len()).unwrap_or(i64::MAX),
        raw: crate::import::printable(letter.content.as_bytes()),
    }
}

fn failed(error: NotifyError) -> anyhow::Error {
    if error.needs_person() { needs_person(error.to_string()) } else { error.into() }
}

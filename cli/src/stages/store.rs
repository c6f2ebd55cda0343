//! Stage `store`: flows, dead letters, coverage, findings and incidents into the lake, each record once. What was committed is known
//! from the lake alone; the offsets of the group are for displays of lag.

use super::health::Working;
use super::messages::{CoverageRow, DeadLetterRow, FindingMessage, IncidentMessage};
use super::tell::needs_person;
use super::{Runtime, Stop};
use crate::memory::Memory;
use anyhow::{Context as _, bail};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tradewind_model::table::{COVERAGE, DEAD_LETTERS, FINDINGS, FLOWS, INCIDENTS, Table};
use tradewind_model::{Finding, FlowBatch, Incident, Provenance};
use tradewind_normalise::{ConnectScratch, storage_order};
use tradewind_policy::PolicyScratch;
use tradewind_storage::sink::{OffsetRange, StreamCommit, StreamCommitted, StreamSink, TxnKey};
use tradewind_storage::{Coverage, DeadLetter, Lake, StagedFile, Stager};
use tradewind_transport::flows::{FlowsHeader, decode};
use tradewind_transport::{Batch, Consumer, Event, Inputs, LogError, Start, Subscription, TopicPartition};

/// How long a poll waits for records.
const POLL: Duration = Duration::from_millis(100);
/// Bytes of texts of flows that are held, before they are committed early.
const TEXT_BYTES_MAX: usize = 96 << 20;
/// Rows of the small tables that are held.
const SMALL_ROWS_MAX: usize = 100_000;

/// Runs until it is told to stop.
///
/// # Errors
/// Of the log or the lake; what was not committed is read again by whoever comes next.
pub(super) fn run(runtime: &Runtime, member: &str, stop: &Stop, working: &mut Working<'_>) -> anyhow::Result<()> {
    let topics = &runtime.topics;
    let lake = runtime.handle.block_on(Lake::open_or_create(runtime.lake.clone()))?;
    let mut sinks = HashMap::new();
    for (topic, table) in [
        (&topics.flows, &FLOWS),
        (&topics.dead_letters, &DEAD_LETTERS),
        (&topics.coverage, &COVERAGE),
        (&topics.findings, &FINDINGS),
        (&topics.incidents, &INCIDENTS),
    ] {
        let sink = runtime.handle.block_on(lake.stream_sink(table))?;
        sinks.insert(Arc::<str>::from(topic.as_str()), Sink { table, sink });
    }
    let mut consumer = runtime.log.consumer(&Subscription::Group {
        group: runtime.group("store"),
        member: member.to_owned(),
        topics: sinks.keys().map(ToString::to_string).collect(),
    })?;
    let now = runtime.clock.now();
    let settings = runtime.settings.connect.clone();
    let mut stage = Stage {
        runtime,
        stager: runtime.handle.block_on(lake.stager(runtime.handle.clone()))?,
        memory: Memory::new(settings, lake.clone(), runtime.handle.clone(), now),
        lake,
        sinks,
        taken: Taken::default(),
        positions: BTreeMap::new(),
        since: None,
        connect: ConnectScratch::default(),
        policy: PolicyScratch::default(),
    };
    loop {
        if stop.is_set() {
            return stage.commit(&mut *consumer);
        }
        stage.step(&mut *consumer)?;
        working.step(stage.since.is_some());
    }
}

struct Sink {
    table: &'static Table,
    sink: StreamSink,
}

/// Rows that are not committed yet.
#[derive(Default)]
struct Taken {
    flows: FlowBatch,
    letters: Vec<DeadLetter>,
    coverage: Vec<Coverage>,
    findings: Vec<(Finding, Provenance, i64)>,
    incidents: Vec<(Incident, i64)>,
    /// First offset and the one after the last, of each partition.
    ranges: BTreeMap<TopicPartition, (i64, i64)>,
}

struct Stage<'a> {
    runtime: &'a Runtime,
    lake: Lake,
    stager: Stager,
    memory: Memory,
    sinks: HashMap<Arc<str>, Sink>,
    taken: Taken,
    /// Where the lake stands in each assigned partition; none: it has nothing of it.
    positions: BTreeMap<TopicPartition, Option<i64>>,
    /// When the oldest row that is not committed came.
    since: Option<Instant>,
    connect: ConnectScratch,
    policy: PolicyScratch,
}

fn key(partition: &TopicPartition) -> TxnKey {
    TxnKey { topic: partition.topic.to_string(), partition: partition.partition }
}

impl Stage<'_> {
    fn step(&mut self, consumer: &mut dyn Consumer) -> anyhow::Result<()> {
        let settings = &self.runtime.settings.store;
        let interval = Duration::from_millis(settings.interval_ms);
        let wait = self.since.map_or(POLL, |since| interval.saturating_sub(since.elapsed()).min(POLL));
        match consumer.poll(wait)? {
            Event::Batch(batch) => self.take(&batch)?,
            Event::Assigned(partitions) => self.assign(consumer, partitions)?,
            // Their rows are mixed with others': all of it is read again by who has them now.
            Event::Revoked(_) if self.since.is_some() => bail!("partitions went to another member of the group"),
            Event::Revoked(partitions) => {
                for partition in &partitions {
                    self.positions.remove(partition);
                }
            }
            Event::Idle => {}
        }
        let taken = &self.taken;
        let small = taken.letters.len() + taken.coverage.len() + taken.findings.len() + taken.incidents.len();
        let is_full = self.taken.flows.len() >= settings.rows_max
            || self.taken.flows.text_bytes() >= TEXT_BYTES_MAX
            || small >= SMALL_ROWS_MAX;
        if is_full || self.since.is_some_and(|since| since.elapsed() >= interval) {
            self.commit(consumer)?;
        }
        Ok(())
    }

    fn assign(&mut self, consumer: &mut dyn Consumer, partitions: Vec<TopicPartition>) -> anyhow::Result<()> {
        for partition in partitions {
            let Some(sink) = self.sinks.get_mut(&partition.topic) else { continue };
            let key = key(&partition);
            let versions = self.runtime.handle.block_on(sink.sink.versions(std::slice::from_ref(&key)))?;
            let position = versions.get(&key).copied();
            let start = position.map_or(Start::First, Start::At);
            match consumer.seek(&partition, start) {
                Err(LogError::OutOfRange { first, end, wanted, .. }) => {
                    return Err(gone(&partition, (first, end), wanted, sink.table));
                }
                other => other?,
            }
            tracing::info!(%partition, position, "storing");
            self.positions.insert(partition, position);
        }
        Ok(())
    }

    fn take(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let Some(position) = self.positions.get(&batch.from) else { return Ok(()) };
        let first = batch.records.first().map_or(batch.next, |record| record.offset);
        let range = self.taken.ranges.entry(batch.from.clone()).or_insert((position.unwrap_or(first), first));
        range.1 = batch.next;
        self.since.get_or_insert_with(Instant::now);
        let topics = &self.runtime.topics;
        let taken = &mut self.taken;
        for received in &batch.records {
            let record = &received.record;
            let place = || format!("{} at offset {}", batch.from, received.offset);
            let damaged = |error: anyhow::Error| {
                needs_person(format!(
                    "{} is not what Tradewind writes there ({error:#}); is another program writing to this topic?",
                    place()
                ))
            };
            match &*batch.from.topic {
                topic if topic == topics.flows => {
                    FlowsHeader::of(record).map_err(|error| damaged(error.into()))?;
                    decode(&record.value, &mut taken.flows).map_err(|error| damaged(error.into()))?;
                }
                topic if topic == topics.dead_letters => {
                    let rows: Vec<DeadLetterRow> =
                        serde_json::from_slice(&record.value).map_err(|error| damaged(error.into()))?;
                    taken.letters.extend(rows.into_iter().map(DeadLetterRow::into_letter));
                }
                topic if topic == topics.coverage => {
                    let rows: Vec<CoverageRow> =
                        serde_json::from_slice(&record.value).map_err(|error| damaged(error.into()))?;
                    taken.coverage.extend(rows.into_iter().map(CoverageRow::into_coverage));
                }
                topic if topic == topics.incidents => {
                    let message: IncidentMessage =
                        serde_json::from_slice(&record.value).map_err(|error| damaged(error.into()))?;
                    taken.incidents.push((message.incident, message.recorded_time));
                }
                _ => {
                    let message: FindingMessage =
                        serde_json::from_slice(&record.value).map_err(|error| damaged(error.into()))?;
                    taken.findings.push((message.finding, message.provenance, message.recorded_time));
                }
            }
        }
        Ok(())
    }

    /// Commits all that was taken: each table for itself.
    fn commit(&mut self, consumer: &mut dyn Consumer) -> anyhow::Result<()> {
        let mut taken = std::mem::take(&mut self.taken);
        self.since = None;
        if taken.ranges.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let flows = taken.flows.len();
        let _span = tracing::info_span!("store.commit", flows).entered();
        let files = self.stage(&mut taken)?;
        let mut inputs = Inputs::default();
        for (topic, files) in files {
            let ranges: Vec<OffsetRange> = taken
                .ranges
                .iter()
                .filter(|(partition, _)| partition.topic == topic)
                .map(|(partition, &(from, next))| OffsetRange { key: key(partition), from, next })
                .collect();
            if ranges.is_empty() {
                continue;
            }
            let sink = self.sinks.get_mut(&topic).context("a topic without a table")?;
            let table = sink.table.name;
            let commit = StreamCommit { ranges, files };
            let committed = self.runtime.handle.block_on(sink.sink.commit(&commit));
            match committed.with_context(|| format!("failed to commit to table {table}"))? {
                StreamCommitted::Version(version) => tracing::debug!(table, version, "committed"),
                StreamCommitted::Covered | StreamCommitted::Moved(_) => {
                    bail!("another process stored these partitions of {topic}")
                }
            }
        }
        for (partition, (_, next)) in &taken.ranges {
            self.positions.insert(partition.clone(), Some(*next));
            inputs.next.push((partition.clone(), *next));
        }
        // The lake knows how far it is; this is for displays, and may fail.
        if let Err(error) = consumer.commit(&inputs) {
            tracing::debug!(%error, "offsets of the group were not noted");
        }
        let counters = &self.runtime.counters.store;
        counters.flows.add(flows as u64);
        counters.dead_letters.add(taken.letters.len() as u64);
        counters.findings.add(taken.findings.len() as u64);
        counters.commits.add(1);
        counters.commit_us.add(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        // The memory of a batch is kept for the next one.
        taken.flows.clear();
        self.taken.flows = taken.flows;
        Ok(())
    }

    /// Writes data files, by topic: flows first.
    fn stage(&mut self, taken: &mut Taken) -> anyhow::Result<Vec<(Arc<str>, Vec<StagedFile>)>> {
        let topics = &self.runtime.topics;
        let mut staged: Vec<(Arc<str>, Vec<StagedFile>)> = Vec::new();
        let mut flow_files = Vec::new();
        if !taken.flows.is_empty() {
            self.memory.connect(&mut taken.flows, &mut self.connect)?;
            if let Some(policy) = &self.runtime.policy {
                policy.check(&mut taken.flows, &mut self.policy);
            }
            let order = storage_order(&taken.flows);
            flow_files = self.stager.stage(&taken.flows, &order).context("failed to write data files")?;
        }
        staged.push((topics.flows.as_str().into(), flow_files));
        let handle = &self.runtime.handle;
        let letters = handle.block_on(self.lake.stage_dead_letters(&taken.letters))?;
        staged.push((topics.dead_letters.as_str().into(), letters));
        let coverage = handle.block_on(self.lake.stage_coverage(&taken.coverage))?;
        staged.push((topics.coverage.as_str().into(), coverage));
        let findings = handle.block_on(self.lake.stage_findings(&taken.findings))?;
        staged.push((topics.findings.as_str().into(), findings));
        let incidents = handle.block_on(self.lake.stage_incidents(&taken.incidents))?;
        staged.push((topics.incidents.as_str().into(), incidents));
        Ok(staged)
    }
}

/// The log does not have what the lake needs next.
fn gone(partition: &TopicPartition, (first, end): (i64, i64), wanted: i64, table: &Table) -> anyhow::Error {
    let table = table.name;
    if wanted > end {
        return needs_person(format!(
            "table {table} holds {partition} up to offset {wanted}, but the log ends at {end}: the topic was deleted and made \
             again. Use another `topic_prefix` ([transport]) for it, so that it is told from the old one"
        ));
    }
    needs_person(format!(
        "records {wanted} to {first} of {partition} are gone from the log before table {table} had them: its retention is \
         shorter than the stage `store` was away. Lengthen the retention; what is gone cannot be stored"
    ))
}

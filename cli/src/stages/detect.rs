//! Stage `detect`: flows in, signals of the edge level out. Its state is a deterministic function of its partitions of the
//! topic of flows and of the rounds that stage `correlate` tells; what it puts out twice is dropped by whoever reads it.

use super::health::Working;
use super::snapshots::{Ended, Found, Snapshots, generation, say_notes};
use super::{Runtime, Stop};
use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};
use tradewind_detect::Settings;
use tradewind_detect::snapshot::{Snapshot, SnapshotError, SnapshotWriter, decode as decode_section};
use tradewind_detect::stream::{Partition, Partition4, PartitionStatistics, Round, Signal};
use tradewind_model::FlowBatch;
use tradewind_normalise::{Connect, ConnectScratch, ConnectState};
use tradewind_policy::PolicyScratch;
use tradewind_storage::Lake;
use tradewind_transport::flows::{FlowsHeader, decode};
use tradewind_transport::{
    Batch, Consumer, Event, Inputs, LogError, Outgoing, Producer, Record, Start, Subscription, TopicPartition,
};

const STAGE: &str = "detect";
/// How long the end waits for snapshots to be written.
const LAST_SNAPSHOT_MAX: Duration = Duration::from_secs(10);
/// How long a poll waits for flows; rounds wait as long at most.
const POLL: Duration = Duration::from_millis(20);
/// Header: the generation of detection that a message belongs to.
pub(super) const HEADER_GENERATION: &str = "tw-generation";
/// Events that all partitions of the topic together hold for windows that are not open yet, at some 15 bytes each.
const HELD_MAX: usize = 12_000_000;

/// A message of the topic of signals.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Signals {
    /// Partition of the topic of flows.
    pub(super) partition: u32,
    pub(super) signals: Vec<Signal>,
}

/// A snapshot as version 4 wrote it.
#[derive(Deserialize)]
struct State4 {
    partition: Partition4,
    connect: ConnectState,
    flows: i64,
    rounds: i64,
}

/// What a snapshot holds.
struct Restored {
    partition: Partition,
    /// None: it remembers nothing yet.
    connect: Option<Connect>,
    /// Next offsets to read.
    flows: i64,
    rounds: i64,
}

impl Restored {
    fn of(found: &Found, of: &str, settings: &Settings, held_max: usize) -> Result<Self, SnapshotError> {
        if !Snapshot::is_one(&found.bytes) {
            let State4 { partition, connect, flows, rounds } = decode_section(&found.bytes)?;
            let partition = partition.restore(settings, held_max)?;
            return Ok(Self { partition, connect: Connect::of(&connect), flows, rounds });
        }
        let mut snapshot = Snapshot::read(&found.bytes)?;
        let mut partition = Partition::restore(&mut snapshot, settings, held_max)?;
        if !found.is_own {
            partition.join_anew();
        }
        let connect: Option<ConnectState> = snapshot.take("connect", &[(1, decode_section)])?;
        let (flows, rounds) = snapshot.need("offsets", &[(1, decode_section)])?;
        say_notes(of, snapshot.notes());
        Ok(Self { partition, connect: connect.as_ref().and_then(Connect::of), flows, rounds })
    }
}

/// Runs until it is told to stop.
///
/// # Errors
/// Of the log, or of snapshots that cannot be read; the state is made again from the last snapshot. One that cannot be written is
/// told, and tried again.
pub(super) fn run(runtime: &Runtime, member: &str, stop: &Stop, working: &mut Working<'_>) -> anyhow::Result<()> {
    let lake = runtime.handle.block_on(Lake::open_or_create(runtime.lake.clone()))?;
    let generation = generation(&runtime.settings.detect, runtime.flow_partitions()?);
    let mut consumer = runtime.log.consumer(&Subscription::Group {
        group: runtime.group("detect"),
        member: member.to_owned(),
        topics: vec![runtime.topics.flows.clone()],
    })?;
    let mut stage = Stage {
        runtime,
        producer: runtime.log.producer(&runtime.producer("detect", member))?,
        snapshots: Snapshots::open(&lake, &runtime.handle, generation.clone())?,
        generation,
        parts: BTreeMap::new(),
        rounds: None,
        held_max: HELD_MAX / usize::try_from(runtime.flow_partitions()?.max(1)).unwrap_or(1),
        flows: FlowBatch::default(),
        connect: ConnectScratch::default(),
        policy: PolicyScratch::default(),
        outgoing: Vec::new(),
    };
    loop {
        if stop.is_set() {
            stage.write()?;
            stage.last_snapshots(&mut *consumer);
            return Ok(());
        }
        stage.step(&mut *consumer)?;
        working.step(false);
    }
}

/// One partition of the topic of flows.
struct Part {
    partition: Partition,
    connect: Connect,
    flows: i64,
    rounds: i64,
    snapshot: Instant,
    has_changed: bool,
    is_paused: bool,
    /// Counted already.
    late: u64,
    forced: u64,
    aged_out: u64,
    unjudged: u64,
}

impl Part {
    fn new(partition: Partition, connect: Connect, flows: i64, rounds: i64) -> Self {
        let PartitionStatistics { late, forced, aged_out, unjudged, .. } = partition.statistics();
        let (snapshot, has_changed, is_paused) = (Instant::now(), false, false);
        Self { partition, connect, flows, rounds, snapshot, has_changed, is_paused, late, forced, aged_out, unjudged }
    }
}

struct Stage<'a> {
    runtime: &'a Runtime,
    producer: Box<dyn Producer>,
    snapshots: Snapshots,
    generation: String,
    parts: BTreeMap<TopicPartition, Part>,
    rounds: Option<Box<dyn Consumer>>,
    /// Events that one partition holds.
    held_max: usize,
    flows: FlowBatch,
    connect: ConnectScratch,
    policy: PolicyScratch,
    outgoing: Vec<Outgoing>,
}

impl Stage<'_> {
    fn step(&mut self, consumer: &mut dyn Consumer) -> anyhow::Result<()> {
        match consumer.poll(POLL)? {
            Event::Batch(batch) => self.take(&batch)?,
            Event::Assigned(partitions) => self.assign(consumer, partitions)?,
            Event::Revoked(partitions) => {
                for partition in &partitions {
                    self.parts.remove(partition);
                }
            }
            Event::Idle => {}
        }
        self.take_rounds()?;
        self.write()?;
        self.hold(consumer);
        self.snapshot(Duration::from_secs(self.runtime.settings.detection.snapshot_s));
        let ended = self.snapshots.ended(&self.runtime.health, STAGE);
        self.settle(consumer, ended);
        Ok(())
    }

    fn assign(&mut self, consumer: &mut dyn Consumer, partitions: Vec<TopicPartition>) -> anyhow::Result<()> {
        for partition in partitions {
            let part = self.restore(&partition)?;
            match consumer.seek(&partition, Start::At(part.flows)) {
                Err(LogError::OutOfRange { first, end, wanted, .. }) => {
                    // Nothing can bring them back, and detection of what comes must go on.
                    tracing::error!(
                        %partition, wanted, first, end,
                        "flows are gone from the log before they were judged: they are in the lake, run `tradewind detect`"
                    );
                    consumer.seek(&partition, Start::First)?;
                }
                other => other?,
            }
            self.parts.insert(partition, part);
        }
        // From the first round that one of them lacks on; the others know what they have.
        let first = self.parts.values().map(|part| part.rounds).min().unwrap_or_default();
        let rounds = TopicPartition::new(self.runtime.topics.rounds.as_str(), 0);
        let (oldest, end) = self.runtime.log.range(&rounds)?;
        let start = Start::At(first.clamp(oldest, end.max(oldest)));
        self.rounds = Some(self.runtime.log.consumer(&Subscription::Assigned {
            group: self.runtime.group("detect-rounds"),
            partitions: vec![(rounds, start)],
        })?);
        Ok(())
    }

    fn restore(&self, name: &TopicPartition) -> anyhow::Result<Part> {
        let runtime = self.runtime;
        let settings = &runtime.settings.detect;
        let of = state_name(name);
        let found = self.snapshots.get(&of)?;
        let restored = found.map(|found| Restored::of(&found, &of, settings, self.held_max)).transpose();
        let restored = restored.unwrap_or_else(|error| {
            tracing::warn!(partition = %name, %error, "a snapshot cannot be used; everything is learnt anew from the log");
            None
        });
        if let Some(Restored { partition, connect, flows, rounds }) = restored {
            tracing::info!(partition = %name, flows, "detection goes on from a snapshot");
            let connect = match connect {
                Some(connect) => connect,
                None => self.new_connect()?,
            };
            return Ok(Part::new(partition, connect, flows, rounds));
        }
        let (first, _) = runtime.log.range(name)?;
        Ok(Part::new(Partition::new(settings, self.held_max)?, self.new_connect()?, first, 0))
    }

    /// Connect as it is when it remembers nothing.
    fn new_connect(&self) -> anyhow::Result<Connect> {
        let mut connect = self.runtime.settings.connect.clone();
        if connect.hash_seed == 0 {
            connect.hash_seed = RandomState::new().build_hasher().finish();
        }
        // All partitions together remember what one import does.
        let partitions = u32::try_from(self.runtime.flow_partitions()?.max(1)).unwrap_or(1);
        connect.connections_max = (connect.connections_max / partitions).max(1);
        connect.edges_max = (connect.edges_max / partitions).max(1);
        Ok(Connect::new(connect))
    }

    fn take(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let Some(part) = self.parts.get_mut(&batch.from) else { return Ok(()) };
        let mut signals = Vec::new();
        for received in batch.records.iter().filter(|received| received.offset >= part.flows) {
            let header = FlowsHeader::of(&received.record)?;
            self.flows.clear();
            decode(&received.record.value, &mut self.flows)
                .with_context(|| format!("{} at offset {}", batch.from, received.offset))?;
            if !self.flows.is_empty() {
                part.connect.apply(&mut self.flows, &mut self.connect);
                if let Some(policy) = &self.runtime.policy {
                    policy.check(&mut self.flows, &mut self.policy);
                }
            }
            let raw = header.raw.to_string();
            // The rows are of before the watermark: whoever waits for this partition must know it first.
            if !header.is_idle {
                part.partition.watermark(&raw, i64::MIN, &mut signals);
            }
            part.partition.flows(&self.flows, &mut signals);
            if let Some(watermark) = header.watermark {
                part.partition.watermark(&raw, watermark, &mut signals);
            }
            if header.is_idle {
                part.partition.idle(&raw, &mut signals);
            }
            self.runtime.counters.detect.flows.add(self.flows.len() as u64);
        }
        part.flows = batch.next;
        part.has_changed = true;
        let number = batch.from.partition;
        self.tell(number, signals)
    }

    fn take_rounds(&mut self) -> anyhow::Result<()> {
        let Some(rounds) = &mut self.rounds else { return Ok(()) };
        let mut told: Vec<(i32, Vec<Signal>)> = Vec::new();
        while let Event::Batch(batch) = rounds.poll(Duration::ZERO)? {
            for received in &batch.records {
                if !is_of(&received.record, &self.generation) {
                    continue;
                }
                let round: Round = postcard::from_bytes(&received.record.value).context("a round cannot be read")?;
                tracing::trace!(offset = received.offset, ?round, "round");
                for (name, part) in self.parts.iter_mut().filter(|(_, part)| part.rounds <= received.offset) {
                    let mut signals = Vec::new();
                    part.partition.round(round.clone(), &mut signals)?;
                    part.rounds = received.offset + 1;
                    part.has_changed = true;
                    told.push((name.partition, signals));
                }
            }
        }
        for (partition, signals) in told {
            self.tell(partition, signals)?;
        }
        Ok(())
    }

    /// A partition that holds too much reads no more until windows have closed.
    fn hold(&mut self, consumer: &mut dyn Consumer) {
        for (name, part) in &mut self.parts {
            let statistics = part.partition.statistics();
            let counters = &self.runtime.counters.detect;
            counters.late.add(statistics.late.saturating_sub(part.late));
            counters.forced.add(statistics.forced.saturating_sub(part.forced));
            counters.aged_out.add(statistics.aged_out.saturating_sub(part.aged_out));
            counters.unjudged.add(statistics.unjudged.saturating_sub(part.unjudged));
            (part.late, part.forced) = (statistics.late, statistics.forced);
            (part.aged_out, part.unjudged) = (statistics.aged_out, statistics.unjudged);
            let held_max = self.held_max as u64;
            // Above its limit it asks for windows to be closed; what is on its way until then is still held.
            let is_full = statistics.held > held_max + held_max / 4;
            if is_full && !part.is_paused {
                consumer.pause(std::slice::from_ref(name));
            } else if part.is_paused && statistics.held < held_max {
                consumer.resume(std::slice::from_ref(name));
            } else {
                continue;
            }
            part.is_paused = is_full;
        }
    }

    fn tell(&mut self, partition: i32, signals: Vec<Signal>) -> anyhow::Result<()> {
        if signals.is_empty() {
            return Ok(());
        }
        tracing::trace!(partition, ?signals, "signals");
        self.runtime.counters.detect.signals.add(signals.len() as u64);
        let message = Signals { partition: u32::try_from(partition).unwrap_or_default(), signals };
        let value = postcard::to_stdvec(&message).context("failed to encode signals")?;
        let record = record(value, &self.generation, self.runtime.clock.now());
        self.outgoing.push(Outgoing { to: TopicPartition::new(self.runtime.topics.signals.as_str(), 0), record });
        Ok(())
    }

    fn write(&mut self) -> anyhow::Result<()> {
        if !self.outgoing.is_empty() {
            self.producer.write(std::mem::take(&mut self.outgoing), None)?;
        }
        Ok(())
    }

    /// Begins to write a snapshot that is due: one at a time, so that their bytes take little memory. What it covers is in the log
    /// of signals already.
    fn snapshot(&mut self, every: Duration) {
        if self.snapshots.is_writing() {
            return;
        }
        let due = self.parts.iter_mut().filter(|(_, part)| part.has_changed && part.snapshot.elapsed() >= every);
        if let Some((name, part)) = due.min_by_key(|(_, part)| part.snapshot) {
            let of = state_name(name);
            let mut writer = SnapshotWriter::default();
            part.partition.save(&mut writer);
            writer.add("connect", 1, &part.connect.state());
            writer.add("offsets", 1, &(part.flows, part.rounds));
            let span = tracing::info_span!("detect.snapshot", partition = name.partition);
            self.snapshots.begin(&of, part.flows, writer.finish(), span);
            part.snapshot = Instant::now();
            part.has_changed = false;
        }
    }

    /// Notes what was written, and tries again what could not be.
    fn settle(&mut self, consumer: &mut dyn Consumer, ended: Vec<Ended>) {
        let mut inputs = Inputs::default();
        for Ended { of, position, written } in ended {
            let part = self.parts.iter_mut().find(|(name, _)| state_name(name) == of);
            match (written, part) {
                (Some(written), Some((name, _))) => {
                    self.runtime.counters.detect.snapshot_bytes.add(written.bytes_out);
                    inputs.next.push((name.clone(), position));
                }
                (None, Some((_, part))) => part.has_changed = true,
                // It is another's by now.
                (_, None) => {}
            }
        }
        if !inputs.next.is_empty()
            && let Err(error) = consumer.commit(&inputs)
        {
            tracing::debug!(%error, "offsets of the group were not noted");
        }
    }

    /// Writes what changed since the last snapshots, as far as that is quick.
    fn last_snapshots(&mut self, consumer: &mut dyn Consumer) {
        let begun = Instant::now();
        loop {
            let left = LAST_SNAPSHOT_MAX.saturating_sub(begun.elapsed());
            let ended = self.snapshots.wait(left, &self.runtime.health, STAGE);
            let is_well = ended.iter().all(|ended| ended.written.is_some());
            self.settle(consumer, ended);
            if !is_well || left.is_zero() || self.parts.values().all(|part| !part.has_changed) {
                return;
            }
            self.snapshot(Duration::ZERO);
        }
    }
}

fn state_name(partition: &TopicPartition) -> String {
    format!("detect-{}", partition.partition)
}

/// A message of this generation.
pub(super) fn record(value: Vec<u8>, generation: &str, timestamp: i64) -> Record {
    let mut record = Record { value: value.into(), timestamp, ..Record::default() };
    record.add_header(HEADER_GENERATION, Bytes::copy_from_slice(generation.as_bytes()));
    record
}

/// Whether a message is of this generation.
pub(super) fn is_of(record: &Record, generation: &str) -> bool {
    record.header(HEADER_GENERATION).is_some_and(|found| found.as_ref() == generation.as_bytes())
}

//! Stage `detect`: flows in, signals of the edge level out. Its state is a deterministic function of its partitions of the
//! topic of flows and of the rounds that stage `correlate` tells; what it puts out twice is dropped by whoever reads it.

use super::events::event;
use super::snapshots::{Snapshots, generation};
use super::{Runtime, Stop};
use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};
use tradewind_detect::stream::{Partition, Round, Signal};
use tradewind_model::FlowBatch;
use tradewind_normalise::{Connect, ConnectScratch, ConnectState};
use tradewind_policy::PolicyScratch;
use tradewind_storage::Lake;
use tradewind_transport::flows::{FlowsHeader, decode};
use tradewind_transport::{
    Batch, Consumer, Event, Inputs, LogError, Outgoing, Producer, Record, Start, Subscription, TopicPartition,
};

/// How long a poll waits for flows; rounds wait as long at most.
const POLL: Duration = Duration::from_millis(20);
/// Header: the generation of detection that a message belongs to.
pub(super) const HEADER_GENERATION: &str = "tw-generation";
/// Events that a partition holds for windows that are not open yet, at some 64 bytes each.
const HELD_MAX: usize = 2_000_000;

/// A message of the topic of signals.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Signals {
    /// Partition of the topic of flows.
    pub(super) partition: u32,
    pub(super) signals: Vec<Signal>,
}

/// What a snapshot holds.
#[derive(Serialize, Deserialize)]
struct State {
    partition: Partition,
    connect: ConnectState,
    /// Next offsets to read.
    flows: i64,
    rounds: i64,
}

/// Runs until it is told to stop.
///
/// # Errors
/// Of the log, or of the store of snapshots; the state is made again from the last snapshot.
pub(super) fn run(runtime: &Runtime, member: &str, stop: &Stop) -> anyhow::Result<()> {
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
        flows: FlowBatch::default(),
        connect: ConnectScratch::default(),
        policy: PolicyScratch::default(),
        outgoing: Vec::new(),
    };
    loop {
        if stop.is_set() {
            stage.write()?;
            return stage.snapshot(&mut *consumer, Duration::ZERO);
        }
        stage.step(&mut *consumer)?;
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
}

impl Part {
    fn new(partition: Partition, connect: Connect, flows: i64, rounds: i64) -> Self {
        let (late, forced) = (partition.statistics().late, partition.statistics().forced);
        let snapshot = Instant::now();
        Self { partition, connect, flows, rounds, snapshot, has_changed: false, is_paused: false, late, forced }
    }
}

struct Stage<'a> {
    runtime: &'a Runtime,
    producer: Box<dyn Producer>,
    snapshots: Snapshots,
    generation: String,
    parts: BTreeMap<TopicPartition, Part>,
    rounds: Option<Box<dyn Consumer>>,
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
        self.snapshot(consumer, Duration::from_secs(self.runtime.settings.detection.snapshot_s))
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
        let stored: Option<State> = self.snapshots.get(&state_name(name))?;
        if let Some(state) = stored
            && let Some(connect) = Connect::of(&state.connect)
        {
            let partition = state.partition.resume(settings, HELD_MAX)?;
            let (flows, rounds) = (state.flows, state.rounds);
            tracing::info!(partition = %name, flows, "detection goes on from a snapshot");
            return Ok(Part::new(partition, connect, flows, rounds));
        }
        let (first, _) = runtime.log.range(name)?;
        let mut connect = runtime.settings.connect.clone();
        if connect.hash_seed == 0 {
            connect.hash_seed = RandomState::new().build_hasher().finish();
        }
        // All partitions together remember what one import does.
        let partitions = u32::try_from(runtime.flow_partitions()?.max(1)).unwrap_or(1);
        connect.connections_max = (connect.connections_max / partitions).max(1);
        connect.edges_max = (connect.edges_max / partitions).max(1);
        Ok(Part::new(Partition::new(settings, HELD_MAX)?, Connect::new(connect), first, 0))
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
            for row in 0..self.flows.len() {
                part.partition.event(&event(&self.flows, row), &mut signals);
            }
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
            (part.late, part.forced) = (statistics.late, statistics.forced);
            let is_full = statistics.held > HELD_MAX as u64 * 2;
            if is_full && !part.is_paused {
                consumer.pause(std::slice::from_ref(name));
            } else if part.is_paused && statistics.held < HELD_MAX as u64 {
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

    /// Writes snapshots that are due. What they cover is in the log of signals already.
    fn snapshot(&mut self, consumer: &mut dyn Consumer, every: Duration) -> anyhow::Result<()> {
        let mut inputs = Inputs::default();
        for (name, part) in &mut self.parts {
            if !part.has_changed || part.snapshot.elapsed() < every {
                continue;
            }
            let _span = tracing::info_span!("detect.snapshot", partition = name.partition).entered();
            let state = State {
                partition: part.partition.clone(),
                connect: part.connect.state(),
                flows: part.flows,
                rounds: part.rounds,
            };
            let written = self.snapshots.put(&state_name(name), part.flows, &state)?;
            self.runtime.counters.detect.snapshot_bytes.add(written.bytes_out);
            part.snapshot = Instant::now();
            part.has_changed = false;
            inputs.next.push((name.clone(), part.flows));
        }
        if !inputs.next.is_empty()
            && let Err(error) = consumer.commit(&inputs)
        {
            tracing::debug!(%error, "offsets of the group were not noted");
        }
        Ok(())
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

//! Stage `normalise`: raw records in, batches of flows out, keyed by the unordered pair of entities; rejects to the dead
//! letters, counts to the coverage. What it makes of a raw record depends on that record, the settings and the inventory
//! alone. Outputs and the offsets of the inputs are one transaction.

use super::health::Working;
use super::messages::{CoverageRow, DeadLetterRow, chunks};
use super::progress::Progress;
use super::raw::RawDecoder;
use super::{Runtime, Stop};
use anyhow::Context as _;
use bytes::Bytes;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tradewind_detect::edges::virtual_shard;
use tradewind_model::FlowBatch;
use tradewind_model::flow::{DST_ENTITY, INGEST_TIME, SRC_ENTITY};
use tradewind_normalise::{Context, Normaliser, Scratch};
use tradewind_transport::envelope::RawEnvelope;
use tradewind_transport::flows::{FlowEncoder, FlowsHeader};
use tradewind_transport::{Batch, Consumer, Event, Inputs, Outgoing, Producer, Record, Subscription, TopicPartition};

/// Bytes of raw records that are taken before they are written on.
const BYTES_MAX: usize = 8 << 20;
/// How long records wait for others to travel with.
const LINGER: Duration = Duration::from_millis(20);
/// How often every partition is told how far a raw partition is.
const TICK: Duration = Duration::from_secs(1);
/// Flows of a message: small messages cost, large ones wait.
const MESSAGE_ROWS: usize = 16 * 1024;

/// Runs until it is told to stop.
///
/// # Errors
/// Of the log; what was not committed is read again by whoever comes next.
pub(super) fn run(runtime: &Runtime, member: &str, stop: &Stop, working: &mut Working<'_>) -> anyhow::Result<()> {
    let topics = runtime.raw_topics();
    let mut consumer = runtime.log.consumer(&Subscription::Group {
        group: runtime.group("normalise"),
        member: member.to_owned(),
        topics: topics.keys().cloned().collect(),
    })?;
    let producer = runtime.log.producer_of_compressed(&runtime.producer("normalise", member))?;
    let mut stage = Stage {
        runtime,
        topics,
        producer,
        outputs: runtime.outputs()?,
        normaliser: &runtime.normaliser,
        partitions: BTreeMap::new(),
        scratch: Scratch::default(),
        encoder: FlowEncoder::default(),
        pending_bytes: 0,
        since: None,
    };
    loop {
        if stop.is_set() {
            stage.write(&*consumer)?;
            return Ok(());
        }
        stage.step(&mut *consumer)?;
        working.step(stage.since.is_some());
    }
}

/// How many partitions each output has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outputs {
    pub(super) flows: i32,
}

struct Stage<'a> {
    runtime: &'a Runtime,
    /// What the configuration says of each raw topic.
    topics: BTreeMap<String, RawEnvelope>,
    producer: Box<dyn Producer>,
    outputs: Outputs,
    normaliser: &'a Normaliser,
    partitions: BTreeMap<TopicPartition, Partition>,
    scratch: Scratch,
    encoder: FlowEncoder,
    pending_bytes: usize,
    /// When the oldest pending record came.
    since: Option<Instant>,
}

/// A raw partition.
struct Partition {
    decoder: RawDecoder,
    /// Offsets of what is pending.
    offsets: Option<(i64, i64)>,
    progress: Progress,
}

impl Stage<'_> {
    fn step(&mut self, consumer: &mut dyn Consumer) -> anyhow::Result<()> {
        let wait = self.since.map_or(LINGER, |since| LINGER.saturating_sub(since.elapsed()));
        match consumer.poll(wait)? {
            Event::Batch(batch) => self.take(&batch),
            Event::Assigned(partitions) => {
                for partition in partitions {
                    let defaults = self.topics.get(&*partition.topic).cloned().unwrap_or_default();
                    let decoder = RawDecoder::new(partition.to_string(), defaults);
                    let progress = Progress::new(Instant::now(), self.runtime.idle());
                    self.partitions.insert(partition, Partition { decoder, offsets: None, progress });
                }
            }
            Event::Revoked(partitions) => {
                for partition in &partitions {
                    self.partitions.remove(partition);
                }
            }
            Event::Idle => {}
        }
        let is_due = self.since.is_some_and(|since| since.elapsed() >= LINGER);
        if is_due || self.pending_bytes >= BYTES_MAX || self.partitions.values().any(|it| it.progress.is_due(TICK)) {
            self.write(consumer)?;
        }
        Ok(())
    }

    fn take(&mut self, batch: &Batch) {
        let Some(partition) = self.partitions.get_mut(&batch.from) else { return };
        for received in &batch.records {
            partition.decoder.take(received);
            self.pending_bytes += received.record.value.len() + 256;
        }
        let from = batch.records.first().map_or(batch.next, |first| first.offset);
        let offsets = partition.offsets.get_or_insert((from, from));
        offsets.1 = batch.next;
        self.since.get_or_insert_with(Instant::now);
        self.runtime.counters.normalise.add_received(batch.records.len());
    }

    /// Writes all that is pending on, and how far each raw partition is.
    fn write(&mut self, consumer: &dyn Consumer) -> anyhow::Result<()> {
        let now = Instant::now();
        let clock = self.runtime.clock.now();
        let mut inputs = Inputs::default();
        let mut outgoing = Vec::new();
        let mut maker = Maker {
            runtime: self.runtime,
            normaliser: self.normaliser,
            scratch: &mut self.scratch,
            encoder: &mut self.encoder,
            outputs: self.outputs,
            clock,
        };
        for (name, partition) in &mut self.partitions {
            let has_rows = partition.offsets.is_some();
            if !has_rows && !partition.progress.is_due(TICK) {
                continue;
            }
            if let Some((_, next)) = partition.offsets {
                inputs.next.push((name.clone(), next));
            }
            maker.make(name, partition, now, &mut outgoing).with_context(|| format!("failed to normalise {name}"))?;
        }
        if !outgoing.is_empty() || !inputs.next.is_empty() {
            let _span = tracing::info_span!("normalise.write", messages = outgoing.len()).entered();
            let membership = consumer.membership();
            self.producer.write(outgoing, Some((&inputs, &membership)))?;
        }
        for partition in self.partitions.values_mut() {
            let counts = partition.decoder.took.iter().fold((0, 0, 0), |(flows, rejected, gaps), took| {
                (flows + took.counts.flows, rejected + took.counts.rejected, gaps + took.counts.gaps)
            });
            self.runtime.counters.normalise.add_made(counts.0, counts.1, counts.2);
            partition.decoder.clear();
            partition.offsets = None;
        }
        self.pending_bytes = 0;
        self.since = None;
        Ok(())
    }
}

/// Makes the outputs of raw partitions.
struct Maker<'a> {
    runtime: &'a Runtime,
    normaliser: &'a Normaliser,
    scratch: &'a mut Scratch,
    encoder: &'a mut FlowEncoder,
    outputs: Outputs,
    clock: i64,
}

impl Maker<'_> {
    fn make(
        &mut self,
        name: &TopicPartition,
        partition: &mut Partition,
        now: Instant,
        outgoing: &mut Vec<Outgoing>,
    ) -> anyhow::Result<()> {
        let decoder = &mut partition.decoder;
        let flows = &mut decoder.decoded.flows;
        if !flows.is_empty() {
            let earliest = decoder.took.iter().map(|took| took.received_time).min().unwrap_or(self.clock);
            self.normaliser.apply(flows, self.scratch, &Context { ingest_time: earliest, retention: None });
            for took in &decoder.took {
                for row in took.rows.clone() {
                    flows.num_mut(INGEST_TIME).set(row, took.received_time);
                }
            }
            partition.progress.observe(flows, now);
        }
        let mut header = FlowsHeader {
            raw: name.clone(),
            offsets: partition.offsets.unwrap_or_default(),
            watermark: partition.progress.watermark(),
            is_idle: false,
        };
        let topics = &self.runtime.topics;
        let flows_topic: Arc<str> = topics.flows.as_str().into();
        let mut told = vec![false; usize::try_from(self.outputs.flows).unwrap_or_default()];
        for (number, rows) in by_partition(flows, self.outputs.flows) {
            for rows in rows.chunks(MESSAGE_ROWS) {
                let value = self.encoder.encode(flows, rows)?;
                let to = TopicPartition { topic: Arc::clone(&flows_topic), partition: number };
                outgoing.push(Outgoing { to, record: header.record(value, self.clock) });
            }
            told[usize::try_from(number).unwrap_or_default()] = true;
        }
        if partition.progress.is_due(TICK) {
            header.is_idle = partition.progress.tell(now);
            header.watermark = partition.progress.watermark();
            header.offsets = (header.offsets.1, header.offsets.1);
            for (number, told) in (0..self.outputs.flows).zip(told) {
                if !told || header.is_idle {
                    let to = TopicPartition { topic: Arc::clone(&flows_topic), partition: number };
                    outgoing.push(Outgoing { to, record: header.record(Bytes::new(), self.clock) });
                }
            }
        }
        self.letters(name, decoder, outgoing)?;
        self.coverage(name, decoder, outgoing)
    }

    fn letters(
        &self,
        name: &TopicPartition,
        decoder: &mut RawDecoder,
        outgoing: &mut Vec<Outgoing>,
    ) -> anyhow::Result<()> {
        let position = name.to_string();
        let rows =
            std::mem::take(&mut decoder.rejected).into_iter().map(|rejected| DeadLetterRow::of(rejected, &position));
        self.rows(&self.runtime.topics.dead_letters, rows, outgoing)
    }

    fn coverage(
        &self,
        name: &TopicPartition,
        decoder: &RawDecoder,
        outgoing: &mut Vec<Outgoing>,
    ) -> anyhow::Result<()> {
        let rows = CoverageRow::of(&decoder.decoded, &decoder.took, &name.to_string());
        self.rows(&self.runtime.topics.coverage, rows.into_iter(), outgoing)
    }

    fn rows<T: serde::Serialize>(
        &self,
        topic: &str,
        rows: impl Iterator<Item = T>,
        outgoing: &mut Vec<Outgoing>,
    ) -> anyhow::Result<()> {
        for value in chunks(rows)? {
            let record = Record { value, timestamp: self.clock, ..Record::default() };
            outgoing.push(Outgoing { to: TopicPartition::new(topic, 0), record });
        }
        Ok(())
    }
}

/// The rows of each partition of the topic of flows that has any: both ways between two entities are in one.
fn by_partition(flows: &FlowBatch, partitions: i32) -> impl Iterator<Item = (i32, Vec<u32>)> {
    let partitions = partitions.max(1);
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); usize::try_from(partitions).unwrap_or(1)];
    let mut known: HashMap<(u32, u32), u32, RandomState> = HashMap::default();
    let [sources, destinations] = [SRC_ENTITY, DST_ENTITY].map(|column| flows.text(column).codes(flows.len()));
    let name = |column, code| flows.text(column).dictionary().get(code).unwrap_or_default();
    for (row, pair) in (0u32..).zip(sources.iter().copied().zip(destinations.iter().copied())) {
        let partition = *known.entry(pair).or_insert_with(|| {
            let shard = virtual_shard(name(SRC_ENTITY, pair.0), name(DST_ENTITY, pair.1));
            u32::from(shard) % partitions.unsigned_abs()
        });
        rows[partition as usize].push(row);
    }
    (0..).zip(rows).filter(|(_, rows)| !rows.is_empty())
}

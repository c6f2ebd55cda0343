//! Reading raw records again, after a fix of a parser, of the inventory or of the policy: their rows leave the lake and what
//! is made of them now comes in, in one commit a table. Detection does not see it, so nobody is paged.

use super::messages::DeadLetterRow;
use super::raw::RawDecoder;
use super::{Runtime, Stop};
use crate::failure::usage;
use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tradewind_model::flow::INGEST_TIME;
use tradewind_model::table::{DEAD_LETTERS, FLOWS};
use tradewind_normalise::{Connect, ConnectScratch, Context, Scratch, storage_order};
use tradewind_policy::PolicyScratch;
use tradewind_storage::replace::{PositionRange, Replaced, Replacement};
use tradewind_storage::sink::TxnKey;
use tradewind_storage::{Lake, StagedFile};
use tradewind_transport::{Batch, Event, Start, Subscription, TopicPartition};

/// How long the stored rows may lag behind what was normalised before the replay gives up.
const WAIT: Duration = Duration::from_secs(60);
/// Rows of a data file.
const FILE_ROWS: usize = 160 * 1024;
/// How long a poll waits.
const POLL: Duration = Duration::from_millis(200);

/// Where a replay begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At the first record that was written at this time or later, in each raw partition. Microseconds UTC.
    Time(i64),
    /// At an offset of one partition; of that alone.
    Position(TopicPartition, i64),
}

impl std::str::FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::Time(time.as_microsecond()));
        }
        if let Ok(date) = text.parse::<jiff::civil::Date>()
            && let Ok(start) = date.to_zoned(jiff::tz::TimeZone::UTC)
        {
            return Ok(Self::Time(start.timestamp().as_microsecond()));
        }
        let parts: Vec<&str> = text.rsplitn(3, '/').collect();
        if let [offset, partition, topic] = parts.as_slice()
            && let (Ok(offset), Ok(partition)) = (offset.parse(), partition.parse())
            && !topic.is_empty()
        {
            return Ok(Self::Position(TopicPartition::new(*topic, partition), offset));
        }
        Err("give a time such as 2026-01-31T10:00:00Z, a date, or a position TOPIC/PARTITION/OFFSET".to_owned())
    }
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Report {
    pub(crate) raw_records: u64,
    pub(crate) flows_out: u64,
    pub(crate) flows_in: u64,
    pub(crate) dead_letters_out: u64,
    pub(crate) dead_letters_in: u64,
    pub(crate) files_rewritten: u64,
}

/// Offsets of each partition that are read again.
type Ranges = BTreeMap<TopicPartition, Vec<std::ops::Range<i64>>>;

/// Replays.
///
/// # Errors
/// A log or lake that cannot be read; rows that are not stored yet, which would come in twice.
pub(crate) fn run(runtime: &Runtime, from: &From, dead_letters_only: bool, stop: &Stop) -> anyhow::Result<Report> {
    let lake = runtime.handle.block_on(Lake::open(runtime.lake.clone()))?;
    let mut ranges = bounds(runtime, from)?;
    wait_until_stored(runtime, &lake)?;
    if dead_letters_only {
        ranges = with_dead_letters(runtime, &lake, &ranges)?;
    }
    let mut replay = Replay {
        runtime,
        stager: runtime.handle.block_on(lake.stager(runtime.handle.clone()))?,
        connect: Connect::new(runtime.settings.connect.clone()),
        lake,
        scratch: Scratch::default(),
        connect_scratch: ConnectScratch::default(),
        policy_scratch: PolicyScratch::default(),
        flows: Vec::new(),
        letters: Vec::new(),
        report: Report::default(),
    };
    for (partition, ranges) in &ranges {
        for range in ranges {
            replay.read(partition, range.clone(), stop)?;
        }
    }
    replay.commit(&ranges)
}

/// From where to where: up to what was normalised; what comes later is normalised by the settings of today anyway.
fn bounds(runtime: &Runtime, from: &From) -> anyhow::Result<Ranges> {
    let mut ranges = Ranges::new();
    for topic in runtime.raw_topics().keys() {
        let Some(found) = runtime.log.topics(&[topic])?.pop() else { continue };
        let partitions: Vec<_> =
            (0..found.partitions).map(|number| TopicPartition::new(topic.as_str(), number)).collect();
        let committed = runtime.log.committed(&runtime.group("normalise"), &partitions)?;
        for (partition, committed) in partitions.into_iter().zip(committed) {
            let (first, _) = runtime.log.range(&partition)?;
            let begin = match from {
                From::Time(time) => runtime.log.offset_at(&partition, *time)?,
                From::Position(wanted, offset) if *wanted == partition => {
                    if *offset < first {
                        return Err(usage(format!("{partition} begins at offset {first}: what is older is gone")));
                    }
                    *offset
                }
                From::Position(..) => continue,
            };
            let end = committed.unwrap_or(first);
            if begin < end {
                ranges.entry(partition).or_default().push(begin..end);
            }
        }
    }
    if let From::Position(wanted, _) = from
        && !runtime.raw_topics().contains_key(&*wanted.topic)
    {
        return Err(usage(format!("`{}` is no raw topic of this configuration", wanted.topic)));
    }
    Ok(ranges)
}

/// Rows that were made but are not in the lake would come in beside those of the replay.
fn wait_until_stored(runtime: &Runtime, lake: &Lake) -> anyhow::Result<()> {
    let begun = Instant::now();
    for (topic, table) in [(&runtime.topics.flows, &FLOWS), (&runtime.topics.dead_letters, &DEAD_LETTERS)] {
        let Some(found) = runtime.log.topics(&[topic])?.pop() else { continue };
        let keys: Vec<_> = (0..found.partitions).map(|partition| TxnKey { topic: topic.clone(), partition }).collect();
        let mut ends = Vec::new();
        for key in keys {
            let (first, end) = runtime.log.range(&TopicPartition::new(topic.as_str(), key.partition))?;
            if end > first {
                ends.push((key, end));
            }
        }
        let mut sink = runtime.handle.block_on(lake.stream_sink(table))?;
        for (key, end) in ends {
            let partition = TopicPartition::new(topic.as_str(), key.partition);
            loop {
                let stored = runtime.handle.block_on(sink.versions(std::slice::from_ref(&key)))?;
                let next = stored.get(&key).copied();
                if next.is_some_and(|next| next >= end) || !holds_records(runtime, &partition, next, end)? {
                    break;
                }
                if begun.elapsed() > WAIT {
                    bail!(
                        "{partition} is not stored up to its end: start stage `store` and try again; what it stores later \
                         would be there twice"
                    );
                }
                std::thread::sleep(POLL);
            }
        }
    }
    Ok(())
}

/// Whether there are records from an offset on; Kafka's own marks have offsets too, and are none.
fn holds_records(runtime: &Runtime, partition: &TopicPartition, next: Option<i64>, end: i64) -> anyhow::Result<bool> {
    const LOOK: Duration = Duration::from_secs(3);
    let mut consumer = runtime.log.consumer(&Subscription::Assigned {
        group: runtime.group("replay"),
        partitions: vec![(partition.clone(), next.map_or(Start::First, Start::At))],
    })?;
    let begun = Instant::now();
    while begun.elapsed() < LOOK {
        if let Event::Batch(batch) = consumer.poll(POLL)? {
            return Ok(batch.records.iter().any(|record| record.offset < end));
        }
    }
    Ok(false)
}

/// Only the raw records of which something was rejected.
fn with_dead_letters(runtime: &Runtime, lake: &Lake, ranges: &Ranges) -> anyhow::Result<Ranges> {
    let mut found: BTreeMap<TopicPartition, BTreeSet<i64>> = BTreeMap::new();
    for (partition, all) in ranges {
        for range in all {
            let sql = format!(
                "SELECT DISTINCT position_offset FROM dead_letters WHERE position = '{}' AND position_offset >= {} AND \
                 position_offset < {}",
                partition.to_string().replace('\'', "''"),
                range.start,
                range.end
            );
            let offsets = async {
                let batches: Vec<_> = lake.query(&sql).await?.try_collect().await?;
                anyhow::Ok(batches)
            };
            for batch in runtime.handle.block_on(offsets)? {
                let column = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(0));
                found.entry(partition.clone()).or_default().extend(column.values());
            }
        }
    }
    Ok(found.into_iter().map(|(name, offsets)| (name, joined(&offsets))).collect())
}

/// Offsets as ranges.
fn joined(offsets: &BTreeSet<i64>) -> Vec<std::ops::Range<i64>> {
    let mut ranges: Vec<std::ops::Range<i64>> = Vec::new();
    for &offset in offsets {
        match ranges.last_mut() {
            Some(last) if last.end == offset => last.end += 1,
            _ => ranges.push(offset..offset + 1),
        }
    }
    ranges
}

struct Replay<'a> {
    runtime: &'a Runtime,
    lake: Lake,
    stager: tradewind_storage::Stager,
    connect: Connect,
    scratch: Scratch,
    connect_scratch: ConnectScratch,
    policy_scratch: PolicyScratch,
    flows: Vec<StagedFile>,
    letters: Vec<StagedFile>,
    report: Report,
}

impl Replay<'_> {
    fn read(&mut self, partition: &TopicPartition, range: std::ops::Range<i64>, stop: &Stop) -> anyhow::Result<()> {
        let mut consumer = self.runtime.log.consumer(&Subscription::Assigned {
            group: self.runtime.group("replay"),
            partitions: vec![(partition.clone(), Start::At(range.start))],
        })?;
        let defaults = self.runtime.raw_topics().remove(&*partition.topic).unwrap_or_default();
        let mut decoder = RawDecoder::new(partition.to_string(), defaults);
        let mut next = range.start;
        while next < range.end {
            if stop.is_set() {
                bail!("interrupted: nothing was changed");
            }
            if let Event::Batch(batch) = consumer.poll(POLL)? {
                self.take(&batch, &range, &mut decoder)?;
                next = batch.next;
            }
            if decoder.decoded.flows.len() >= FILE_ROWS || decoder.decoded.is_large() {
                self.stage(partition, &mut decoder)?;
            }
        }
        self.stage(partition, &mut decoder)
    }

    fn take(&mut self, batch: &Batch, range: &std::ops::Range<i64>, decoder: &mut RawDecoder) -> anyhow::Result<()> {
        for received in batch.records.iter().filter(|received| range.contains(&received.offset)) {
            decoder.take(received);
            self.report.raw_records += 1;
        }
        Ok(())
    }

    fn stage(&mut self, partition: &TopicPartition, decoder: &mut RawDecoder) -> anyhow::Result<()> {
        let flows = &mut decoder.decoded.flows;
        if !flows.is_empty() {
            let earliest = decoder.took.iter().map(|took| took.received_time).min().unwrap_or_default();
            let context = Context { ingest_time: earliest, retention: None };
            self.runtime.normaliser.apply(flows, &mut self.scratch, &context);
            for took in &decoder.took {
                for row in took.rows.clone() {
                    flows.num_mut(INGEST_TIME).set(row, took.received_time);
                }
            }
            self.connect.apply(flows, &mut self.connect_scratch);
            if let Some(policy) = &self.runtime.policy {
                policy.check(flows, &mut self.policy_scratch);
            }
            let order = storage_order(flows);
            self.flows.extend(self.stager.stage(flows, &order).context("failed to write data files")?);
        }
        let position = partition.to_string();
        let letters: Vec<_> = std::mem::take(&mut decoder.rejected)
            .into_iter()
            .map(|rejected| DeadLetterRow::of(rejected, &position).into_letter())
            .collect();
        if !letters.is_empty() {
            let staged = self.runtime.handle.block_on(self.lake.stage_dead_letters(&letters))?;
            self.letters.extend(staged);
        }
        decoder.clear();
        Ok(())
    }

    fn commit(mut self, ranges: &Ranges) -> anyhow::Result<Report> {
        let ranges: Vec<PositionRange> = ranges
            .iter()
            .flat_map(|(partition, ranges)| {
                ranges.iter().map(|range| PositionRange { position: partition.to_string(), offsets: range.clone() })
            })
            .collect();
        if ranges.is_empty() {
            return Ok(self.report);
        }
        let replace = |table, files| {
            let replacement = Replacement { ranges: ranges.clone(), days: None, files };
            self.runtime.handle.block_on(self.lake.replace(table, &replacement))
        };
        let flows: Replaced = replace(&FLOWS, std::mem::take(&mut self.flows)).context("failed to replace flows")?;
        let letters = replace(&DEAD_LETTERS, std::mem::take(&mut self.letters))
            .context("failed to replace dead letters; the flows are replaced, and the same replay can be run again")?;
        self.report.flows_out = flows.rows_out;
        self.report.flows_in = flows.rows_in;
        self.report.dead_letters_out = letters.rows_out;
        self.report.dead_letters_in = letters.rows_in;
        self.report.files_rewritten = flows.files_rewritten + letters.files_rewritten;
        Ok(self.report)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_times_or_positions() {
        let check = |text: &str, expected: Option<From>| assert_eq!(text.parse().ok(), expected, "{text}");
        check("1970-01-01T00:00:01Z", Some(From::Time(1_000_000)));
        check("1970-01-02", Some(From::Time(86_400_000_000)));
        check("a/b.raw/3/17", Some(From::Position(TopicPartition::new("a/b.raw", 3), 17)));
        for wrong in ["", "raw/1", "raw/x/1", "/1/2", "yesterday"] {
            check(wrong, None);
        }
    }

    #[test]
    fn offsets_become_ranges() {
        assert_eq!(joined(&BTreeSet::from([1, 2, 3, 7, 9, 10])), [1..4, 7..8, 9..11]);
        assert_eq!(joined(&BTreeSet::new()), []);
    }
}

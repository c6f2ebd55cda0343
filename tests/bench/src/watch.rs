//! Watches a running service from outside: a consumer of its topics and the transaction log of table `flows`. Tells when each
//! row was committed and when each mark was where. It sends nothing.

use crate::marks::Mark;
use crate::sender::{PARTITIONS, connect, partition};
use crate::spread::Spread;
use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tradewind_model::flow::{DST_ENTITY, INGEST_TIME, SRC_ENTITY};
use tradewind_model::{Clock, FlowBatch, SystemClock};
use tradewind_transport::flows::decode;
use tradewind_transport::{Batch, Consumer, Event, Log, Start, Subscription};

const POLL: Duration = Duration::from_millis(50);
/// Time between two looks for another version of the table.
const LOOK: Duration = Duration::from_millis(5);

/// Where a mark was when: microseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) normalised: Option<i64>,
    pub(crate) in_flows: Option<i64>,
    pub(crate) signalled: Option<i64>,
    pub(crate) in_signals: Option<i64>,
    pub(crate) decided: Option<i64>,
    pub(crate) in_findings: Option<i64>,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) marks: BTreeMap<Mark, Trace>,
    /// From the making of a raw record to the commit of its row.
    pub(crate) rows: Spread,
    /// Rows of the topic of flows.
    pub(crate) flows: u64,
    pub(crate) findings: u64,
    pub(crate) commits: u64,
    /// Per partition of flows: rows that are not committed, by offset, with the time of the raw record.
    waiting: BTreeMap<i32, BTreeMap<i64, Vec<(i64, u64)>>>,
    /// Per partition of flows: what a commit covers up to, and when it was there.
    committed: BTreeMap<i32, Vec<(i64, i64)>>,
}

impl Seen {
    /// A message of flows, and when the raw records of its rows were made.
    fn take_rows(&mut self, partition: i32, offset: i64, times: Vec<(i64, u64)>) {
        self.flows += times.iter().map(|(_, count)| count).sum::<u64>();
        let commits = self.committed.entry(partition).or_default();
        match commits.iter().find(|(next, _)| *next > offset) {
            Some(&(_, at)) => times.iter().for_each(|&(time, count)| self.rows.add(at - time, count)),
            None => drop(self.waiting.entry(partition).or_default().insert(offset, times)),
        }
    }

    /// A commit that covers all before `next`.
    fn take_commit(&mut self, partition: i32, next: i64, at: i64) {
        self.committed.entry(partition).or_default().push((next, at));
        let waiting = self.waiting.entry(partition).or_default();
        let rest = waiting.split_off(&next);
        for (time, count) in std::mem::replace(waiting, rest).into_values().flatten() {
            self.rows.add(at - time, count);
        }
    }

    /// Rows that are in the topic of flows and not in the lake.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.values().flat_map(BTreeMap::values).flatten().map(|(_, count)| count).sum()
    }

    fn note(&mut self, mark: Mark, set: impl Fn(&mut Trace) -> &mut Option<i64>, at: i64) {
        set(self.marks.entry(mark).or_default()).get_or_insert(at);
    }
}

/// Threads that watch until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Watch {
    /// Begins to watch what comes from now on.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub(crate) fn start(brokers: &str, lake: &Path) -> anyhow::Result<Self> {
        let kafka = connect(brokers)?;
        let mut partitions: Vec<_> = (0..PARTITIONS).map(|number| partition("flows", number)).collect();
        partitions.extend([partition("signals", 0), partition("findings", 0)]);
        let partitions = partitions.into_iter().map(|partition| (partition, Start::End)).collect();
        let consumer = kafka.consumer(&Subscription::Assigned { group: "bench-watch".to_owned(), partitions })?;
        let (seen, is_over) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let topics = {
            let (seen, is_over) = (Arc::clone(&seen), Arc::clone(&is_over));
            std::thread::spawn(move || watch_topics(consumer, &seen, &is_over))
        };
        let table = {
            let (seen, is_over) = (Arc::clone(&seen), Arc::clone(&is_over));
            let log = lake.join("flows/_delta_log");
            std::thread::spawn(move || watch_table(&log, &seen, &is_over))
        };
        Ok(Self { seen, is_over, threads: vec![topics, table] })
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Ends, and says what was seen.
    ///
    /// # Errors
    /// When something could not be read meanwhile.
    pub(crate) fn end(self) -> anyhow::Result<Seen> {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread that watches panicked")))?;
        }
        Ok(std::mem::take(&mut lock(&self.seen)))
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch_topics(mut consumer: Box<dyn Consumer>, seen: &Mutex<Seen>, is_over: &AtomicBool) -> anyhow::Result<()> {
    let mut flows = FlowBatch::default();
    while !is_over.load(Ordering::Relaxed) {
        if let Event::Batch(batch) = consumer.poll(POLL).context("failed to read the topics")? {
            let now = SystemClock.now();
            take(&batch, now, &mut flows, seen)?;
        }
    }
    Ok(())
}

fn take(batch: &Batch, now: i64, flows: &mut FlowBatch, seen: &Mutex<Seen>) -> anyhow::Result<()> {
    for received in &batch.records {
        let record = &received.record;
        match batch.from.topic.rsplit('.').next() {
            Some("flows") => {
                flows.clear();
                decode(&record.value, flows).context("failed to decode flows")?;
                let mut times: BTreeMap<i64, u64> = BTreeMap::new();
                for row in 0..flows.len() {
                    *times.entry(flows.num(INGEST_TIME).get(row).unwrap_or_default()).or_default() += 1;
                }
                let mut seen = lock(seen);
                seen.take_rows(batch.from.partition, received.offset, times.into_iter().collect());
                for row in 0..flows.len() {
                    let ends = [SRC_ENTITY, DST_ENTITY].map(|column| flows.text(column).get(row).unwrap_or_default());
                    for mark in ends.into_iter().filter_map(Mark::of_entity) {
                        seen.note(mark, |trace| &mut trace.normalised, record.timestamp);
                        seen.note(mark, |trace| &mut trace.in_flows, now);
                    }
                }
            }
            Some("signals") => {
                let mut seen = lock(seen);
                for mark in Mark::named_in(&record.value) {
                    seen.note(mark, |trace| &mut trace.signalled, record.timestamp);
                    seen.note(mark, |trace| &mut trace.in_signals, now);
                }
            }
            _ => {
                let message: Value = serde_json::from_slice(&record.value).context("failed to read a finding")?;
                let mut seen = lock(seen);
                seen.findings += 1;
                if let Some(mark) = message["finding"]["entity"].as_str().and_then(Mark::of_entity) {
                    seen.note(mark, |trace| &mut trace.decided, message["recorded_time"].as_i64().unwrap_or_default());
                    seen.note(mark, |trace| &mut trace.in_findings, now);
                }
            }
        }
    }
    Ok(())
}

/// Looks for one version of the table after the other.
fn watch_table(log: &Path, seen: &Mutex<Seen>, is_over: &AtomicBool) -> anyhow::Result<()> {
    let mut version = newest(log);
    while !is_over.load(Ordering::Relaxed) {
        let Ok(text) = fs::read_to_string(file(log, version)) else {
            std::thread::sleep(LOOK);
            continue;
        };
        let now = SystemClock.now();
        let mut seen = lock(seen);
        seen.commits += 1;
        for line in text.lines() {
            let action: Value = serde_json::from_str(line).context("failed to read the table's log")?;
            if let (Some(id), Some(next)) = (action["txn"]["appId"].as_str(), action["txn"]["version"].as_i64()) {
                let number = id.rsplit('/').next().and_then(|number| number.parse().ok());
                seen.take_commit(number.context("a transaction of another writer")?, next, now);
            }
        }
        version += 1;
    }
    Ok(())
}

/// The version after the newest one.
fn newest(log: &Path) -> u64 {
    let names =
        fs::read_dir(log).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let versions = names.filter_map(|name| name.strip_suffix(".json")?.parse::<u64>().ok());
    versions.max().map_or(0, |version| version + 1)
}

fn file(log: &Path, version: u64) -> PathBuf {
    log.join(format!("{version:020}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_wait_for_their_commit() {
        let mut seen = Seen::default();
        seen.take_rows(0, 5, vec![(1_000, 2), (2_000, 1)]);
        seen.take_rows(0, 9, vec![(3_000, 4)]);
        seen.take_rows(1, 5, vec![(1_000, 8)]);
        assert_eq!((seen.waiting(), seen.rows.count()), (15, 0));
        seen.take_commit(0, 9, 12_000);
        assert_eq!((seen.waiting(), seen.rows.count()), (12, 3));
        assert_eq!(seen.rows.permille_s(1_000), Some(0.011));
        // The commit was seen before the rows were.
        seen.take_rows(0, 8, vec![(11_000, 1)]);
        assert_eq!((seen.waiting(), seen.rows.count()), (12, 4));
        assert_eq!(seen.rows.permille_s(1), Some(0.001));
    }
}

//! Writes transactions of one source: data with checkpoints. A failure is tried again only after it is known whether the
//! transaction took effect, so that nothing is written twice. What is written, and when, is the collectors' matter.

use crate::collector::Wiring;
use crate::compacted::{Compacted, read_compacted};
use crate::counters::{CollectCounters, add};
use crate::error::CollectError;
use crate::shutdown::Shutdown;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{info, warn};
use tradewind_transport::{ErrorKind, LogError, Outgoing, Producer, Record, TopicPartition};

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// The record that says which transaction of which run of the collector was the last to be committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    run: String,
    sequence: u64,
}

/// Why a transaction did not get through.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// The time to try is over. Whether the transaction took effect is not known until [`Writer::settle`].
    Unsettled(LogError),
    /// Nothing was written, and trying again cannot help.
    Fatal(LogError),
}

/// How a transaction that was left unsettled ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Committed,
    Dropped,
}

/// A writer, and what the run before it left.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    pub(crate) checkpoints: Compacted,
    /// Whether no collector of this source ever ran before.
    pub(crate) is_first: bool,
}

/// The writing end of one source.
#[derive(Debug)]
pub(crate) struct Writer {
    wiring: Wiring,
    name: String,
    topic: Arc<str>,
    partitions: i32,
    checkpoint_topic: Arc<str>,
    checkpoint_partitions: i32,
    run: String,
    sequence: u64,
    probes: u64,
    producer: Box<dyn Producer>,
    is_unsettled: bool,
    counters: Arc<CollectCounters>,
}

impl Writer {
    /// Takes the place of any earlier collector of this source, and reads what it left. Waits for a log that cannot be
    /// reached, until asked to end.
    ///
    /// # Errors
    /// A log that refuses, topics that are missing, the end of waiting.
    pub(crate) fn open(
        wiring: &Wiring,
        name: &str,
        topic: Option<&str>,
        counters: &Arc<CollectCounters>,
        shutdown: &Shutdown,
    ) -> Result<Opened, CollectError> {
        let mut backoff = BACKOFF_MIN;
        loop {
            let error = match Self::try_open(wiring, name, topic, counters) {
                Ok(opened) => {
                    counters.is_log_reachable.store(true, Ordering::Relaxed);
                    return Ok(opened);
                }
                Err(CollectError::Log { source, .. }) if source.kind() == ErrorKind::Retry => source,
                Err(error) => return Err(error),
            };
            counters.is_log_reachable.store(false, Ordering::Relaxed);
            warn!(source = name, %error, "log cannot be reached, waiting");
            if shutdown.wait(backoff) {
                return Err(CollectError::Away { name: name.to_owned(), source: Some(error) });
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn try_open(
        wiring: &Wiring,
        name: &str,
        topic: Option<&str>,
        counters: &Arc<CollectCounters>,
    ) -> Result<Opened, CollectError> {
        let fail = |what: &'static str| {
            let name = name.to_owned();
            move |source: LogError| CollectError::Log { name, what, source }
        };
        let topic = topic.unwrap_or(&wiring.topic);
        let wanted = [topic, wiring.checkpoint_topic.as_ref()];
        let states = wiring.log.topics(&wanted).map_err(fail("look up its topics"))?;
        let partitions = |topic: &str| {
            let found = states.iter().find(|state| state.name == topic).map(|state| state.partitions);
            found.ok_or_else(|| CollectError::TopicMissing { name: name.to_owned(), topic: topic.to_owned() })
        };
        let (count, checkpoint_count) = (partitions(topic)?, partitions(&wiring.checkpoint_topic)?);
        let producer_name = format!("collect-{}-{name}", wiring.collector);
        let producer = wiring.log.producer(&producer_name).map_err(fail("begin writing"))?;
        let started = wiring.clock.now();
        let mut writer = Self {
            wiring: wiring.clone(),
            name: name.to_owned(),
            topic: Arc::from(topic),
            partitions: count,
            checkpoint_topic: Arc::from(wiring.checkpoint_topic.as_ref()),
            checkpoint_partitions: checkpoint_count,
            run: format!("{started:x}-{:x}", std::process::id()),
            sequence: 0,
            probes: 0,
            producer,
            is_unsettled: false,
            counters: Arc::clone(counters),
        };
        let all: Vec<i32> = (0..checkpoint_count).collect();
        let mut found = writer.read(&all).map_err(fail("read its checkpoints"))?;
        let mark_key = Bytes::from(writer.mark_key());
        // A clock that went back, or two starts within a microsecond, must not make two runs alike.
        let earlier = found.remove(&mark_key);
        if earlier.as_ref().and_then(parse_mark).is_some_and(|mark| mark.run == writer.run) {
            writer.run.push('+');
        }
        let mark = writer.mark();
        writer.producer.write(vec![mark], None).map_err(fail("write its first checkpoint"))?;
        Ok(Opened { writer, checkpoints: found, is_first: earlier.is_none() })
    }

    /// Begin of all keys of this source.
    pub(crate) fn prefix(&self) -> String {
        format!("{}/{}/", self.wiring.collector, self.name)
    }

    fn mark_key(&self) -> String {
        self.prefix() + "mark"
    }

    fn mark(&self) -> Outgoing {
        let mark = Mark { run: self.run.clone(), sequence: self.sequence };
        self.checkpoint("mark", json(&mark))
    }

    /// A raw record on its way; records of one `group` keep their order.
    pub(crate) fn raw(&self, group: u64, record: Record) -> Outgoing {
        let count = u64::from(self.partitions.unsigned_abs().max(1));
        let partition = i32::try_from(group % count).expect("it is smaller than an i32");
        Outgoing { to: TopicPartition::new(Arc::clone(&self.topic), partition), record }
    }

    /// A checkpoint on its way. An empty value removes it.
    pub(crate) fn checkpoint(&self, key: &str, value: Bytes) -> Outgoing {
        let key = self.prefix() + key;
        let partition = self.checkpoint_partition(&key);
        let timestamp = self.wiring.clock.now();
        let record = Record { key: Some(Bytes::from(key)), headers: Vec::new(), value, timestamp };
        Outgoing { to: TopicPartition::new(Arc::clone(&self.checkpoint_topic), partition), record }
    }

    /// A key stays in its partition as long as the topic keeps its number of partitions.
    fn checkpoint_partition(&self, key: &str) -> i32 {
        let count = u64::from(self.checkpoint_partitions.unsigned_abs().max(1));
        i32::try_from(hash(key.as_bytes()) % count).expect("it is smaller than an i32")
    }

    fn read(&mut self, partitions: &[i32]) -> Result<Compacted, LogError> {
        self.probes += 1;
        let nonce = format!("{}-{}", self.run, self.probes);
        let prefix = self.prefix();
        let now = self.wiring.clock.now();
        let log = self.wiring.log.as_ref();
        read_compacted(log, self.producer.as_mut(), &self.checkpoint_topic, partitions, &prefix, &nonce, now)
    }

    /// Writes all of these in one transaction and returns when they are durable. Tries again until `give_up` says so.
    ///
    /// # Errors
    /// See [`WriteFailure`]. While a transaction is unsettled, call [`Writer::settle`] first.
    pub(crate) fn write(
        &mut self,
        records: &[Outgoing],
        give_up: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<(), WriteFailure> {
        debug_assert!(!self.is_unsettled, "settle first");
        let mut backoff = BACKOFF_MIN;
        loop {
            self.sequence += 1;
            let mut all = Vec::with_capacity(records.len() + 1);
            all.extend_from_slice(records);
            all.push(self.mark());
            let error = match self.producer.write(all, None) {
                Ok(()) => {
                    self.committed();
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Retry => error,
                Err(error) => return Err(WriteFailure::Fatal(error)),
            };
            self.is_unsettled = true;
            self.failed(&error);
            if give_up(backoff) {
                return Err(WriteFailure::Unsettled(error));
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
            match self.settle(give_up)? {
                Settled::Committed => return Ok(()),
                Settled::Dropped => {}
            }
        }
    }

    /// Finds out whether the last transaction took effect.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub(crate) fn settle(&mut self, give_up: &mut dyn FnMut(Duration) -> bool) -> Result<Settled, WriteFailure> {
        let mut backoff = BACKOFF_MIN;
        loop {
            match self.try_settle() {
                Ok(settled) => {
                    self.is_unsettled = false;
                    match settled {
                        Settled::Committed => self.committed(),
                        // Invariant: `sequence` is that of the last committed transaction while nothing is under way.
                        Settled::Dropped => self.sequence -= 1,
                    }
                    info!(source = self.name, ?settled, "log can be reached again");
                    return Ok(settled);
                }
                Err(error) if error.kind() == ErrorKind::Retry => {
                    self.failed(&error);
                    if give_up(backoff) {
                        return Err(WriteFailure::Unsettled(error));
                    }
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
                Err(error) => return Err(WriteFailure::Fatal(error)),
            }
        }
    }

    /// A new producer of the same name ends what the earlier one left open; then the mark says what was committed.
    fn try_settle(&mut self) -> Result<Settled, LogError> {
        let producer_name = format!("collect-{}-{}", self.wiring.collector, self.name);
        self.producer = self.wiring.log.producer(&producer_name)?;
        let key = self.mark_key();
        let partition = self.checkpoint_partition(&key);
        let found = self.read(&[partition])?;
        let mark = found.get(key.as_bytes()).and_then(parse_mark);
        match mark {
            Some(mark) if mark.run == self.run && mark.sequence == self.sequence => Ok(Settled::Committed),
            Some(mark) if mark.run == self.run && mark.sequence + 1 == self.sequence => Ok(Settled::Dropped),
            other => {
                let detail = other.map_or_else(
                    || "its checkpoints are gone".to_owned(),
                    |mark| format!("run {} has written in the meantime", mark.run),
                );
                Err(LogError::Fenced { who: producer_name, detail })
            }
        }
    }

    fn committed(&self) {
        add(&self.counters.transactions, 1);
        self.counters.is_log_reachable.store(true, Ordering::Relaxed);
    }

    fn failed(&self, error: &LogError) {
        add(&self.counters.write_retries, 1);
        self.counters.is_log_reachable.store(false, Ordering::Relaxed);
        warn!(source = self.name, %error, "transaction failed, trying again");
    }

    /// What a failure means for the collector as a whole.
    pub(crate) fn end(&self, failure: WriteFailure) -> CollectError {
        match failure {
            WriteFailure::Unsettled(error) => CollectError::Away { name: self.name.clone(), source: Some(error) },
            WriteFailure::Fatal(source) => CollectError::Log { name: self.name.clone(), what: "write", source },
        }
    }
}

fn parse_mark(record: &Record) -> Option<Mark> {
    serde_json::from_slice(&record.value).ok()
}

/// The bytes of a checkpoint.
pub(crate) fn json(value: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("checkpoints are plain structs with text keys"))
}

/// A hash that is the same in every run and on every machine.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

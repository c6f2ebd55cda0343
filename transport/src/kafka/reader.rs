//! The thread of a consumer: polls librdkafka always, puts parts together, fills the inbox and does what the stage asks.

use super::fault::{self, Attempt};
use super::inbox::{BatchLimits, Command, Inbox};
use super::member::{MemberContext, Rebalance};
use super::message::{batch_of, take};
use super::{AGAIN_AFTER, Kafka};
use crate::error::{ErrorKind, LogError};
use crate::log::{Start, Subscription};
use crate::parts::{Assembly, Limits};
use crate::record::{Batch, Inputs, TopicPartition};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long one poll waits: commands of the stage wait as long.
const POLL: Duration = Duration::from_millis(20);
/// How long a stage may leave its inbox full before partitions are paused. Until then the thread does not poll, which loses
/// nothing; a pause throws away what librdkafka had fetched ahead.
const STALL: Duration = Duration::from_secs(1);
/// How long a partition may not be ready for a seek.
const SEEK_GRACE: Duration = Duration::from_secs(10);

/// The thread's state.
pub(super) struct Reader {
    pub(super) kafka: Kafka,
    pub(super) subscription: Subscription,
    pub(super) who: String,
    pub(super) consumer: BaseConsumer<MemberContext>,
    pub(super) inbox: Arc<Inbox>,
    assembly: Assembly,
    /// Partitions that are to be read, or are.
    pub(super) assigned: Vec<TopicPartition>,
    is_reading: bool,
    /// Where each goes on.
    pub(super) next: HashMap<TopicPartition, i64>,
    /// Partitions that librdkafka does not fetch at present.
    paused: HashSet<TopicPartition>,
    full_since: Option<Instant>,
    begin_again_at: Instant,
    /// Connections were lost: whether the brokers can be reached is looked at then.
    pub(super) look_for_brokers_at: Option<Instant>,
}

/// The thread cannot go on; the stage was told.
pub(super) struct Ended;

impl Reader {
    pub(super) fn new(
        kafka: Kafka,
        subscription: Subscription,
        who: String,
        consumer: BaseConsumer<MemberContext>,
        inbox: Arc<Inbox>,
    ) -> Self {
        Self {
            kafka,
            subscription,
            who,
            consumer,
            inbox,
            assembly: Assembly::new(Limits::default()),
            assigned: Vec::new(),
            is_reading: false,
            next: HashMap::new(),
            paused: HashSet::new(),
            full_since: None,
            begin_again_at: Instant::now(),
            look_for_brokers_at: None,
        }
    }

    /// Until the stage stops it or it cannot go on.
    pub(super) fn run(mut self) {
        match self.read() {
            Ok(()) | Err(Ended) => {}
        }
        self.consumer.context().close();
        if !self.is_reading
            && let Err(error) = self.consumer.unassign()
        {
            tracing::debug!(%error, "an assignment could not be given back");
        }
    }

    fn read(&mut self) -> Result<(), Ended> {
        self.subscribe()?;
        while !self.inbox.is_stopped() {
            for command in self.inbox.take_commands() {
                self.obey(command);
            }
            self.pause_and_resume();
            self.begin()?;
            if self.has_room() {
                self.collect()?;
            }
            self.look_for_brokers();
            for batch in self.assembly.expire(Instant::now()) {
                tracing::warn!(partition = %batch.from, "a record in parts was given up: its parts are handed out as they are");
                self.inbox.push(batch, self.limits());
            }
        }
        Ok(())
    }

    fn limits(&self) -> BatchLimits {
        let settings = self.kafka.settings();
        BatchLimits { records: settings.batch_records_max as usize, bytes: settings.batch_bytes_max as usize }
    }

    pub(super) fn end(&self, error: LogError) -> Ended {
        self.inbox.end(error);
        Ended
    }

    fn subscribe(&mut self) -> Result<(), Ended> {
        match &self.subscription {
            Subscription::Group { topics, .. } => {
                let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
                let subscribed = self.consumer.subscribe(&topics);
                subscribed
                    .map_err(|error| self.end(LogError::Settings(format!("cannot subscribe to {topics:?}: {error}"))))
            }
            Subscription::Assigned { partitions, .. } => {
                self.assigned = partitions.iter().map(|(partition, _)| partition.clone()).collect();
                self.inbox.assigned(self.assigned.clone(), None);
                Ok(())
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let (result, answer) = match command {
            Command::Seek { partition, start, answer } => (self.seek(&partition, start), answer),
            Command::Commit { inputs, answer } => (self.commit(&inputs), answer),
        };
        // A stage that does not wait any more has given up on it and will begin again.
        drop(answer.send(result));
    }

    /// Whether the inbox can take more. When the stage leaves it full for long, nothing is fetched any more and librdkafka is
    /// polled nevertheless, since members that do not poll lose their partitions.
    fn has_room(&mut self) -> bool {
        let full = self.kafka.settings().buffer_bytes_max as usize;
        let is_stalled = self.full_since.is_some_and(|since| since.elapsed() > STALL);
        let (bytes, wait) = if is_stalled { (full / 2, Duration::ZERO) } else { (full, AGAIN_AFTER) };
        if self.inbox.wait_for_room(bytes, wait) {
            self.full_since = None;
            return true;
        }
        self.full_since.get_or_insert_with(Instant::now);
        is_stalled
    }

    /// Brings what librdkafka fetches in line with what the stage wants and can take.
    fn pause_and_resume(&mut self) {
        if !self.is_reading {
            return;
        }
        let is_stalled = self.full_since.is_some_and(|since| since.elapsed() > STALL);
        let asked = self.inbox.paused();
        let wanted: HashSet<TopicPartition> =
            self.assigned.iter().filter(|partition| is_stalled || asked.contains(*partition)).cloned().collect();
        if wanted == self.paused {
            return;
        }
        let paused = self.consumer.pause(&list(wanted.difference(&self.paused)));
        let resumed = self.consumer.resume(&list(self.paused.difference(&wanted)));
        if let Err(error) = paused.and(resumed) {
            tracing::warn!(%error, "partitions could not be paused or resumed");
        }
        self.paused = wanted;
    }

    /// Begins to read what was assigned, once the stage is ready.
    fn begin(&mut self) -> Result<(), Ended> {
        let Some(sought) = self.inbox.wanted_beginning() else { return Ok(()) };
        if self.is_reading || Instant::now() < self.begin_again_at {
            return Ok(());
        }
        match self.beginnings(&sought) {
            Ok(list) => {
                self.paused.clear();
                if let Err(error) = self.consumer.assign(&list) {
                    // The group went on meanwhile; what it did comes with the next poll.
                    tracing::warn!(consumer = self.who, %error, "an assignment was not taken");
                }
                self.is_reading = true;
                self.inbox.begun();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Retry => {
                self.begin_again_at = Instant::now() + Duration::from_secs(1);
                self.inbox.fail(error);
                Ok(())
            }
            Err(error) => Err(self.end(error)),
        }
    }

    fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<(), LogError> {
        let offset = self.offset(partition, start)?;
        let deadline = Instant::now() + SEEK_GRACE;
        while let Err(error) = self.consumer.seek(&partition.topic, partition.partition, offset, SEEK_GRACE) {
            if Instant::now() >= deadline {
                let what = format!("seek in {partition}");
                return Err(LogError::Unreachable { what, detail: error.to_string() });
            }
            // A partition that was just assigned is not fetched yet, and cannot be sought in.
            thread::sleep(AGAIN_AFTER / 4);
        }
        self.assembly.forget(partition);
        self.inbox.forget(partition);
        Ok(())
    }

    fn commit(&self, inputs: &Inputs) -> Result<(), LogError> {
        if !self.inbox.holds(inputs) {
            let detail = "the partitions are another's by now".to_owned();
            return Err(LogError::Aborted { producer: self.who.clone(), detail });
        }
        let list = super::transaction::offsets(inputs)
            .map_err(|error| LogError::Settings(format!("offsets cannot be committed: {error}")))?;
        let Err(error) = self.consumer.commit(&list, CommitMode::Sync) else { return Ok(()) };
        match error.rdkafka_error_code() {
            Some(code) if fault::is_generation_over(code) => {
                Err(LogError::Aborted { producer: self.who.clone(), detail: error.to_string() })
            }
            _ => Err(self.attempt(format!("commit the offsets of `{}`", self.who)).failed(&error)),
        }
    }

    pub(super) fn attempt(&self, what: String) -> Attempt<'_> {
        let trouble = self.consumer.context().troubles.after(Instant::now() - self.kafka.settings().request_timeout());
        Attempt { settings: self.kafka.settings(), what, trouble }
    }

    /// Takes what is there, up to one batch.
    fn collect(&mut self) -> Result<(), Ended> {
        let limits = self.limits();
        let deadline = Instant::now() + POLL;
        let mut wait = POLL;
        let (mut records, mut bytes) = (0, 0);
        let mut batches: Vec<Batch> = Vec::new();
        loop {
            let polled = match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    records += 1;
                    bytes += message.payload_len();
                    let received = take(&message);
                    let batch = batch_of(&mut batches, &message);
                    batch.next = received.offset + 1;
                    batch.records.push(received);
                    Ok(())
                }
                Some(Err(error)) => Err(Some(error)),
                None => Err(None),
            };
            if self.rebalance() || !self.is_reading {
                batches.clear();
            }
            match polled {
                Ok(()) => {}
                Err(Some(error)) => self.fault(&error)?,
                Err(None) => break,
            }
            if records >= limits.records || bytes >= limits.bytes || Instant::now() >= deadline {
                break;
            }
            wait = Duration::ZERO;
        }
        let now = Instant::now();
        for batch in batches {
            self.next.insert(batch.from.clone(), batch.next);
            if let Some(batch) = self.assembly.push(batch, now) {
                self.inbox.push(batch, limits);
            }
        }
        Ok(())
    }

    /// Does what the group did; true where partitions were given up.
    fn rebalance(&mut self) -> bool {
        let mut is_revoked = false;
        loop {
            let Some(rebalance) = self.consumer.context().next() else { return is_revoked };
            for partition in std::mem::take(&mut self.assigned) {
                self.assembly.forget(&partition);
                is_revoked = true;
            }
            self.paused.clear();
            self.next.clear();
            self.is_reading = false;
            self.inbox.revoked();
            let Rebalance::Assigned(partitions, metadata) = rebalance else { continue };
            tracing::info!(consumer = self.who, partitions = partitions.len(), "partitions assigned");
            if partitions.is_empty() {
                if let Err(error) = self.consumer.assign(&TopicPartitionList::new()) {
                    tracing::warn!(consumer = self.who, %error, "an empty assignment was not taken");
                }
                self.is_reading = true;
                continue;
            }
            self.assigned.clone_from(&partitions);
            self.inbox.assigned(partitions, metadata);
        }
    }
}

fn list<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

//! A log that remembers what it last failed with. Collectors wait inside of themselves for a log that is away; this tells the
//! others why.

use super::tell::said;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tradewind_transport::{
    Consumer, Inputs, Log, LogError, Membership, Outgoing, Producer, Subscription, TopicPartition, TopicSpec,
    TopicState,
};

/// After a failure something else than a write must go well for so long, before the log counts as well again: a full disk lets
/// itself be asked, and refuses the next write.
const QUIET: Duration = Duration::from_secs(3);

/// The last failure, until a write went well.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Failure>>);

#[derive(Debug)]
struct Failure {
    said: String,
    /// Since when all that was tried went well.
    well_since: Option<Instant>,
}

impl Trouble {
    /// What is wrong, if anything is.
    pub(super) fn get(&self) -> Option<String> {
        let failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = |failure: &&Failure| failure.well_since.is_none_or(|since| since.elapsed() < QUIET);
        failure.as_ref().filter(lasts).map(|failure| failure.said.clone())
    }

    fn note<T>(&self, result: Result<T, LogError>, is_write: bool) -> Result<T, LogError> {
        let mut failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&result, failure.as_mut()) {
            (Err(error), _) => *failure = Some(Failure { said: said(error), well_since: None }),
            (Ok(_), _) if is_write => *failure = None,
            (Ok(_), Some(failure)) => failure.well_since = failure.well_since.or_else(|| Some(Instant::now())),
            (Ok(_), None) => {}
        }
        drop(failure);
        result
    }
}

/// The log with that memory.
#[derive(Debug)]
pub(super) struct Watched {
    log: Arc<dyn Log>,
    trouble: Arc<Trouble>,
}

impl Watched {
    pub(super) fn new(log: &Arc<dyn Log>) -> (Self, Arc<Trouble>) {
        let trouble = Arc::<Trouble>::default();
        (Self { log: Arc::clone(log), trouble: Arc::clone(&trouble) }, trouble)
    }
}

impl Log for Watched {
    fn topics(&self, names: &[&str]) -> Result<Vec<TopicState>, LogError> {
        self.trouble.note(self.log.topics(names), false)
    }

    fn create(&self, topic: &TopicSpec) -> Result<bool, LogError> {
        self.trouble.note(self.log.create(topic), false)
    }

    fn range(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
        self.trouble.note(self.log.range(partition), false)
    }

    fn offset_at(&self, partition: &TopicPartition, timestamp: i64) -> Result<i64, LogError> {
        self.trouble.note(self.log.offset_at(partition, timestamp), false)
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError> {
        self.trouble.note(self.log.committed(group, partitions), false)
    }

    fn consumer(&self, subscription: &Subscription) -> Result<Box<dyn Consumer>, LogError> {
        self.log.consumer(subscription)
    }

    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        let producer = self.trouble.note(self.log.producer(name), false)?;
        Ok(Box::new(WatchedProducer { producer, trouble: Arc::clone(&self.trouble) }))
    }
}

#[derive(Debug)]
struct WatchedProducer {
    producer: Box<dyn Producer>,
    trouble: Arc<Trouble>,
}

impl Producer for WatchedProducer {
    fn write(&mut self, records: Vec<Outgoing>, inputs: Option<(&Inputs, &Membership)>) -> Result<(), LogError> {
        self.trouble.note(self.producer.write(records, inputs), true)
    }
}

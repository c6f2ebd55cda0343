//! A log in memory that keeps its promise (all or none, one producer of a name) and fails when told to. It has no groups:
//! collectors only write, and read checkpoints.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use tradewind_transport::{
    Batch, Consumer, Event, Inputs, Log, LogError, Membership, Outgoing, Producer, Received, Record, Start,
    Subscription, TopicPartition, TopicSpec, TopicState,
};

/// What happens to the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written.
    Lost,
    /// It is written, and the answer is lost.
    AnswerLost,
    /// Nothing is written, and nothing will be.
    Refused,
    /// It is written as if nothing were.
    None,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    topics: BTreeMap<String, Vec<Vec<Record>>>,
    epochs: BTreeMap<String, u64>,
    faults: VecDeque<Fault>,
    is_away: bool,
    is_held: bool,
    pub(crate) writes: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryLog {
    state: Arc<(Mutex<State>, Condvar)>,
}

fn unreachable_log() -> LogError {
    LogError::Unreachable { what: "writing".to_owned(), detail: "the test says so".to_owned() }
}

impl MemoryLog {
    pub(crate) fn new(topics: &[(&str, usize)]) -> Self {
        let log = Self::default();
        for (name, partitions) in topics {
            log.state().topics.insert((*name).to_owned(), vec![Vec::new(); *partitions]);
        }
        log
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    /// Faults of the next writes, in order.
    pub(crate) fn fail(&self, faults: &[Fault]) {
        self.state().faults.extend(faults);
    }

    pub(crate) fn pending_faults(&self) -> usize {
        self.state().faults.len()
    }

    /// Whether nothing can be reached at all.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// Whether writes wait.
    pub(crate) fn hold(&self, is_held: bool) {
        self.state().is_held = is_held;
        self.state.1.notify_all();
    }

    /// All records of a topic, partition by partition.
    pub(crate) fn records(&self, topic: &str) -> Vec<Record> {
        self.state().topics[topic].concat()
    }
}

impl Log for MemoryLog {
    fn topics(&self, names: &[&str]) -> Result<Vec<TopicState>, LogError> {
        let state = self.state();
        if state.is_away {
            return Err(unreachable_log());
        }
        let found = names.iter().filter_map(|name| {
            let partitions = state.topics.get(*name)?.len();
            Some(TopicState {
                name: (*name).to_owned(),
                partitions: partitions as i32,
                cleanup: None,
                message_bytes_max: None,
            })
        });
        Ok(found.collect())
    }

    fn create(&self, _topic: &TopicSpec) -> Result<bool, LogError> {
        unimplemented!("collectors create nothing")
    }

    fn range(&self, _partition: &TopicPartition) -> Result<(i64, i64), LogError> {
        unimplemented!("collectors do not ask")
    }

    fn offset_at(&self, _partition: &TopicPartition, _timestamp: i64) -> Result<i64, LogError> {
        unimplemented!("collectors do not ask")
    }

    fn committed(&self, _group: &str, _partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError> {
        unimplemented!("collectors have no groups")
    }

    fn consumer(&self, subscription: &Subscription) -> Result<Box<dyn Consumer>, LogError> {
        let Subscription::Assigned { partitions, .. } = subscription else {
            unimplemented!("collectors have no groups")
        };
        assert!(partitions.iter().all(|(_, start)| *start == Start::First));
        let next = partitions.iter().map(|(partition, _)| (partition.clone(), 0)).collect();
        Ok(Box::new(MemoryConsumer { log: self.clone(), next }))
    }

    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        let mut state = self.state();
        if state.is_away {
            return Err(unreachable_log());
        }
        let epoch = state.epochs.entry(name.to_owned()).or_default();
        *epoch += 1;
        Ok(Box::new(MemoryProducer { log: self.clone(), name: name.to_owned(), epoch: *epoch }))
    }
}

#[derive(Debug)]
struct MemoryConsumer {
    log: MemoryLog,
    next: Vec<(TopicPartition, usize)>,
}

impl Consumer for MemoryConsumer {
    fn poll(&mut self, wait: Duration) -> Result<Event, LogError> {
        let state = self.log.state();
        if state.is_away {
            return Err(unreachable_log());
        }
        for (partition, next) in &mut self.next {
            let records = &state.topics[partition.topic.as_ref()][partition.partition as usize];
            if *next < records.len() {
                // A few at a time, so that the reading takes several batches.
                let end = (*next + 3).min(records.len());
                let received =
                    (*next..end).map(|offset| Received { offset: offset as i64, record: records[offset].clone() });
                let batch = Batch { from: partition.clone(), records: received.collect(), next: end as i64 };
                *next = end;
                return Ok(Event::Batch(batch));
            }
        }
        drop(state);
        std::thread::sleep(wait.min(Duration::from_millis(1)));
        Ok(Event::Idle)
    }

    fn seek(&mut self, _partition: &TopicPartition, _start: Start) -> Result<(), LogError> {
        unimplemented!("collectors do not seek")
    }

    fn pause(&mut self, _partitions: &[TopicPartition]) {}

    fn resume(&mut self, _partitions: &[TopicPartition]) {}

    fn commit(&mut self, _inputs: &Inputs) -> Result<(), LogError> {
        unimplemented!("collectors have no groups")
    }

    fn membership(&self) -> Membership {
        unimplemented!("collectors have no groups")
    }
}

#[derive(Debug)]
struct MemoryProducer {
    log: MemoryLog,
    name: String,
    epoch: u64,
}

impl Producer for MemoryProducer {
    fn write(&mut self, records: Vec<Outgoing>, inputs: Option<(&Inputs, &Membership)>) -> Result<(), LogError> {
        assert!(inputs.is_none());
        let mut state = self.log.state();
        while state.is_held {
            state = self.log.state.1.wait(state).unwrap();
        }
        if state.is_away {
            return Err(unreachable_log());
        }
        if state.epochs[&self.name] != self.epoch {
            return Err(LogError::Fenced { who: self.name.clone(), detail: "a later producer".to_owned() });
        }
        // Probes are no transactions of their own: faults are meant for data.
        let is_probe = records.iter().all(|outgoing| outgoing.record.header("tw-probe").is_some());
        let fault = if is_probe { Fault::None } else { state.faults.pop_front().unwrap_or(Fault::None) };
        match fault {
            Fault::Lost => return Err(unreachable_log()),
            Fault::Refused => {
                return Err(LogError::Refused { what: "writing".to_owned(), detail: "the test says so".to_owned() });
            }
            Fault::AnswerLost | Fault::None => {}
        }
        state.writes += u64::from(!is_probe);
        for Outgoing { to, record } in records {
            state.topics.get_mut(to.topic.as_ref()).unwrap()[to.partition as usize].push(record);
        }
        if fault == Fault::AnswerLost { Err(unreachable_log()) } else { Ok(()) }
    }
}

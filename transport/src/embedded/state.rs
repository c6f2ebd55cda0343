//! What the log knows in memory: topics, ends of partitions, committed offsets, producers, groups. It is what was acknowledged;
//! the store on disk holds the same, and is made to hold it again where a write failed half-way. No I/O here.

use super::codec::TopicId;
use super::group::Group;
use crate::error::LogError;
use crate::record::TopicPartition;
use crate::topic::{Cleanup, TopicSpec};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Partition {
    /// First offset that can be read.
    pub(super) first: i64,
    /// Offset after the last record. It never goes back.
    pub(super) end: i64,
    /// Bytes of the values from `first` on, as they are before compression.
    pub(super) bytes: u64,
    /// The latest timestamp that any record had. Microseconds.
    pub(super) running_max: i64,
    /// How far a compacted topic is compacted. Not stored: after a start the next maintenance looks at everything.
    pub(super) compacted: i64,
}

impl Partition {
    /// One without records.
    pub(super) const EMPTY: Self = Self { first: 0, end: 0, bytes: 0, running_max: i64::MIN, compacted: 0 };

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.end.to_le_bytes());
        bytes.extend_from_slice(&self.bytes.to_le_bytes());
        bytes.extend_from_slice(&self.running_max.to_le_bytes());
        bytes
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut rest = value;
        Some(Self {
            first: i64::from_le_bytes(super::codec::take(&mut rest)?),
            end: i64::from_le_bytes(super::codec::take(&mut rest)?),
            bytes: u64::from_le_bytes(super::codec::take(&mut rest)?),
            running_max: i64::from_le_bytes(super::codec::take(&mut rest)?),
            compacted: 0,
        })
    }
}

/// The records that one write put into one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Offset of the first.
    pub(super) first: i64,
    /// How many.
    pub(super) count: i64,
    /// Bytes of their values.
    pub(super) bytes: u64,
    /// Their latest timestamp.
    pub(super) timestamp_max: i64,
    /// The latest timestamp of the partition up to them, which never goes back: it can be searched for.
    pub(super) running_max: i64,
}

/// One topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: TopicId,
    pub(super) spec: TopicSpec,
    pub(super) partitions: Vec<Partition>,
}

impl Topic {
    pub(super) fn is_compacted(&self) -> bool {
        self.spec.cleanup == Cleanup::Compact
    }
}

/// Offsets that a group committed, by topic and partition.
pub(super) type Committed = HashMap<(TopicId, i32), i64>;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    pub(super) committed: HashMap<String, Committed>,
    /// The number of the living producer of each name.
    pub(super) producers: HashMap<String, u64>,
    pub(super) groups: HashMap<String, Group>,
    /// The last number that was given to a producer or a member.
    pub(super) last_number: u64,
}

impl State {
    /// A number that no producer or member has.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// A topic by name.
    pub(super) fn topic(&self, name: &str) -> Result<&Topic, LogError> {
        self.topics.get(name).ok_or_else(|| LogError::Topics {
            detail: format!("topic `{name}` is missing; create it with `tradewind topics create`"),
        })
    }

    /// A partition with its topic.
    pub(super) fn partition(&self, of: &TopicPartition) -> Result<(&Topic, &Partition), LogError> {
        let topic = self.topic(&of.topic)?;
        let found = usize::try_from(of.partition).ok().and_then(|number| topic.partitions.get(number));
        let partition = found.ok_or_else(|| LogError::Topics {
            detail: format!(
                "topic `{}` has no partition {}, only 0 to {}",
                of.topic,
                of.partition,
                topic.spec.partitions - 1
            ),
        })?;
        Ok((topic, partition))
    }

    /// The same, to change it.
    pub(super) fn partition_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        let topic = self.topics.get_mut(topic)?;
        usize::try_from(partition).ok().and_then(|number| topic.partitions.get_mut(number))
    }

    /// Where a group goes on in a partition.
    pub(super) fn committed(&self, group: &str, topic: TopicId, partition: i32) -> Option<i64> {
        self.committed.get(group)?.get(&(topic, partition)).copied()
    }

    /// How many partitions each topic has.
    pub(super) fn partition_counts(&self) -> HashMap<Arc<str>, i32> {
        self.topics.iter().map(|(name, topic)| (Arc::clone(name), topic.spec.partitions)).collect()
    }
}

/// Locks, also where another thread panicked with the lock: what the locks here guard is whole between any two statements
/// that can panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

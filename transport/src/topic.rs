//! What a topic is to be like, and what it is like.

use std::time::Duration;

/// What a log forgets of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Records older than an age, and the oldest ones over a size of each partition. None: no limit.
    Delete {
        /// The age.
        age: Option<Duration>,
        /// Bytes of a partition.
        bytes: Option<u64>,
    },
    /// All but the newest record of each key.
    Compact,
}

/// A topic as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Number of partitions; at least one.
    pub partitions: i32,
    /// Copies, where the log has several brokers.
    pub replication: i32,
    /// What is forgotten.
    pub cleanup: Cleanup,
    /// The longest record that the log takes, in bytes; longer ones travel in parts.
    pub message_bytes_max: usize,
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// What is forgotten, where the log says.
    pub cleanup: Option<Cleanup>,
    /// The longest record that the log takes, in bytes, where the log says.
    pub message_bytes_max: Option<usize>,
}

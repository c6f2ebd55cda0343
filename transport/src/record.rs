//! What is written to a log and read from it.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.topic, self.partition)
    }
}

/// A header of a record: a name and bytes. A name may occur more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Bytes,
}

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The key. In a compacted topic the newest record of each key stays.
    pub key: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<Header>,
    /// The value. In a compacted topic an empty one removes its key.
    pub value: Bytes,
    /// When it was written, as its producer says. Microseconds UTC; logs keep milliseconds.
    pub timestamp: i64,
}

impl Record {
    /// The value of the first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|header| header.name == name).map(|header| &header.value)
    }

    /// Adds a header.
    pub fn add_header(&mut self, name: &str, value: impl Into<Bytes>) {
        self.headers.push(Header { name: name.to_owned(), value: value.into() });
    }
}

/// A record on its way to a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub to: TopicPartition,
    /// What.
    pub record: Record,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its place in the partition; the first of its parts, where it was too large for one record of the log.
    pub offset: i64,
    /// The record.
    pub record: Record,
}

/// Records of one partition that follow each other. It is taken in as a whole: only [`Batch::next`] may be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where they are from.
    pub from: TopicPartition,
    /// The records, by offset. Offsets may have holes.
    pub records: Vec<Received>,
    /// The offset to go on from after all of them.
    pub next: i64,
}

/// The input that a transaction's outputs were made of: it is committed together with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Where to go on in each partition: the `next` of the last batch of it.
    pub next: Vec<(TopicPartition, i64)>,
}

//! How records and what the log knows of itself lie in the store: keys and values as bytes. No reading and no writing here.
//!
//! Integers of keys are big-endian, so that the order of the bytes is the order of the offsets; those of values are
//! little-endian. Offsets are never negative.

use super::state::Segment;
use crate::record::{Header, Record};
use crate::topic::{Cleanup, TopicSpec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Number of a topic in the store. A topic keeps its own for ever.
pub(super) type TopicId = u32;

/// Bytes of a key of [`record_key`].
pub(super) const RECORD_KEY_BYTES: usize = 16;
/// Key of the [`Mark`] in the keyspace of the log's own data. No other key has one byte.
pub(super) const MARK_KEY: &[u8] = b"w";
/// First byte of the keys of topics.
pub(super) const TOPIC_PREFIX: u8 = b't';
/// First byte of the keys of partitions.
pub(super) const PARTITION_PREFIX: u8 = b'p';
/// First byte of the keys of offsets that groups committed.
pub(super) const COMMITTED_PREFIX: u8 = b'g';
/// Version of the layout of a record's value.
const RECORD_VERSION: u8 = 1;

/// The key of a record, and of the index entry of a write that begins with it.
pub(super) fn record_key(topic: TopicId, partition: i32, offset: i64) -> [u8; RECORD_KEY_BYTES] {
    let mut key = [0; RECORD_KEY_BYTES];
    key[..4].copy_from_slice(&topic.to_be_bytes());
    key[4..8].copy_from_slice(&partition.to_be_bytes());
    key[8..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// Topic, partition and offset of a key of [`record_key`].
pub(super) fn parse_record_key(key: &[u8]) -> Option<(TopicId, i32, i64)> {
    let mut rest = key;
    let topic = TopicId::from_be_bytes(take(&mut rest)?);
    let partition = i32::from_be_bytes(take(&mut rest)?);
    let offset = i64::from_be_bytes(take(&mut rest)?);
    rest.is_empty().then_some((topic, partition, offset))
}

/// The value of a record: version, flags, timestamp, key, headers, payload. None: a part is longer than 32 bits can say.
pub(super) fn encode_record(record: &Record) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(encoded_length(record)).ok()?);
    bytes.push(RECORD_VERSION);
    bytes.push(u8::from(record.key.is_some()));
    bytes.extend_from_slice(&record.timestamp.to_le_bytes());
    if let Some(key) = &record.key {
        put(&mut bytes, key)?;
    }
    bytes.extend_from_slice(&u32::try_from(record.headers.len()).ok()?.to_le_bytes());
    for header in &record.headers {
        put(&mut bytes, header.name.as_bytes())?;
        put(&mut bytes, &header.value)?;
    }
    bytes.extend_from_slice(&record.value);
    u32::try_from(bytes.len()).ok().map(|_| bytes)
}

/// How long [`encode_record`] makes a record.
pub(super) fn encoded_length(record: &Record) -> u64 {
    let key = record.key.as_ref().map_or(0, |key| key.len() + 4);
    let headers: usize = record.headers.iter().map(|header| header.name.len() + header.value.len() + 8).sum();
    u64::try_from(14 + key + headers + record.value.len()).unwrap_or(u64::MAX)
}

/// Reads what [`encode_record`] wrote; the parts share the memory of the whole.
pub(super) fn decode_record(whole: &Bytes) -> Option<Record> {
    let mut rest: &[u8] = whole;
    let [version, flags] = take(&mut rest)?;
    if version != RECORD_VERSION || flags > 1 {
        return None;
    }
    let timestamp = i64::from_le_bytes(take(&mut rest)?);
    let key = if flags == 1 { Some(part(whole, &mut rest)?) } else { None };
    let count = u32::from_le_bytes(take(&mut rest)?);
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = String::from_utf8(part(whole, &mut rest)?.to_vec()).ok()?;
        headers.push(Header { name, value: part(whole, &mut rest)? });
    }
    Some(Record { key, headers, value: whole.slice_ref(rest), timestamp })
}

/// The timestamp of an encoded record.
pub(super) fn timestamp_of(value: &[u8]) -> Option<i64> {
    let mut rest = value.get(2..)?;
    take(&mut rest).map(i64::from_le_bytes)
}

/// What the index says of the records that one write put into one partition.
pub(super) fn encode_segment(segment: &Segment) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(&segment.count.to_le_bytes());
    bytes.extend_from_slice(&segment.bytes.to_le_bytes());
    bytes.extend_from_slice(&segment.timestamp_max.to_le_bytes());
    bytes.extend_from_slice(&segment.running_max.to_le_bytes());
    bytes
}

/// Reads what [`encode_segment`] wrote; `first` is in the key.
pub(super) fn decode_segment(first: i64, value: &[u8]) -> Option<Segment> {
    let mut rest = value;
    Some(Segment {
        first,
        count: i64::from_le_bytes(take(&mut rest)?),
        bytes: u64::from_le_bytes(take(&mut rest)?),
        timestamp_max: i64::from_le_bytes(take(&mut rest)?),
        running_max: i64::from_le_bytes(take(&mut rest)?),
    })
}

/// First item of every batch of the journal, so that a torn one can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of the batch, from 1, without gaps.
    pub(super) number: u64,
    /// Number of the last batch that was on the disk when this one was made.
    pub(super) synced: u64,
    /// Writes in it: those that shared one sync.
    pub(super) writes: u32,
    /// Records in it.
    pub(super) records: u32,
}

impl Mark {
    /// The bytes of its value.
    pub(super) const BYTES: usize = 24;

    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.synced.to_le_bytes());
        bytes.extend_from_slice(&self.writes.to_le_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut rest = value;
        let mark = Self {
            number: u64::from_le_bytes(take(&mut rest)?),
            synced: u64::from_le_bytes(take(&mut rest)?),
            writes: u32::from_le_bytes(take(&mut rest)?),
            records: u32::from_le_bytes(take(&mut rest)?),
        };
        rest.is_empty().then_some(mark)
    }
}

/// Key of a partition's entry.
pub(super) fn partition_key(topic: TopicId, partition: i32) -> Vec<u8> {
    let mut key = vec![PARTITION_PREFIX];
    key.extend_from_slice(&topic.to_be_bytes());
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// Key of the offset that a group committed of a partition.
pub(super) fn committed_key(group: &str, topic: TopicId, partition: i32) -> Vec<u8> {
    let mut key = vec![COMMITTED_PREFIX];
    key.extend_from_slice(group.as_bytes());
    key.extend_from_slice(&topic.to_be_bytes());
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// Group, topic and partition of a key of [`committed_key`].
pub(super) fn parse_committed_key(key: &[u8]) -> Option<(&str, TopicId, i32)> {
    let at = key.len().checked_sub(8)?;
    let group = std::str::from_utf8(key.get(1..at)?).ok()?;
    let mut rest = key.get(at..)?;
    Some((group, TopicId::from_be_bytes(take(&mut rest)?), i32::from_be_bytes(take(&mut rest)?)))
}

/// Key of a topic's entry.
pub(super) fn topic_key(name: &str) -> Vec<u8> {
    let mut key = vec![TOPIC_PREFIX];
    key.extend_from_slice(name.as_bytes());
    key
}

/// A topic as it is stored, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredTopic {
    pub(super) id: TopicId,
    partitions: i32,
    replication: i32,
    is_compacted: bool,
    age_ms: Option<u64>,
    bytes: Option<u64>,
    message_bytes_max: usize,
}

impl StoredTopic {
    pub(super) fn new(id: TopicId, spec: &TopicSpec) -> Self {
        let (is_compacted, age, bytes) = match spec.cleanup {
            Cleanup::Compact => (true, None, None),
            Cleanup::Delete { age, bytes } => (false, age, bytes),
        };
        Self {
            id,
            partitions: spec.partitions,
            replication: spec.replication,
            is_compacted,
            // An age of more milliseconds than 64 bits can say is no limit.
            age_ms: age.and_then(|age| u64::try_from(age.as_millis()).ok()),
            bytes,
            message_bytes_max: spec.message_bytes_max,
        }
    }

    pub(super) fn spec(&self, name: &str) -> TopicSpec {
        let cleanup = if self.is_compacted {
            Cleanup::Compact
        } else {
            Cleanup::Delete { age: self.age_ms.map(Duration::from_millis), bytes: self.bytes }
        };
        TopicSpec {
            name: name.to_owned(),
            partitions: self.partitions,
            replication: self.replication,
            cleanup,
            message_bytes_max: self.message_bytes_max,
        }
    }
}

/// Takes so many bytes off the front.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

/// Appends a length of 32 bits and the bytes.
fn put(bytes: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    bytes.extend_from_slice(&u32::try_from(part.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(part);
    Some(())
}

/// Takes off what [`put`] appended.
fn part(whole: &Bytes, rest: &mut &[u8]) -> Option<Bytes> {
    let length = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(whole.slice_ref(head))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(record: &Record) {
        let bytes = Bytes::from(encode_record(record).unwrap());
        assert_eq!(decode_record(&bytes).as_ref(), Some(record));
        assert_eq!(timestamp_of(&bytes), Some(record.timestamp));
        assert_eq!(encoded_length(record), u64::try_from(bytes.len()).unwrap());
        for length in 0..bytes.len() - record.value.len() {
            assert_eq!(decode_record(&bytes.slice(..length)), None, "cut at {length}");
        }
    }

    #[test]
    fn records_come_back_and_cut_ones_do_not() {
        check(&Record::default());
        let mut record = Record {
            key: Some(Bytes::new()),
            value: Bytes::from_static(&[0, 255]),
            timestamp: -7,
            ..Record::default()
        };
        check(&record);
        record.add_header("a", vec![0, 1, 2]);
        record.add_header("", Bytes::new());
        record.add_header("a", &b"again"[..]);
        record.key = Some(Bytes::from_static(b"\0key\xff"));
        check(&record);
    }

    #[test]
    fn keys_are_in_the_order_of_offsets() {
        let keys =
            [(1, 0, 0), (1, 0, 1), (1, 0, 255), (1, 0, 256), (1, 0, i64::MAX), (1, 1, 0), (2, 0, 0), (256, 0, 0)];
        let encoded: Vec<_> =
            keys.iter().map(|&(topic, partition, offset)| record_key(topic, partition, offset)).collect();
        assert!(encoded.is_sorted());
        for (key, expected) in encoded.iter().zip(keys) {
            assert_eq!(parse_record_key(key), Some(expected));
        }
        assert_eq!(parse_record_key(b"short"), None);
        assert_eq!(parse_committed_key(&committed_key("store", 3, 9)), Some(("store", 3, 9)));
    }
}

//! Removes what topics are to forget: old records, too many of them, superseded ones of compacted topics; and has the store free
//! the space.
//!
//! Retention goes by whole writes, from the first on: a partition's range begins with the first record of a write. A write
//! whose timestamp is far in the future does not hold back older ones behind it.

use super::Inner;
use super::batch::Batch;
use super::codec::{decode_segment, encoded_length, parse_record_key, record_key};
use super::read::View;
use super::state::{Partition, Segment, lock};
use crate::error::LogError;
use crate::record::TopicPartition;
use crate::topic::Cleanup;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Timestamps further ahead of now than this do not count, in microseconds: an hour, as clocks of producers differ.
const AHEAD_MAX: i64 = 3_600_000_000;
/// Records that are removed from a compacted topic in one write.
const REMOVALS_PER_WRITE: usize = 1_000;
/// A topic is compacted on disk when it forgot an eighth of what it keeps, but at least
const RECLAIM_BYTES_MIN: u64 = 1 << 20;
/// and at most so many bytes.
const RECLAIM_BYTES_MAX: u64 = 256 << 20;

/// What maintenance removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Records that are not in the log any more.
    pub records: u64,
    /// Bytes of their values before compression. Their space is free when enough of a topic is gone.
    pub bytes: u64,
}

impl Inner {
    /// See [`super::Embedded::maintain`].
    pub(super) fn maintain(&self, now: i64) -> Result<Maintained, LogError> {
        let topics: Vec<_> = {
            let state = lock(&self.state);
            let topics = state.topics.values();
            topics.map(|topic| (topic.id, topic.spec.name.clone(), topic.spec.cleanup, topic.spec.partitions)).collect()
        };
        let mut all = Maintained::default();
        for (id, name, cleanup, partitions) in topics {
            let mut removed = Maintained::default();
            for number in 0..partitions {
                let partition = TopicPartition::new(name.as_str(), number);
                let of_this = match cleanup {
                    Cleanup::Delete { age, bytes } => self.expire(&partition, age, bytes, now)?,
                    Cleanup::Compact => self.compact(&partition, now)?,
                };
                removed.records += of_this.records;
                removed.bytes += of_this.bytes;
            }
            all.records += removed.records;
            all.bytes += removed.bytes;
            self.reclaim(id, &name, removed.bytes)?;
        }
        self.with_store("maintain", |store| {
            store.release_journals().map_err(|error| self.error("maintain", &Arc::new(error)))
        })?;
        Ok(all)
    }

    /// Has the store free the space of a topic, where there is enough to free.
    fn reclaim(&self, id: super::codec::TopicId, name: &str, bytes: u64) -> Result<(), LogError> {
        let kept: u64 = {
            let state = lock(&self.state);
            state.topic(name)?.partitions.iter().map(|partition| partition.bytes).sum()
        };
        {
            let mut forgotten = lock(&self.forgotten);
            let of_this = forgotten.entry(id).or_default();
            *of_this += bytes;
            if *of_this < (kept / 8).clamp(RECLAIM_BYTES_MIN, RECLAIM_BYTES_MAX) {
                return Ok(());
            }
            *of_this = 0;
        }
        self.with_store("compact", |store| store.compact(id).map_err(|error| self.error("compact", &Arc::new(error))))
    }

    /// Forgets the oldest writes of a partition.
    fn expire(
        &self,
        of: &TopicPartition,
        age: Option<Duration>,
        bytes: Option<u64>,
        now: i64,
    ) -> Result<Maintained, LogError> {
        let oldest = age.and_then(|age| i64::try_from(age.as_micros()).ok()).and_then(|age| now.checked_sub(age));
        let (view, known) = self.known(of)?;
        let excess = bytes.map_or(0, |limit| known.bytes.saturating_sub(limit));
        let (mut first, mut gone, mut seen) = (view.first, Maintained::default(), Maintained::default());
        self.segments(of, view, |segment| {
            seen.records += u64::try_from(segment.count).unwrap_or(0);
            seen.bytes += segment.bytes;
            let end = segment.first + segment.count;
            let is_old = oldest.is_some_and(|oldest| segment.timestamp_max < oldest);
            // The newest write stays, however long it is.
            let is_too_much = gone.bytes < excess && end < view.end;
            if is_old || is_too_much {
                (first, gone) = (end, seen);
                return true;
            }
            oldest.is_some() && segment.timestamp_max > now.saturating_add(AHEAD_MAX)
        })?;
        if first == view.first {
            return Ok(gone);
        }
        self.change(of, Batch::default(), |partition| {
            partition.first = first;
            partition.bytes = partition.bytes.saturating_sub(gone.bytes);
        })?;
        self.floors.raise(view.topic, of.partition, first);
        Ok(gone)
    }

    /// Goes through the index of a partition until told to stop.
    fn segments(
        &self,
        of: &TopicPartition,
        view: View,
        mut go_on: impl FnMut(Segment) -> bool,
    ) -> Result<(), LogError> {
        self.with_store("maintain", |store| {
            let begin = record_key(view.topic, of.partition, view.first);
            for guard in store.index.range(begin..record_key(view.topic, of.partition, view.end)) {
                let (key, value) = guard.into_inner().map_err(|error| self.read_error(of, view.first, error))?;
                let first = parse_record_key(&key).map(|(_, _, first)| first);
                let segment = first.and_then(|first| decode_segment(first, &value));
                if !go_on(segment.ok_or_else(|| self.missing(of, view.first))?) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Removes all but the newest record of each key, and what removes keys once everybody had time to see it.
    fn compact(&self, of: &TopicPartition, now: i64) -> Result<Maintained, LogError> {
        let (view, known) = self.known(of)?;
        if known.compacted == known.end {
            return Ok(Maintained::default());
        }
        let retention = i64::try_from(self.settings.tombstone_retention_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
        let oldest = now.saturating_sub(retention);
        let mut newest: HashMap<Option<Bytes>, (i64, u64)> = HashMap::new();
        let mut removers: HashMap<i64, i64> = HashMap::new();
        let mut superseded: Vec<(i64, u64)> = Vec::new();
        let mut next = view.first;
        while next < view.end {
            let (records, after) = self.read(of, view, next)?;
            for received in records {
                let (offset, record) = (received.offset, received.record);
                // A copy: the key alone is kept, not the whole value that it lies in.
                let key = record.key.as_deref().map(Bytes::copy_from_slice);
                if let Some(before) = newest.insert(key, (offset, encoded_length(&record))) {
                    removers.remove(&before.0);
                    superseded.push(before);
                }
                if record.value.is_empty() {
                    removers.insert(offset, record.timestamp);
                }
            }
            next = after;
        }
        let is_done = removers.values().all(|&timestamp| timestamp < oldest);
        let is_over = |(offset, _): &(i64, u64)| removers.get(offset).is_some_and(|&timestamp| timestamp < oldest);
        superseded.extend(newest.into_values().filter(is_over));
        let mut gone = Maintained::default();
        for part in superseded.chunks(REMOVALS_PER_WRITE) {
            let mut batch = Batch::default();
            part.iter().for_each(|&(offset, _)| batch.remove_record(view.topic, of.partition, offset));
            let bytes: u64 = part.iter().map(|(_, bytes)| bytes).sum();
            self.change(of, batch, |partition| partition.bytes = partition.bytes.saturating_sub(bytes))?;
            gone.records += u64::try_from(part.len()).unwrap_or(0);
            gone.bytes += bytes;
        }
        if is_done && let Some(partition) = lock(&self.state).partition_mut(&of.topic, of.partition) {
            partition.compacted = view.end;
        }
        Ok(gone)
    }

    fn known(&self, of: &TopicPartition) -> Result<(View, Partition), LogError> {
        let view = self.view(of)?;
        let state = lock(&self.state);
        state.partition(of).map(|(_, partition)| (View { end: partition.end, ..view }, *partition))
    }

    /// Writes a batch together with a change of what is known of a partition.
    fn change(
        &self,
        of: &TopicPartition,
        mut batch: Batch,
        change: impl FnOnce(&mut Partition),
    ) -> Result<(), LogError> {
        let mut writer = lock(&self.writer);
        let (topic, mut partition) = {
            let state = lock(&self.state);
            let (topic, partition) = state.partition(of)?;
            (topic.id, *partition)
        };
        change(&mut partition);
        batch.set_partition(&of.topic, topic, of.partition, partition);
        self.commit(&mut writer, batch).map_err(|error| self.error("maintain", &error))
    }
}

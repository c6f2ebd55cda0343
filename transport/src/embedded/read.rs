//! Reads records and searches for timestamps.

use super::Inner;
use super::codec::{decode_record, decode_segment, parse_record_key, record_key};
use super::state::{Segment, lock};
use super::store::{Store, damaged};
use crate::error::LogError;
use crate::record::{Received, TopicPartition};
use bytes::Bytes;
use std::sync::{Arc, PoisonError};

/// A batch that a consumer gets has no more records than this,
pub(super) const BATCH_RECORDS_MAX: usize = 1_000;
/// and no more bytes, unless a single one has.
pub(super) const BATCH_BYTES_MAX: usize = 4 << 20;

/// A partition as it is when something of it is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) topic: super::codec::TopicId,
    pub(super) is_compacted: bool,
    pub(super) first: i64,
    pub(super) end: i64,
}

impl Inner {
    /// A partition as it is now.
    pub(super) fn view(&self, partition: &TopicPartition) -> Result<View, LogError> {
        let state = lock(&self.state);
        let (topic, known) = state.partition(partition)?;
        Ok(View { topic: topic.id, is_compacted: topic.is_compacted(), first: known.first, end: known.end })
    }

    /// Does something with the open store.
    pub(super) fn with_store<T>(
        &self,
        what: &str,
        run: impl FnOnce(&Store) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        match store.as_ref() {
            Some(store) => run(store),
            None => Err(self.error(what, &Arc::new(fjall::Error::Poisoned))),
        }
    }

    /// Records from an offset on, and the offset to go on from. None at all where compaction left none up to the end.
    pub(super) fn read(&self, of: &TopicPartition, view: View, from: i64) -> Result<(Vec<Received>, i64), LogError> {
        let read = self.with_store("read", |store| {
            let Some(records) = store.topic(view.topic) else { return Ok((Vec::new(), view.end)) };
            let (mut found, mut bytes, mut next) = (Vec::new(), 0, from);
            let (begin, end) =
                (record_key(view.topic, of.partition, from), record_key(view.topic, of.partition, view.end));
            for guard in records.range(begin..end) {
                let (key, value) = guard.into_inner().map_err(|error| self.read_error(of, next, error))?;
                let offset = parse_record_key(&key).map(|(_, _, offset)| offset);
                let Some(offset) = offset.filter(|&offset| offset == next || (view.is_compacted && offset > next))
                else {
                    return Err(self.missing(of, next));
                };
                bytes += value.len();
                let value = Bytes::from_owner(value);
                let record = decode_record(&value).ok_or_else(|| self.missing(of, offset))?;
                found.push(Received { offset, record });
                next = offset + 1;
                if found.len() >= BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX {
                    return Ok((found, next));
                }
            }
            if !view.is_compacted && next != view.end {
                return Err(self.missing(of, next));
            }
            Ok((found, view.end))
        });
        // What retention took away while this read is not missing.
        match read {
            Err(error) if self.view(of)?.first > from => {
                tracing::debug!(partition = %of, %error, "records went away while they were read");
                self.read_range_error(of, from).map_or(Err(error), Err)
            }
            other => other,
        }
    }

    /// The error for an offset that is not there; none where it is.
    pub(super) fn read_range_error(&self, of: &TopicPartition, wanted: i64) -> Option<LogError> {
        let view = match self.view(of) {
            Ok(view) => view,
            Err(error) => return Some(error),
        };
        if (view.first..=view.end).contains(&wanted) {
            return None;
        }
        let detail = if wanted < view.first {
            "the records before the first one were removed by the topic's retention; what was not read of them is lost here: go on from \
             the first, and keep more of the topic"
        } else {
            "the position is from another log, or the log lost its end: go on from the first record or the end"
        };
        Some(LogError::OutOfRange {
            partition: of.clone(),
            first: view.first,
            end: view.end,
            wanted,
            detail: detail.to_owned(),
        })
    }

    /// The first offset whose record has this timestamp or a later one, whatever the order of the timestamps.
    pub(super) fn search(&self, of: &TopicPartition, timestamp: i64) -> Result<i64, LogError> {
        let view = self.view(of)?;
        let (mut low, mut high) = (view.first, view.end);
        // The running maximum of the writes never goes back, so where it reaches the timestamp can be searched for.
        while low < high {
            let middle = low + (high - low) / 2;
            match self.segment_at(of, view, middle)? {
                Some(segment) if segment.running_max >= timestamp => high = segment.first.max(low).min(middle),
                Some(segment) => low = (segment.first + segment.count).max(middle + 1),
                None => low = middle + 1,
            }
        }
        // What raised the maximum may be gone by now, so the records have the last word.
        let mut next = low;
        while next < view.end {
            if let Some(segment) = self.segment_at(of, view, next)?
                && segment.timestamp_max < timestamp
            {
                next = (segment.first + segment.count).max(next + 1);
                continue;
            }
            let (records, after) = self.read(of, view, next)?;
            if let Some(found) = records.iter().find(|found| found.record.timestamp >= timestamp) {
                return Ok(found.offset);
            }
            next = after;
        }
        Ok(view.end)
    }

    /// The index entry of the write that an offset is of.
    fn segment_at(&self, of: &TopicPartition, view: View, offset: i64) -> Result<Option<Segment>, LogError> {
        self.with_store("read", |store| {
            let (begin, end) = (record_key(view.topic, of.partition, 0), record_key(view.topic, of.partition, offset));
            let Some(guard) = store.index.range(begin..=end).next_back() else { return Ok(None) };
            let (key, value) = guard.into_inner().map_err(|error| self.read_error(of, offset, error))?;
            let first = parse_record_key(&key).map(|(_, _, first)| first);
            let segment =
                first.and_then(|first| decode_segment(first, &value)).ok_or_else(|| self.missing(of, offset))?;
            Ok(Some(segment).filter(|segment| offset < segment.first + segment.count))
        })
    }

    /// A record that is to be there and is not, or is not one.
    pub(super) fn missing(&self, of: &TopicPartition, offset: i64) -> LogError {
        damaged(&self.folder, &format!("record {offset} of {of} is missing or cannot be read"))
    }

    /// The store cannot read a record.
    pub(super) fn read_error(&self, of: &TopicPartition, offset: i64, error: fjall::Error) -> LogError {
        match error {
            fjall::Error::Storage(error) if std::error::Error::source(&error).is_none() => {
                damaged(&self.folder, &format!("record {offset} of {of} or its neighbours: {error:?}"))
            }
            error => self.error("read", &Arc::new(error)),
        }
    }
}

//! Records that are too large for one record of a log: cut into parts when they are written, put together when they are read.
//!
//! Each part carries the key of the record and three headers ([`SET`], [`NUMBER`], [`COUNT`]); the record's own headers and its
//! timestamp are on the first part, its timestamp on all. The parts of a record follow each other in their partition, though
//! records of other producers may stand between them. What is deliberately absent: how large a record a log takes, and how
//! records come from it.

use crate::record::{Batch, Header, Received, Record, TopicPartition};
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Header of a part: which record it is of. Sixteen bytes, a UUID.
pub const SET: &str = "tradewind.part.set";
/// Header of a part: its number from 0, in decimal digits.
pub const NUMBER: &str = "tradewind.part.number";
/// Header of a part: how many parts there are, in decimal digits.
pub const COUNT: &str = "tradewind.part.count";

/// Bytes that the three headers and the lengths around them take of each part, at most.
const HEADERS_BYTES_MAX: usize = 144;
/// Bytes that a record of its own costs beside key, headers and value: lengths, offset and timestamp, each at most ten bytes.
const RECORD_BYTES: usize = 64;
/// Bytes that a header costs beside its name and value.
const HEADER_BYTES: usize = 16;
/// Parts smaller than this are not worth the records they cost; a limit that leaves less is refused.
const PART_BYTES_MIN: usize = 256;

/// Why a record cannot be written at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// The key and the headers leave no room for a value.
    #[error("its key and headers take {taken} of the {limit} bytes that a record may have")]
    NoRoom {
        /// Bytes of key and headers.
        taken: usize,
        /// Bytes that a record may have.
        limit: usize,
    },
    /// More parts than a reader puts together.
    #[error("it would be cut into {count} parts, more than the {COUNT_MAX} that readers put together")]
    TooMany {
        /// Parts.
        count: usize,
    },
}

/// The most parts that a record may have.
pub const COUNT_MAX: usize = 65_536;

/// What a record takes in a log, in bytes, from above.
#[must_use]
pub fn record_bytes(record: &Record) -> usize {
    head_bytes(record) + record.value.len()
}

fn head_bytes(record: &Record) -> usize {
    let headers: usize =
        record.headers.iter().map(|header| header.name.len() + header.value.len() + HEADER_BYTES).sum();
    RECORD_BYTES + record.key.as_ref().map_or(0, Bytes::len) + headers
}

/// The record itself where it takes at most `limit` bytes, else its parts in order. The values share the record's memory.
///
/// # Errors
/// Key and headers leave no room, or there would be too many parts.
pub fn cut(record: Record, limit: usize) -> Result<Vec<Record>, CutError> {
    if record_bytes(&record) <= limit {
        return Ok(vec![record]);
    }
    let first_room = room(head_bytes(&record), limit)?;
    let bare = Record { key: record.key.clone(), ..Record::default() };
    let room = room(head_bytes(&bare), limit)?;
    let rest = record.value.len().saturating_sub(first_room);
    let count = 1 + rest.div_ceil(room);
    if count > COUNT_MAX {
        return Err(CutError::TooMany { count });
    }
    let set = Bytes::copy_from_slice(Uuid::now_v7().as_bytes());
    let mut value = record.value;
    let mut headers = record.headers;
    let mut parts = Vec::with_capacity(count);
    for number in 0..count {
        let take = if number == 0 { first_room } else { room }.min(value.len());
        let mut part = Record {
            key: record.key.clone(),
            headers: std::mem::take(&mut headers),
            value: value.split_to(take),
            timestamp: record.timestamp,
        };
        part.add_header(SET, set.clone());
        part.add_header(NUMBER, number.to_string());
        part.add_header(COUNT, count.to_string());
        parts.push(part);
    }
    Ok(parts)
}

/// Bytes of value that a part with such a head may carry.
fn room(head: usize, limit: usize) -> Result<usize, CutError> {
    let taken = head + HEADERS_BYTES_MAX;
    let room = limit.saturating_sub(taken);
    if room < PART_BYTES_MIN { Err(CutError::NoRoom { taken, limit }) } else { Ok(room) }
}

/// Whether a record is a part that was not put together: its set was given up.
#[must_use]
pub fn is_part(record: &Record) -> bool {
    part_of(record).is_some()
}

/// Where a part belongs.
struct Part {
    set: [u8; 16],
    number: usize,
    count: usize,
}

/// Reads the headers of a part. What does not read as one is an ordinary record.
fn part_of(record: &Record) -> Option<Part> {
    let set = record.header(SET)?.as_ref().try_into().ok()?;
    let number = digits(record.header(NUMBER)?)?;
    let count = digits(record.header(COUNT)?)?;
    (number < count && (1..=COUNT_MAX).contains(&count)).then_some(Part { set, number, count })
}

fn digits(value: &Bytes) -> Option<usize> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// How long and how much a reader waits for the rest of a set, before it hands out the parts as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one set, and of all that is held back at one time.
    pub bytes_max: usize,
    /// Later records of the partition.
    pub records_behind_max: usize,
    /// Bytes of those.
    pub bytes_behind_max: usize,
    /// Time since the first part was read. A set is written at once, so its parts are all there when the first one is.
    pub age_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            records_behind_max: 1_000,
            bytes_behind_max: 64 << 20,
            age_max: Duration::from_secs(60),
        }
    }
}

/// What was put together and what was not, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were put together.
    pub assembled: u64,
    /// Parts that were handed out as they are, since their set was incomplete or contradicted itself.
    pub given_up: u64,
}

/// Puts the records of some partitions together again. Holds back what stands behind an incomplete set, so that every batch can
/// be gone on from where it ends.
#[derive(Debug, Default)]
pub struct Assembly {
    limits: Limits,
    partitions: HashMap<TopicPartition, Held>,
    bytes: usize,
    counts: Counts,
}

/// What is held back of one partition.
#[derive(Debug, Default)]
struct Held {
    /// By offset; a hole where a part was taken into the first one of its set.
    records: Vec<Option<Received>>,
    next: i64,
    bytes: usize,
    open: HashMap<[u8; 16], Open>,
}

/// A set of which parts are missing.
#[derive(Debug)]
struct Open {
    /// Places of its parts in `Held::records`.
    places: Vec<usize>,
    count: usize,
    bytes: usize,
    behind: usize,
    behind_bytes: usize,
    since: Instant,
}

impl Assembly {
    /// With these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What was put together and what was not.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes that are held back at present.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in records of a partition that follow those before, and gives what is complete. `now` is any clock that does not go back.
    pub fn push(&mut self, batch: Batch, now: Instant) -> Option<Batch> {
        let is_held = self.partitions.contains_key(&batch.from);
        if !is_held && !batch.records.iter().any(|received| part_of(&received.record).is_some()) {
            return Some(batch);
        }
        let limits = self.limits;
        let held = self.partitions.entry(batch.from.clone()).or_default();
        let before = held.bytes;
        for received in batch.records {
            held.take_in(received, limits, now, &mut self.counts);
        }
        held.next = batch.next;
        let others = self.bytes - before;
        if others.saturating_add(held.bytes) > limits.bytes_max {
            held.give_up(&mut self.counts, |_| true);
        }
        self.bytes = others + held.bytes;
        self.release(&batch.from)
    }

    /// Gives up sets whose first part was read longer ago than the limit, and gives what stood behind them.
    pub fn expire(&mut self, now: Instant) -> Vec<Batch> {
        let age_max = self.limits.age_max;
        let late = |open: &Open| now.saturating_duration_since(open.since) > age_max;
        let partitions: Vec<TopicPartition> = self
            .partitions
            .iter()
            .filter(|(_, held)| held.open.values().any(late))
            .map(|(partition, _)| partition.clone())
            .collect();
        let mut batches = Vec::new();
        for partition in partitions {
            if let Some(held) = self.partitions.get_mut(&partition) {
                held.give_up(&mut self.counts, late);
            }
            batches.extend(self.release(&partition));
        }
        batches
    }

    /// Forgets what is held back of a partition: it is read from elsewhere, or by another.
    pub fn forget(&mut self, partition: &TopicPartition) {
        if let Some(held) = self.partitions.remove(partition) {
            self.bytes -= held.bytes;
        }
    }

    /// All that is held of a partition, where no set of it is open.
    fn release(&mut self, partition: &TopicPartition) -> Option<Batch> {
        if !self.partitions.get(partition)?.open.is_empty() {
            return None;
        }
        let held = self.partitions.remove(partition)?;
        self.bytes -= held.bytes;
        Some(Batch { from: partition.clone(), records: held.records.into_iter().flatten().collect(), next: held.next })
    }
}

impl Held {
    fn take_in(&mut self, received: Received, limits: Limits, now: Instant, counts: &mut Counts) {
        let bytes = record_bytes(&received.record);
        let part = part_of(&received.record);
        let set = part.as_ref().map(|part| part.set);
        for (_, open) in self.open.iter_mut().filter(|(of, _)| Some(**of) != set) {
            open.behind += 1;
            open.behind_bytes += bytes;
        }
        let place = self.records.len();
        self.records.push(Some(received));
        self.bytes += bytes;
        if let Some(part) = part {
            self.take_in_part(&part, place, bytes, now, counts);
        }
        self.give_up(counts, |open| {
            open.bytes > limits.bytes_max
                || open.behind >= limits.records_behind_max
                || open.behind_bytes > limits.bytes_behind_max
        });
    }

    fn take_in_part(&mut self, part: &Part, place: usize, bytes: usize, now: Instant, counts: &mut Counts) {
        if part.number == 0 && !self.open.contains_key(&part.set) {
            let open = Open { places: Vec::new(), count: part.count, bytes: 0, behind: 0, behind_bytes: 0, since: now };
            self.open.insert(part.set, open);
        }
        let Some(open) = self.open.get_mut(&part.set) else {
            counts.given_up += 1;
            return;
        };
        let fits = part.number == open.places.len() && part.count == open.count;
        open.places.push(place);
        open.bytes += bytes;
        if !fits {
            let set = part.set;
            counts.given_up += self.open.remove(&set).map_or(0, |open| open.places.len() as u64);
        } else if open.places.len() == open.count
            && let Some(open) = self.open.remove(&part.set)
        {
            self.assemble(&open);
            counts.assembled += 1;
        }
    }

    /// Puts the parts of a complete set into the place of the first.
    fn assemble(&mut self, open: &Open) {
        let mut value = BytesMut::with_capacity(open.bytes);
        let mut whole: Option<Received> = None;
        for place in &open.places {
            let Some(part) = self.records.get_mut(*place).and_then(Option::take) else { continue };
            value.extend_from_slice(&part.record.value);
            whole.get_or_insert(part);
        }
        if let (Some(mut whole), Some(place)) = (whole, open.places.first()) {
            whole.record.headers.retain(|header: &Header| ![SET, NUMBER, COUNT].contains(&header.name.as_str()));
            whole.record.value = value.freeze();
            self.records[*place] = Some(whole);
        }
    }

    fn give_up(&mut self, counts: &mut Counts, is_hopeless: impl Fn(&Open) -> bool) {
        self.open.retain(|_, open| {
            let hopeless = is_hopeless(open);
            if hopeless {
                counts.given_up += open.places.len() as u64;
            }
            !hopeless
        });
    }
}

#[cfg(test)]
mod tests;

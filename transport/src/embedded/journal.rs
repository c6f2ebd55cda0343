//! Looks at the store's journals before the store reads them, cuts off what a loss of power left half-written, and counts it.
//!
//! `fjall` itself cuts a journal silently at the first entry that it cannot read, wherever that is, and refuses to open at all where an entry
//! can be read but its checksum is wrong. Here the two cases that matter are told apart by the [`Mark`] that begins each of the
//! log's batches: what is broken **at the end**, after the last batch that is known to have been synced, is a torn write and is
//! cut; what is broken **before** a batch that says it had been synced is damage, and the log does not open.
//! Known limit: a last batch that was synced and is damaged later cannot be told from a torn one; it is cut, and counted.
//!
//! Layout of a journal (fjall 3, `src/journal/entry.rs`; integers little-endian): a batch is a start (tag 1, number of items u32,
//! sequence number u64), the items (tag 2, value type u8, compression u8, keyspace u64, key length u16, value length u32, length on disk
//! u32, key, value) or clears (tag 4, keyspace u64), and an end (tag 3, checksum u64, `FJL` 3). Files are made 64 MiB long with zeros,
//! so zeros to the end of the file are the clean end.

use super::codec::{MARK_KEY, Mark};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Bytes that end each batch.
const MAGIC: &[u8] = b"FJL\x03";
/// Bytes of a journal that are looked at in one go. Batches longer than that are read whole all the same.
const WINDOW_BYTES: usize = 4 << 20;
/// Sequence numbers of batches that follow each other are no further apart: what is done between them takes a few.
const SEQUENCE_STEP_MAX: u64 = 1 << 40;
/// Bytes of the start of a batch.
const START_BYTES: usize = 13;

/// What was cut off the end of the journal when the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Writes that were cut, as far as they can be counted; a write of which not even the beginning is there counts as one.
    pub writes: u64,
    /// Records in them, as far as they can be counted.
    pub records: u64,
    /// Bytes of the journal that were cut, without the zeros after them.
    pub bytes: u64,
}

/// Why the journals cannot be used.
#[derive(Debug)]
pub(super) enum JournalError {
    /// Reading or cutting failed.
    Io(PathBuf, io::Error),
    /// There is damage that is no torn end.
    Damaged(String),
}

/// The end of the journals, after what was torn was cut.
#[derive(Debug, Default)]
pub(super) struct Journals {
    /// What was cut.
    pub(super) recovered: Recovered,
    /// The mark of the last batch, where there is one.
    pub(super) last: Option<Mark>,
    /// The newest journal and where its last batch begins, where that batch may not have been synced.
    pub(super) unsynced: Option<(PathBuf, u64)>,
    /// Sequence number of the last batch.
    sequence: u64,
}

/// A batch that was read.
struct Found {
    begin: u64,
    sequence: u64,
    mark: Option<Mark>,
}

/// Looks at all journals of a folder and cuts off what is torn.
pub(super) fn examine(folder: &Path) -> Result<Journals, JournalError> {
    let paths = journals(folder).map_err(|error| JournalError::Io(folder.to_owned(), error))?;
    let mut found = Journals::default();
    let newest = paths.len().saturating_sub(1);
    for (place, path) in paths.iter().enumerate() {
        examine_one(path, place == newest, &mut found)?;
    }
    Ok(found)
}

/// Cuts a journal at a place, and says what was there, so that it can be put back.
pub(super) fn cut(path: &Path, at: u64) -> Result<Vec<u8>, JournalError> {
    let cut = || {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        file.set_len(at)?;
        file.sync_all()?;
        Ok(bytes)
    };
    cut().map_err(|error| JournalError::Io(path.to_owned(), error))
}

/// Puts back what [`cut`] took.
pub(super) fn put_back(path: &Path, at: u64, bytes: &[u8]) -> Result<(), JournalError> {
    let put = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    put().map_err(|error| JournalError::Io(path.to_owned(), error))
}

/// What a batch that is cut counts for.
pub(super) fn count(mark: Option<Mark>, bytes: u64) -> Recovered {
    mark.map_or(Recovered { writes: 1, records: 0, bytes }, |mark| Recovered {
        writes: u64::from(mark.writes),
        records: u64::from(mark.records),
        bytes,
    })
}

/// The journals, oldest first.
fn journals(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut numbered = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let (Some(number), Some("jnl")) = (number, path.extension().and_then(|extension| extension.to_str())) {
            numbered.push((number, path));
        }
    }
    numbered.sort_unstable();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

fn examine_one(path: &Path, is_newest: bool, journals: &mut Journals) -> Result<(), JournalError> {
    let io_error = |error| JournalError::Io(path.to_owned(), error);
    let mut window = Window::open(path).map_err(io_error)?;
    let mut last: Option<Found> = None;
    while let Some(batch) = window.next().map_err(io_error)? {
        // The store's checksum does not cover the sequence number, and it believes whatever it reads.
        let ahead = batch.sequence.checked_sub(journals.sequence);
        if ahead.is_none_or(|ahead| ahead > SEQUENCE_STEP_MAX) {
            return Err(JournalError::Damaged(format!(
                "{} has sequence number {} at byte {}, after {}",
                path.display(),
                batch.sequence,
                batch.begin,
                journals.sequence
            )));
        }
        journals.sequence = batch.sequence;
        if let Some(mark) = batch.mark {
            if let Some(before) = journals.last.filter(|before| before.number + 1 != mark.number) {
                return Err(JournalError::Damaged(format!(
                    "{} goes from batch {} to batch {}: what was between is missing",
                    path.display(),
                    before.number,
                    mark.number
                )));
            }
            journals.last = Some(mark);
        }
        last = Some(batch);
    }
    let good_end = window.position;
    let rest = window.rest().map_err(io_error)?;
    if is_newest {
        let unsynced = last.as_ref().filter(|batch| batch.mark.is_some_and(|mark| mark.number > mark.synced));
        journals.unsynced = unsynced.map(|batch| (path.to_owned(), batch.begin));
    }
    if rest.is_empty() {
        return Ok(());
    }
    let written = journals.last.map_or(0, |mark| mark.number);
    let later = later_batches(&rest, written);
    let synced = later.iter().map(|mark| mark.synced).max().unwrap_or(0);
    if !is_newest || synced > written {
        return Err(JournalError::Damaged(format!(
            "{} cannot be read at byte {good_end}, where batch {} is to be, though what comes after it was written later",
            path.display(),
            written + 1
        )));
    }
    let head = partial_mark(&rest);
    let bytes = u64::try_from(rest.len()).unwrap_or(u64::MAX);
    let mut cut_off = count(head, bytes);
    for mark in later {
        cut_off.writes += u64::from(mark.writes);
        cut_off.records += u64::from(mark.records);
    }
    cut(path, good_end)?;
    journals.recovered.writes += cut_off.writes;
    journals.recovered.records += cut_off.records;
    journals.recovered.bytes += cut_off.bytes;
    Ok(())
}

/// Marks of whole batches somewhere in bytes that cannot be read from their beginning, with a higher number than this.
fn later_batches(bytes: &[u8], written: u64) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for at in after_magic(bytes) {
        // A number far ahead comes of payloads that look like a batch, not of the log.
        let is_later =
            |mark: &Mark| mark.number > written && mark.number - written < 1 << 20 && mark.synced < mark.number;
        if let Parsed::Batch(_, _, Some(mark)) = parse(&bytes[at..])
            && is_later(&mark)
        {
            marks.push(mark);
        }
    }
    marks
}

/// Where a batch may begin: right after the end of one.
fn after_magic(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC).map(|(at, _)| at + MAGIC.len())
}

/// The mark at the beginning of a batch that has no end.
fn partial_mark(bytes: &[u8]) -> Option<Mark> {
    if bytes.first() != Some(&1) {
        return None;
    }
    match item(bytes.get(START_BYTES..)?) {
        Item::Whole(_, mark) => mark,
        Item::Short | Item::Broken => None,
    }
}

/// A file that is read batch by batch.
struct Window {
    file: File,
    buffer: Vec<u8>,
    /// How much of the buffer is behind.
    at: usize,
    /// Where that is in the file.
    position: u64,
    is_at_end: bool,
}

impl Window {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, buffer: Vec::new(), at: 0, position: 0, is_at_end: false })
    }

    /// Reads on, at least as much again as there is. False at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        if self.is_at_end {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let before = self.buffer.len();
        let wanted = before.max(WINDOW_BYTES);
        let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
        (&mut self.file).take(limit).read_to_end(&mut self.buffer)?;
        self.is_at_end = self.buffer.len() - before < wanted;
        Ok(self.buffer.len() > before)
    }

    fn next(&mut self) -> io::Result<Option<Found>> {
        loop {
            match parse(&self.buffer[self.at..]) {
                Parsed::Batch(length, sequence, mark) => {
                    let begin = self.position;
                    self.at += length;
                    self.position += u64::try_from(length).unwrap_or(u64::MAX);
                    return Ok(Some(Found { begin, sequence, mark }));
                }
                Parsed::Short => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
                Parsed::Broken => return Ok(None),
            }
        }
    }

    /// All that is left, without the zeros at the end.
    fn rest(mut self) -> io::Result<Vec<u8>> {
        let mut rest = self.buffer.split_off(self.at);
        let mut zeros = 0_u64;
        self.buffer = Vec::new();
        self.at = 0;
        while self.fill()? {
            let part = std::mem::take(&mut self.buffer);
            if part.iter().all(|byte| *byte == 0) {
                zeros += part.len() as u64;
                continue;
            }
            rest.resize(rest.len() + usize::try_from(zeros).unwrap_or(usize::MAX), 0);
            zeros = 0;
            rest.extend_from_slice(&part);
        }
        rest.truncate(rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        Ok(rest)
    }
}

/// What bytes begin with.
enum Parsed {
    /// A batch of this length and sequence number.
    Batch(usize, u64, Option<Mark>),
    /// Perhaps the beginning of one.
    Short,
    /// Something else.
    Broken,
}

/// What an item is.
enum Item {
    Whole(usize, Option<Mark>),
    Short,
    Broken,
}

fn parse(bytes: &[u8]) -> Parsed {
    let Some(start) = bytes.get(..START_BYTES) else {
        return if bytes.first().is_none_or(|tag| *tag == 1) { Parsed::Short } else { Parsed::Broken };
    };
    if start[0] != 1 {
        return Parsed::Broken;
    }
    let count = u32::from_le_bytes([start[1], start[2], start[3], start[4]]);
    let mut rest = &start[5..];
    let sequence = super::codec::take(&mut rest).map_or(u64::MAX, u64::from_le_bytes);
    let mut at = START_BYTES;
    let mut mark = None;
    for place in 0..count {
        match item(&bytes[at..]) {
            Item::Whole(length, found) => {
                if place == 0 {
                    mark = found;
                }
                at += length;
            }
            Item::Short => return Parsed::Short,
            Item::Broken => return Parsed::Broken,
        }
    }
    match bytes.get(at..at + 9 + MAGIC.len()) {
        None => Parsed::Short,
        Some(end) if end[0] == 3 && end.ends_with(MAGIC) => Parsed::Batch(at + end.len(), sequence, mark),
        Some(_) => Parsed::Broken,
    }
}

/// An item with its length, and the mark if it is one.
fn item(bytes: &[u8]) -> Item {
    const HEAD_BYTES: usize = 21;
    match bytes.first() {
        None => return Item::Short,
        Some(4) => return if bytes.len() < 9 { Item::Short } else { Item::Whole(9, None) },
        Some(2) => {}
        Some(_) => return Item::Broken,
    }
    let Some(head) = bytes.get(..HEAD_BYTES) else { return Item::Short };
    // A value or a tombstone, and not compressed: the log writes nothing else.
    if head[1] > 2 || head[2] != 0 || head[13..17] != head[17..21] {
        return Item::Broken;
    }
    let key_length = usize::from(u16::from_le_bytes([head[11], head[12]]));
    let value_length = u32::from_le_bytes([head[17], head[18], head[19], head[20]]);
    let Ok(value_length) = usize::try_from(value_length) else { return Item::Broken };
    let end = HEAD_BYTES + key_length + value_length;
    let Some(whole) = bytes.get(HEAD_BYTES..end) else { return Item::Short };
    let (key, value) = whole.split_at(key_length);
    Item::Whole(end, if key == MARK_KEY { Mark::decode(value) } else { None })
}

//! The decoder contract: bytes of one file, object or message in; flow columns, rejects and gaps out.
//!
//! A decoder is pure: it reads no file, no clock and no global. It sees whole records (for text: whole lines) and may be
//! called with any part of an object in any order, from many threads; what it knows of the object (layout, header) is in
//! its value. For each call `records = flows + rejected + gaps` holds.

use hashbrown::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use tradewind_model::dictionary::Dictionary;
use tradewind_model::{FlowBatch, NULL_CODE};

/// The longest input that a reject keeps, in bytes. Its full length is always told.
pub const REJECT_BYTES_MAX: usize = 64 * 1024;
/// The longest record that is read, in bytes; a longer one is rejected without being held in memory.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a record was rejected: a closed set, so that reasons can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No format was recognised in the object.
    UnknownFormat,
    /// Fewer fields than the layout has.
    TooFewFields,
    /// More fields than the layout has.
    TooManyFields,
    /// An address that is none.
    BadAddress,
    /// A number, port or protocol that is none or is out of range.
    BadNumber,
    /// A time that is none or is out of range.
    BadTime,
    /// A word outside the set the format defines.
    BadValue,
    /// Not JSON, or not the JSON the format defines.
    BadJson,
    /// Text that does not follow the format.
    BadSyntax,
    /// Bytes that are not UTF-8 where text is required.
    InvalidUtf8,
    /// A header where rows were expected, with another layout.
    UnexpectedHeader,
    /// A record of another log of the same product, which holds no connections.
    OtherLog,
    /// A record over the limit of bytes.
    RecordTooLong,
    /// Nesting or counts over the limits.
    TooComplex,
    /// The object ends in the middle: a compressed stream that was cut.
    TruncatedInput,
    /// A compressed stream that is damaged.
    CorruptInput,
    /// Unpacking passed the limit of size or ratio.
    DecompressionLimit,
}

impl Reason {
    /// Whether it condemns the whole object: what was read of it before is not to be kept either, since the whole object,
    /// fetched again, would bring it a second time.
    #[must_use]
    pub const fn is_of_object(self) -> bool {
        matches!(self, Self::TruncatedInput | Self::CorruptInput | Self::DecompressionLimit)
    }

    /// The word in the column `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownFormat => "unknown_format",
            Self::TooFewFields => "too_few_fields",
            Self::TooManyFields => "too_many_fields",
            Self::BadAddress => "bad_address",
            Self::BadNumber => "bad_number",
            Self::BadTime => "bad_time",
            Self::BadValue => "bad_value",
            Self::BadJson => "bad_json",
            Self::BadSyntax => "bad_syntax",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::UnexpectedHeader => "unexpected_header",
            Self::OtherLog => "other_log",
            Self::RecordTooLong => "record_too_long",
            Self::TooComplex => "too_complex",
            Self::TruncatedInput => "truncated_input",
            Self::CorruptInput => "corrupt_input",
            Self::DecompressionLimit => "decompression_limit",
        }
    }
}

/// Why a record cannot become a row; a decoder makes a [`Reject`] of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Fault {
    /// A value that is not what the field must hold.
    #[cold]
    pub(crate) fn value(reason: Reason, name: &str, value: &str, expected: &str) -> Self {
        let shown: String = value.chars().take(80).collect();
        Self { reason, detail: format!("{name}: `{shown}` is not {expected}") }
    }

    /// Text that does not follow the format: what was expected, and where.
    #[cold]
    pub(crate) fn syntax(expected: &str, found: &str) -> Self {
        let shown: String = found.chars().take(80).collect();
        Self { reason: Reason::BadSyntax, detail: format!("expected {expected}, found `{shown}`") }
    }

    /// A record of another log of the same product, or one that is no connection.
    #[cold]
    pub(crate) fn other_log(detail: impl Into<String>) -> Self {
        Self { reason: Reason::OtherLog, detail: detail.into() }
    }
}

/// Input that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Why, as a word that can be counted.
    pub reason: Reason,
    /// Why, for a person: names the field and shows the value.
    pub detail: String,
    /// Byte offset of the record in the unpacked object.
    pub offset: u64,
    /// Which record of an envelope it is, where one offset holds several.
    pub index: Option<u32>,
    /// The record's bytes, at most [`REJECT_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// Its full length in bytes.
    pub length: u64,
}

/// How many records of each sort were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them. Invariant: `records = flows + rejected + gaps`.
    pub records: u64,
    /// Those that became rows.
    pub flows: u64,
    /// Those that became rejects.
    pub rejected: u64,
    /// Those that state that data is missing.
    pub gaps: u64,
}

impl Counts {
    /// Adds the other counts.
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.flows += other.flows;
        self.rejected += other.rejected;
        self.gaps += other.gaps;
    }
}

/// Counts of gap records per observer, minute and reason.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    observers: Dictionary,
    counts: HashMap<(u32, i64, &'static str), u64>,
}

impl Gaps {
    /// Counts one gap at `time` (microseconds UTC).
    pub fn add(&mut self, observer: Option<&str>, time: i64, reason: &'static str) {
        let code = observer.map_or(NULL_CODE, |observer| self.observers.intern(observer).0);
        let minute = time.div_euclid(tradewind_model::time::MINUTE) * tradewind_model::time::MINUTE;
        *self.counts.entry((code, minute, reason)).or_default() += 1;
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        for (observer, minute, reason, count) in other.iter() {
            let code = observer.map_or(NULL_CODE, |observer| self.observers.intern(observer).0);
            *self.counts.entry((code, minute, reason)).or_default() += count;
        }
    }

    /// Observer, start of the minute, reason and count, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, i64, &'static str, u64)> {
        self.counts.iter().map(|(&(code, minute, reason), &count)| (self.observers.get(code), minute, reason, count))
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.observers.clear();
        self.counts.clear();
    }
}

/// What decoding adds to. The caller empties it when it is large: [`Decoded::is_large`].
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// Accepted records.
    pub flows: FlowBatch,
    /// Rejected records.
    pub rejects: Vec<Reject>,
    /// Bytes held by `rejects`.
    pub reject_bytes: usize,
    /// Records that state missing data.
    pub gaps: Gaps,
    /// How many of each.
    pub counts: Counts,
}

impl Decoded {
    /// Adds what another one holds.
    pub fn append(&mut self, mut other: Self) {
        self.flows.append(&other.flows);
        self.rejects.append(&mut other.rejects);
        self.reject_bytes += other.reject_bytes;
        self.gaps.merge(&other.gaps);
        self.counts.add(other.counts);
    }

    /// Keeps a row whose columns were set.
    #[inline]
    pub fn accept(&mut self) {
        self.flows.end_row();
        self.counts.flows += 1;
        self.counts.records += 1;
    }

    /// Drops what was set of the row at hand and keeps the record as a reject.
    pub fn reject(&mut self, reason: Reason, detail: String, offset: u64, record: &[u8]) {
        self.reject_indexed(reason, detail, offset, None, record);
    }

    /// As [`Decoded::reject`], for one record of an envelope.
    pub fn reject_indexed(&mut self, reason: Reason, detail: String, offset: u64, index: Option<u32>, record: &[u8]) {
        self.flows.abort_row();
        let bytes = record[..record.len().min(REJECT_BYTES_MAX)].to_vec();
        self.reject_bytes += bytes.len() + detail.len();
        self.rejects.push(Reject { reason, detail, offset, index, bytes, length: record.len() as u64 });
        self.counts.rejected += 1;
        self.counts.records += 1;
    }

    /// Drops what was set of the row at hand and counts the record as a gap.
    pub fn gap(&mut self, observer: Option<&str>, time: i64, reason: &'static str) {
        self.flows.abort_row();
        self.gaps.add(observer, time, reason);
        self.counts.gaps += 1;
        self.counts.records += 1;
    }

    /// Whether it should be emptied for memory's sake, whatever the number of rows.
    #[must_use]
    pub fn is_large(&self) -> bool {
        const TEXT_BYTES_MAX: usize = 96 * 1024 * 1024;
        self.reject_bytes + self.rejects.len() * 128 > TEXT_BYTES_MAX || self.flows.text_bytes() > TEXT_BYTES_MAX
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.flows.clear();
        self.rejects.clear();
        self.reject_bytes = 0;
        self.gaps.clear();
        self.counts = Counts::default();
    }
}

/// A format with its layout: all that is needed to decode any part of one object.
pub trait Format: Debug + Send + Sync {
    /// The word in the column `source`.
    fn name(&self) -> &'static str;

    /// Decodes whole lines. `offset` is the byte offset of `input` in the unpacked object; the last line may lack its
    /// newline. Every row gets all columns of its format, among them `source`, `record_kind`, `position_offset`,
    /// `verdict`, `result`, `outcome`, `is_src_dst_assignment_known` and `orientation` where the log itself tells.
    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded);

    /// Where header lines in `lines` begin that change what the lines below them mean, with the format from there on;
    /// offsets ascend. Empty for formats without headers.
    fn relayouts(&self, _lines: &[u8]) -> Vec<(usize, Arc<dyn Format>)> {
        Vec::new()
    }
}

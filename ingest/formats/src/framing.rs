//! Cuts a stream into chunks of whole records, such as lines or JSON objects that follow each other. It decodes nothing.
//!
//! Memory is bounded by one chunk and one record, whatever comes.

use crate::contract::{RECORD_BYTES_MAX, REJECT_BYTES_MAX, Reason, Reject};
use crate::record_ends::Ends;
use crate::unpack::UnpackError;
use std::io::{self, Read};

/// The UTF-8 byte order mark.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// Bytes read from the source at once: they stay in a processor's cache until they are copied.
const WINDOW_BYTES: usize = 128 * 1024;

/// Where records end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Records {
    /// At line feeds.
    #[default]
    Lines,
    /// At the end of a JSON object, wherever line feeds are. Elements of an array are records of their own: `[`, `,` and
    /// `]` outside objects are between records as white space is.
    JsonObjects,
    /// At line feeds, but not behind a line that a container runtime marks as unfinished (CRI, Docker): the record goes on
    /// until no line is unfinished any more, or for one mebibyte.
    ContainerLines,
    /// At the end of a frame of syslog, whose length stands before it (RFC 6587, section 3.4.1); line feeds between frames
    /// belong to none. What does not begin with a length of at most eight digits ends at the next line feed.
    OctetCounted,
}

/// Sizes of chunks and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSizes {
    /// About how many bytes a chunk has.
    pub chunk_bytes: usize,
    /// The longest record; a longer one is skipped and told as a reject.
    pub record_bytes_max: usize,
}

impl Default for ChunkSizes {
    fn default() -> Self {
        Self { chunk_bytes: 1024 * 1024, record_bytes_max: RECORD_BYTES_MAX }
    }
}

/// What comes next in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The buffer holds whole records; only the last of the stream may lack its line end.
    Records {
        /// Byte offset of the buffer in the unpacked stream.
        offset: u64,
    },
    /// Input that cannot be decoded.
    Reject(Reject),
}

/// Reads chunks of whole records.
#[derive(Debug)]
pub struct Chunks<R> {
    source: R,
    records: Records,
    sizes: ChunkSizes,
    /// The start of a record whose end was not read yet.
    carry: Vec<u8>,
    /// Offset of `carry`, or of what is read next.
    offset: u64,
    /// Why the source ended, where it failed; told after all that was read.
    failure: Option<io::Error>,
    /// What the source writes to: a buffer of its own, since one made for each chunk would have to be zeroed first.
    window: Vec<u8>,
    started: bool,
    ended: bool,
}

/// Reads lines, the usual case.
pub type LineChunks<R> = Chunks<R>;

impl<R: Read> Chunks<R> {
    /// Lines of `source` in chunks of the default size.
    pub fn lines(source: R) -> Self {
        Self::new(source, Records::Lines, ChunkSizes::default())
    }

    /// Records of `source`.
    pub fn new(source: R, records: Records, sizes: ChunkSizes) -> Self {
        Self {
            source,
            records,
            sizes,
            carry: Vec::new(),
            offset: 0,
            failure: None,
            window: Vec::new(),
            started: false,
            ended: false,
        }
    }

    /// Says where records end, once the first bytes were seen ([`Chunks::head`]) and before the first chunk is taken.
    pub fn set_records(&mut self, records: Records) {
        self.records = records;
    }

    /// The source, to ask for its counts.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// The first bytes of the stream, at most `bytes_max`, without a byte order mark. They are given out again by
    /// [`Chunks::next`]. When the source fails there, what was read before is returned and the failure comes later.
    pub fn head(&mut self, bytes_max: usize) -> &[u8] {
        if !self.started {
            self.start(bytes_max.max(BOM.len()));
        }
        &self.carry[..self.carry.len().min(bytes_max)]
    }

    fn start(&mut self, bytes: usize) {
        self.started = true;
        let mut head = std::mem::take(&mut self.carry);
        self.fill(&mut head, bytes);
        if head.starts_with(BOM) {
            head.drain(..BOM.len());
            self.offset = BOM.len() as u64;
        }
        self.carry = head;
    }

    /// Passes over the next `bytes`, such as a header that was read from [`Chunks::head`].
    pub fn skip(&mut self, bytes: usize) {
        let bytes = bytes.min(self.carry.len());
        self.carry.drain(..bytes);
        self.offset += bytes as u64;
    }

    /// The next piece; `buffer` is overwritten, its memory is used again. None at the end.
    ///
    /// When unpacking fails, the whole records before come first, then what is left as a reject with its reason.
    ///
    /// # Errors
    /// When the source itself fails; whole records before the failure were given out.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Piece>> {
        buffer.clear();
        if !self.started {
            self.start(BOM.len());
        }
        let mut found = Found { ends: Ends::new(self.records), scanned: 0, first: 0, whole: 0 };
        buffer.append(&mut self.carry);
        loop {
            self.find(&mut found, buffer);
            let rest = buffer.len() - found.whole;
            let too_long = rest > self.sizes.record_bytes_max;
            if found.first > self.sizes.record_bytes_max {
                self.carry.extend_from_slice(&buffer[found.first..]);
                buffer.truncate(found.first);
                return Ok(Some(self.too_long(buffer, found.first as u64)));
            }
            if self.ended && self.failure.is_none() && !too_long {
                let offset = self.offset;
                self.offset += buffer.len() as u64;
                return Ok((!buffer.is_empty()).then_some(Piece::Records { offset }));
            }
            if found.whole > 0 && (self.ended || too_long || buffer.len() >= self.sizes.chunk_bytes) {
                self.carry.extend_from_slice(&buffer[found.whole..]);
                buffer.truncate(found.whole);
                let offset = self.offset;
                self.offset += found.whole as u64;
                return Ok(Some(Piece::Records { offset }));
            }
            if too_long {
                return Ok(Some(self.skip_record(buffer, found)));
            }
            if let Some(failure) = self.failure.take() {
                return self.failed(failure, buffer).map(Some);
            }
            let wanted = if buffer.len() < self.sizes.chunk_bytes { 0 } else { buffer.len() } + self.sizes.chunk_bytes;
            self.fill(buffer, wanted.max(1));
        }
    }

    /// Appends to `buffer` until it has `bytes` bytes or the source ends or fails.
    fn fill(&mut self, buffer: &mut Vec<u8>, bytes: usize) {
        let wanted = bytes.saturating_sub(buffer.len());
        if self.ended || wanted == 0 {
            return;
        }
        buffer.reserve_exact(wanted);
        self.window.resize(WINDOW_BYTES, 0);
        while buffer.len() < bytes {
            let wanted = WINDOW_BYTES.min(bytes - buffer.len());
            match self.source.read(&mut self.window[..wanted]) {
                Ok(0) => {
                    self.ended = true;
                    return;
                }
                Ok(read) => buffer.extend_from_slice(&self.window[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.ended = true;
                    return;
                }
            }
        }
    }

    /// Looks for ends of records in what was added to `buffer`.
    fn find(&self, found: &mut Found, buffer: &[u8]) {
        match self.records {
            Records::Lines => {
                let Some(end) = memchr::memrchr(b'\n', &buffer[found.scanned..]) else {
                    found.scanned = buffer.len();
                    return;
                };
                if found.first == 0 && buffer.len() > self.sizes.record_bytes_max {
                    found.first = memchr::memchr(b'\n', buffer).map_or(0, |end| end + 1);
                }
                found.whole = found.scanned + end + 1;
                found.scanned = buffer.len();
            }
            Records::JsonObjects | Records::ContainerLines | Records::OctetCounted => loop {
                match found.ends.next_end(buffer, found.scanned) {
                    Ok(end) => {
                        (found.whole, found.scanned) = (end, end);
                        if found.first == 0 {
                            found.first = end;
                        }
                    }
                    Err(resume) => {
                        found.scanned = resume;
                        return;
                    }
                }
            },
        }
    }

    /// Unpacking stopped: what is left of the stream is no record.
    fn failed(&mut self, failure: io::Error, buffer: &mut Vec<u8>) -> io::Result<Piece> {
        let reason = match UnpackError::of(&failure) {
            Some(UnpackError::Truncated { .. }) => Reason::TruncatedInput,
            Some(UnpackError::Corrupt { .. }) => Reason::CorruptInput,
            Some(UnpackError::Limit { .. }) => Reason::DecompressionLimit,
            None => return Err(failure),
        };
        let (offset, length) = (self.offset, buffer.len() as u64);
        self.offset += length;
        buffer.truncate(REJECT_BYTES_MAX);
        let mut bytes = std::mem::take(buffer);
        bytes.shrink_to_fit();
        Ok(Piece::Reject(Reject { reason, detail: failure.to_string(), offset, index: None, bytes, length }))
    }

    /// Passes over a record that is too long and whose end was not read; `buffer` holds its start and nothing else.
    fn skip_record(&mut self, buffer: &mut Vec<u8>, mut found: Found) -> Piece {
        let mut start = buffer[..REJECT_BYTES_MAX.min(buffer.len())].to_vec();
        let mut length = 0;
        found.scanned = found.ends.skip(found.scanned, buffer.len());
        while !self.ended {
            length += found.scanned as u64;
            buffer.drain(..found.scanned);
            self.fill(buffer, buffer.len() + self.sizes.chunk_bytes.max(1));
            match found.ends.next_end(buffer, 0) {
                Ok(end) => {
                    self.carry.extend_from_slice(&buffer[end..]);
                    buffer.truncate(end);
                    break;
                }
                Err(resume) => found.scanned = resume,
            }
        }
        length += buffer.len() as u64;
        buffer.clear();
        self.too_long(&mut start, length)
    }

    /// A reject for the record of `length` bytes that begins with `start`.
    fn too_long(&mut self, start: &mut Vec<u8>, length: u64) -> Piece {
        let offset = self.offset;
        self.offset += length;
        start.truncate(REJECT_BYTES_MAX);
        let bytes = std::mem::take(start);
        let detail = format!("a record of {length} bytes, more than {}", self.sizes.record_bytes_max);
        Piece::Reject(Reject { reason: Reason::RecordTooLong, detail, offset, index: None, bytes, length })
    }
}

/// What is known of the record ends in a buffer.
#[derive(Debug)]
struct Found {
    ends: Ends,
    /// How far the buffer was looked at.
    scanned: usize,
    /// End of the first record, 0 while unknown; lines are only asked when the buffer is long enough for it to matter.
    first: usize,
    /// End of the last whole record, 0 while there is none.
    whole: usize,
}

//! Unpacks gzip, zstd and framed Snappy by their first bytes, with limits. Everything else passes as it is.

use flate2::bufread::MultiGzDecoder;
use std::fmt::{self, Debug};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use thiserror::Error;

/// RFC 1952, section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// RFC 8878, section 3.1.1.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Snappy, "framing format", section 4.1: the chunk that every stream begins with.
const SNAPPY: [u8; 10] = [0xff, 0x06, 0x00, 0x00, b's', b'N', b'a', b'P', b'p', b'Y'];
/// How many bytes are read from the source at once.
const READ_BYTES: usize = 64 * 1024;
/// The largest window a zstd stream may ask for: 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// When unpacking stops because the input looks made to fill memory or disk. Both must be passed: logs pack well, and
/// small files may pack very well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Unpacked bytes for each packed byte.
    pub ratio_max: u64,
    /// Unpacked bytes.
    pub unpacked_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ratio_max: 250, unpacked_bytes_max: 256 * 1024 * 1024 }
    }
}

impl Limits {
    /// Whether so many bytes are too many to be made of so few.
    #[must_use]
    pub fn are_passed(&self, packed: u64, unpacked: u64) -> bool {
        unpacked > self.unpacked_bytes_max && unpacked / self.ratio_max.max(1) > packed
    }
}

/// Why unpacking stopped. It travels inside an [`io::Error`]; see [`UnpackError::of`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnpackError {
    /// The packed stream ends in the middle.
    #[error("the {packing} stream ends in the middle")]
    Truncated {
        /// What it is packed with.
        packing: Packing,
    },
    /// The packed stream is damaged.
    #[error("the {packing} stream is damaged: {detail}")]
    Corrupt {
        /// What it is packed with.
        packing: Packing,
        /// What the decoder said.
        detail: String,
    },
    /// A limit was passed.
    #[error("unpacking stopped at {unpacked} bytes made of {packed}: more than {} times, and over {} bytes", .limits.ratio_max, .limits.unpacked_bytes_max)]
    Limit {
        /// Bytes read from the source.
        packed: u64,
        /// Bytes made of them.
        unpacked: u64,
        /// The limits.
        limits: Limits,
    },
}

impl UnpackError {
    /// The unpacking error inside an I/O error; none when the source itself failed.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// How an object is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip, one or more members.
    Gzip,
    /// zstd, one or more frames.
    Zstd,
    /// Snappy in its framing format, one or more streams. They have no end of their own: one that was cut between two
    /// chunks cannot be told from a whole one.
    Snappy,
}

impl Packing {
    /// The packing that the first bytes of an object show.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        if head.starts_with(&GZIP) {
            Self::Gzip
        } else if head.starts_with(&ZSTD) {
            Self::Zstd
        } else if head.starts_with(&SNAPPY) {
            Self::Snappy
        } else {
            Self::None
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
        })
    }
}

/// Counts what is read, and marks errors of the source so that they are not taken for damage.
struct Source<R> {
    inner: BufReader<io::Chain<Cursor<Vec<u8>>, R>>,
    bytes: u64,
    failed: bool,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer).inspect_err(|_| self.failed = true)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf().inspect_err(|_| self.failed = true)
    }

    fn consume(&mut self, count: usize) {
        self.bytes += count as u64;
        self.inner.consume(count);
    }
}

enum Decoder<R: Read> {
    Plain(Source<R>),
    Gzip(Box<MultiGzDecoder<Source<R>>>),
    Zstd(zstd::stream::read::Decoder<'static, Source<R>>),
    Snappy(Box<snap::read::FrameDecoder<Source<R>>>),
}

/// The unpacked bytes of a source.
pub struct Unpacked<R: Read> {
    decoder: Decoder<R>,
    packing: Packing,
    limits: Limits,
    unpacked: u64,
}

impl<R: Read> Debug for Unpacked<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Unpacked").field("packing", &self.packing).finish_non_exhaustive()
    }
}

impl<R: Read> Unpacked<R> {
    /// Looks at the first bytes of `source` and unpacks accordingly.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn new(mut source: R, limits: Limits) -> io::Result<Self> {
        let mut head = Vec::new();
        source.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head)?;
        // No more than need be is read here, so that what comes before a failure of the source is given out.
        if SNAPPY.starts_with(&head) {
            source.by_ref().take((SNAPPY.len() - head.len()) as u64).read_to_end(&mut head)?;
        }
        let packing = Packing::of(&head);
        let inner = BufReader::with_capacity(READ_BYTES, Cursor::new(head).chain(source));
        let source = Source { inner, bytes: 0, failed: false };
        let decoder = match packing {
            Packing::None => Decoder::Plain(source),
            Packing::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(source))),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Decoder::Zstd(decoder)
            }
            Packing::Snappy => Decoder::Snappy(Box::new(snap::read::FrameDecoder::new(source))),
        };
        Ok(Self { decoder, packing, limits, unpacked: 0 })
    }

    /// How the source is packed.
    #[must_use]
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Bytes taken from the source so far.
    #[must_use]
    pub fn packed_bytes(&self) -> u64 {
        self.source().bytes
    }

    /// Bytes given out so far.
    #[must_use]
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked
    }

    fn source(&self) -> &Source<R> {
        match &self.decoder {
            Decoder::Plain(source) => source,
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
            Decoder::Snappy(decoder) => decoder.get_ref(),
        }
    }

    fn explain(&self, error: io::Error) -> io::Error {
        if self.packing == Packing::None || self.source().failed || error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let packing = self.packing;
        let why = if error.kind() == io::ErrorKind::UnexpectedEof {
            UnpackError::Truncated { packing }
        } else {
            UnpackError::Corrupt { packing, detail: error.to_string() }
        };
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::Plain(source) => source.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
            Decoder::Snappy(decoder) => decoder.read(buffer),
        };
        let count = read.map_err(|error| self.explain(error))?;
        self.unpacked += count as u64;
        let (packed, limits) = (self.packed_bytes(), self.limits);
        if self.packing != Packing::None && limits.are_passed(packed, self.unpacked) {
            let why = UnpackError::Limit { packed, unpacked: self.unpacked, limits };
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(count)
    }
}

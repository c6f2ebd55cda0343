//! Reads a packed file once from its begin to its end, with bounded memory however far it unpacks.

use crate::files::identity::{Fingerprint, Packing, WINDOW};
use crate::lines::{CHUNK_BYTES_MAX, Chunk, LineBuffer};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use tradewind_transport::envelope::PREAMBLE_BYTES_MAX;

const BLOCK_BYTES: usize = 128 * 1024;
/// Largest window of Zstandard, as a power of two: 128 MiB, which `zstd --long` makes.
const WINDOW_LOG_MAX: u32 = 27;

/// A packed file that is being read.
pub(crate) struct PackedReader {
    decoder: Box<dyn Read + Send>,
    lines: LineBuffer,
    /// The first unpacked bytes: for the fingerprint and the preamble.
    first: Vec<u8>,
    /// The last unpacked bytes that were skipped.
    last: Vec<u8>,
    is_end: bool,
}

impl fmt::Debug for PackedReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PackedReader").field("is_end", &self.is_end).finish_non_exhaustive()
    }
}

impl PackedReader {
    /// Begins to read, and unpacks the first bytes.
    ///
    /// # Errors
    /// The file cannot be read or is damaged at its begin.
    pub(crate) fn open(file: File, packing: Packing) -> io::Result<Self> {
        let decoder: Box<dyn Read + Send> = match packing {
            Packing::Plain => Box::new(BufReader::new(file)),
            Packing::Gzip => {
                Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BLOCK_BYTES, file)))
            }
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(file)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        };
        let mut reader =
            Self { decoder, lines: LineBuffer::default(), first: Vec::new(), last: Vec::new(), is_end: false };
        while reader.first.len() < PREAMBLE_BYTES_MAX && reader.fill()? > 0 {}
        Ok(reader)
    }

    /// The first unpacked bytes, at most those of a preamble.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Fingerprint of the first unpacked bytes, at most up to `offset`.
    pub(crate) fn head(&self, offset: u64) -> Fingerprint {
        let length = usize::try_from(offset).unwrap_or(usize::MAX).min(self.first.len());
        Fingerprint::of_head(&self.first[..length])
    }

    /// Passes over bytes. False: there are not as many. Only before the first chunk.
    ///
    /// # Errors
    /// The file cannot be read or is damaged before there.
    pub(crate) fn skip(&mut self, count: u64, is_skipping: bool) -> io::Result<bool> {
        let mut left = count;
        loop {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.lines.len());
            let passed = self.lines.drop_front(here);
            self.last.extend_from_slice(&passed);
            self.last.drain(..self.last.len().saturating_sub(WINDOW));
            left -= here as u64;
            if left == 0 {
                self.lines.restart(is_skipping);
                return Ok(true);
            }
            if self.fill()? == 0 {
                return Ok(false);
            }
        }
    }

    /// The last bytes that were passed over.
    pub(crate) fn last(&self) -> &[u8] {
        &self.last
    }

    /// The next lines. None: the end.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or ends in the middle.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            if (self.is_end || self.lines.len() >= CHUNK_BYTES_MAX)
                && let Some(mut chunk) = self.lines.take(self.is_end)
            {
                // A packed file is complete: its last line just has no line feed.
                chunk.is_partial = false;
                return Ok(Some(chunk));
            }
            if self.is_end {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut block = vec![0; BLOCK_BYTES];
        let count = loop {
            match self.decoder.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.is_end = count == 0;
        let wanted = PREAMBLE_BYTES_MAX.saturating_sub(self.first.len()).min(count);
        self.first.extend_from_slice(&block[..wanted]);
        self.lines.push(&block[..count]);
        Ok(count)
    }
}

//! Cuts a stream of bytes into chunks of whole lines. What a line means is not known here.

use bytes::Bytes;

/// Most bytes of lines in one raw record; a single longer line is a chunk of its own.
pub(crate) const CHUNK_BYTES_MAX: usize = 1024 * 1024;
/// The longest line that is passed on whole, in bytes: the longest that a decoder reads.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes that go on together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Whole lines, or the head of one that is too long. Empty where only a rest was left out.
    pub(crate) bytes: Bytes,
    /// How many bytes of the stream it covers, those left out included.
    pub(crate) consumed: u64,
    /// How many lines begin in it.
    pub(crate) lines: u64,
    /// Bytes left out of lines that are too long.
    pub(crate) cut: u64,
    /// Whether it ends with a line that is too long, whose rest is to be left out.
    pub(crate) is_cut: bool,
    /// Whether its last line lacks its line feed.
    pub(crate) is_partial: bool,
}

/// Number of lines that begin in these bytes.
pub(crate) fn count_lines(bytes: &[u8]) -> u64 {
    let feeds = memchr::memchr_iter(b'\n', bytes).count() as u64;
    feeds + u64::from(bytes.last().is_some_and(|&last| last != b'\n'))
}

/// Length of the first chunk of whole lines: as many as fit in `chunk_max` bytes, at least one. None: no line ends.
pub(crate) fn whole_lines(bytes: &[u8], chunk_max: usize) -> Option<usize> {
    let head = &bytes[..bytes.len().min(chunk_max)];
    let feed = memchr::memrchr(b'\n', head)
        .or_else(|| memchr::memchr(b'\n', &bytes[head.len()..]).map(|feed| head.len() + feed))?;
    Some(feed + 1)
}

/// Collects bytes of a stream until lines are whole. Holds at most one line of the longest length and what was pushed last.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    buffer: Vec<u8>,
    /// Bytes at the begin that hold no line feed, so that they need not be searched again.
    searched: usize,
    is_skipping: bool,
}

impl LineBuffer {
    /// Begins anew with the bytes that wait; `is_skipping`: within a line whose rest is to be left out.
    pub(crate) const fn restart(&mut self, is_skipping: bool) {
        self.is_skipping = is_skipping;
        self.searched = 0;
    }

    /// Removes and gives the first bytes that wait.
    pub(crate) fn drop_front(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count);
        self.searched = 0;
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Adds bytes. Call [`LineBuffer::take`] until it gives nothing before adding more.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait.
    pub(crate) const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The next chunk. At the end of the stream the last line goes without its line feed.
    pub(crate) fn take(&mut self, is_end: bool) -> Option<Chunk> {
        if self.is_skipping {
            return self.skip();
        }
        if let Some(feed) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            let first = self.searched + feed + 1;
            let length = whole_lines(&self.buffer, CHUNK_BYTES_MAX).map_or(first, |length| length.max(first));
            if first <= LINE_BYTES_MAX {
                return Some(self.split(length, false, false));
            }
        } else {
            self.searched = self.buffer.len();
        }
        if self.buffer.len() > LINE_BYTES_MAX {
            self.is_skipping = true;
            return Some(self.split(LINE_BYTES_MAX, true, false));
        }
        (is_end && !self.buffer.is_empty()).then(|| self.split(self.buffer.len(), false, true))
    }

    fn split(&mut self, length: usize, is_cut: bool, is_partial: bool) -> Chunk {
        let rest = self.buffer.split_off(length);
        let bytes = Bytes::from(std::mem::replace(&mut self.buffer, rest));
        self.searched = 0;
        Chunk { consumed: bytes.len() as u64, lines: count_lines(&bytes), cut: 0, is_cut, is_partial, bytes }
    }

    /// Leaves out the rest of a line that is too long.
    fn skip(&mut self) -> Option<Chunk> {
        if self.buffer.is_empty() {
            return None;
        }
        let feed = memchr::memchr(b'\n', &self.buffer);
        let length = feed.map_or(self.buffer.len(), |feed| feed + 1);
        self.is_skipping = feed.is_none();
        self.buffer.drain(..length);
        self.searched = 0;
        let cut = length as u64 - u64::from(feed.is_some());
        Some(Chunk { consumed: length as u64, cut, is_cut: feed.is_none(), ..Chunk::default() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Pushes pieces and takes all chunks; what is passed on, bytes consumed, lines, bytes cut.
    fn check(pieces: &[&[u8]], expected: &[&[u8]], lines: u64, cut: u64) {
        let mut buffer = LineBuffer::default();
        let (mut chunks, mut total) = (Vec::new(), Chunk::default());
        for (index, piece) in pieces.iter().enumerate() {
            buffer.push(piece);
            while let Some(chunk) = buffer.take(index + 1 == pieces.len()) {
                total.consumed += chunk.consumed;
                total.lines += chunk.lines;
                total.cut += chunk.cut;
                if !chunk.bytes.is_empty() {
                    chunks.push(chunk.bytes);
                }
            }
        }
        assert_eq!(
            chunks.iter().map(Bytes::len).collect::<Vec<_>>(),
            expected.iter().map(|e| e.len()).collect::<Vec<_>>()
        );
        assert!(chunks.iter().zip(expected).all(|(chunk, expected)| chunk == expected));
        let pushed: usize = pieces.iter().map(|piece| piece.len()).sum();
        assert_eq!((total.consumed, total.lines, total.cut), (pushed as u64, lines, cut));
        assert_eq!(buffer.len(), 0);
    }

    #[test]
    fn lines_stay_whole() {
        check(&[b"a\nb\n"], &[b"a\nb\n"], 2, 0);
        check(&[b"a\nb", b"c\n"], &[b"a\n", b"bc\n"], 2, 0);
        check(&[b"a", b"b"], &[b"ab"], 1, 0);
        check(&[b"\n\n"], &[b"\n\n"], 2, 0);
        check(&[], &[], 0, 0);
    }

    #[test]
    fn long_lines_are_chunks_of_their_own() {
        let long = [vec![b'x'; CHUNK_BYTES_MAX + 5], b"\n".to_vec()].concat();
        let with_next = [long.clone(), b"y\n".to_vec()].concat();
        check(&[&with_next], &[&long, b"y\n"], 2, 0);
    }

    #[test]
    fn lines_over_the_limit_are_cut() {
        let head = vec![b'x'; LINE_BYTES_MAX];
        let over = [head.clone(), b"tail\nnext\n".to_vec()].concat();
        check(&[&over], &[&head, b"next\n"], 2, 4);
        check(&[&head, b"x", b"tail", b"\n", b"z"], &[&head, b"z"], 2, 5);
        // The longest line that is not cut: its line feed counts.
        let longest = [&head[1..], b"\n"].concat();
        check(&[&longest], &[&longest], 1, 0);
    }
}

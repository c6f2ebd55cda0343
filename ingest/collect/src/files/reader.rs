//! Reads the next whole lines of a file at an offset, and notices when the bytes before it are not those that were passed on.

use crate::files::identity::{Fingerprint, WINDOW};
use crate::lines::{CHUNK_BYTES_MAX, Chunk, LINE_BYTES_MAX, count_lines, whole_lines};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use tradewind_transport::envelope::PREAMBLE_BYTES_MAX;

/// What is at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No whole line.
    Nothing,
    /// Other bytes than those that were passed on lie before the offset: the file was emptied or written anew.
    Changed,
    /// Lines, and the fingerprint of the bytes before the offset after them.
    Chunk(Chunk, Fingerprint),
}

/// The next chunk after `offset`, whose bytes before are those of `tail`. A last line that lacks its line feed only comes
/// with `takes_partial`.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_chunk(
    file: &File,
    offset: u64,
    tail: &Fingerprint,
    is_skipping: bool,
    takes_partial: bool,
) -> io::Result<Found> {
    let Some(start) = offset.checked_sub(tail.length as u64) else { return Ok(Found::Changed) };
    let mut buffer = Vec::new();
    // The bytes before the offset come in the same read as those after it, so that the file cannot change between the two.
    read_at(file, start, tail.length + CHUNK_BYTES_MAX, &mut buffer)?;
    if !buffer.get(..tail.length).is_some_and(|before| tail.ends(before)) {
        return Ok(Found::Changed);
    }
    let chunk = if is_skipping {
        skip(&buffer[tail.length..])
    } else {
        lines(file, start, tail.length, &mut buffer, takes_partial)?
    };
    let Some(chunk) = chunk else { return Ok(Found::Nothing) };
    let end = tail.length + usize::try_from(chunk.consumed).expect("it is a length in memory");
    Ok(Found::Chunk(chunk, Fingerprint::of_tail(&buffer[..end])))
}

fn lines(
    file: &File,
    start: u64,
    before: usize,
    buffer: &mut Vec<u8>,
    takes_partial: bool,
) -> io::Result<Option<Chunk>> {
    loop {
        let data = &buffer[before..];
        let is_long = data.len() > LINE_BYTES_MAX;
        let (length, is_cut, is_partial) = match whole_lines(data, CHUNK_BYTES_MAX) {
            Some(length) if length <= LINE_BYTES_MAX => (length, false, false),
            _ if is_long => (LINE_BYTES_MAX, true, false),
            _ => {
                let had = buffer.len();
                let is_full = had - before >= CHUNK_BYTES_MAX;
                if is_full && read_at(file, start + had as u64, CHUNK_BYTES_MAX, buffer)? > 0 {
                    continue;
                }
                if !takes_partial || had == before {
                    return Ok(None);
                }
                (had - before, false, true)
            }
        };
        let bytes = Bytes::copy_from_slice(&buffer[before..before + length]);
        let lines = count_lines(&bytes);
        return Ok(Some(Chunk { bytes, consumed: length as u64, lines, cut: 0, is_cut, is_partial }));
    }
}

/// The rest of a line that is too long.
fn skip(data: &[u8]) -> Option<Chunk> {
    if data.is_empty() {
        return None;
    }
    let feed = memchr::memchr(b'\n', data);
    let consumed = feed.map_or(data.len(), |feed| feed + 1) as u64;
    let cut = consumed - u64::from(feed.is_some());
    Some(Chunk { consumed, cut, is_cut: feed.is_none(), ..Chunk::default() })
}

/// Appends up to `length` bytes at `offset` to a buffer; how many there were.
pub(crate) fn read_at(file: &File, offset: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let had = buffer.len();
    buffer.resize(had + length, 0);
    let mut read = 0;
    while read < length {
        match file.read_at(&mut buffer[had + read..], offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                buffer.truncate(had);
                return Err(error);
            }
        }
    }
    buffer.truncate(had + read);
    Ok(read)
}

/// Fingerprint of the first bytes of a file, at most up to `offset`.
pub(crate) fn head(file: &File, offset: u64) -> io::Result<Fingerprint> {
    let length = usize::try_from(offset.min(WINDOW as u64)).expect("it is at most the window");
    let mut buffer = Vec::new();
    read_at(file, 0, length, &mut buffer)?;
    Ok(Fingerprint::of_head(&buffer))
}

/// Whether the bytes before an offset, and the first ones, are those of the fingerprints.
pub(crate) fn continues(file: &File, offset: u64, head: &Fingerprint, tail: &Fingerprint) -> io::Result<bool> {
    let Some(start) = offset.checked_sub(tail.length as u64) else { return Ok(false) };
    let (mut first, mut last) = (Vec::new(), Vec::new());
    read_at(file, 0, head.length, &mut first)?;
    read_at(file, start, tail.length, &mut last)?;
    Ok(head.begins(&first) && last.len() == tail.length && tail.ends(&last))
}

/// Lines at the begin of a file that may say what later ones mean: the first line, or all first lines that begin with `#`.
/// Only whole ones that end at or before `offset`. None: there is none that fits.
pub(crate) fn preamble(first: &[u8], offset: u64) -> Option<Bytes> {
    let limit = usize::try_from(offset).unwrap_or(usize::MAX).min(PREAMBLE_BYTES_MAX).min(first.len());
    let first = &first[..limit];
    let mut end = 0;
    while let Some(feed) = memchr::memchr(b'\n', &first[end..]) {
        let is_comment = first[end] == b'#';
        if end > 0 && !is_comment {
            break;
        }
        end += feed + 1;
        if !is_comment {
            break;
        }
    }
    (end > 0).then(|| Bytes::copy_from_slice(&first[..end]))
}

/// The offset after the last line feed: where to begin when only what is new is wanted.
pub(crate) fn after_last_line(file: &File, size: u64) -> io::Result<u64> {
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES_MAX as u64);
        let mut buffer = Vec::new();
        let length = usize::try_from(end - start).expect("it is at most a chunk");
        read_at(file, start, length, &mut buffer)?;
        if let Some(feed) = memchr::memrchr(b'\n', &buffer) {
            return Ok(start + feed as u64 + 1);
        }
        if size - start > LINE_BYTES_MAX as u64 {
            return Ok(size);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// Lengths of what is passed on until nothing comes, and bytes cut.
    fn check(bytes: &[u8], takes_partial: bool, expected: &[usize], cut: u64) {
        let file = file(bytes);
        let (mut offset, mut tail, mut is_skipping) = (0, Fingerprint::default(), false);
        let (mut lengths, mut was_cut) = (Vec::new(), 0);
        while let Found::Chunk(chunk, after) = read_chunk(&file, offset, &tail, is_skipping, takes_partial).unwrap() {
            (offset, tail, is_skipping) = (offset + chunk.consumed, after, chunk.is_cut);
            was_cut += chunk.cut;
            lengths.extend((!chunk.bytes.is_empty()).then_some(chunk.bytes.len()));
        }
        assert_eq!((lengths.as_slice(), was_cut), (expected, cut));
    }

    #[test]
    fn chunks_are_whole_lines() {
        check(b"", true, &[], 0);
        check(b"a\nb\n", false, &[4], 0);
        check(b"a\nb", false, &[2], 0);
        check(b"a\nb", true, &[2, 1], 0);
        let lines = b"123456789\n".repeat(300_000);
        check(&lines, false, &[1_048_570, 1_048_570, 902_860], 0);
    }

    #[test]
    fn long_lines_are_read_whole_and_too_long_ones_are_cut() {
        let mut line = vec![b'x'; LINE_BYTES_MAX - 1];
        line.extend_from_slice(b"\nz\n");
        check(&line, false, &[LINE_BYTES_MAX, 2], 0);
        let mut line = vec![b'x'; LINE_BYTES_MAX + 3_000_000];
        check(&line, false, &[LINE_BYTES_MAX], 3_000_000);
        line.extend_from_slice(b"\nz\n");
        check(&line, false, &[LINE_BYTES_MAX, 2], 3_000_000);
    }

    #[test]
    fn other_bytes_before_the_offset_are_noticed() {
        let tail = Fingerprint::of_tail(b"one\n");
        let check = |bytes: &[u8], expected: Found| {
            assert_eq!(read_chunk(&file(bytes), 4, &tail, false, false).unwrap(), expected);
        };
        check(b"one\n", Found::Nothing);
        check(b"two\nthree\n", Found::Changed);
        check(b"one", Found::Changed);
        check(b"", Found::Changed);
    }

    #[test]
    fn preambles_are_whole_lines_before_the_offset() {
        let check = |first: &[u8], offset: u64, expected: Option<&[u8]>| {
            assert_eq!(preamble(first, offset).as_deref(), expected);
        };
        check(b"version account\n2 1\n2 2\n", 16, Some(b"version account\n"));
        check(b"version account\n2 1\n2 2\n", 20, Some(b"version account\n"));
        check(b"version account\n", 15, None);
        check(b"#a\n#b\nrow\n#c\n", 10, Some(b"#a\n#b\n"));
        check(b"#a\n#b\nrow\n", 3, Some(b"#a\n"));
        check(b"row\n#a\n", 7, Some(b"row\n"));
        check(&vec![b'x'; 9000], 9000, None);
        check(b"", 0, None);
    }

    #[test]
    fn the_end_is_after_the_last_whole_line() {
        let check = |bytes: &[u8], expected: u64| {
            assert_eq!(after_last_line(&file(bytes), bytes.len() as u64).unwrap(), expected);
        };
        check(b"", 0);
        check(b"a", 0);
        check(b"a\n", 2);
        check(b"a\nb", 2);
        check(&[b"a\n".as_slice(), &vec![b'x'; 3 << 20]].concat(), 2);
        check(&vec![b'x'; (17 << 20) + 5], (17 << 20) + 5);
    }
}

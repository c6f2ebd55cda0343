//! Leaves half a write at the end of the embedded log's journal, as a loss of power does to one that was under way.
//!
//! It adds the beginning of a batch behind the last whole one. It does not cut whole ones: those were synced before they were
//! acknowledged, and no loss of power takes them back.
//!
//! Layout of a journal (fjall 3, `src/journal/entry.rs`; integers little-endian): a batch is a start (tag 1, number of items u32,
//! sequence number u64), items (tag 2, value type u8, compression u8, keyspace u64, key length u16, value length u32, length on
//! disk u32, key, value) or clears (tag 4, keyspace u64), and an end (tag 3, checksum u64, `FJL` 3). Zeros follow the last one.

use anyhow::Context as _;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// Writes at most so many bytes of a batch that never was behind the last one of the newest journal below `folder`.
///
/// # Errors
/// When there is no journal, or it holds nothing, or it cannot be written.
pub(crate) fn tear(folder: &Path, bytes_max: u64, draw: u64) -> anyhow::Result<()> {
    let path = newest(folder)?.with_context(|| format!("there is no journal below {}", folder.display()))?;
    let failed = || format!("failed to tear {}", path.display());
    let journal = std::fs::read(&path).with_context(failed)?;
    let last = last_batch(&journal).with_context(|| format!("{} holds no batch", path.display()))?;
    let begun = half(&journal[last.clone()], bytes_max, draw);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).with_context(failed)?;
    file.seek(SeekFrom::Start(last.end as u64)).with_context(failed)?;
    file.write_all(&begun).with_context(failed)
}

/// The beginning of a batch that looks like this one and comes after it.
fn half(batch: &[u8], bytes_max: u64, draw: u64) -> Vec<u8> {
    let mut next = batch.to_vec();
    if let Some(sequence) = take::<8>(batch, 5).map(u64::from_le_bytes) {
        next[5..13].copy_from_slice(&(sequence + 1).to_le_bytes());
    }
    let most = bytes_max.min(batch.len() as u64 - 1).max(1);
    next.truncate(usize::try_from(1 + draw % most).unwrap_or(1));
    next
}

fn newest(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let mut found: Option<(u64, PathBuf)> = None;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))? {
            let path = entry.context("failed to list")?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
            let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
            if let Some(number) = number.filter(|_| is_journal)
                && found.as_ref().is_none_or(|(newest, _)| number > *newest)
            {
                found = Some((number, path));
            }
        }
    }
    Ok(found.map(|(_, path)| path))
}

/// Where the last whole batch lies.
fn last_batch(journal: &[u8]) -> Option<Range<usize>> {
    let mut last = None;
    let mut at = 0;
    while let Some(end) = batch_end(journal, at) {
        last = Some(at..end);
        at = end;
    }
    last
}

/// The end of the batch that begins there, if a whole one does.
fn batch_end(journal: &[u8], begin: usize) -> Option<usize> {
    if *journal.get(begin)? != START {
        return None;
    }
    let mut at = begin + 13;
    loop {
        match *journal.get(at)? {
            ITEM => {
                let key = u16::from_le_bytes(take(journal, at + 11)?);
                let on_disk = u32::from_le_bytes(take(journal, at + 17)?);
                at += 21 + usize::from(key) + usize::try_from(on_disk).ok()?;
            }
            CLEAR => at += 9,
            END => return Some(at + 13).filter(|&end| journal.get(end - 4..end) == Some(b"FJL\x03")),
            _ => return None,
        }
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn batch(sequence: u64, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![START];
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(sequence.to_le_bytes());
        bytes.extend([ITEM, 0, 0]);
        bytes.extend(7_u64.to_le_bytes());
        bytes.extend(3_u16.to_le_bytes());
        let length = u32::try_from(value.len()).unwrap();
        bytes.extend([length.to_le_bytes(), length.to_le_bytes()].concat());
        bytes.extend(b"key");
        bytes.extend(value);
        bytes.push(END);
        bytes.extend([0; 8]);
        bytes.extend(b"FJL\x03");
        bytes
    }

    #[test]
    fn the_last_batch_is_found_and_what_follows_is_half_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("3.jnl");
        let (first, second) = (batch(1, b"value"), batch(2, b"another value"));
        let whole = [first.clone(), second.clone()].concat();
        std::fs::write(folder.path().join("2.jnl"), b"old").unwrap();
        std::fs::write(&path, [whole.clone(), vec![0; 500]].concat()).unwrap();
        assert_eq!(last_batch(&std::fs::read(&path).unwrap()), Some(first.len()..whole.len()));
        tear(folder.path(), 30, 29).unwrap();
        let torn = std::fs::read(&path).unwrap();
        assert_eq!((torn.len(), &torn[..whole.len()]), (whole.len() + 500, &whole[..]));
        assert_eq!(torn[whole.len()..whole.len() + 30], batch(3, b"another value")[..30]);
        assert!(torn[whole.len() + 30..].iter().all(|&byte| byte == 0));
        assert_eq!(last_batch(&torn), Some(first.len()..whole.len()));
    }

    #[test]
    fn a_journal_without_batches_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(tear(folder.path(), 9, 1).is_err());
        std::fs::write(folder.path().join("1.jnl"), [0; 64]).unwrap();
        assert!(tear(folder.path(), 9, 1).is_err());
    }
}

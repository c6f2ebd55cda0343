//! What makes a file the same file: its inode while it lives, its content when it was copied or packed. Names only say which
//! files are worth comparing.

use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes that a fingerprint covers at most.
pub(crate) const WINDOW: usize = 1024;

/// Where a file system keeps a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Inode {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Inode {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Length and hash of a stretch of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) length: usize,
    pub(crate) hash: String,
}

impl Fingerprint {
    /// Of the first bytes of `head`, at most [`WINDOW`].
    pub(crate) fn of_head(head: &[u8]) -> Self {
        Self::of(&head[..head.len().min(WINDOW)])
    }

    /// Of the last bytes of `tail`, at most [`WINDOW`].
    pub(crate) fn of_tail(tail: &[u8]) -> Self {
        Self::of(&tail[tail.len().saturating_sub(WINDOW)..])
    }

    fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        Self { length: bytes.len(), hash: blake3::hash(bytes).to_hex()[..32].to_owned() }
    }

    /// Whether `head` begins with the bytes that this was made of.
    pub(crate) fn begins(&self, head: &[u8]) -> bool {
        head.get(..self.length).is_some_and(|head| Self::of(head) == *self)
    }

    /// Whether `tail` ends with the bytes that this was made of.
    pub(crate) fn ends(&self, tail: &[u8]) -> bool {
        tail.len().checked_sub(self.length).is_some_and(|start| Self::of(&tail[start..]) == *self)
    }
}

/// How a file is packed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// The name without packing, numbers and dates: what rotated files of one log have in common. `access.log.2.gz`,
/// `access-20260131.log` and `access.log` are all `access.log`.
pub(crate) fn family(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = match Packing::of(path) {
        Packing::Plain => name.as_ref(),
        Packing::Gzip | Packing::Zstd => name.rsplit_once('.').map_or(name.as_ref(), |(stem, _)| stem),
    };
    let is_counter = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || b"TZ+".contains(&byte));
    let parts: Vec<&str> = name.split(['.', '-', '_', ':']).filter(|part| !is_counter(part)).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_of_one_family() {
        let check = |name: &str, expected: &str| assert_eq!(family(Path::new(name)), expected, "{name}");
        check("/var/log/access.log", "access.log");
        check("access.log.1", "access.log");
        check("access.log.12.gz", "access.log");
        check("access.log-20260131", "access.log");
        check("access-20260131T000000Z.log.zst", "access.log");
        check("access.2026-01-31.log", "access.log");
        check("conn.00:00:00-01:00:00.log.gz", "conn.log");
        check("node1.log", "node1.log");
        check("node2.log", "node2.log");
        check("0.log", "log");
        check("", "");
    }

    #[test]
    fn fingerprints_know_their_bytes() {
        let bytes: Vec<u8> = (0..3000_u32).flat_map(u32::to_le_bytes).collect();
        let (head, tail) = (Fingerprint::of_head(&bytes), Fingerprint::of_tail(&bytes[..2000]));
        assert!(head.begins(&bytes) && tail.ends(&bytes[..2000]) && tail.ends(&bytes[500..2000]));
        assert!(!head.begins(&bytes[1..]) && !tail.ends(&bytes[..2001]) && !head.begins(&bytes[..1023]));
        let none = Fingerprint::default();
        assert!(none.begins(b"") && none.begins(b"x") && none.ends(b"x"));
        assert_eq!(Fingerprint::of_head(b""), none);
    }
}

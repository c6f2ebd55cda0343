//! What is remembered of a file: the checkpoint that is committed with its data.

use crate::files::identity::{Fingerprint, Inode};
use crate::writer::json;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tracing::warn;

/// Begin of the keys of files, below that of the source.
pub(crate) const KEY: &str = "file/";

/// How far a file was passed on. All of it is about bytes that were passed on; what was only seen is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    /// Name of the file's content: a file that was emptied in place goes on under another one.
    pub(crate) id: String,
    pub(crate) at: Inode,
    /// Where it was seen last. A name that is no text is kept as near as text can be: the inode finds the file again.
    #[serde(serialize_with = "path_text")]
    pub(crate) path: PathBuf,
    /// Bytes passed on, unpacked.
    pub(crate) offset: u64,
    /// Of its first bytes, as far as they were passed on.
    pub(crate) head: Fingerprint,
    /// Of the bytes before `offset`.
    pub(crate) tail: Fingerprint,
    /// Whether `offset` is within a line whose rest is left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_skipping: bool,
    /// Nothing more is to come: it is gone, or was emptied, or it is packed and was read to its end. It is remembered so
    /// that copies of it are known.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_ended: bool,
    /// Its inode is known to hold its bytes no more: it was deleted or written anew, and cannot come back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_erased: bool,
    /// Size of a packed file that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packed_size: Option<u64>,
    /// When this was written. Microseconds UTC.
    pub(crate) written: i64,
}

fn path_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl FileState {
    /// A file of which nothing was passed on.
    pub(crate) fn new(id: String, at: Inode, path: PathBuf, now: i64) -> Self {
        Self {
            id,
            at,
            path,
            offset: 0,
            head: Fingerprint::default(),
            tail: Fingerprint::default(),
            is_skipping: false,
            is_ended: false,
            is_erased: false,
            packed_size: None,
            written: now,
        }
    }

    pub(crate) fn key(&self) -> String {
        format!("{KEY}{}", self.id)
    }

    pub(crate) fn value(&self) -> Bytes {
        json(self)
    }

    /// Reads a checkpoint. One that cannot be read is left out, loudly: its file will be read again.
    pub(crate) fn parse(key: &str, value: &[u8]) -> Option<Self> {
        match serde_json::from_slice(value) {
            Ok(state) => Some(state),
            Err(error) => {
                warn!(key, %error, "checkpoint of a file cannot be read; the file is read again from its begin");
                None
            }
        }
    }
}

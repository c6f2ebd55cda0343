//! One file that is followed: what is remembered of it, the open handle, and what was last seen of it.

use crate::files::identity::{Packing, family};
use crate::files::packed::PackedReader;
use crate::files::reader::{preamble, read_at};
use crate::files::scan::Seen;
use crate::files::state::FileState;
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};
use tradewind_transport::envelope::PREAMBLE_BYTES_MAX;

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is read.
    Follow,
    /// It is packed and may still be written.
    Settle,
    /// So far it is a copy of that one, which is followed: reading it would bring the same lines twice.
    Copy(u64),
    /// Nothing more is to come of it.
    Ended,
}

/// Where bytes come from.
#[derive(Debug)]
pub(crate) enum Handle {
    Closed,
    Plain(File),
    Packed(PackedReader),
}

#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) state: FileState,
    /// Whether the log holds another state, or none.
    pub(crate) is_dirty: bool,
    pub(crate) standing: Standing,
    pub(crate) handle: Handle,
    pub(crate) packing: Packing,
    pub(crate) family: String,
    /// Since when the patterns do not find it.
    pub(crate) gone: Option<Instant>,
    /// Whether it was given another name while it was followed.
    pub(crate) is_renamed: bool,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    /// When size or time were last seen to change.
    pub(crate) changed: Instant,
    /// Whether there may be bytes that were not looked at since.
    pub(crate) is_fresh: bool,
    /// Size at which it could not be read, so that it is told once.
    pub(crate) failed_at: Option<u64>,
    /// It is packed and cannot be unpacked as it is now.
    pub(crate) is_damaged: bool,
    preamble: Option<Bytes>,
    is_preamble_complete: bool,
}

impl Tracked {
    pub(crate) fn new(state: FileState, size: u64, modified: SystemTime, now: Instant) -> Self {
        let packing = Packing::of(&state.path);
        let standing = match packing {
            _ if state.is_ended => Standing::Ended,
            Packing::Plain => Standing::Follow,
            Packing::Gzip | Packing::Zstd => Standing::Settle,
        };
        Self {
            is_dirty: true,
            standing,
            handle: Handle::Closed,
            packing,
            family: family(&state.path),
            gone: None,
            is_renamed: false,
            size,
            modified,
            changed: now,
            is_fresh: true,
            failed_at: None,
            is_damaged: false,
            preamble: None,
            is_preamble_complete: false,
            state,
        }
    }

    /// Takes in what a look at the file shows.
    pub(crate) fn look(&mut self, size: u64, modified: SystemTime, now: Instant) {
        if (size, modified) != (self.size, self.modified) {
            (self.size, self.modified, self.changed, self.is_fresh) = (size, modified, now, true);
            self.is_damaged = false;
        }
    }

    /// Takes in that the patterns found it, perhaps under another name.
    pub(crate) fn found(&mut self, seen: &Seen, now: Instant) {
        self.gone = None;
        self.look(seen.size, seen.modified, now);
        if self.state.path != seen.path {
            self.rename(seen.path.clone());
        }
    }

    pub(crate) fn rename(&mut self, path: PathBuf) {
        self.family = family(&path);
        self.state.path = path;
        (self.is_renamed, self.is_dirty, self.is_fresh) = (true, true, true);
    }

    /// Bytes that were not passed on, where that can be known.
    pub(crate) const fn lag(&self) -> u64 {
        match (self.packing, self.standing) {
            (Packing::Plain, Standing::Follow) => self.size.saturating_sub(self.state.offset),
            _ => 0,
        }
    }

    /// Nothing more is to come. The handle is closed.
    pub(crate) fn end(&mut self) {
        self.handle = Handle::Closed;
        self.standing = Standing::Ended;
        self.state.is_ended = true;
        (self.is_dirty, self.is_fresh) = (true, false);
    }

    /// Opens a plain file where it is said to be. False: another file is there by now.
    pub(crate) fn open(&mut self) -> io::Result<bool> {
        let file = File::open(&self.state.path)?;
        let is_same = crate::files::identity::Inode::of(&file.metadata()?) == self.state.at;
        if is_same {
            self.handle = Handle::Plain(file);
        }
        Ok(is_same)
    }

    /// The lines that say what those at `offset` mean.
    pub(crate) fn preamble(&mut self) -> io::Result<Option<Bytes>> {
        if !self.is_preamble_complete && self.state.offset > 0 {
            self.preamble = match &self.handle {
                Handle::Plain(file) => {
                    let mut first = Vec::new();
                    read_at(file, 0, PREAMBLE_BYTES_MAX, &mut first)?;
                    preamble(&first, self.state.offset)
                }
                Handle::Packed(reader) => preamble(reader.first(), self.state.offset),
                Handle::Closed => None,
            };
            self.is_preamble_complete = self.state.offset >= PREAMBLE_BYTES_MAX as u64;
        }
        Ok(self.preamble.clone())
    }
}

//! One input on its way into the lake.

use super::inputs::Input;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tradewind_formats::contract::Counts;
use tradewind_storage::ImportedObject;

/// An object whose records are being decoded, perhaps by several threads.
#[derive(Debug)]
pub(super) struct Object {
    /// Which input of the group it is.
    index: usize,
    /// What the user calls it.
    name: String,
    /// Where it was found.
    pub(super) path: String,
    /// BLAKE3 of its bytes as found.
    pub(super) content_hash: String,
    /// Its size as found, in bytes.
    pub(super) bytes: u64,
    /// Format and how it was chosen; none where it was not recognised.
    pub(super) format: Option<(&'static str, String)>,
    /// What a person should know of the choice.
    pub(super) notes: Vec<String>,
    counts: Mutex<Counts>,
    /// Why none of it can be kept.
    damage: Mutex<Option<String>>,
}

impl Object {
    pub(super) fn new(index: usize, input: &Input, content_hash: String, bytes: u64) -> Self {
        Self {
            index,
            name: input.name(),
            path: input.path(),
            content_hash,
            bytes,
            format: None,
            notes: Vec::new(),
            counts: Mutex::default(),
            damage: Mutex::default(),
        }
    }

    pub(super) fn source(&self) -> Option<&'static str> {
        self.format.as_ref().map(|(source, _)| *source)
    }

    /// Adds the counts of a part of it.
    pub(super) fn add(&self, counts: Counts) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).add(counts);
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that it cannot be read to its end.
    pub(super) fn set_damage(&self, detail: String) {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(detail);
    }

    /// The failure it is when it could not be read to its end.
    pub(super) fn failure(&self) -> Option<Failure> {
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        let detail = damage.as_ref()?;
        // What is packed as a whole can be unpacked up to its damage; a Parquet file cannot be read without its end.
        let advice = if detail.contains("stream") {
            ", or import what can be read of it by unpacking it to standard input (`gzip -dc FILE | tradewind import -`)"
        } else {
            ""
        };
        let error = format!("{detail}; nothing of it was imported. Fetch it again{advice}");
        let condemned = Some(self.content_hash.clone());
        Some(Failure { index: self.index, path: self.name.clone(), error, is_partial: true, condemned })
    }

    /// Its row of the ledger.
    pub(super) fn imported(&self, import_time: i64) -> ImportedObject {
        let counts = self.counts();
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        ImportedObject {
            content_hash: self.content_hash.clone(),
            import_time,
            path: self.path.clone(),
            source: self.source().map(str::to_owned),
            format_reason: self.format.as_ref().map(|(_, reason)| reason.clone()),
            bytes_in: number(self.bytes),
            records: number(counts.records),
            flows: number(counts.flows),
            rejected: number(counts.rejected),
            gaps: number(counts.gaps),
        }
    }
}

/// What tells whether a file was changed while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    pub(super) modified: Option<SystemTime>,
}

/// An input that could not be imported.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Which input of the group it is.
    pub(super) index: usize,
    /// Where it is.
    pub(super) path: String,
    /// Why.
    pub(super) error: String,
    /// Whether records of it were decoded before it failed.
    pub(super) is_partial: bool,
    /// The hash of bytes that fail wherever they are.
    pub(super) condemned: Option<String>,
}

impl Failure {
    /// As the summary tells it.
    pub(super) fn told(&self) -> super::summary::Failed {
        super::summary::Failed { path: self.path.clone(), error: self.error.clone() }
    }
}

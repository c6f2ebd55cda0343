//! What can go wrong with a log, by what the caller has to do.

use crate::record::TopicPartition;
use thiserror::Error;

/// What the caller has to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Wait and begin again from what is committed: the log cannot be reached, or a transaction was given up.
    Retry,
    /// Another one took the place: this consumer or producer is of no more use. Begin again as a new one, or end.
    Fenced,
    /// A person is needed: a wrong password, a topic that is missing, a folder that cannot be written.
    Fatal,
}

/// An operation on a log failed. Nothing of a write that failed is seen by readers, unless it says otherwise.
#[derive(Debug, Error)]
pub enum LogError {
    /// The log cannot be reached at present.
    #[error("{what}: {detail}")]
    Unreachable {
        /// What was tried, and where.
        what: String,
        /// What the log or its client said.
        detail: String,
    },
    /// A transaction was given up; its records are not in the log. They may be written again, from what is committed.
    #[error("the transaction of `{producer}` was given up: {detail}")]
    Aborted {
        /// The producer.
        producer: String,
        /// What the log said.
        detail: String,
    },
    /// Another producer or group member has the place.
    #[error("`{who}` was replaced by another one of its name, or lost its partitions: {detail}")]
    Fenced {
        /// Producer or member.
        who: String,
        /// What the log said.
        detail: String,
    },
    /// The log refuses who we say we are, or what we may do.
    #[error("{what} was refused: {detail}")]
    Refused {
        /// What was tried, and where.
        what: String,
        /// What the log said, and what to do.
        detail: String,
    },
    /// Topics are missing or unfit.
    #[error("{detail}")]
    Topics {
        /// Which, how, and what to do; a line each.
        detail: String,
    },
    /// An offset that the log does not have (any more).
    #[error("{partition} holds offsets {first} to {end}, not {wanted}: {detail}")]
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// First offset it has.
        first: i64,
        /// Offset after the last.
        end: i64,
        /// The one that was asked for.
        wanted: i64,
        /// What that means and what to do.
        detail: String,
    },
    /// A record that cannot be written, however often it is tried.
    #[error("a record for {to} cannot be written: {detail}")]
    Record {
        /// Where it was to go.
        to: TopicPartition,
        /// Why not.
        detail: String,
    },
    /// The disk of the embedded log failed or is full.
    #[error("{what}")]
    Disk {
        /// What was tried, and where.
        what: String,
        /// Whether trying again can help: the disk was full.
        is_full: bool,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Settings that cannot work.
    #[error("{0}")]
    Settings(String),
}

impl LogError {
    /// What the caller has to do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::Aborted { .. } | Self::Disk { is_full: true, .. } => ErrorKind::Retry,
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::Refused { .. }
            | Self::Topics { .. }
            | Self::OutOfRange { .. }
            | Self::Record { .. }
            | Self::Disk { .. }
            | Self::Settings(_) => ErrorKind::Fatal,
        }
    }
}

//! What a collector counts. It exports nothing: whoever runs it reads the numbers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Why input was not accepted: a closed set, so that reasons can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// No credential, or one that is not known.
    Unauthenticated,
    /// A credential that may not report this observer or format.
    Forbidden,
    /// A request that cannot be read: no body, an unknown parameter, a wrong length.
    Malformed,
    /// A body or record over a limit, packed or unpacked.
    TooLarge,
    /// A type or packing of content that is not known.
    UnsupportedMedia,
    /// A packed body that is damaged.
    Corrupt,
    /// An idempotency key that is in use, or was used for another body.
    KeyConflict,
    /// The sender was too slow, or went away.
    Aborted,
    /// Queue or memory is full.
    Overloaded,
    /// The log cannot be reached.
    Unavailable,
}

impl RejectReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Malformed,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::Corrupt,
        Self::KeyConflict,
        Self::Aborted,
        Self::Overloaded,
        Self::Unavailable,
    ];

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media",
            Self::Corrupt => "corrupt",
            Self::KeyConflict => "key_conflict",
            Self::Aborted => "aborted",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Counters and gauges of one collector.
///
/// Invariant: `received = accepted + rejected` whenever nothing is in flight. What is counted is lines for files and
/// standard input, requests for HTTP.
#[derive(Debug, Default)]
pub struct CollectCounters {
    /// Lines or requests that came.
    pub received: AtomicU64,
    /// Those that are durable in the log, or were so already.
    pub accepted: AtomicU64,
    /// Those that were refused.
    pub rejected: AtomicU64,
    /// `rejected` by reason, in the order of [`RejectReason::ALL`].
    pub rejected_by_reason: [AtomicU64; RejectReason::ALL.len()],
    /// Bytes accepted, unpacked.
    pub bytes: AtomicU64,
    /// Raw records written.
    pub records: AtomicU64,
    /// Transactions committed.
    pub transactions: AtomicU64,
    /// Attempts to write that failed and were tried again.
    pub write_retries: AtomicU64,
    /// Whether the log answered last time.
    pub is_log_reachable: AtomicBool,
    /// Requests answered from an idempotency key; they are among `accepted`.
    pub repeated: AtomicU64,
    /// Lines over the limit, whose head alone was passed on; they are among `accepted`.
    pub lines_cut: AtomicU64,
    /// Bytes of such lines that were left out.
    pub bytes_cut: AtomicU64,
    /// Last lines without a line feed that were passed on because nothing followed; they are among `accepted`.
    pub lines_partial: AtomicU64,
    /// Files that are followed now.
    pub files: AtomicU64,
    /// Bytes in these that are not passed on yet.
    pub files_lag_bytes: AtomicU64,
    /// Files that were shortened in place while they were followed.
    pub files_truncated: AtomicU64,
    /// Files that went away while nobody looked, so that their end may be lost.
    pub files_vanished: AtomicU64,
    /// Files that cannot be read: permissions, damage.
    pub files_failed: AtomicU64,
}

impl CollectCounters {
    /// Counts lines that were written.
    pub(crate) fn accept(&self, lines: u64) {
        add(&self.received, lines);
        add(&self.accepted, lines);
    }

    /// Counts one that was received earlier and is refused now.
    pub(crate) fn reject(&self, reason: RejectReason) {
        add(&self.rejected, 1);
        add(&self.rejected_by_reason[reason as usize], 1);
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

/// Sets a gauge.
pub(crate) fn set(gauge: &AtomicU64, value: u64) {
    gauge.store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_reasons_follow_the_list() {
        for (number, reason) in RejectReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{}", reason.as_str());
        }
    }
}

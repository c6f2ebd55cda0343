//! One flow as the memory of connections sees it: its tuple hashed, its times in seconds, and what it tells of its
//! connection's begin and end. Not a decision.

/// Whether a set of flags has all of some.
#[inline]
pub(super) const fn has(flags: u16, wanted: u16) -> bool {
    flags & wanted == wanted
}

/// What a flow, or all flows of a connection so far, tells.
pub(super) mod tells {
    /// Its start is the connection's: a record of the whole connection, of a SYN, or one that names the time.
    pub(crate) const OPENING: u16 = 1;
    /// The connection is over: FIN, RST, or a record of the whole of it.
    pub(crate) const CLOSING: u16 = 1 << 1;
    /// It is a record of the whole connection, so that its end is the connection's too.
    pub(crate) const WHOLE: u16 = 1 << 2;
    /// Its start is that of a reporting interval.
    pub(crate) const COARSE: u16 = 1 << 3;
    /// The end with the lower hash opened the connection.
    pub(crate) const LOW_OPENED: u16 = 1 << 4;
    /// The other end did.
    pub(crate) const HIGH_OPENED: u16 = 1 << 5;
    /// Either of both: the log or TCP flags told who opened it.
    pub(crate) const OPENER: u16 = LOW_OPENED | HIGH_OPENED;
    /// Bits of the observer's closeness to the destination, 0 to 3.
    pub(crate) const RANK: u16 = 3 << RANK_SHIFT;
    pub(crate) const RANK_SHIFT: u32 = 6;
    /// Bits of the idle gap: an index into [`super::super::rule::Rule::gaps`].
    pub(crate) const GAP: u16 = 3 << GAP_SHIFT;
    pub(crate) const GAP_SHIFT: u32 = 8;
    /// The source end of the row is the one with the lower hash.
    pub(crate) const SRC_IS_LOW: u16 = 1 << 10;
    /// The row's own ends are not known better than by its ports.
    pub(crate) const WEAK: u16 = 1 << 11;
    /// Of a connection: this batch began it. Of a row that is replayed: it opened its connection.
    pub(crate) const FRESH: u16 = 1 << 12;
    /// Of a connection: the row that opened it was seen; it is not only known by a replayed part. Of a row that is
    /// replayed: its counters count.
    pub(crate) const COUNTED: u16 = 1 << 13;
}

/// Index of the gap for TCP in the two bits of [`tells::GAP`].
pub(super) const GAP_TCP: u16 = 0;
/// For UDP and other protocols.
pub(super) const GAP_UDP: u16 = 1;
/// For requests.
pub(super) const GAP_REQUEST: u16 = 2;

/// One flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Observation {
    /// Hash of the unordered tuple; never 0.
    pub(super) key: u64,
    /// Hash of the edge, the same for both directions.
    pub(super) edge: u64,
    /// Row of the batch.
    pub(super) row: u32,
    /// First second since 1970.
    pub(super) start: u32,
    /// Last second.
    pub(super) end: u32,
    /// Hash of who saw it; never 0.
    pub(super) observer: u32,
    /// Bits of [`tells`].
    pub(super) tells: u16,
    /// Number of its format.
    pub(super) source: u8,
}

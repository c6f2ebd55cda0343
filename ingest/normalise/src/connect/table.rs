//! Where connections are kept: open addressing with linear probing, one entry a connection, several for a tuple that was
//! used again. Bounded: the oldest are forgotten. Knows no batch.

use super::observation::{Observation, has, tells};
use super::rule::Rule;
use serde::{Deserialize, Serialize};

/// How many connections of one tuple are kept: a tuple that comes and goes all day must not make its search long.
const SAME_TUPLE_MAX: usize = 32;
/// The least number of slots of a table that holds anything.
const SLOTS_MIN: usize = 64;

/// A connection. 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Connection {
    /// Hash of the unordered tuple; 0 marks an empty slot.
    pub(super) key: u64,
    /// First second since 1970 in which it was seen.
    pub(super) start: u32,
    /// Last one.
    pub(super) last: u32,
    /// The observer whose counters count; 0 while that is the first one of `source` to come.
    pub(super) lead: u32,
    /// Bits of [`tells`].
    pub(super) tells: u16,
    /// Number of the format whose counters count.
    pub(super) source: u8,
}

/// The connections of one shard.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Empty, or a power of two.
    slots: Vec<Connection>,
    len: usize,
}

/// Where a flow belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the connection in this slot.
    Known(u32),
    /// To a new one, for this slot.
    New(u32),
    /// To a new one for this slot, which holds the oldest of too many with the same tuple.
    Instead(u32),
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All connections, in the order of their slots from the first that is no continuation on.
    pub(super) fn connections(&self) -> Vec<Connection> {
        let from = self.slots.iter().position(|slot| slot.key == 0).unwrap_or(0);
        self.slots[from..].iter().chain(&self.slots[..from]).filter(|slot| slot.key != 0).copied().collect()
    }

    /// A table of connections, in an order that [`Table::connections`] gave.
    pub(super) fn of(connections: &[Connection]) -> Self {
        let mut table = Self::default();
        if !connections.is_empty() {
            table.reserve(connections.len(), usize::MAX);
        }
        let mask = table.slots.len().wrapping_sub(1);
        for connection in connections.iter().filter(|connection| connection.key != 0) {
            let mut slot = home(connection.key) & mask;
            while table.slots[slot].key != 0 {
                slot = (slot + 1) & mask;
            }
            table.slots[slot] = *connection;
            table.len += 1;
        }
        table
    }

    /// Makes room for `more` connections while holding at most `max` (but always room for `more`), and gives how many were
    /// forgotten for it. Slots keep their numbers until the next call.
    pub(super) fn reserve(&mut self, more: usize, max: usize) -> usize {
        let mut forgotten = 0;
        if self.len + more > max && self.len > 0 {
            // A quarter at least, so that the sweep is paid by many new connections.
            let keep = max.saturating_sub(more).min(max - max / 4);
            forgotten = self.forget_oldest(keep);
        }
        let needed = self.len + more;
        // At most four in five slots are taken.
        if needed * 5 > self.slots.len() * 4 {
            let slots = (needed * 5).div_ceil(4).next_power_of_two().max(SLOTS_MIN);
            self.rebuild(slots, 0, usize::MAX);
        }
        forgotten
    }

    /// Keeps the `keep` connections that were seen last; of those seen last in one second, any.
    fn forget_oldest(&mut self, keep: usize) -> usize {
        let before = self.len;
        if keep >= before {
            return 0;
        }
        let mut lasts: Vec<u32> = self.slots.iter().filter(|slot| slot.key != 0).map(|slot| slot.last).collect();
        let boundary = before - keep;
        let (_, &mut oldest, newer) = lasts.select_nth_unstable(boundary - 1);
        let ties_kept = newer.iter().filter(|&&last| last == oldest).count();
        self.rebuild(self.slots.len(), oldest, ties_kept);
        before - self.len
    }

    /// Moves to as many slots what was seen last after `oldest`, and `ties` of those seen last in that second.
    fn rebuild(&mut self, slots: usize, oldest: u32, mut ties: usize) {
        let old = std::mem::replace(&mut self.slots, vec![Connection::default(); slots]);
        self.len = 0;
        let mask = slots - 1;
        // From the first slot that is no continuation on, so that entries of one tuple keep their order.
        let from = old.iter().position(|slot| slot.key == 0).unwrap_or(0);
        for connection in old[from..].iter().chain(&old[..from]) {
            if connection.key == 0 || connection.last < oldest {
                continue;
            }
            if connection.last == oldest && ties != usize::MAX {
                if ties == 0 {
                    continue;
                }
                ties -= 1;
            }
            let mut slot = home(connection.key) & mask;
            while self.slots[slot].key != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = *connection;
            self.len += 1;
        }
    }

    /// Reads the slots where flows are looked for, so that the processor fetches them side by side; the result means
    /// nothing. A search goes over some slots, and the second one is in the next cache line or the one behind it.
    #[inline]
    pub(super) fn touch(&self, seen: &[Observation]) -> u64 {
        const NEXT: usize = 4;
        let mask = self.slots.len() - 1;
        seen.iter().fold(0, |sum: u64, seen| {
            let slot = home(seen.key) & mask;
            sum ^ self.slots[slot].key ^ self.slots[(slot + NEXT) & mask].key
        })
    }

    /// Where a flow belongs: to the nearest connection of its tuple, of equally near ones to the one that began last
    /// without beginning after it.
    ///
    /// Invariant: [`Table::reserve`] made room, so that there is an empty slot.
    #[inline]
    pub(super) fn find(&self, seen: &Observation, rule: &Rule) -> Place {
        let mask = self.slots.len() - 1;
        let mut slot = home(seen.key) & mask;
        let mut best: Option<(u64, u32, usize)> = None;
        let mut same_tuple = 0;
        let mut oldest = (u32::MAX, 0);
        loop {
            let known = &self.slots[slot];
            if known.key == 0 {
                break;
            }
            if known.key == seen.key {
                same_tuple += 1;
                oldest = oldest.min((known.last, slot));
                if let Some(distance) = rule.distance(known, seen)
                    && best.is_none_or(|(least, start, _)| {
                        distance < least || (distance == least && start < known.start && known.start <= seen.start)
                    })
                {
                    best = Some((distance, known.start, slot));
                }
            }
            slot = (slot + 1) & mask;
        }
        let number = |slot: usize| u32::try_from(slot).expect("a shard has fewer than 4 G slots");
        match best {
            Some((_, _, slot)) => Place::Known(number(slot)),
            None if same_tuple >= SAME_TUPLE_MAX => Place::Instead(number(oldest.1)),
            None => Place::New(number(slot)),
        }
    }

    /// Puts a new connection where [`Table::find`] said.
    #[inline]
    pub(super) fn insert(&mut self, slot: u32, connection: Connection) {
        let place = &mut self.slots[slot as usize];
        self.len += usize::from(place.key == 0);
        *place = connection;
    }

    /// The connection in a slot.
    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> &mut Connection {
        &mut self.slots[slot as usize]
    }
}

impl Connection {
    /// A connection of which a flow is the first that is seen.
    #[inline]
    pub(super) fn begun_by(seen: &Observation, lead: u32, source: u8) -> Self {
        const KEPT: u16 = tells::OPENING | tells::CLOSING | tells::WHOLE | tells::COARSE | tells::OPENER | tells::RANK;
        Self {
            key: seen.key,
            start: seen.start,
            last: seen.end,
            lead,
            tells: (seen.tells & KEPT) | tells::FRESH,
            source,
        }
    }

    /// Takes in what another flow of it tells.
    #[inline]
    pub(super) fn extend(&mut self, seen: &Observation) {
        self.last = self.last.max(seen.end);
        if has(seen.tells, tells::OPENING) && (!has(self.tells, tells::OPENING) || !has(seen.tells, tells::COARSE)) {
            // This start is the connection's, and better known than what was held for it.
            self.start = seen.start;
            self.tells = (self.tells & !tells::COARSE) | (seen.tells & tells::COARSE);
        } else if !has(self.tells, tells::OPENING) || has(seen.tells, tells::OPENING) {
            self.start = self.start.min(seen.start);
        }
        self.tells |= seen.tells & (tells::OPENING | tells::CLOSING | tells::WHOLE);
        if self.tells & tells::OPENER == 0 {
            self.tells |= seen.tells & tells::OPENER;
        }
    }
}

/// The slot where the search for a tuple begins, before it is cut to the table's size. The highest bits chose the shard.
#[inline]
#[allow(clippy::cast_possible_truncation)] // The low bits alone are used.
fn home(key: u64) -> usize {
    key as usize
}

//! One shard's flows of one batch: which open a connection, and whose counters count. Not the times rules and not the
//! table.

use super::edges::{ANY_SOURCE, Claim, Claimant, Edges};
use super::observation::{Observation, has, tells};
use super::rule::Rule;
use super::scratch::ConnectScratch;
use super::table::{Connection, Place, Table};

/// How many flows' slots are fetched side by side.
const TOUCHED: usize = 32;

/// What one pass over a shard needs beside the shard and the flows.
pub(super) struct Pass<'a> {
    pub(super) rule: &'a Rule,
    pub(super) edges: &'a Edges,
    /// Most connections of a shard.
    pub(super) connections_max: usize,
    /// Whether rows tell what was decided of them.
    pub(super) replays: bool,
}

/// What came of a pass.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) opened: u64,
    pub(super) forgotten: u64,
    /// Row and the source that led its edge before.
    pub(super) taken: Vec<(u32, u8)>,
}

impl Pass<'_> {
    /// Decides on the flows `from..to` of the scratch, all of this shard.
    pub(super) fn run(
        &self,
        table: &mut Table,
        scratch: &mut ConnectScratch,
        (from, to): (usize, usize),
        passed: &mut Passed,
    ) {
        // Few enough that they fit whatever is remembered.
        let chunk = (self.connections_max / 4).clamp(1, 4_096);
        let mut begin = from;
        while begin < to {
            let end = to.min(begin + chunk);
            passed.forgotten += table.reserve(end - begin, self.connections_max) as u64;
            self.place(table, scratch, (begin, end), passed);
            self.answer(table, scratch, (begin, end));
            begin = end;
        }
    }

    /// Finds or begins the connection of each flow.
    fn place(
        &self,
        table: &mut Table,
        scratch: &mut ConnectScratch,
        (begin, end): (usize, usize),
        passed: &mut Passed,
    ) {
        let ConnectScratch { seen, slots, opens, cache, .. } = scratch;
        slots.clear();
        for few in seen[begin..end].chunks(TOUCHED) {
            std::hint::black_box(table.touch(few));
            for seen in few {
                let place = table.find(seen, self.rule);
                let is_fact = self.replays && has(seen.tells, tells::FRESH);
                let slot = match place {
                    Place::Known(slot) => {
                        self.join(table.at(slot), seen);
                        opens[seen.row as usize] = 0;
                        passed.opened += u64::from(is_fact);
                        slot
                    }
                    Place::New(slot) | Place::Instead(slot) => {
                        passed.forgotten += u64::from(matches!(place, Place::Instead(_)));
                        let (lead, source) = self.claim(seen, cache, &mut passed.taken);
                        table.insert(slot, Connection::begun_by(seen, lead, source));
                        passed.opened += u64::from(!self.replays || is_fact);
                        slot
                    }
                };
                slots.push(slot);
            }
        }
    }

    /// The observer (0: the first to come) and source that lead a connection.
    #[inline]
    fn claim(&self, seen: &Observation, cache: &mut super::edges::EdgeCache, taken: &mut Vec<(u32, u8)>) -> (u32, u8) {
        let is_counted = has(seen.tells, tells::COUNTED);
        if self.replays && !is_counted && !self.edges.is_led(seen.edge) {
            // A stored row whose counters do not count is no sign that its source leads. Who leads is still to come.
            return (0, ANY_SOURCE);
        }
        let claim = self.edges.claim(&Claimant::of(seen), cache);
        if self.replays && is_counted {
            if matches!(claim, Claim::LeftTo(_)) {
                self.edges.replace(&Claimant::of(seen));
            }
            return (seen.observer, seen.source);
        }
        match claim {
            // A replayed row whose counters do not count leaves the lead to a row that is still to come.
            Claim::Own | Claim::Taken(_) if self.replays => (0, ANY_SOURCE),
            Claim::Own => (seen.observer, seen.source),
            Claim::Taken(before) => {
                taken.push((seen.row, before));
                (seen.observer, seen.source)
            }
            Claim::LeftTo(source) => (0, source),
        }
    }

    #[inline]
    fn join(&self, known: &mut Connection, seen: &Observation) {
        if self.replays {
            if has(seen.tells, tells::COUNTED) && known.lead != seen.observer {
                if known.lead == 0 && known.source == seen.source {
                    self.edges.report(&Claimant::of(seen));
                }
                (known.lead, known.source) = (seen.observer, seen.source);
            }
        } else if known.source == seen.source || known.source == ANY_SOURCE {
            if known.lead == 0 {
                (known.lead, known.source) = (seen.observer, seen.source);
                known.tells = (known.tells & !tells::RANK) | (seen.tells & tells::RANK);
                self.edges.report(&Claimant::of(seen));
            } else if has(known.tells, tells::FRESH) && seen.tells & tells::RANK > known.tells & tells::RANK {
                // No row of this connection was answered yet, so a better observer may still lead.
                known.lead = seen.observer;
                known.tells = (known.tells & !tells::RANK) | (seen.tells & tells::RANK);
            }
        }
        known.extend(seen);
    }

    /// Says whose counters count, now that all flows of the chunk were seen, and which rows are the wrong way round.
    fn answer(&self, table: &mut Table, scratch: &mut ConnectScratch, (begin, end): (usize, usize)) {
        let ConnectScratch { seen, slots, leads, swapped, oriented, .. } = scratch;
        for (seen, &slot) in seen[begin..end].iter().zip(slots.iter()) {
            let known = table.at(slot);
            known.tells &= !tells::FRESH;
            leads[seen.row as usize] = i64::from(known.lead == seen.observer);
            if has(seen.tells, tells::WEAK) && known.tells & tells::OPENER != 0 {
                oriented.push(seen.row);
                if has(known.tells, tells::LOW_OPENED) != has(seen.tells, tells::SRC_IS_LOW) {
                    swapped.push(seen.row);
                }
            }
        }
    }
}

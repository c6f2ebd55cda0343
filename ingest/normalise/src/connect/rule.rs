//! When a flow is of a connection that is known: the rules of time. Not who leads, and not where connections are kept.
//!
//! Tuples are equal already. A flow that shows its connection's opening (a SYN, a record of the whole connection) belongs
//! to the connection that opened at that time. Any other belongs to the nearest connection that it overlaps, or follows
//! within the idle gap.

use super::ConnectSettings;
use super::observation::{Observation, has, tells};
use super::table::Connection;

/// Marks the distance of a flow that repeats an opening (a SYN sent again): it belongs, but a better match goes first.
const SECOND_CHOICE: u64 = 1 << 40;

/// Settings in the form the rules use. Seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    skew: u32,
    interval: u32,
    /// By the gap index of an observation.
    pub(super) gaps: [u32; 4],
}

impl Rule {
    pub(super) fn new(settings: &ConnectSettings) -> Self {
        let udp = settings.udp_idle_gap_s;
        Self {
            skew: settings.clock_skew_s,
            interval: settings.interval_s,
            gaps: [settings.tcp_idle_gap_s, udp, settings.request_idle_gap_s, udp],
        }
    }

    /// How far a flow is from a connection with the same tuple; none when it belongs to another one.
    #[inline]
    pub(super) fn distance(&self, known: &Connection, seen: &Observation) -> Option<u64> {
        let skew = if known.lead == seen.observer { 0 } else { self.skew };
        let gap = self.gaps[usize::from((seen.tells & tells::GAP) >> tells::GAP_SHIFT)].saturating_add(skew);
        if !has(seen.tells, tells::OPENING) {
            return self.distance_of_part(known, seen, gap);
        }
        let apart = known.start.abs_diff(seen.start);
        if has(known.tells, tells::OPENING) {
            if apart <= self.start_tolerance(known, seen) {
                return Some(u64::from(apart));
            }
            return repeats_opening(known, seen, gap).then(|| SECOND_CHOICE + u64::from(apart));
        }
        // The connection is known from its middle on, so it cannot have been there before it opened.
        if seen.start > known.start.saturating_add(self.start_tolerance(known, seen)) {
            return None;
        }
        let reach = if has(seen.tells, tells::WHOLE) { self.end_tolerance(known.tells, seen) } else { gap };
        (known.start <= seen.end.saturating_add(reach)).then(|| u64::from(apart))
    }

    /// The distance of a flow that shows no opening.
    #[inline]
    fn distance_of_part(&self, known: &Connection, seen: &Observation, gap: u32) -> Option<u64> {
        let reach = if seen.end < known.start {
            if has(known.tells, tells::OPENING) { self.end_tolerance(seen.tells, seen) } else { gap }
        } else if seen.start > known.last {
            if has(known.tells, tells::WHOLE) { self.end_tolerance(seen.tells, seen).min(gap) } else { gap }
        } else {
            return Some(0);
        };
        let distance = known.start.saturating_sub(seen.end).max(seen.start.saturating_sub(known.last));
        (distance <= reach).then(|| u64::from(distance))
    }

    /// How far two starts of one connection may be apart. One observer has one clock, so that a port it sees opened twice
    /// is told apart though interval records are coarse.
    #[inline]
    fn start_tolerance(&self, known: &Connection, seen: &Observation) -> u32 {
        if known.lead == seen.observer { self.skew } else { self.end_tolerance(known.tells | seen.tells, seen) }
    }

    /// How far a flow may reach over the begin or end of a connection that is known exactly.
    #[inline]
    fn end_tolerance(&self, tells: u16, seen: &Observation) -> u32 {
        if !has(tells, tells::COARSE) {
            return self.skew;
        }
        let length = if has(seen.tells, tells::COARSE) { seen.end.saturating_sub(seen.start) } else { 0 };
        self.skew.saturating_add(self.interval.max(length))
    }
}

/// Whether a second opening is the first one sent again: nothing was closed, and no record told the whole.
fn repeats_opening(known: &Connection, seen: &Observation, gap: u32) -> bool {
    if has(seen.tells, tells::WHOLE) || has(known.tells, tells::WHOLE) {
        return false;
    }
    if seen.start > known.start {
        !has(known.tells, tells::CLOSING) && seen.start <= known.last.saturating_add(gap)
    } else {
        !has(seen.tells, tells::CLOSING) && known.start <= seen.end.saturating_add(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::observation::GAP_UDP;

    const MIDDLE: u16 = 0;
    const SYN: u16 = tells::OPENING | tells::COARSE;
    const SYN_FIN: u16 = SYN | tells::CLOSING;
    const PART: u16 = tells::COARSE;
    const WHOLE: u16 = tells::OPENING | tells::CLOSING | tells::WHOLE;
    const UDP: u16 = tells::COARSE | (GAP_UDP << tells::GAP_SHIFT);

    /// The known connection's times and what is told of it; the flow's; whether the same observer saw both; distance.
    fn check(known: (u32, u32, u16), seen: (u32, u32, u16), is_same_observer: bool, expected: Option<u64>) {
        let rule = Rule::new(&ConnectSettings::default());
        let connection = Connection {
            key: 1,
            start: 10_000 + known.0,
            last: 10_000 + known.1,
            lead: if is_same_observer { 1 } else { 2 },
            tells: known.2,
            source: 0,
        };
        let observation = Observation {
            key: 1,
            start: 10_000 + seen.0,
            end: 10_000 + seen.1,
            observer: 1,
            tells: seen.2,
            ..Observation::default()
        };
        assert_eq!(rule.distance(&connection, &observation), expected, "{known:?} {seen:?} {is_same_observer}");
    }

    #[test]
    fn parts_meet_within_the_idle_gap() {
        check((0, 59, PART), (60, 119, PART), true, Some(1));
        check((0, 59, PART), (30, 119, PART), true, Some(0));
        check((0, 59, PART), (359, 400, PART), true, Some(300));
        check((0, 59, PART), (360, 400, PART), true, None);
        check((0, 59, PART), (364, 400, PART), false, Some(305));
        check((0, 59, PART), (365, 400, PART), false, None);
        check((0, 10, UDP), (70, 80, UDP), true, Some(60));
        check((0, 10, UDP), (71, 80, UDP), true, None);
        check((400, 459, PART), (0, 100, PART), true, Some(300));
        check((401, 459, PART), (0, 100, PART), true, None);
        let request = 2 << tells::GAP_SHIFT;
        check((0, 10, request), (3_610, 3_611, request), true, Some(3_600));
        check((0, 10, MIDDLE), (20, 21, MIDDLE), false, Some(10));
    }

    #[test]
    fn openings_meet_by_their_start() {
        check((0, 59, SYN), (3, 59, SYN), false, Some(3));
        check((0, 1, SYN_FIN), (65, 66, SYN_FIN), false, Some(65));
        check((0, 1, SYN_FIN), (66, 67, SYN_FIN), false, None);
        check((0, 1, SYN_FIN), (5, 7, SYN_FIN), true, Some(5));
        check((0, 1, SYN_FIN), (6, 7, SYN_FIN), true, None);
        check((0, 100, WHOLE), (5, 100, WHOLE), false, Some(5));
        check((0, 100, WHOLE), (6, 100, WHOLE), false, None);
        check((0, 100, WHOLE), (60, 90, SYN), false, Some(60));
    }

    #[test]
    fn an_opening_that_is_repeated_is_no_second_connection() {
        check((0, 59, SYN), (60, 100, SYN), true, Some(SECOND_CHOICE + 60));
        check((0, 59, SYN_FIN), (60, 100, SYN), true, None);
        check((60, 119, SYN), (0, 59, SYN), true, Some(SECOND_CHOICE + 60));
        check((60, 119, SYN), (0, 59, SYN_FIN), true, None);
        check((0, 59, SYN), (400, 401, SYN), true, None);
        check((0, 59, SYN), (200, 201, WHOLE), false, None);
    }

    #[test]
    fn what_is_known_from_its_middle_did_not_open_later() {
        check((0, 59, PART), (30, 90, SYN), false, Some(30));
        check((0, 59, PART), (66, 90, SYN), false, None);
        check((100, 159, PART), (30, 99, SYN), false, Some(70));
        check((100, 159, PART), (30, 95, WHOLE), false, Some(70));
        check((300, 359, PART), (30, 95, WHOLE), false, None);
    }

    #[test]
    fn the_ends_of_a_whole_record_bind() {
        check((0, 100, WHOLE), (160, 200, PART), false, Some(60));
        check((0, 100, WHOLE), (166, 200, PART), false, None);
        check((0, 100, WHOLE), (166, 400, PART), false, Some(66));
        check((300, 400, WHOLE), (200, 235, PART), false, Some(65));
        check((300, 400, WHOLE), (200, 230, PART), false, None);
        check((300, 400, WHOLE), (200, 296, MIDDLE), false, Some(4));
        check((300, 400, WHOLE), (200, 290, MIDDLE), false, None);
    }
}

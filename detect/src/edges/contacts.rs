//! What of an edge's window is worth telling at once, as the window's close knows it: the first flows by time, in whatever
//! order they came. Telling at once itself is [`super::shard`]'s.

use crate::report::EdgeCounts;
use serde::{Deserialize, Serialize};

/// First flows of one edge in the open window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Contacts {
    pub(super) number: u32,
    /// Whether the edge is new. If not, it was never answered, and only vain attempts count.
    pub(super) is_birth: bool,
    first: Option<EdgeCounts>,
    answer: Option<EdgeCounts>,
}

impl Contacts {
    pub(super) const fn new(number: u32, is_birth: bool) -> Self {
        Self { number, is_birth, first: None, answer: None }
    }

    /// Takes a flow in.
    pub(super) fn add(&mut self, counts: &EdgeCounts) {
        let is_vain = counts.is_refused();
        if self.is_birth || is_vain {
            keep_first(&mut self.first, counts);
        }
        if self.is_birth && !is_vain {
            keep_first(&mut self.answer, counts);
        }
    }

    /// The flows that are told where they come in the order of time: the first one and, if it was in vain, the first answer.
    pub(super) fn told(&self) -> impl Iterator<Item = EdgeCounts> {
        let answer = self.answer.filter(|_| self.first.is_some_and(|first| first.is_refused()));
        self.first.into_iter().chain(answer)
    }
}

/// Of two flows at the same time the one whose counts are lower is the first, so that order does not matter.
fn keep_first(first: &mut Option<EdgeCounts>, counts: &EdgeCounts) {
    if first.is_none_or(|known| (counts.first, counts) < (known.first, &known)) {
        *first = Some(*counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow((time, is_answered): (i64, bool)) -> EdgeCounts {
        EdgeCounts {
            flows: 1,
            opened: 1,
            answered: i64::from(is_answered),
            denied: 0,
            failed: i64::from(!is_answered),
            bytes_out: None,
            bytes_in: None,
            protocol_num: None,
            first: time,
            last: time,
        }
    }

    /// Flows as (time, whether answered), in both orders; those that are told.
    fn check(is_birth: bool, flows: &[(i64, bool)], expected: &[(i64, bool)]) {
        let expected: Vec<EdgeCounts> = expected.iter().copied().map(flow).collect();
        let mut flows: Vec<EdgeCounts> = flows.iter().copied().map(flow).collect();
        for _ in 0..2 {
            let mut contacts = Contacts::new(0, is_birth);
            flows.iter().for_each(|counts| contacts.add(counts));
            assert_eq!(contacts.told().collect::<Vec<_>>(), expected);
            flows.reverse();
        }
    }

    #[test]
    fn the_first_flow_and_the_first_answer_after_a_vain_one() {
        check(true, &[(1, true), (2, false), (3, true)], &[(1, true)]);
        check(true, &[(1, false), (2, false), (3, true), (4, true)], &[(1, false), (3, true)]);
        check(true, &[(1, false)], &[(1, false)]);
        check(false, &[(1, true), (2, false), (3, false)], &[(2, false)]);
        check(false, &[(1, true)], &[]);
    }
}

//! Controls whose time has not come yet. A finding that was told in the middle of a window can be spoken of only after the
//! window's close, and a replay meets what was said at the time of events it was about.

use super::Control;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Controls that wait at most; what comes after them is not taken in.
const WAITING_MAX: usize = 16_384;

/// Controls by the event time from which they hold, microseconds UTC.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Schedule {
    waiting: BTreeMap<i64, Vec<Control>>,
    count: usize,
}

impl Schedule {
    /// Keeps a control until its time. What it takes back and what still waits is dropped, as though it never had been said.
    /// False: too many wait.
    pub(crate) fn add(&mut self, control: Control, time: i64) -> bool {
        if let Some(finding) = control.revoked() {
            self.waiting.values_mut().for_each(|waiting| waiting.retain(|known| !known.settles(finding)));
            self.waiting.retain(|_, waiting| !waiting.is_empty());
            self.count = self.waiting.values().map(Vec::len).sum();
        }
        if self.count >= WAITING_MAX {
            return false;
        }
        self.count += 1;
        self.waiting.entry(time).or_default().push(control);
        true
    }

    /// Those that hold from this time on or from an earlier one: by their times, and of one time as they came.
    pub(crate) fn take_due(&mut self, time: i64) -> Vec<Control> {
        let later = time.checked_add(1).map_or_else(BTreeMap::new, |later| self.waiting.split_off(&later));
        let due: Vec<Control> = std::mem::replace(&mut self.waiting, later).into_values().flatten().collect();
        self.count -= due.len();
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(added: &[(i64, &str)], time: i64, expected: &[&str]) {
        let lift = |name: &str| Control::Lift { name: name.to_owned() };
        let mut schedule = Schedule::default();
        assert!(added.iter().all(|&(time, name)| schedule.add(lift(name), time)));
        let expected: Vec<Control> = expected.iter().map(|name| lift(name)).collect();
        assert_eq!(schedule.take_due(time), expected);
        assert_eq!(schedule.take_due(time), []);
        assert_eq!(schedule.take_due(i64::MAX).len(), added.len() - expected.len());
    }

    #[test]
    fn what_is_due_comes_in_the_order_of_time() {
        check(&[], 5, &[]);
        check(&[(5, "a"), (6, "b"), (3, "c"), (5, "d")], 5, &["c", "a", "d"]);
        check(&[(i64::MIN, "a"), (i64::MAX, "b")], 0, &["a"]);
        check(&[(i64::MAX, "b")], i64::MAX, &["b"]);
    }

    #[test]
    fn what_is_taken_back_in_time_was_never_said() {
        let id = |finding: &str| finding.to_owned();
        let mut schedule = Schedule::default();
        for finding in ["a", "b"] {
            assert!(schedule.add(Control::Accept { finding_id: id(finding) }, 5));
            assert!(schedule.add(Control::Dismiss { finding_id: id(finding) }, 7));
        }
        assert!(schedule.add(Control::Revoke { finding_id: id("a") }, 5));
        assert!(schedule.add(Control::Accept { finding_id: id("a") }, 6));
        let expected = [
            Control::Accept { finding_id: id("b") },
            Control::Revoke { finding_id: id("a") },
            Control::Accept { finding_id: id("a") },
            Control::Dismiss { finding_id: id("b") },
        ];
        assert_eq!((schedule.count, schedule.take_due(9).as_slice()), (4, expected.as_slice()));
        assert_eq!(schedule.count, 0);
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut schedule = Schedule::default();
        let lift = Control::Lift { name: String::new() };
        for _ in 0..WAITING_MAX {
            assert!(schedule.add(lift.clone(), 1));
        }
        assert!(!schedule.add(lift.clone(), 1));
        assert_eq!(schedule.take_due(1).len(), WAITING_MAX);
        assert!(schedule.add(lift, 1));
    }
}

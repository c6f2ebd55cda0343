//! What waits, by sink, in memory: so that finding the next thing to deliver reads nothing. Made again from the file at start.

use std::collections::{BTreeMap, HashMap, HashSet};

/// An entry of a queue, without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The incident, whose order is kept; none for signs of life.
    pub(super) key: Option<String>,
    /// When it was put in, microseconds UTC.
    pub(super) queued: i64,
    /// Not to be delivered before, microseconds UTC.
    pub(super) due: i64,
    /// Whether it may go out in one message with others that may.
    pub(super) is_bundled: bool,
}

impl Waiting {
    /// The incident; empty for signs of life.
    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }
}

/// The queue of one sink, by number.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: BTreeMap<u64, Waiting>,
    by_key: HashMap<String, Vec<u64>>,
}

impl Queue {
    pub(super) fn insert(&mut self, number: u64, waiting: Waiting) {
        if let Some(key) = &waiting.key {
            let numbers = self.by_key.entry(key.clone()).or_default();
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        self.entries.insert(number, waiting);
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some(waiting) = self.entries.remove(&number) else { return };
        let Some(key) = waiting.key else { return };
        if let Some(numbers) = self.by_key.get_mut(&key) {
            numbers.retain(|&other| other != number);
            if numbers.is_empty() {
                self.by_key.remove(&key);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When the oldest entry was put in.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.entries.values().map(|waiting| waiting.queued).min()
    }

    /// The newest entry of an incident.
    pub(super) fn last_of(&self, key: &str) -> Option<u64> {
        self.by_key.get(key).and_then(|numbers| numbers.last().copied())
    }

    /// Whether a sign of life waits.
    pub(super) fn has_heartbeat(&self) -> bool {
        self.entries.values().any(|waiting| waiting.key.is_none())
    }

    /// When the group that is open at this time goes out.
    pub(super) fn group_due(&self, now: i64) -> Option<i64> {
        self.entries.values().filter(|waiting| waiting.is_bundled && waiting.due > now).map(|waiting| waiting.due).min()
    }

    /// The first entries that may be delivered: due, the first of their incident, and none of an incident that is busy. Those that
    /// go out in one message come together, all of them by themselves otherwise.
    pub(super) fn next(&self, now: i64, busy: &HashSet<String>, single_max: usize, bundle_max: usize) -> Vec<u64> {
        let mut passed: HashSet<&str> = HashSet::new();
        let mut passed_groups: HashSet<i64> = HashSet::new();
        let mut found: Vec<u64> = Vec::new();
        for (&number, waiting) in &self.entries {
            if found.len() >= single_max {
                break;
            }
            // Signs of life have an order of their own.
            let key = waiting.key();
            let is_ready = waiting.due <= now && !busy.contains(key) && !passed.contains(key);
            if is_ready && !waiting.is_bundled {
                found.push(number);
            } else if is_ready
                && found.is_empty()
                && !passed_groups.contains(&waiting.due)
                && let Some(group) = self.group(number, waiting.due, busy, &passed, bundle_max)
            {
                return group;
            }
            if waiting.is_bundled && !passed.contains(key) {
                passed_groups.insert(waiting.due);
            }
            passed.insert(key);
        }
        found
    }

    /// The entries from a number on that go out at one time, in one message. None while one of them is busy: so a message that is
    /// sent again is the same one, and the other side knows it by its key.
    fn group(
        &self,
        first: u64,
        due: i64,
        busy: &HashSet<String>,
        passed: &HashSet<&str>,
        bundle_max: usize,
    ) -> Option<Vec<u64>> {
        let mut passed: HashSet<&str> = passed.clone();
        let mut found = Vec::new();
        for (&number, waiting) in self.entries.range(first..) {
            if found.len() >= bundle_max {
                break;
            }
            let key = waiting.key();
            let is_member = waiting.is_bundled && waiting.due == due;
            if is_member && busy.contains(key) {
                return None;
            }
            // In one message the order of an incident is kept by the message itself.
            if is_member && !passed.contains(key) {
                found.push(number);
            } else {
                passed.insert(key);
            }
        }
        Some(found)
    }

    /// When the next entry that is not due yet will be.
    pub(super) fn next_due(&self, now: i64) -> Option<i64> {
        self.entries.values().map(|waiting| waiting.due).filter(|&due| due > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(entries: &[(u64, &str, i64, bool)]) -> Queue {
        let mut queue = Queue::default();
        for &(number, key, due, is_bundled) in entries {
            let key = (!key.is_empty()).then(|| key.to_owned());
            queue.insert(number, Waiting { key, queued: 0, due, is_bundled });
        }
        queue
    }

    #[test]
    fn the_order_of_an_incident_is_kept() {
        let check = |entries: &[(u64, &str, i64, bool)], busy: &[&str], expected: &[u64]| {
            let busy: HashSet<String> = busy.iter().map(|&key| key.to_owned()).collect();
            assert_eq!(queue(entries).next(10, &busy, 2, 5), expected, "{entries:?}");
        };
        check(&[], &[], &[]);
        check(&[(1, "a", 0, false), (2, "b", 0, false), (3, "c", 0, false)], &[], &[1, 2]);
        check(&[(1, "a", 0, false), (2, "a", 0, false), (3, "c", 0, false)], &[], &[1, 3]);
        check(&[(1, "a", 0, false), (2, "b", 0, false)], &["a"], &[2]);
        // The first of its incident is not due: the second has to wait.
        check(&[(1, "a", 20, false), (2, "a", 0, false), (3, "", 0, false)], &[], &[3]);
        // What goes out in one message keeps its order there.
        check(&[(1, "a", 0, true), (2, "a", 0, true), (3, "b", 0, true)], &[], &[1, 2, 3]);
        check(&[(1, "a", 0, false), (2, "b", 0, true), (3, "c", 0, false)], &[], &[1, 3]);
        check(&[(1, "a", 20, true), (2, "a", 0, true), (3, "b", 0, true)], &[], &[3]);
        check(&[(1, "a", 20, true), (2, "b", 0, true), (3, "a", 0, true), (4, "c", 0, true)], &[], &[2, 4]);
    }

    #[test]
    fn a_message_of_several_is_the_same_when_it_is_sent_again() {
        let queue =
            queue(&[(1, "a", 1, true), (2, "b", 1, true), (3, "a", 1, true), (4, "c", 2, true), (5, "d", 2, true)]);
        let next = |busy: &[&str]| queue.next(10, &busy.iter().map(|&key| key.to_owned()).collect(), 1, 5);
        assert_eq!(next(&[]), [1, 2, 3]);
        // One of them rests longer than the others: all wait for it, and what is of another time need not.
        assert_eq!(next(&["a"]), [4, 5]);
        assert_eq!(next(&["b"]), [4, 5]);
        assert_eq!(next(&["b", "d"]), [] as [u64; 0]);
    }

    #[test]
    fn a_sign_of_life_that_is_on_its_way_is_not_sent_beside_itself() {
        let queue = queue(&[(1, "", 0, false), (2, "a", 0, false)]);
        assert_eq!(queue.next(10, &HashSet::from([String::new()]), 1, 5), [2]);
    }

    #[test]
    fn what_is_removed_is_gone() {
        let mut queue = queue(&[(1, "a", 0, false), (2, "a", 5, false)]);
        queue.remove(1);
        assert_eq!(queue.last_of("a"), Some(2));
        queue.remove(2);
        assert_eq!((queue.len(), queue.last_of("a"), queue.oldest()), (0, None, None));
    }
}

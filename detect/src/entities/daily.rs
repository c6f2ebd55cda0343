//! How many bytes each entity moves on a usual day, both ways, over connections that it opens: what the amount in a finding is
//! held against. No detector: nothing is judged by it but severity.

use super::view::View;
use serde::{Deserialize, Serialize};

/// Days that the mean looks back on, about.
const DAYS_MAX: i64 = 10;

/// The days of all entities, by number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Daily(Vec<Days>);

/// The days of one entity on which it was active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Days {
    /// Number of the last one, and its bytes so far.
    day: i64,
    today: i64,
    /// Days before it, and their exponentially weighted mean, bytes.
    before: i64,
    usual: i64,
}

impl Days {
    fn add(&mut self, day: i64, bytes: i64) {
        if self.day != day {
            // One that was never seen has neither days nor bytes.
            if self.today > 0 || self.before > 0 {
                self.before = self.before.saturating_add(1);
                self.usual += (self.today - self.usual) / self.before.min(DAYS_MAX);
            }
            (self.day, self.today) = (day, 0);
        }
        self.today = self.today.saturating_add(bytes.max(0));
    }
}

impl Daily {
    /// Bytes of an entity's usual day; none before it has one full day behind it.
    pub(crate) fn usual(&self, entity: u32) -> Option<i64> {
        self.0.get(entity as usize).filter(|days| days.before > 0).map(|days| days.usual)
    }

    /// Takes a window in.
    pub(super) fn learn(&mut self, view: &View, entities: usize) {
        self.0.resize(entities.max(self.0.len()), Days::default());
        for digest in &view.sources {
            self.0[digest.source as usize].add(view.day(), digest.bytes);
        }
    }

    /// Forgets entities but those that have a new number.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        let most = numbers.iter().flatten().max().map_or(0, |&number| number as usize + 1);
        let mut kept = vec![Days::default(); most];
        for (&days, number) in self.0.iter().zip(numbers) {
            if let Some(number) = number {
                kept[*number as usize] = days;
            }
        }
        self.0 = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days with bytes in a window of each; bytes of a usual day before the last.
    fn check(windows: &[(i64, i64)], expected: Option<i64>) {
        let mut daily = Daily(vec![Days::default()]);
        windows.iter().for_each(|&(day, bytes)| daily.0[0].add(day, bytes));
        assert_eq!(daily.usual(0), expected, "{windows:?}");
    }

    #[test]
    fn days_are_full_when_another_begins() {
        check(&[], None);
        check(&[(9, 100), (9, 50)], None);
        check(&[(9, 100), (9, 50), (10, 7)], Some(150));
        check(&[(9, 100), (10, 200), (12, 7)], Some(150));
        // Today does not count, nor what is less than nothing.
        check(&[(9, 100), (10, 1_000_000)], Some(100));
        check(&[(9, 100), (9, -60), (10, i64::MAX), (10, i64::MAX), (11, 0)], Some(100 + (i64::MAX - 100) / 2));
    }

    #[test]
    fn old_days_fade() {
        let mut windows: Vec<(i64, i64)> = (0..100).map(|day| (day, 1000)).collect();
        windows.extend((100..140).map(|day| (day, 2000)));
        windows.push((140, 0));
        let mut daily = Daily(vec![Days::default()]);
        windows.iter().for_each(|&(day, bytes)| daily.0[0].add(day, bytes));
        assert!(daily.usual(0).is_some_and(|usual| (1900..=2000).contains(&usual)), "{daily:?}");
    }
}

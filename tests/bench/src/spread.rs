//! How times are spread: counts by millisecond, however many there are. It measures none.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Times, each counted in its millisecond.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    counts: BTreeMap<i64, u64>,
}

impl Spread {
    /// Takes a time in, microseconds, so many times.
    pub(crate) fn add(&mut self, time_us: i64, count: u64) {
        *self.counts.entry(time_us.div_euclid(1_000)).or_default() += count;
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The least time, in seconds, that so many of a thousand do not exceed; none where there are none.
    pub(crate) fn permille_s(&self, permille: u64) -> Option<f64> {
        let wanted = (self.count() * permille).div_ceil(1_000).max(1);
        let mut so_far = 0;
        for (milliseconds, count) in &self.counts {
            so_far += count;
            if so_far >= wanted {
                return Some(*milliseconds as f64 / 1e3);
            }
        }
        None
    }

    /// Median, 99th percentile and greatest, in seconds.
    pub(crate) fn json(&self) -> Value {
        json!({ "p50_s": self.permille_s(500), "p99_s": self.permille_s(990), "max_s": self.permille_s(1_000) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(times: &[(i64, u64)], expected: [Option<f64>; 3]) {
        let mut spread = Spread::default();
        times.iter().for_each(|&(time, count)| spread.add(time, count));
        assert_eq!([500, 990, 1_000].map(|permille| spread.permille_s(permille)), expected, "{times:?}");
    }

    #[test]
    fn shares_are_of_all() {
        check(&[], [None; 3]);
        check(&[(5_000, 1)], [Some(0.005); 3]);
        check(&[(1_999, 1), (3_000, 1)], [Some(0.001), Some(0.003), Some(0.003)]);
        check(&[(1_000, 990), (50_000, 9), (70_000, 1)], [Some(0.001), Some(0.001), Some(0.07)]);
        check(&[(1_000, 989), (50_000, 10), (70_000, 1)], [Some(0.001), Some(0.05), Some(0.07)]);
    }
}

//! How far the inputs of a partition are: the least of what each raw input partition says, those left out that have nothing
//! to say. Time is what they say; there is no clock here.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one raw input partition said.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Clock {
    time: i64,
    is_idle: bool,
}

/// All raw input partitions that are known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Clocks(BTreeMap<String, Clock>);

impl Clocks {
    fn clock(&mut self, raw: &str) -> &mut Clock {
        if !self.0.contains_key(raw) {
            self.0.insert(raw.to_owned(), Clock { time: i64::MIN, is_idle: false });
        }
        self.0.get_mut(raw).expect("inserted above")
    }

    /// All events of `raw` up to this time are in. It never goes back.
    pub(super) fn say(&mut self, raw: &str, time: i64) {
        let clock = self.clock(raw);
        clock.time = clock.time.max(time);
        clock.is_idle = false;
    }

    /// `raw` has nothing until it says a time again.
    pub(super) fn idle(&mut self, raw: &str) {
        self.clock(raw).is_idle = true;
    }

    /// All events up to this time are in. Where all are idle it is the greatest time that was said, so that what they left
    /// behind is judged. `None` where nobody said anything.
    pub(super) fn watermark(&self) -> Option<i64> {
        let busy = self.0.values().filter(|clock| !clock.is_idle).map(|clock| clock.time).min();
        busy.or_else(|| self.0.values().map(|clock| clock.time).max()).filter(|&time| time > i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of raw partitions: a time, or none for idle.
    fn check(said: &[(&str, Option<i64>)], expected: Option<i64>) {
        let mut clocks = Clocks::default();
        for &(raw, time) in said {
            match time {
                Some(time) => clocks.say(raw, time),
                None => clocks.idle(raw),
            }
        }
        assert_eq!(clocks.watermark(), expected, "{said:?}");
    }

    #[test]
    fn the_slowest_that_is_not_idle_counts() {
        check(&[], None);
        check(&[("a", Some(5))], Some(5));
        check(&[("a", Some(5)), ("b", Some(i64::MIN))], None);
        check(&[("a", Some(5)), ("b", Some(3))], Some(3));
        check(&[("a", Some(5)), ("a", Some(4))], Some(5));
        check(&[("a", Some(5)), ("b", Some(3)), ("b", None)], Some(5));
        check(&[("a", Some(5)), ("a", None), ("b", Some(3)), ("b", None)], Some(5));
        check(&[("a", Some(5)), ("b", None), ("b", Some(4))], Some(4));
        check(&[("a", None)], None);
    }
}

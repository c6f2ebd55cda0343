//! Idempotency keys: what was answered to each, for as long as it is remembered. Where they are kept durably, and when, is
//! the writer's matter: a key is committed together with the data of its request.

use crate::writer::json;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// Begin of the keys of idempotency keys, below that of the source.
pub(crate) const KEY: &str = "key/";

/// What a request was answered, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Hash of its unpacked body.
    pub(crate) body: String,
    /// Records that it brought.
    pub(crate) records: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// When it was answered. Microseconds UTC.
    pub(crate) time: i64,
}

impl Answer {
    pub(crate) fn value(&self) -> Bytes {
        json(self)
    }
}

#[derive(Debug)]
enum Entry {
    /// A request with this key is under way.
    Pending,
    Done(Answer),
}

/// What a request with a key is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The first one: it has to end in [`Keys::done`] or [`Keys::abandon`].
    First,
    /// Done before: the answer then.
    Repeated(Answer),
    /// Another one with this key is under way.
    Busy,
    /// The key was used for another body.
    Conflict,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<String, Entry>,
    /// Done ones in the order of their times.
    order: VecDeque<(i64, String)>,
}

/// All keys of a source.
#[derive(Debug)]
pub(crate) struct Keys {
    inner: Mutex<Inner>,
    window: i64,
    count_max: usize,
}

impl Keys {
    /// No keys. The window is in seconds.
    pub(crate) fn new(window_s: u64, count_max: usize) -> Self {
        let window = i64::try_from(window_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Self { inner: Mutex::default(), window, count_max }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what an earlier run left.
    pub(crate) fn restore<'a>(&self, kept: impl Iterator<Item = (&'a str, &'a [u8])>) {
        let mut restored: Vec<(String, Answer)> = Vec::new();
        for (key, value) in kept {
            match serde_json::from_slice(value) {
                Ok(answer) => restored.push((key.to_owned(), answer)),
                Err(error) => warn!(key, %error, "an idempotency key cannot be read and is forgotten"),
            }
        }
        restored.sort_by_key(|(_, answer)| answer.time);
        let mut inner = self.inner();
        for (key, answer) in restored {
            inner.order.push_back((answer.time, key.clone()));
            inner.entries.insert(key, Entry::Done(answer));
        }
    }

    /// What a request with this key and body is.
    pub(crate) fn begin(&self, key: &str, body: &str, now: i64) -> Begin {
        let mut inner = self.inner();
        match inner.entries.get(key) {
            Some(Entry::Pending) => Begin::Busy,
            Some(Entry::Done(answer)) if answer.time >= now.saturating_sub(self.window) => {
                if answer.body == body {
                    Begin::Repeated(answer.clone())
                } else {
                    Begin::Conflict
                }
            }
            Some(Entry::Done(_)) | None => {
                inner.entries.insert(key.to_owned(), Entry::Pending);
                Begin::First
            }
        }
    }

    /// A request was written.
    pub(crate) fn done(&self, key: &str, answer: Answer) {
        let mut inner = self.inner();
        inner.order.push_back((answer.time, key.to_owned()));
        inner.entries.insert(key.to_owned(), Entry::Done(answer));
    }

    /// A request was not written, and will not be.
    pub(crate) fn abandon(&self, key: &str) {
        let mut inner = self.inner();
        if matches!(inner.entries.get(key), Some(Entry::Pending)) {
            inner.entries.remove(key);
        }
    }

    /// Forgets keys that are too old or too many, at most so many at a time; their checkpoints are to be removed.
    pub(crate) fn evict(&self, now: i64, at_most: usize) -> Vec<String> {
        let mut inner = self.inner();
        let before = now.saturating_sub(self.window);
        let mut evicted = Vec::new();
        while evicted.len() < at_most {
            let is_over = inner.order.len() > self.count_max;
            let Some((time, key)) = inner.order.front() else { break };
            if !is_over && *time >= before {
                break;
            }
            let (time, key) = (*time, key.clone());
            inner.order.pop_front();
            // A key that was used again since has a later time, and stays.
            if matches!(inner.entries.get(&key), Some(Entry::Done(answer)) if answer.time == time) {
                inner.entries.remove(&key);
                evicted.push(key);
            }
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str, time: i64) -> Answer {
        Answer { body: body.to_owned(), records: 1, bytes: 2, time }
    }

    #[test]
    fn a_key_is_answered_as_the_first_time() {
        let keys = Keys::new(10, 100);
        assert_eq!(keys.begin("a", "x", 0), Begin::First);
        assert_eq!(keys.begin("a", "x", 0), Begin::Busy);
        keys.done("a", answer("x", 0));
        assert_eq!(keys.begin("a", "x", 10_000_000), Begin::Repeated(answer("x", 0)));
        assert_eq!(keys.begin("a", "y", 10_000_000), Begin::Conflict);
        assert_eq!(keys.begin("a", "y", 10_000_001), Begin::First);
        keys.abandon("a");
        assert_eq!(keys.begin("a", "y", 0), Begin::First);
    }

    #[test]
    fn keys_are_bounded_by_age_and_count() {
        let keys = Keys::new(10, 2);
        for (key, time) in [("a", 0), ("b", 1_000_000), ("c", 2_000_000)] {
            assert_eq!(keys.begin(key, "x", time), Begin::First);
            keys.done(key, answer("x", time));
        }
        assert_eq!(keys.evict(2_000_000, 10), ["a"]);
        assert_eq!(keys.evict(2_000_000, 10), Vec::<String>::new());
        assert_eq!(keys.evict(11_500_000, 10), ["b"]);
        // Used again after it was too old, and before it was forgotten.
        assert_eq!(keys.begin("c", "z", 12_500_000), Begin::First);
        keys.done("c", answer("z", 12_500_000));
        assert_eq!(keys.evict(13_000_000, 10), Vec::<String>::new());
        assert_eq!(keys.begin("c", "z", 13_000_000), Begin::Repeated(answer("z", 12_500_000)));
    }

    #[test]
    fn keys_outlive_the_process() {
        let value = answer("x", 5).value();
        let keys = Keys::new(10, 2);
        keys.restore([("a", value.as_ref()), ("b", b"broken".as_slice())].into_iter());
        assert_eq!(keys.begin("a", "x", 6), Begin::Repeated(answer("x", 5)));
        assert_eq!(keys.begin("b", "x", 6), Begin::First);
    }
}

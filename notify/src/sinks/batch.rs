//! Several messages in one request: split by size, and parted again until what the other side will not take stands alone. Knows
//! no vendor.

use super::Answer;
use async_trait::async_trait;
use std::collections::VecDeque;
use tokio::time::{Instant, timeout_at};

/// A message as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its place among the messages of the delivery.
    pub(super) place: usize,
    /// Its key for idempotency.
    pub(super) key: String,
    /// What is sent of it.
    pub(super) bytes: Vec<u8>,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Sent {
    /// One answer for all of it. What is refused together is sent again in halves.
    All(Answer),
    /// One answer for each item, in their order.
    Each(Vec<Answer>),
    /// This one is at fault, counted from 0. It is sent once more by itself, since the count may be meant otherwise: only what is
    /// refused alone is refused.
    Bad(usize, Answer),
}

/// Sends one request.
#[async_trait]
pub(super) trait Post: Sync {
    /// Sends these items, at least one.
    async fn post(&self, items: &[Item]) -> Sent;
}

/// What a request may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of its items at most.
    pub(super) bytes_max: usize,
    /// Bytes beside each item: commas, newlines.
    pub(super) between: usize,
}

/// Sends items within a time; each answer goes to the place of its item.
pub(super) async fn send(
    post: &dyn Post,
    items: Vec<Item>,
    limits: Limits,
    deadline: Instant,
    answers: &mut [Option<Answer>],
) {
    let mut note = |item: &Item, answer: Answer| {
        if let Some(place) = answers.get_mut(item.place) {
            *place = Some(answer);
        }
    };
    let mut parts = parts(items, limits);
    while let Some(mut part) = parts.pop_front() {
        let sent = match timeout_at(deadline, post.post(&part)).await {
            Ok(sent) => sent,
            Err(_) => {
                Sent::All(Answer::Later { reason: "no answer in time".to_owned(), after: None, is_general: false })
            }
        };
        match sent {
            Sent::All(Answer::Refused(_)) if part.len() > 1 => {
                let second = part.split_off(part.len() / 2);
                parts.push_front(second);
                parts.push_front(part);
            }
            Sent::Bad(place, _) if place < part.len() && part.len() > 1 => {
                let alone = part.remove(place);
                parts.push_front(part);
                parts.push_front(vec![alone]);
            }
            // A place that is not there says nothing about which one it is.
            Sent::Bad(..) if part.len() > 1 => {
                let second = part.split_off(part.len() / 2);
                parts.push_front(second);
                parts.push_front(part);
            }
            Sent::Bad(_, answer) => part.iter().for_each(|item| note(item, answer.clone())),
            Sent::All(answer) => {
                part.iter().for_each(|item| note(item, answer.clone()));
                // The other parts would fare no better.
                if matches!(answer, Answer::Later { is_general: true, .. }) || Instant::now() >= deadline {
                    parts.iter().flatten().for_each(|item| note(item, answer.clone()));
                    return;
                }
            }
            Sent::Each(each) => part.iter().zip(each).for_each(|(item, answer)| note(item, answer)),
        }
    }
}

/// Items of requests that are small enough; one that is too large by itself stands alone.
fn parts(items: Vec<Item>, limits: Limits) -> VecDeque<Vec<Item>> {
    let mut parts: VecDeque<Vec<Item>> = VecDeque::new();
    let mut bytes = 0;
    for item in items {
        let size = item.bytes.len() + limits.between;
        match parts.back_mut() {
            Some(part) if bytes + size <= limits.bytes_max => {
                bytes += size;
                part.push(item);
            }
            _ => {
                bytes = size;
                parts.push_back(vec![item]);
            }
        }
    }
    parts
}

/// The answers, in the order of the messages.
pub(super) fn finished(answers: Vec<Option<Answer>>) -> Vec<Answer> {
    let missing = || Answer::Later { reason: "the other side did not say".to_owned(), after: None, is_general: false };
    answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Duration;

    /// Takes everything but items that hold `!`, which it refuses together with what stands beside them.
    #[derive(Default)]
    struct Picky {
        requests: Mutex<Vec<usize>>,
    }

    #[async_trait]
    impl Post for Picky {
        async fn post(&self, items: &[Item]) -> Sent {
            self.requests.lock().unwrap().push(items.len());
            if items.iter().any(|item| item.bytes == b"?") {
                return Sent::All(Answer::unreachable("gone"));
            }
            // Says which one it is, but counts in its own way.
            if let Some(place) = items.iter().position(|item| item.bytes == b"#") {
                return Sent::Bad(place + usize::from(items.len() > 1), Answer::Refused("bad".to_owned()));
            }
            match items.iter().any(|item| item.bytes == b"!") {
                true => Sent::All(Answer::Refused("bad".to_owned())),
                false => Sent::All(Answer::Delivered("good".to_owned())),
            }
        }
    }

    async fn check(texts: &[&str], bytes_max: usize) -> (Vec<Answer>, Vec<usize>) {
        let items = texts
            .iter()
            .enumerate()
            .map(|(place, text)| Item { place, key: place.to_string(), bytes: text.as_bytes().to_vec() })
            .collect();
        let mut answers = vec![None; texts.len()];
        let post = Picky::default();
        let deadline = Instant::now() + Duration::from_secs(5);
        send(&post, items, Limits { bytes_max, between: 1 }, deadline, &mut answers).await;
        (finished(answers), post.requests.into_inner().unwrap())
    }

    #[tokio::test]
    async fn one_bad_item_stands_alone() {
        let (answers, requests) = check(&["a", "b", "!", "d", "e"], 100).await;
        let refused: Vec<usize> = (0..5).filter(|&place| answers[place] == Answer::Refused("bad".to_owned())).collect();
        assert_eq!(refused, [2]);
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Delivered(_))).count(), 4);
        assert_eq!(requests, [5, 2, 3, 1, 2]);
    }

    #[tokio::test]
    async fn one_that_is_named_wrongly_is_not_refused_for_another() {
        let (answers, requests) = check(&["a", "#", "c", "d"], 100).await;
        let refused: Vec<usize> = (0..4).filter(|&place| answers[place] == Answer::Refused("bad".to_owned())).collect();
        assert_eq!(refused, [1]);
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Delivered(_))).count(), 3);
        assert_eq!(requests, [4, 1, 3, 1, 2, 1, 1]);
    }

    #[tokio::test]
    async fn requests_keep_their_size() {
        let (answers, requests) = check(&["aaa", "bbb", "ccccccccccccc", "d"], 8).await;
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Delivered(_))));
        assert_eq!(requests, [2, 1, 1]);
    }

    #[tokio::test]
    async fn a_side_that_is_gone_is_asked_once() {
        let (answers, requests) = check(&["a", "?", "c"], 2).await;
        assert!(matches!(answers[0], Answer::Delivered(_)));
        assert!(answers[1..].iter().all(|answer| matches!(answer, Answer::Later { is_general: true, .. })));
        assert_eq!(requests, [1, 1]);
    }
}

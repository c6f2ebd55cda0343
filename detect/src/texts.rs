//! Texts as small numbers, so that state holds four bytes instead of a text. Bounded: what the network invents must not fill
//! the memory. Where numbers are needed for a while only, those that nobody holds any more can be given to other texts.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::hash::BuildHasher;

/// Distinct texts that have a number of their own.
const TEXTS_MAX: usize = 65_536;

/// Texts in the order they were met, numbered from 1. Texts beyond the bound share the number of the one text that was
/// given for them. No text is empty: that is what stands in the place of a number that is free.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Box<str>>", into = "Vec<Box<str>>")]
pub(crate) struct Texts {
    texts: Vec<Box<str>>,
    numbers: HashTable<u32>,
    /// Numbers that stand for nothing any more: the lowest is given first.
    free: BTreeSet<u32>,
    hasher: RandomState,
}

impl Texts {
    /// Number of a text, if it has one.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.numbers.find(hash, |&number| &*self.texts[number as usize - 1] == text).copied()
    }

    /// Number of a text; met for the first time it gets one. Where there are too many, that of `others`.
    pub(crate) fn number(&mut self, text: &str, others: &str) -> u32 {
        if let Some(number) = self.find(text) {
            return number;
        }
        if self.is_full() && text != others {
            return self.number(others, others);
        }
        let number = match self.free.pop_first() {
            Some(number) => {
                self.texts[number as usize - 1] = text.into();
                number
            }
            None => {
                self.texts.push(text.into());
                u32::try_from(self.texts.len()).expect("there are few texts")
            }
        };
        self.find_by(number);
        number
    }

    /// Makes a number be found by its text.
    fn find_by(&mut self, number: u32) {
        let Self { texts, numbers, hasher, .. } = self;
        let hash = |number: &u32| hasher.hash_one(&*texts[*number as usize - 1]);
        numbers.insert_unique(hash(&number), number, hash);
    }

    /// Whether texts that are met for the first time get no number of their own.
    pub(crate) fn is_full(&self) -> bool {
        self.texts.len() >= TEXTS_MAX && self.free.is_empty()
    }

    /// Forgets all texts but those of these numbers, which stay what they are.
    pub(crate) fn keep(&mut self, held: &BTreeSet<u32>) {
        let mut texts = std::mem::take(&mut self.texts);
        for (text, number) in texts.iter_mut().zip(1..) {
            if !held.contains(&number) {
                *text = Box::default();
            }
        }
        *self = Self::from(texts);
    }

    /// The text of a number; nothing for 0.
    pub(crate) fn text(&self, number: u32) -> &str {
        let place = (number as usize).checked_sub(1);
        place.and_then(|place| self.texts.get(place)).map_or("", |text| text)
    }
}

impl From<Vec<Box<str>>> for Texts {
    fn from(list: Vec<Box<str>>) -> Self {
        let mut texts = Self { texts: list, ..Self::default() };
        for number in (1..).take(texts.texts.len()) {
            if texts.text(number).is_empty() {
                texts.free.insert(number);
            } else {
                texts.find_by(number);
            }
        }
        texts
    }
}

impl From<Texts> for Vec<Box<str>> {
    fn from(texts: Texts) -> Self {
        texts.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_are_bounded() {
        let mut texts = Texts::default();
        assert_eq!((texts.number("a", "-"), texts.number("b", "-"), texts.number("a", "-")), (1, 2, 1));
        for number in 0..2 * TEXTS_MAX {
            texts.number(&format!("text {number}"), "-");
        }
        assert_eq!(texts.texts.len(), TEXTS_MAX + 1);
        let restored = Texts::from(Vec::from(texts.clone()));
        for texts in [texts, restored] {
            assert_eq!((texts.find("b"), texts.text(2), texts.text(0)), (Some(2), "b", ""));
            assert_eq!((texts.find("text 99999"), texts.find("-")), (None, Some(65_537)));
        }
    }

    #[test]
    fn numbers_that_nobody_holds_are_given_again() {
        let mut texts = Texts::default();
        for number in 0..TEXTS_MAX {
            texts.number(&format!("text {number}"), "-");
        }
        assert!(texts.is_full());
        texts.keep(&BTreeSet::from([2, 7]));
        let restored = Texts::from(Vec::from(texts.clone()));
        for mut texts in [texts, restored] {
            assert_eq!((texts.find("text 1"), texts.text(7), texts.find("text 0")), (Some(2), "text 6", None));
            assert_eq!((texts.number("a", "-"), texts.number("b", "-"), texts.number("a", "-")), (1, 3, 1));
            assert_eq!((texts.text(3), texts.text(4), texts.is_full()), ("b", "", false));
        }
    }
}

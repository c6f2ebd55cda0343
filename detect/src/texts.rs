//! Texts as small numbers, so that state holds four bytes instead of a text. Bounded: what the network invents must not fill
//! the memory.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::hash::BuildHasher;

/// Distinct texts that have a number of their own.
const TEXTS_MAX: usize = 65_536;

/// Texts in the order they were met, numbered from 1. Texts beyond the bound share the number of the one text that was
/// given for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Box<str>>", into = "Vec<Box<str>>")]
pub(crate) struct Texts {
    texts: Vec<Box<str>>,
    numbers: HashTable<u32>,
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
        if self.texts.len() >= TEXTS_MAX && text != others {
            return self.number(others, others);
        }
        let Self { texts, numbers, hasher } = self;
        texts.push(text.into());
        let number = u32::try_from(texts.len()).expect("there are few texts");
        let hash = |number: &u32| hasher.hash_one(&*texts[*number as usize - 1]);
        numbers.insert_unique(hash(&number), number, hash);
        number
    }

    /// The text of a number; nothing for 0.
    pub(crate) fn text(&self, number: u32) -> &str {
        let place = (number as usize).checked_sub(1);
        place.and_then(|place| self.texts.get(place)).map_or("", |text| text)
    }
}

impl From<Vec<Box<str>>> for Texts {
    fn from(list: Vec<Box<str>>) -> Self {
        let mut texts = Self::default();
        for text in list {
            texts.number(&text, &text);
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
}

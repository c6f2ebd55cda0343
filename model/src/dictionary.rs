//! Distinct texts of one column and their codes.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Maps texts to small codes in order of first appearance. Code 0 is null; the first text gets code 1.
///
/// The hash is seeded per process because texts come from the network; codes do not depend on it.
#[derive(Clone, Debug)]
pub struct Dictionary {
    bytes: String,
    /// `ends[c - 1]` is the end of text `c`; it starts where the one before ends.
    ends: Vec<u32>,
    table: HashTable<u32>,
    state: RandomState,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self { bytes: String::new(), ends: Vec::new(), table: HashTable::new(), state: RandomState::default() }
    }
}

impl Dictionary {
    /// How many distinct texts it holds; their codes are `1..=len`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all texts together: what bounds its memory.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The text of `code`, or none for code 0 and codes it never gave out.
    #[must_use]
    pub fn get(&self, code: u32) -> Option<&str> {
        let index = usize::try_from(code).ok()?.checked_sub(1)?;
        let end = *self.ends.get(index)?;
        Some(&self.bytes[self.start_of(index)..end as usize])
    }

    fn start_of(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// All texts in code order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| &self.bytes[self.start_of(index)..self.ends[index] as usize])
    }

    /// The code of `text`, if it has one already.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = self.state.hash_one(text.as_bytes());
        self.table.find(hash, |&code| self.get(code) == Some(text)).copied()
    }

    /// The code of `text`, new if need be, and whether it is new.
    ///
    /// # Panics
    /// When the texts together pass 4 GiB: callers flush long before (see [`Dictionary::byte_len`]).
    pub fn intern(&mut self, text: &str) -> (u32, bool) {
        let hash = self.state.hash_one(text.as_bytes());
        let (bytes, ends) = (&self.bytes, &self.ends);
        let text_of = |code: u32| {
            let index = code as usize - 1;
            let start = if index == 0 { 0 } else { ends[index - 1] as usize };
            &bytes[start..ends[index] as usize]
        };
        if let Some(&code) = self.table.find(hash, |&code| text_of(code) == text) {
            return (code, false);
        }
        self.bytes.push_str(text);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a batch is flushed before its texts reach 4 GiB"));
        let code = u32::try_from(self.ends.len()).expect("fewer texts than bytes");
        let (bytes, ends, state) = (&self.bytes, &self.ends, &self.state);
        self.table.insert_unique(hash, code, |&code| {
            let index = code as usize - 1;
            let start = if index == 0 { 0 } else { ends[index - 1] as usize };
            state.hash_one(&bytes.as_bytes()[start..ends[index] as usize])
        });
        (code, true)
    }

    /// Forgets all texts, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.table.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_start_at_one_and_repeat() {
        let mut dictionary = Dictionary::default();
        assert_eq!(dictionary.intern("a"), (1, true));
        assert_eq!(dictionary.intern(""), (2, true));
        assert_eq!(dictionary.intern("a"), (1, false));
        assert_eq!(dictionary.get(0), None);
        assert_eq!(dictionary.get(2), Some(""));
        assert_eq!(dictionary.get(3), None);
        assert_eq!(dictionary.find("a"), Some(1));
        assert_eq!(dictionary.iter().collect::<Vec<_>>(), ["a", ""]);
        dictionary.clear();
        assert_eq!(dictionary.find("a"), None);
        assert_eq!(dictionary.intern("b"), (1, true));
    }
}

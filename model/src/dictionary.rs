//! Distinct texts of one column and their codes.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Maps texts to small codes in order of first appearance. Code 0 is null; the first text gets code 1.
///
/// The hash is seeded per process because texts come from the network; codes do not depend on it.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    bytes: String,
    /// `ends[c - 1]` is the end of text `c`; it starts where the one before ends.
    ends: Vec<u32>,
    table: HashTable<Entry>,
    state: RandomState,
}

/// Where a text is and its hash, so that growing does not read the texts and a miss seldom does.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    start: u32,
    end: u32,
    code: u32,
}

impl Dictionary {
    /// How many texts it holds; their codes are `1..=len`.
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
    #[inline]
    pub fn get(&self, code: u32) -> Option<&str> {
        let index = usize::try_from(code).ok()?.checked_sub(1)?;
        let end = *self.ends.get(index)?;
        Some(&self.bytes[self.start_of(index)..end as usize])
    }

    #[inline]
    fn start_of(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// All texts in code order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| &self.bytes[self.start_of(index)..self.ends[index] as usize])
    }

    /// The code of `text`, if it has one already. Texts that were appended are not found.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        self.find_hashed(self.state.hash_one(text.as_bytes()), text)
    }

    #[inline]
    fn find_hashed(&self, hash: u64, text: &str) -> Option<u32> {
        let bytes = self.bytes.as_bytes();
        let is_same =
            |entry: &Entry| entry.hash == hash && bytes[entry.start as usize..entry.end as usize] == *text.as_bytes();
        self.table.find(hash, is_same).map(|entry| entry.code)
    }

    /// The code of `text`, new if need be, and whether it is new.
    ///
    /// # Panics
    /// When the texts together pass 4 GiB: callers flush long before (see [`Dictionary::byte_len`]).
    #[inline]
    pub fn intern(&mut self, text: &str) -> (u32, bool) {
        let hash = self.state.hash_one(text.as_bytes());
        if let Some(code) = self.find_hashed(hash, text) {
            return (code, false);
        }
        let start = u32::try_from(self.bytes.len()).expect("a batch is flushed before its texts reach 4 GiB");
        let code = self.append(text);
        let end = self.ends[code as usize - 1];
        self.table.insert_unique(hash, Entry { hash, start, end, code }, |entry| entry.hash);
        (code, true)
    }

    /// A new code for `text` without looking whether it has one: for texts of which nearly every one differs.
    ///
    /// # Panics
    /// As [`Dictionary::intern`].
    pub fn append(&mut self, text: &str) -> u32 {
        self.bytes.push_str(text);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a batch is flushed before its texts reach 4 GiB"));
        u32::try_from(self.ends.len()).expect("fewer texts than bytes")
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
        assert_eq!(dictionary.append("a"), 3);
        assert_eq!(dictionary.get(3), Some("a"));
        assert_eq!(dictionary.find("a"), Some(1));
        dictionary.clear();
        assert_eq!(dictionary.find("a"), None);
        assert_eq!(dictionary.intern("b"), (1, true));
    }
}

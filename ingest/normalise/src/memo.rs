//! Remembers, for the length of one batch, what was found for a pair of dictionary codes. Not a cache across batches:
//! codes mean something in one batch only.

use hashbrown::HashMap;

/// What no answer's number is.
const UNSET: u32 = u32::MAX;

/// Answers by the codes of an address space and of a value in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    /// One place for each pair, used where all pairs are few enough.
    dense: Vec<u32>,
    /// Values of the dictionary and null: the length of one row of `dense`; 0 when `sparse` is used.
    width: usize,
    sparse: HashMap<(u32, u32), u32, foldhash::fast::RandomState>,
}

impl Memo {
    /// Forgets all, and makes room for dictionaries of these lengths, null not counted.
    pub(crate) fn reset(&mut self, networks: usize, values: usize, rows: usize) {
        const PLACES_MIN: usize = 65_536;
        let places = (networks + 1).saturating_mul(values + 1);
        self.sparse.clear();
        self.dense.clear();
        self.width = 0;
        if places <= PLACES_MIN.max(rows.saturating_mul(4)) {
            self.width = values + 1;
            self.dense.resize(places, UNSET);
        }
    }

    #[inline]
    pub(crate) fn get(&self, network: u32, value: u32) -> Option<u32> {
        if self.width == 0 {
            return self.sparse.get(&(network, value)).copied();
        }
        let answer = self.dense[network as usize * self.width + value as usize];
        (answer != UNSET).then_some(answer)
    }

    pub(crate) fn insert(&mut self, network: u32, value: u32, answer: u32) {
        if self.width == 0 {
            self.sparse.insert((network, value), answer);
        } else {
            self.dense[network as usize * self.width + value as usize] = answer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_keeping_answer_alike() {
        for values in [3, 1_000_000] {
            let mut memo = Memo::default();
            memo.reset(2, values, 10);
            assert_eq!(memo.width == 0, values == 1_000_000);
            assert_eq!(memo.get(2, 3), None);
            memo.insert(2, 3, 7);
            memo.insert(0, 0, 8);
            assert_eq!((memo.get(2, 3), memo.get(0, 0), memo.get(0, 3)), (Some(7), Some(8), None));
            memo.reset(2, values, 10);
            assert_eq!(memo.get(2, 3), None);
        }
    }
}

//! Memory that one thread keeps from batch to batch, and the order by shard that it holds. Nothing in it changes an answer.

use super::SHARDS;
use super::columns::Columns;
use super::edges::EdgeCache;
use super::observation::Observation;

/// Marks a row without a tuple.
const ALONE: u64 = 0;

/// Memory for one batch at a time.
#[derive(Debug, Default)]
pub struct ConnectScratch {
    /// By row: hash of the tuple, with [`Self::sides`] the side of `src`.
    keys: Vec<u64>,
    sides: Vec<u16>,
    /// The flows of the batch, shard after shard, in each as they came.
    pub(super) seen: Vec<Observation>,
    /// Slots of the flows of one chunk.
    pub(super) slots: Vec<u32>,
    pub(super) opens: Vec<i64>,
    pub(super) leads: Vec<i64>,
    /// Rows whose ends are the wrong way round.
    pub(super) swapped: Vec<u32>,
    /// Rows whose ends are as the other half tells, among them the swapped ones.
    pub(super) oriented: Vec<u32>,
    pub(super) cache: EdgeCache,
}

impl ConnectScratch {
    /// Sorts the flows of a batch by shard; gives where each shard's begin and the last one's end, and how many rows have no
    /// tuple. Those open and lead by themselves.
    pub(super) fn sort(&mut self, columns: &Columns<'_>, rows: usize) -> ([usize; SHARDS + 1], u64) {
        self.keys.clear();
        self.sides.clear();
        self.swapped.clear();
        self.oriented.clear();
        self.cache.clear();
        for answers in [&mut self.opens, &mut self.leads] {
            answers.clear();
            answers.resize(rows, 1);
        }
        let mut begins = [0; SHARDS + 1];
        let mut alone = 0;
        for row in 0..rows {
            let (key, side) = columns.key(row).unwrap_or((ALONE, 0));
            if key == ALONE {
                alone += 1;
            } else {
                begins[shard_of(key) + 1] += 1;
            }
            self.keys.push(key);
            self.sides.push(side);
        }
        for shard in 0..SHARDS {
            begins[shard + 1] += begins[shard];
        }
        let mut next = begins;
        self.seen.clear();
        self.seen.resize(begins[SHARDS], Observation::default());
        for (row, (&key, &side)) in self.keys.iter().zip(&self.sides).enumerate() {
            if key != ALONE {
                let place = &mut next[shard_of(key)];
                self.seen[*place] = columns.observation(row, (key, side));
                *place += 1;
            }
        }
        (begins, alone)
    }
}

/// The shard of a tuple: the highest bits of its hash, since the lowest choose the slot.
#[inline]
fn shard_of(key: u64) -> usize {
    usize::try_from(key >> (u64::BITS - SHARDS.trailing_zeros())).expect("less than the number of shards")
}

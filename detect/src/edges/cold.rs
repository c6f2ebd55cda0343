//! What is left of edges that aged out: that they were met and answered, since when, how often and when last. One that
//! comes back is no new edge; what was usual for it is learnt anew. Twenty-four bytes an edge. Which edges age out is
//! [`super::aging`]'s.

use super::aging::{Worth, keep};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// The sketch of an edge. Windows are counted from the shard's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ColdEdge {
    /// Window of its first flow.
    pub(super) born: u32,
    /// The last window in which it was active.
    pub(super) last: u32,
    /// Windows in which it was active.
    pub(super) windows: u32,
}

/// Sketches by the hash of the edge's names and port.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, ColdEdge)>", into = "Vec<(u64, ColdEdge)>")]
pub(super) struct ColdEdges(HashMap<u64, ColdEdge, FixedState>);

impl ColdEdges {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, key: u64) -> bool {
        self.0.contains_key(&key)
    }

    pub(super) fn take(&mut self, key: u64) -> Option<ColdEdge> {
        self.0.remove(&key)
    }

    pub(super) fn add(&mut self, key: u64, edge: ColdEdge) {
        self.0.insert(key, edge);
    }

    /// Keeps at most `most`, by their worth in window `age`; an eighth less where it has to forget any.
    pub(super) fn limit(&mut self, most: usize, age: u32) {
        if self.0.len() <= most {
            return;
        }
        let worth = |edge: &ColdEdge| Worth::of(true, edge.windows, age.saturating_sub(edge.last));
        let all = Vec::from(std::mem::take(self));
        let worths: Vec<Worth> = all.iter().map(|(_, edge)| worth(edge)).collect();
        let is_kept = keep(&worths, most - most / 8, |place| all[place].0);
        self.0 = all.into_iter().zip(is_kept).filter(|(_, is_kept)| *is_kept).map(|(edge, _)| edge).collect();
    }
}

impl From<Vec<(u64, ColdEdge)>> for ColdEdges {
    fn from(edges: Vec<(u64, ColdEdge)>) -> Self {
        Self(edges.into_iter().collect())
    }
}

impl From<ColdEdges> for Vec<(u64, ColdEdge)> {
    fn from(edges: ColdEdges) -> Self {
        let mut edges: Self = edges.0.into_iter().collect();
        edges.sort_unstable_by_key(|&(key, _)| key);
        edges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_worth_go_first_and_a_restored_state_is_the_same() {
        let mut edges = ColdEdges::default();
        for key in 0..80_u32 {
            edges.add(key.into(), ColdEdge { born: 0, last: 100, windows: 1 + key });
        }
        edges.limit(80, 200);
        assert_eq!(edges.0.len(), 80);
        edges.limit(40, 200);
        let kept = Vec::from(edges.clone());
        assert!(kept.len() == 35 && kept.iter().all(|(_, edge)| edge.windows > 45), "{kept:?}");
        assert_eq!(Vec::from(ColdEdges::from(kept.clone())), kept);
        assert!(edges.take(79).is_some() && !edges.has(79));
    }
}

//! The peers MIDAS and MIDAS-R (Bhatia and others, AAAI 2020) by the crate `midas_rs`, and MIDAS-F (Bhatia and others, TKDD
//! 2022), which that crate does not have: microclusters in a stream of edges, by minutes.

use crate::flows::Stream;
use midas_rs::{Midas, MidasParams, MidasR, MidasRParams};
use tradewind_model::time::MINUTE;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// Edges alone.
    Plain,
    /// Edges and their ends, with the past fading.
    Relational,
}

/// A score per flow. The crate's defaults but for the tables, which are the published ones: 2 rows of 1024 buckets.
pub(super) fn scores(stream: &Stream, variant: Variant) -> Vec<f64> {
    let edges = stream.flows.iter().map(|flow| {
        let minute = flow.time.div_euclid(MINUTE).max(0).unsigned_abs() + 1;
        (u64::from(flow.source) + 1, u64::from(flow.destination) + 1, minute)
    });
    match variant {
        Variant::Plain => {
            let mut midas = Midas::new(MidasParams { rows: 2, buckets: 1024, ..MidasParams::default() });
            edges.map(|edge| midas.insert(edge)).collect()
        }
        Variant::Relational => {
            let mut midas = MidasR::new(MidasRParams { rows: 2, buckets: 1024, ..MidasRParams::default() });
            edges.map(|edge| midas.insert(edge)).collect()
        }
    }
}

/// Rows and columns of the published tables.
const ROWS: usize = 2;
const COLUMNS: usize = 1024;
/// A count that scores as much as this is not merged into the past.
const MERGED_BELOW: f64 = 1000.0;
/// Weight of a minute's counts in the next.
const KEPT: f64 = 0.5;

/// Counts of edges, of sources or of destinations: current, total, and the score that each bucket had last.
struct Sketch {
    current: Vec<f64>,
    total: Vec<f64>,
    scores: Vec<f64>,
}

impl Sketch {
    fn new() -> Self {
        let nothing = || vec![0.0; ROWS * COLUMNS];
        Self { current: nothing(), total: nothing(), scores: nothing() }
    }

    /// Merges what is not unusual; what is leaves the mean in its place.
    fn end_minute(&mut self, minute: f64) {
        for ((current, total), score) in self.current.iter_mut().zip(&mut self.total).zip(&self.scores) {
            *total += match (*score < MERGED_BELOW, minute > 1.0) {
                (true, _) => *current,
                (false, true) => *total / (minute - 1.0),
                (false, false) => 0.0,
            };
            *current *= KEPT;
        }
    }

    /// Counts an item and scores it: the chi-square of its current count against the mean of the past.
    fn score(&mut self, item: u64, minute: f64) -> f64 {
        let places: Vec<usize> =
            (0_u64..).take(ROWS).zip(0..).map(|(row, place)| place * COLUMNS + bucket(item, row)).collect();
        places.iter().for_each(|&place| self.current[place] += 1.0);
        let least = |table: &[f64]| places.iter().map(|&place| table[place]).fold(f64::INFINITY, f64::min);
        let (now, past) = (least(&self.current), least(&self.total));
        let score = if past == 0.0 { 0.0 } else { (now + past - now * minute).powi(2) / (past * (minute - 1.0)) };
        places.iter().for_each(|&place| self.scores[place] = score);
        score
    }
}

/// Place of an item in a row.
fn bucket(item: u64, row: u64) -> usize {
    let mixed = (item ^ (row + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let [.., low, high] = ((mixed >> 31) ^ mixed).wrapping_mul(0x94d0_49bb_1331_11eb).to_be_bytes().map(usize::from);
    (high << 8 | low) % COLUMNS
}

/// MIDAS-F with the published parameters: the strongest of edge, source and destination.
pub(super) fn filtering(stream: &Stream) -> Vec<f64> {
    let mut sketches = [Sketch::new(), Sketch::new(), Sketch::new()];
    let mut open = 1;
    let mut score = |flow: &crate::flows::Flow| {
        let minute = flow.time.div_euclid(MINUTE).max(0) + 1;
        if minute > open {
            sketches.iter_mut().for_each(|sketch| sketch.end_minute(open as f64));
            open = minute;
        }
        let (source, destination) = (u64::from(flow.source), u64::from(flow.destination));
        let items = [source << 32 | destination, source, destination];
        let scores = sketches.iter_mut().zip(items).map(|(sketch, item)| sketch.score(item, minute as f64));
        scores.fold(0.0, f64::max)
    };
    stream.flows.iter().map(&mut score).collect()
}

//! The peer MIDAS (Bhatia and others, AAAI 2020) by the crate `midas_rs`: microclusters in a stream of edges, by minutes.

use crate::flows::Stream;
use midas_rs::{Midas, MidasParams, MidasR, MidasRParams};
use tradewind_model::time::MINUTE;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Edges alone.
    Plain,
    /// Edges and their ends, with the past fading.
    Relational,
}

/// A score per flow. The crate's defaults but for the tables, which are the published ones: 2 rows of 1024 buckets.
pub(crate) fn scores(stream: &Stream, variant: Variant) -> Vec<f64> {
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

//! A shard as version 4 stored it: all fields in one piece, settings among them. Kept only to be read.

use super::stored::{Edges, OpenWindow, Stored};
use super::{Bounds, EdgeShard};
use crate::edges::amount::Youth;
use crate::edges::baseline::EdgeState;
use crate::edges::beacon;
use crate::edges::cold::ColdEdges;
use crate::edges::contacts::Contacts;
use crate::edges::credentials::Credentials;
use crate::edges::drift::Drift;
use crate::edges::speech::Speech;
use crate::edges::tally::Tally;
use crate::edges::uses::Uses;
use crate::network::Network;
use crate::report::{AmountPools, Breach};
use crate::settings::Settings;
use crate::snapshot::SnapshotError;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The fields, in their order. Settings are there as numbers without names.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what is not used has to be read past")]
pub(crate) struct EdgeShard4 {
    volume: Option<(bool, f64, f64, f64, f64, f64, u32)>,
    long_view: LongView4,
    top_max: usize,
    keeps_scores: bool,
    network: Network,
    states: Vec<EdgeState>,
    places: Vec<u32>,
    tallies: Vec<Tally>,
    contacts: Vec<Contacts>,
    breaches: Vec<Breach>,
    breaches_of: BTreeMap<u32, Vec<usize>>,
    origin: Option<i64>,
    met: usize,
    edges_max: usize,
    cold: ColdEdges,
    bounds: Bounds,
    speech: Speech,
    uses: Option<Uses>,
    credentials: Option<Credentials>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "as above")]
struct LongView4 {
    window_s: i64,
    youth: Option<Youth>,
    watch: Watch4,
    drift: Option<(bool, u32, u32)>,
    days: BTreeMap<u32, Drift>,
    learnt: AmountPools,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "as above")]
struct Watch4 {
    settings: (bool, u32, usize),
    windows_max: u32,
    edges: BTreeMap<u32, beacon::Contacts>,
    parts: BTreeMap<u16, Vec<u32>>,
    open: Vec<(u32, i64)>,
}

impl EdgeShard4 {
    /// The shard, under these settings.
    ///
    /// # Errors
    /// Numbers in it do not fit together.
    pub(crate) fn restore(self, settings: &Settings) -> Result<EdgeShard, SnapshotError> {
        let Self { network, states, cold, origin, bounds, tallies, contacts, breaches, breaches_of, .. } = self;
        let LongView4 { watch, days, .. } = self.long_view;
        let stored = Stored {
            edges: Edges { network, states, cold, origin, bounds },
            open: OpenWindow { tallies, contacts, breaches, breaches_of },
            speech: self.speech,
            uses: self.uses,
            credentials: self.credentials,
            accesses: None,
            long_view: ((watch.edges, watch.parts, watch.open), days),
        };
        EdgeShard::of_stored(stored, settings)
    }
}

//! The edge level: what each edge did before, and whether this window differs. It is spread over shards by the unordered
//! pair of entities; nothing here looks beyond one edge but for the pools that [`Common`] brings.

mod accesses;
pub(crate) mod aging;
mod amount;
mod baseline;
mod beacon;
mod cold;
mod contacts;
mod credentials;
mod digest;
mod drift;
mod judge;
mod long_view;
pub(crate) mod refusal;
mod shard;
mod sharding;
mod speech;
mod tally;
mod transfer;
mod uses;
pub(crate) mod volume;

pub(crate) use baseline::{Moments, Prediction};
pub use shard::{Bounds, EdgeShard};
pub(crate) use shard::{EdgeShard4, Standing, broken_rule};
pub use sharding::{VIRTUAL_SHARDS, virtual_shard};
pub(crate) use speech::Spoken;

use crate::event::FlowEvent;
use crate::report::{Common, Exchange, Feedback, Notice, Report};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// All shards of the edge level in one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EdgeLevel {
    shards: Vec<EdgeShard>,
}

impl EdgeLevel {
    /// Shards that know nothing yet; at least one.
    #[must_use]
    pub fn new(settings: &Settings, shards: usize) -> Self {
        let shards = shards.max(1);
        Self { shards: vec![EdgeShard::new(settings, settings.edges_max.div_ceil(shards)); shards] }
    }

    /// Keeps a score of each edge and window in the reports from now on.
    pub fn keep_scores(&mut self) {
        self.shards.iter_mut().for_each(EdgeShard::keep_scores);
    }

    fn place(&self, one: &str, other: &str) -> usize {
        if self.shards.len() == 1 { 0 } else { usize::from(virtual_shard(one, other)) % self.shards.len() }
    }

    /// Takes a flow of the open window in and says what must be known at once.
    pub fn observe(&mut self, event: &FlowEvent<'_>, window: i64, common: &Common, notices: &mut Vec<Notice>) {
        let place = self.place(event.src_entity, event.dst_entity);
        self.shards[place].observe(event, window, common, notices);
    }

    /// First half of a window's close: what the shards must agree on.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        let mut exchange = Exchange::default();
        for shard in &self.shards {
            for (step, count) in shard.exchange().residuals {
                *exchange.residuals.entry(step).or_default() += count;
            }
        }
        exchange
    }

    /// Second half: judges and learns window `index`.
    pub fn close(&mut self, index: i64, is_partial: bool, common: &Common) -> Vec<Report> {
        self.shards.iter_mut().map(|shard| shard.close(index, is_partial, common)).collect()
    }

    /// Takes in what the entity level made of a window.
    pub fn feed_back(&mut self, feedback: &[Feedback]) {
        for edge in feedback {
            let place = self.place(&edge.source, &edge.destination);
            self.shards[place].feed_back(edge);
        }
        for shard in self.shards.iter_mut().filter(|shard| shard.is_over()) {
            shard.age_out(&[]);
        }
        for shard in self.shards.iter_mut().filter(|shard| shard.has_too_many_names()) {
            shard.forget_names(&BTreeSet::new());
        }
    }

    /// Edges that were forgotten but for a sketch, and flows that were not judged because there were too many new edges.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.shards.iter().fold(Bounds::default(), |sum, shard| sum.plus(shard.bounds()))
    }

    /// Edges met.
    #[must_use]
    pub fn edge_count(&self) -> u64 {
        self.shards.iter().map(|shard| shard.edge_count() as u64).sum()
    }
}

//! The order of the steps that complete a batch, and the columns that are one value for all of it.

use crate::identity::{self, Identities};
use crate::{Inventory, Networks, Settings, dates, orientation, times};
use std::collections::BTreeMap;
use tradewind_model::FlowBatch;
use tradewind_model::flow::{INGEST_TIME, NORMALISER_VERSION, VERSION};
use tradewind_model::time::day_of;

/// What is known of a batch beside its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// When the rows were taken in, in microseconds UTC.
    pub ingest_time: i64,
    /// How far before the ingest a flow may end and still be stored under its own day, in microseconds. None: as far as
    /// one likes, for archives.
    pub retention: Option<i64>,
}

/// Memory that one thread keeps from batch to batch. It holds nothing that changes an answer.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) swapped: Vec<u32>,
    pub(crate) identities: Identities,
}

/// Completes decoded flows.
#[derive(Clone, Debug)]
pub struct Normaliser {
    pub(crate) networks: Networks,
    pub(crate) default_network: Option<String>,
    pub(crate) network_names: BTreeMap<String, String>,
    pub(crate) inventory: Inventory,
}

impl Normaliser {
    /// Takes the settings and the inventory.
    #[must_use]
    pub fn new(settings: &Settings, inventory: Inventory) -> Self {
        Self {
            networks: Networks::new(&settings.internal_networks),
            default_network: settings.default_network.clone(),
            network_names: settings.networks.clone(),
            inventory,
        }
    }

    /// Fills, in this order: the times and `date`; which end is `src`, exchanging the ends where they are the wrong way
    /// round; the address spaces, entities and all that is told of them; `direction`, `ingest_time` and
    /// `normaliser_version`.
    pub fn apply(&self, batch: &mut FlowBatch, scratch: &mut Scratch, context: &Context) {
        times::complete(batch, context);
        dates::bound(batch, day_of(context.ingest_time));
        orientation::orient(batch, &mut scratch.swapped);
        identity::identify(self, batch, &mut scratch.identities);
        for (column, value) in [(INGEST_TIME, context.ingest_time), (NORMALISER_VERSION, i64::from(VERSION))] {
            batch.num_mut(column).replace_values(Vec::new());
            batch.fill_num(column, 0, value);
        }
    }
}

//! The memory of connections as a value: what a snapshot holds.

use super::edges::Edge;
use super::table::{Connection, Table};
use super::{Connect, ConnectSettings, lock};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// All that a [`Connect`] remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectState {
    settings: ConnectSettings,
    /// Per shard.
    connections: Vec<Vec<Connection>>,
    edges: Vec<(u64, Edge)>,
    sources: Vec<String>,
}

impl Connect {
    /// What it remembers.
    #[must_use]
    pub fn state(&self) -> ConnectState {
        ConnectState {
            settings: self.settings.clone(),
            connections: self.shards.iter().map(|shard| lock(shard).connections()).collect(),
            edges: self.edges.all(),
            sources: lock(&self.sources).clone(),
        }
    }

    /// A memory that goes on from what another one remembered, with the settings of that one. None: the state is of another
    /// version of this program.
    #[must_use]
    pub fn of(state: &ConnectState) -> Option<Self> {
        let mut connect = Self::new(state.settings.clone());
        if state.connections.len() != connect.shards.len() {
            return None;
        }
        connect.shards = state.connections.iter().map(|shard| Mutex::new(Table::of(shard))).collect();
        connect.edges.restore(&state.edges);
        connect.sources = Mutex::new(state.sources.clone());
        Some(connect)
    }
}

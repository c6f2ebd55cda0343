//! A shard as sections of a snapshot, and back. What follows from the settings is not stored: a shard goes on with those it is
//! given.

use super::{Bounds, EdgeShard};
use crate::edges::accesses::Accesses;
use crate::edges::baseline::EdgeState;
use crate::edges::cold::ColdEdges;
use crate::edges::contacts::Contacts;
use crate::edges::credentials::Credentials;
use crate::edges::long_view::{LongView, StoredLongView};
use crate::edges::speech::Speech;
use crate::edges::tally::Tally;
use crate::edges::uses::Uses;
use crate::network::Network;
use crate::report::Breach;
use crate::settings::Settings;
use crate::snapshot::{Snapshot, SnapshotError, SnapshotWriter, decode};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is known of edges.
#[derive(Deserialize)]
pub(super) struct Edges {
    pub(super) network: Network,
    pub(super) states: Vec<EdgeState>,
    pub(super) cold: ColdEdges,
    pub(super) origin: Option<i64>,
    pub(super) bounds: Bounds,
}

/// The window that is open.
#[derive(Default, Deserialize)]
pub(super) struct OpenWindow {
    pub(super) tallies: Vec<Tally>,
    pub(super) contacts: Vec<Contacts>,
    pub(super) breaches: Vec<Breach>,
    pub(super) breaches_of: BTreeMap<u32, Vec<usize>>,
}

/// All that is stored of a shard.
pub(super) struct Stored {
    pub(super) edges: Edges,
    pub(super) open: OpenWindow,
    pub(super) speech: Speech,
    pub(super) uses: Option<Uses>,
    pub(super) credentials: Option<Credentials>,
    pub(super) accesses: Option<Accesses>,
    pub(super) long_view: StoredLongView,
}

impl EdgeShard {
    /// Adds the shard's sections. Every field is named here, so that a new one is not forgotten.
    pub(crate) fn save(&self, writer: &mut SnapshotWriter) {
        let Self {
            volume: _,
            long_view,
            top_max: _,
            keeps_scores: _,
            network,
            states,
            places: _,
            tallies,
            contacts,
            breaches,
            breaches_of,
            origin,
            met: _,
            edges_max: _,
            cold,
            bounds,
            speech,
            uses,
            credentials,
            accesses,
        } = self;
        writer.add("edges", 1, &(network, states, cold, origin, bounds));
        writer.add("edges.window", 1, &(tallies, contacts, breaches, breaches_of));
        writer.add("edges.speech", 1, speech);
        if let Some(uses) = uses {
            writer.add("edges.uses", 1, uses);
        }
        if let Some(credentials) = credentials {
            writer.add("edges.credentials", 1, credentials);
        }
        if let Some(accesses) = accesses {
            writer.add("edges.accesses", 1, accesses);
        }
        writer.add("edges.long_view", 1, &long_view.stored());
    }

    /// The shard of a snapshot, under these settings: what a detector keeps that is switched on since begins empty.
    ///
    /// # Errors
    /// The snapshot is damaged, or lacks what is known of edges.
    pub(crate) fn restore(snapshot: &mut Snapshot<'_>, settings: &Settings) -> Result<Self, SnapshotError> {
        let stored = Stored {
            edges: snapshot.need("edges", &[(1, decode)])?,
            open: snapshot.take_or_default("edges.window", &[(1, decode)])?,
            speech: snapshot.take_or_default("edges.speech", &[(1, decode)])?,
            uses: snapshot.take_if(settings.protocol.is_enabled, "edges.uses", &[(1, decode)])?,
            credentials: snapshot.take_if(settings.identity.is_enabled, "edges.credentials", &[(1, decode)])?,
            accesses: snapshot.take_if(settings.mediated.is_enabled, "edges.accesses", &[(1, decode)])?,
            long_view: snapshot.take_or_default("edges.long_view", &[(1, decode)])?,
        };
        Self::of_stored(stored, settings)
    }

    /// # Errors
    /// Numbers in it do not fit together.
    pub(super) fn of_stored(stored: Stored, settings: &Settings) -> Result<Self, SnapshotError> {
        let Stored { edges, open, speech, uses, credentials, accesses, long_view } = stored;
        let Edges { network, states, cold, origin, bounds } = edges;
        let OpenWindow { tallies, contacts, breaches, breaches_of } = open;
        let mut places = vec![0; states.len()];
        let are_known = |edge: usize| edge < states.len();
        let is_whole = states.len() <= network.edge_count()
            && (0..).zip(&states).all(|(number, state)| network.edge_of(number) == state.edge)
            && breaches_of
                .iter()
                .all(|(&edge, places)| are_known(edge as usize) && places.iter().all(|&place| place < breaches.len()))
            && contacts.iter().all(|known| are_known(known.number as usize))
            && tallies
                .iter()
                .all(|tally| are_known(tally.number as usize) && tally.contacts as usize <= contacts.len());
        if !is_whole {
            let what = String::from("its edges do not fit together");
            return Err(SnapshotError::Damaged { what });
        }
        for (place, tally) in (1..).zip(&tallies) {
            places[tally.number as usize] = place;
        }
        Ok(Self {
            long_view: LongView::of_stored(long_view, settings),
            met: states.iter().filter(|state| state.is_met).count(),
            network,
            states,
            places,
            tallies,
            contacts,
            breaches,
            breaches_of,
            origin,
            cold,
            bounds,
            speech,
            uses: settings.protocol.is_enabled.then(|| uses.unwrap_or_default()),
            credentials: settings.identity.is_enabled.then(|| credentials.unwrap_or_default()),
            accesses: settings.mediated.is_enabled.then(|| accesses.unwrap_or_default()),
            ..Self::new(settings, settings.edges_max)
        })
    }

    /// Whether an edge has this number.
    pub(crate) fn has_edge(&self, number: u32) -> bool {
        (number as usize) < self.network.edge_count()
    }
}

//! What the peers of an entity do, as evidence of what it may do: services or agents of one namespace share evidence. A
//! destination that several peers have talked to for a day is less of a surprise.
//!
//! The mark u of a birth (see [`super::votes`]) is drawn towards 1 by the share s of peers that have the destination:
//! u' = u + (1 - u)·s, s = (m - 1)/(n + 2) for m of n peers: the mean of a Beta posterior with prior Beta(1, 1), less one peer.
//! One peer weighs nothing, so that who holds one of them cannot make its own new destination usual for the next; and neither
//! do new edges of peers. Who is a peer is in the name: network, namespace and kind; without a namespace nobody is.

use super::states::Source;
use super::{EntityLevel, EntityStates};
use crate::network::{Edge, Network, pair, parts};
use crate::numbered::new_number;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Edges of peers count after so long, seconds, and peers themselves.
const AGE_MIN_S: i64 = 86_400;
/// Edges that are known to be too young; with more of them nothing is said of peers until they are older.
const YOUNG_MAX: usize = 65_536;
/// Destinations with more clients are popular: what peers do adds nothing.
const CLIENTS_MAX: usize = 256;

/// What is known of peers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Peers {
    /// Window of the first answer, by source and destination, of those that are young.
    young: BTreeMap<u64, i64>,
    /// Nothing is said before this window, because too many were young.
    silent_until: Option<i64>,
    /// The last window that was learnt: what is told at once is judged by it, too.
    learnt: i64,
    /// Peers old enough, by the beginning of their names. Made of the states at the last close.
    #[serde(skip)]
    members: Option<BTreeMap<String, u32>>,
}

/// The part of a name that peers share; none where there is no namespace, or what is there is no workload.
fn group(name: &str) -> Option<&str> {
    let mut parts = name.splitn(4, '/');
    let (_, namespace, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let own = parts.next()?;
    (namespace != "-" && matches!(kind, "service" | "agent")).then(|| &name[..name.len() - own.len()])
}

/// Windows that make something old.
fn age_min(window_s: i64) -> i64 {
    AGE_MIN_S / window_s.max(1)
}

fn is_old(source: Option<&Source>, index: i64, age: i64) -> bool {
    source.is_some_and(|source| index.saturating_sub(source.first_window) >= age)
}

impl Peers {
    /// Takes first answers on edges of a window in, before they are votes, and forgets what is old by now.
    pub(super) fn learn(&mut self, answers: &[Edge], states: &EntityStates, index: i64, window_s: i64) {
        let age = age_min(window_s);
        self.members = None;
        self.learnt = index;
        self.young.retain(|_, &mut born| index.saturating_sub(born) < age);
        for edge in answers.iter().filter(|edge| !states.votes.has_voted(edge.source, edge.destination)) {
            if self.young.len() >= YOUNG_MAX {
                self.silent_until = Some(index.saturating_add(age));
                return;
            }
            self.young.entry(edge.pair()).or_insert(index);
        }
    }

    /// Counts the members of groups. To be called before shares are asked for, after states were learnt or read back.
    fn prepare(&mut self, network: &Network, states: &EntityStates, window_s: i64) {
        if self.members.is_some() {
            return;
        }
        let age = age_min(window_s);
        let entities = (0..network.entity_count()).filter_map(|entity| u32::try_from(entity).ok());
        let mut members: BTreeMap<String, u32> = BTreeMap::new();
        for entity in entities.filter(|&entity| is_old(states.source(entity), self.learnt, age)) {
            if let Some(group) = group(network.name(entity)) {
                match members.get_mut(group) {
                    Some(count) => *count += 1,
                    None => drop(members.insert(group.to_owned(), 1)),
                }
            }
        }
        self.members = Some(members);
    }

    /// Share of the source's peers that have the destination of this birth, as it counts; 0 where nothing is known of peers.
    fn share(&self, edge: Edge, network: &Network, states: &EntityStates, window_s: i64) -> f64 {
        let Some(group) = group(network.name(edge.source)) else { return 0.0 };
        let clients = states.votes.clients(edge.destination);
        let is_silent = self.silent_until.is_some_and(|until| self.learnt < until);
        if is_silent || clients.len() > CLIENTS_MAX || !states.votes.is_served(edge) {
            return 0.0;
        }
        let age = age_min(window_s);
        let is_peer = |&&client: &&u32| {
            client != edge.source
                && network.name(client).starts_with(group)
                && is_old(states.source(client), self.learnt, age)
                && !self.young.contains_key(&pair(client, edge.destination))
        };
        let have = clients.iter().filter(is_peer).count();
        let members = self.members.as_ref().and_then(|members| members.get(group)).copied().unwrap_or(0);
        let itself = u32::from(is_old(states.source(edge.source), self.learnt, age));
        let peers = members.saturating_sub(itself).max(u32::try_from(have).unwrap_or(u32::MAX));
        have.saturating_sub(1) as f64 / (f64::from(peers) + 2.0)
    }

    /// Forgets entities, or gives them other numbers.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        self.members = None;
        let kept = std::mem::take(&mut self.young).into_iter().filter_map(|(known, born)| {
            let [source, destination] = parts(known).map(|entity| new_number(numbers, entity));
            Some((pair(source?, destination?), born))
        });
        self.young = kept.collect();
    }
}

impl EntityLevel {
    /// Share of a source's peers that have the destination of a birth, as it counts.
    pub(super) fn share_of_peers(&mut self, edge: Edge) -> f64 {
        if !self.settings.destination.has_peers {
            return 0.0;
        }
        self.peers.prepare(&self.network, &self.states, self.settings.window_s);
        self.peers.share(edge, &self.network, &self.states, self.settings.window_s)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_is_a_peer_is_in_the_name() {
        assert_eq!(group("prod/shop/service/cart-1"), Some("prod/shop/service/"));
        assert_eq!(group("-/ai/agent/helper"), Some("-/ai/agent/"));
        for none in ["service/s1", "10.0.0.1", "-/-/service/cart", "prod/office/host/laptop", "", "///", "a/b/service"]
        {
            assert_eq!(group(none), None, "{none}");
        }
    }
}

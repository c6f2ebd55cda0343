//! Detector of unusual ports: new edges to ports that their destination never answered on, more of them than destinations
//! of its age open; for destinations nobody saw before, more of those than the network usually brings.

use super::EntityStates;
use super::outlook::Outlook;
use crate::distributions::{ln_negative_binomial_tail, p_of_ln};
use crate::network::Edge;
use crate::settings::DestinationSettings;
use std::collections::{BTreeMap, BTreeSet};

/// Shape of the negative binomial of the network's new destinations.
const SHAPE_OF_DESTINATIONS: f64 = 1.0;

/// The least p-value over the destinations of one source's new edges, and the place of the edge that has it.
pub(super) fn judge(
    births: &[Edge],
    states: &EntityStates,
    outlook: &Outlook,
    settings: &DestinationSettings,
) -> Option<(usize, f64)> {
    let strangers: BTreeSet<u32> =
        births.iter().map(|edge| edge.destination).filter(|&entity| states.is_stranger(entity)).collect();
    let mut ports: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    for edge in births.iter().filter(|edge| !states.votes.is_served(**edge)) {
        ports.entry(edge.destination).or_default().insert(edge.port_key());
    }
    let mut least: Option<(usize, f64)> = None;
    for (place, edge) in births.iter().enumerate() {
        let p_value = match states.destination(edge.destination) {
            Some(known) => {
                if states.votes.is_served(*edge) {
                    continue;
                }
                let new_ports = ports.get(&edge.destination).map_or(0, BTreeSet::len);
                let prior = settings.entity_prior;
                let expected = outlook.rate_of_ports(known.first_window) * known.ports.mean(prior);
                let shape = known.ports.shape(prior).min(settings.shape_max);
                let p = p_of_ln(ln_negative_binomial_tail(new_ports as u64, shape, expected));
                (p * births.len() as f64).min(1.0)
            }
            None if strangers.contains(&edge.destination) => {
                let count = strangers.len() as u64;
                p_of_ln(ln_negative_binomial_tail(count, SHAPE_OF_DESTINATIONS, outlook.rate_of_destinations()))
            }
            None => continue,
        };
        if least.is_none_or(|(_, known)| p_value < known) {
            least = Some((place, p_value));
        }
    }
    least
}

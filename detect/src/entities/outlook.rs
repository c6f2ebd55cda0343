//! What is expected of new edges in the open window: rates and masses as they stood before it. A birth is judged by them
//! at once when it is seen, and again, with all that the window brought, at its close.

use super::EntityStates;
use super::hazard::{Curve, Rates};
use super::votes::MarkMasses;
use crate::distributions::{ln_negative_binomial_tail, p_of_ln};
use crate::network::Edge;
use crate::settings::DestinationSettings;
use serde::{Deserialize, Serialize};

/// Rates and masses before a window.
#[derive(Clone, Debug)]
pub(super) struct Outlook {
    index: i64,
    masses: MarkMasses,
    /// New edges of a source, by its age.
    edges: Rates,
    /// New sources of the network at its age.
    sources: f64,
    /// New answered ports of a destination, by its age.
    ports: Rates,
    /// New destinations of the network at its age.
    destinations: f64,
}

/// Expected births of one source in a window, before marks, and the shape of their negative binomial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    pub(super) births: f64,
    pub(super) shape: f64,
}

/// A new edge with its mark and what it says alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Marked {
    /// Probability that a new edge goes somewhere at least as unpopular.
    pub(crate) mark: f64,
    /// Probability of one such birth or more.
    pub(crate) p_value: f64,
}

impl Outlook {
    /// The outlook on window `index`, in which the network has this age.
    pub(super) fn new(states: &EntityStates, index: i64, age: u64, settings: &DestinationSettings) -> Self {
        let prior = settings.rate_prior;
        let bucket = Curve::bucket(age);
        Self {
            index,
            masses: states.votes.masses(),
            edges: states.new_edges.rates(prior),
            sources: states.new_sources.rates(prior).at(bucket),
            ports: states.new_ports.rates(prior),
            destinations: states.new_destinations.rates(prior).at(bucket),
        }
    }

    /// Rate of new edges of a source that was first seen in this window.
    pub(super) fn rate_of_edges(&self, first_window: i64) -> f64 {
        self.edges.at(Curve::bucket(self.index.abs_diff(first_window)))
    }

    /// Rate of new ports of a destination that was first seen in this window.
    pub(super) fn rate_of_ports(&self, first_window: i64) -> f64 {
        self.ports.at(Curve::bucket(self.index.abs_diff(first_window)))
    }

    /// Rate of new destinations of the network.
    pub(super) fn rate_of_destinations(&self) -> f64 {
        self.destinations
    }

    /// Expected births of a source.
    pub(super) fn expectation(
        &self,
        states: &EntityStates,
        source: u32,
        settings: &DestinationSettings,
    ) -> Expectation {
        let prior = settings.entity_prior;
        match states.source(source) {
            Some(known) => Expectation {
                births: self.rate_of_edges(known.first_window) * known.births.mean(prior),
                shape: known.births.shape(prior).min(settings.shape_max),
            },
            None => Expectation {
                births: self.rate_of_edges(self.index) * self.sources.min(1.0),
                shape: prior.min(settings.shape_max),
            },
        }
    }

    /// Mark of a birth and its p-value alone. `share` is that of its peers that have the destination, see [`super::peers`].
    pub(super) fn mark(
        &self,
        states: &EntityStates,
        edge: Edge,
        is_answered: bool,
        share: f64,
        expected: Expectation,
    ) -> Marked {
        let alone = states.votes.mark(&self.masses, edge, is_answered);
        // That peers are answered there makes it no less strange that this one is not.
        let mark = if is_answered { alone + (1.0 - alone).max(0.0) * share } else { alone };
        let p_value = p_of_ln(ln_negative_binomial_tail(1, expected.shape, expected.births * mark));
        Marked { mark, p_value }
    }
}

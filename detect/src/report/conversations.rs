//! What the edge level tells the entity level of conversations: what was asked for the first time, who proved what, which
//! edges lost their protection. Judges nothing.

use super::EdgeCounts;
use crate::entities::Curve;
use crate::network::{Edge, Port};
use serde::{Deserialize, Serialize};

/// Ages that have a rate of their own; all that are older have the last one's.
const BUCKETS: usize = 8;
/// Rates are told in units of 2^-24, as whole numbers, so that they are the same wherever they are read back.
const UNITS: f64 = (1_u64 << 24) as f64;
/// Weight of the younger age's rate in an age's rate, windows.
const RATE_PRIOR: f64 = 4.0;
/// New uses that an age is credited with at least: that none was seen yet does not say that there are none (Jeffreys' prior of
/// a Poisson rate).
const EVENTS_MIN: f64 = 0.5;

/// How often edges have new uses, by the windows they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Discoveries {
    pub(crate) uses: Curve,
    pub(crate) transports: Curve,
}

/// The same as rates: new uses per window, in units of 2^-24, by the windows an edge is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveryRates {
    uses: [u32; BUCKETS],
    transports: [u32; BUCKETS],
}

impl Discoveries {
    /// Adds another's.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.uses.merge(&other.uses);
        self.transports.merge(&other.transports);
    }

    /// Rate of each age: (N_b + max(κ·rate_{b-1}, ½)) / (T_b + κ), as [`Curve::rates`] but for the half.
    pub(crate) fn rates(&self) -> DiscoveryRates {
        let rates = |curve: &Curve| {
            let mut rate = 1.0;
            std::array::from_fn(|bucket| {
                let (events, windows) =
                    if bucket + 1 < BUCKETS { curve.counts(bucket..=bucket) } else { curve.counts(bucket..) };
                rate = (events as f64 + (RATE_PRIOR * rate).max(EVENTS_MIN)) / (windows as f64 + RATE_PRIOR);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturates: no rate is negative.
                let units = (rate * UNITS).ceil() as u32;
                units
            })
        };
        DiscoveryRates { uses: rates(&self.uses), transports: rates(&self.transports) }
    }
}

impl DiscoveryRates {
    /// Expected new uses in a window of an edge that is known for so many; of transport protocols or of others.
    pub(crate) fn at(&self, windows: u64, is_transport: bool) -> f64 {
        let rates = if is_transport { &self.transports } else { &self.uses };
        f64::from(rates[Curve::bucket(windows).min(BUCKETS - 1)]) / UNITS
    }
}

/// A use that an edge did not have before the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewUse {
    /// The edge.
    pub edge: Edge,
    /// The use, as the shards write it.
    pub text: String,
    /// The flows that ask it.
    pub counts: EdgeCounts,
    /// What the edge's past lets expect; none while it is learnt, and where it is not known well enough.
    pub expected: Option<Discovery>,
    /// Windows in which it was too unusual to be learnt.
    pub held: u8,
    /// Window the edge was born in.
    pub born: i64,
    /// Windows in which the edge said something of the kind.
    pub windows: u64,
    /// What it asked before, the most frequent first, where something is expected.
    pub had: Vec<String>,
}

/// What is expected of new uses on an edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discovery {
    /// Expected number in a window.
    pub births: f64,
    /// Shape of their negative binomial.
    pub shape: f64,
}

/// A principal that an entity proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The first of its edges by name.
    pub edge: Edge,
    /// Whether it is the edge's destination.
    pub is_destination: bool,
    /// The principal.
    pub principal: String,
    /// The flows.
    pub counts: EdgeCounts,
}

/// Flows of an edge without the protection that it always had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapse {
    /// The edge.
    pub edge: Edge,
    /// Whether some were not encrypted at all.
    pub is_plain: bool,
    /// The flows.
    pub counts: EdgeCounts,
    /// Window the edge was born in.
    pub born: i64,
    /// Windows in which it was mutual.
    pub windows: u64,
    /// Flows in them.
    pub flows: u64,
}

/// How many edges to a service kept the protection that they always had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    /// Number of the destination.
    pub destination: u32,
    /// Its port.
    pub port: Port,
    /// Edges.
    pub edges: u64,
}

/// Answered flows of an edge that put data into one resource, or took it out, in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The edge: its destination keeps the resource.
    pub edge: Edge,
    /// Whether data went to the resource.
    pub is_write: bool,
    /// The resource, as the shards write it.
    pub resource: String,
    /// The flows.
    pub counts: EdgeCounts,
}

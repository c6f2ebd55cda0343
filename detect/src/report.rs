//! What the two levels tell each other: notices at once, an exchange and a report when a window closes, feedback after it.
//! Sums in them are whole numbers or lists in a total order, so that it does not matter how edges are spread over shards.

mod pools;

pub(crate) use pools::STAGES;
pub use pools::{AmountPools, Amounts, Pools};

use crate::combine::CauchySum;
use crate::network::Edge;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tradewind_model::entity::EntityKind;

mod conversations;

pub(crate) use conversations::Discoveries;
pub use conversations::{Access, Discovery, DiscoveryRates, Guarded, Lapse, NewUse, Proof};

/// The detectors. Places of those of the edge level in [`SourceDigest::tests`] are those in `EDGE_DETECTORS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DetectorName {
    /// Flow sizes of an edge.
    Transfer,
    /// Flows that a policy stopped.
    Denied,
    /// Flows that did not work.
    Failed,
    /// Edges that were born suspiciously and are used again.
    Carry,
    /// Connections per window of an edge.
    Volume,
    /// Edges an entity never had.
    Destination,
    /// Ports a destination never served.
    Port,
    /// Paths of new edges through several entities.
    Chain,
    /// Searches for hosts or ports.
    Scan,
    /// What reaches a destination, from all sources together.
    Inflow,
    /// Far more connections of one source, or to one destination, than it ever had.
    Flood,
    /// Flows outside of the declared policy.
    Policy,
    /// Far more data over a new edge than new edges carry, or data gathered and then sent on.
    Exfiltration,
    /// Contact at regular times.
    Beacon,
    /// Amounts of an edge that grow or shrink slowly, day by day.
    Drift,
    /// More first contacts over hours than the entity has.
    #[serde(rename = "slow-scan")]
    SlowScan,
    /// Contacts to addresses where nobody ever was.
    Dark,
    /// Protocols, operations and resources that an edge never had.
    Protocol,
    /// Principals that an entity never proved, and edges that lost their protection.
    Identity,
    /// Entities that are not heard any more.
    Silence,
}

/// How many detectors the edge level has.
pub(crate) const EDGE_DETECTOR_COUNT: usize = 9;
/// Detectors of the edge level.
pub(crate) const EDGE_DETECTORS: [DetectorName; EDGE_DETECTOR_COUNT] = [
    DetectorName::Transfer,
    DetectorName::Denied,
    DetectorName::Failed,
    DetectorName::Carry,
    DetectorName::Volume,
    DetectorName::Exfiltration,
    DetectorName::Beacon,
    DetectorName::Drift,
    DetectorName::Protocol,
];

impl DetectorName {
    /// How many there are: their places are below it.
    pub(crate) const COUNT: usize = Self::Silence as usize + 1;

    /// All of them, each at its place.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Transfer,
        Self::Denied,
        Self::Failed,
        Self::Carry,
        Self::Volume,
        Self::Destination,
        Self::Port,
        Self::Chain,
        Self::Scan,
        Self::Inflow,
        Self::Flood,
        Self::Policy,
        Self::Exfiltration,
        Self::Beacon,
        Self::Drift,
        Self::SlowScan,
        Self::Dark,
        Self::Protocol,
        Self::Identity,
        Self::Silence,
    ];

    /// The word in findings and scores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Carry => "carry",
            Self::Volume => "volume",
            Self::Destination => "destination",
            Self::Port => "port",
            Self::Chain => "chain",
            Self::Scan => "scan",
            Self::Inflow => "inflow",
            Self::Flood => "flood",
            Self::Policy => "policy",
            Self::Exfiltration => "exfiltration",
            Self::Beacon => "beacon",
            Self::Drift => "drift",
            Self::SlowScan => "slow-scan",
            Self::Dark => "dark",
            Self::Protocol => "protocol",
            Self::Identity => "identity",
            Self::Silence => "silence",
        }
    }

    /// The detector of a word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }
}

/// What one edge did in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeCounts {
    /// Flows, by what each row stands for.
    pub flows: i64,
    /// Of these, those of rows that open a connection.
    pub opened: i64,
    /// Flows that were answered, or whose log does not say.
    pub answered: i64,
    /// Flows that a policy stopped.
    pub denied: i64,
    /// Flows that were tried and did not work.
    pub failed: i64,
    /// Bytes from source to destination, where seen.
    pub bytes_out: Option<i64>,
    /// Bytes from destination to source, where seen.
    pub bytes_in: Option<i64>,
    /// IANA protocol number; the lowest where several were seen.
    pub protocol_num: Option<i16>,
    /// Time of the first flow, microseconds UTC.
    pub first: i64,
    /// Time of the last flow, microseconds UTC.
    pub last: i64,
}

/// What a detector of the edge level measured, for the words of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Facts {
    /// Logarithm of one plus a flow's bytes against a Student-t prediction.
    Transfer {
        /// Whether these are the bytes from the source to the destination.
        is_out: bool,
        /// Bytes of the most unusual flow.
        bytes: f64,
        /// Location of the prediction, in logarithms.
        mean: f64,
        /// Its scale.
        scale: f64,
        /// Its degrees of freedom.
        freedom: f64,
    },
    /// Refusals against the edge's share of them so far.
    Refusal {
        /// Mean of the beta prior that the window was judged by.
        usual_share: f64,
    },
    /// Evidence left from the edge's birth.
    Carry {
        /// Windows since it was born.
        age: u64,
    },
    /// Logarithm of one plus connections opened against a Student-t prediction.
    Volume {
        /// Location of the prediction, in logarithms, the network's common change included.
        mean: f64,
        /// Its scale.
        scale: f64,
        /// Its degrees of freedom.
        freedom: f64,
    },
    /// Logarithm of one plus the bytes that a young edge moved since its birth against a Student-t prediction.
    Amount {
        /// Whether these are the bytes from the source to the destination.
        is_out: bool,
        /// Bytes since its birth.
        bytes: f64,
        /// Location of the prediction, in logarithms.
        mean: f64,
        /// Its scale.
        scale: f64,
        /// Its degrees of freedom.
        freedom: f64,
        /// p-value of its birth; 1 in the window of birth itself, where it is not known yet.
        novelty: f64,
    },
    /// Contacts at regular times.
    Beacon {
        /// Contacts that were looked at.
        contacts: u64,
        /// Median time between two of them, seconds.
        period_s: f64,
        /// Median deviation of these times from their median, as a share of it.
        dispersion: f64,
    },
    /// Daily amounts against a slow baseline.
    Drift {
        /// Whether they grow.
        is_up: bool,
        /// Whether the amounts are bytes; else connections.
        is_bytes: bool,
        /// Amount of the day so far.
        amount: f64,
        /// Location of the prediction for a day, in logarithms.
        mean: f64,
        /// Days in the baseline.
        days: u64,
    },
    /// A use that the edge never had.
    Protocol {
        /// Place of the least usual one among the window's new uses.
        place: u32,
        /// New uses of the edge in the window.
        uses: u32,
        /// Votes of the destination's other clients for the least usual one.
        votes: u32,
    },
}

/// One edge's part in a signal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeSignal {
    /// The edge.
    pub edge: Edge,
    /// p-value of this edge alone.
    pub p_value: f64,
    /// What it did.
    pub counts: EdgeCounts,
    /// What was measured.
    pub facts: Facts,
    /// Window the edge was born in.
    pub born: i64,
    /// Windows in its baseline.
    pub windows: u64,
}

/// The tests of one detector on the edges of one source in one window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tests {
    /// Number of tests and the sum of their Cauchy terms.
    pub sum: CauchySum,
    /// The strongest edges, strongest first.
    pub top: Vec<EdgeSignal>,
}

/// What one source did in one window on the edges of one shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceDigest {
    /// Number of the source.
    pub source: u32,
    /// Flows.
    pub flows: i64,
    /// Connections opened.
    pub opened: i64,
    /// Of the flows, those that a policy stopped.
    pub denied: i64,
    /// Of the flows, those that did not work.
    pub failed: i64,
    /// Bytes, both ways, where seen.
    pub bytes: i64,
    /// Whether one of its edges has a known orientation.
    pub is_oriented: bool,
    /// The edge level's detectors, in the order of `EDGE_DETECTORS`.
    pub tests: [Tests; EDGE_DETECTOR_COUNT],
}

/// An edge that did not exist before the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// The edge.
    pub edge: Edge,
    /// What it did.
    pub counts: EdgeCounts,
}

/// A flow that is told at once where flows come in the order of time, as the window's close knows it: it is the first of
/// its kind by time, in whatever order the flows came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contacted {
    /// The edge.
    pub edge: Edge,
    /// Whether the edge is new.
    pub is_new: bool,
    /// What the flow counts for.
    pub counts: EdgeCounts,
}

/// What reached one destination on the edges of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inflow {
    /// Number of the destination.
    pub destination: u32,
    /// Connections opened to it.
    pub opened: i64,
    /// The edge with the most of them.
    pub foremost: Birth,
}

/// Flows of an edge that broke one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// The edge.
    pub edge: Edge,
    /// The rule that denies it; empty where the policy has no rule for it.
    pub rule: String,
    /// The flows.
    pub counts: EdgeCounts,
}

/// What a shard of the edge level says of a window that closed. Entities are numbers of this report's own list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Names and kinds of the entities it speaks of.
    pub entities: Vec<(String, EntityKind)>,
    /// Digests, in the order of their sources' numbers.
    pub sources: Vec<SourceDigest>,
    /// What reached each destination of oriented edges.
    pub destinations: Vec<Inflow>,
    /// New edges.
    pub births: Vec<Birth>,
    /// What was worth telling at once, in whatever order: first flows of new edges, first answers, vain attempts.
    pub contacts: Vec<Contacted>,
    /// Edges that were answered for the first time.
    pub answers: Vec<Edge>,
    /// Edges that an open finding is about.
    pub watched: Vec<Birth>,
    /// Breaches of the declared policy.
    pub breaches: Vec<Breach>,
    /// What enters the pools of all edges.
    pub pools: Pools,
    /// Signals of single edges, where they are kept.
    pub edge_scores: Vec<(Edge, Vec<(DetectorName, EdgeSignal)>)>,
    /// What was asked on edges that never asked it.
    pub uses: Vec<NewUse>,
    /// How often uses were new.
    pub(crate) discoveries: Discoveries,
    /// Which principals entities proved.
    pub proofs: Vec<Proof>,
    /// Edges that always were mutual and are not in this window.
    pub lapses: Vec<Lapse>,
    /// Edges that always were mutual and are so still, per service.
    pub guarded: Vec<Guarded>,
    /// What was put into, or taken out of, something shared.
    pub accesses: Vec<Access>,
}

/// Residuals of established edges, counted in steps of 2^-8: what the window's common change is the median of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Edges per step.
    pub residuals: BTreeMap<i32, u64>,
}

/// What the edge level judges a window by, beside each edge's own baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Common {
    /// The pools before this window.
    pub pools: Pools,
    /// Median residual of volumes, in logarithms.
    pub change: f64,
    /// Whether everything in the window is to be learnt.
    pub is_training: bool,
    /// New uses that edges have.
    pub discoveries: DiscoveryRates,
}

/// What the entity level tells the edge level of an edge after a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// Source.
    pub source: String,
    /// Destination.
    pub destination: String,
    /// The edge's port.
    pub port: crate::network::Port,
    /// Evidence of its birth in this window: -ln p.
    pub evidence: Option<f64>,
    /// Report what it does until this window, the last included.
    pub watch_until: Option<i64>,
    /// Whether a person accepted what it does: what was held back from learning is learnt anew.
    pub is_accepted: bool,
    /// Uses of this window that are too unusual to be learnt.
    pub doubted: Vec<String>,
}

/// What the edge level says at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Notice {
    /// The first flow of a new edge, or the window's first unanswered flow of an edge that was never answered.
    Contact(Contact),
    /// The window's first flow of an edge against one rule of the declared policy.
    Breach {
        /// Who, when and how.
        contact: Contact,
        /// The rule; empty where the policy has no rule for it.
        rule: String,
    },
}

/// One flow worth telling at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Name and kind of the source.
    pub source: (String, EntityKind),
    /// Name and kind of the destination.
    pub destination: (String, EntityKind),
    /// Port of the edge.
    pub port: crate::network::Port,
    /// Whether the edge is new.
    pub is_new: bool,
    /// What the flow counts for: how it ended, its bytes, its time.
    pub counts: EdgeCounts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        use DetectorName::{Carry, Chain, Denied, Failed, Flood, Policy, Transfer};
        for name in [Transfer, Denied, Failed, Carry, Chain, Flood, Policy] {
            assert_eq!(DetectorName::from_word(name.as_str()), Some(name));
        }
        for word in ["", "Chain", "chains", "_", "é"] {
            assert_eq!(DetectorName::from_word(word), None, "{word}");
        }
    }
}

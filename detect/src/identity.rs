//! Detector of changed identities, words: a principal that its entity never proved, or an edge that lost the protection it
//! always had, as a finding's material. Which those are is [`crate::entities`]' to say.

use crate::distributions::P_MIN;
use crate::entities::{Downgrade, Mismatch};
use crate::explain::Explanation;
use crate::finding::{Line, Unusual};
use crate::network::{Edge, Network};
use crate::report::{DetectorName, EdgeCounts, Lapse};
use crate::wording;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What tells an entity's findings apart: another principal; edges without protection, or with half of it; the same of
/// most clients of a destination.
pub(crate) const PRINCIPAL: &str = "principal";
pub(crate) const PLAIN: &str = "plaintext";
pub(crate) const ONE_SIDED: &str = "one-sided TLS";
pub(crate) const CLIENTS_PLAIN: &str = "clients in plaintext";
pub(crate) const CLIENTS_ONE_SIDED: &str = "clients with one-sided TLS";

/// Longest principal that is kept, characters.
pub(crate) const PRINCIPAL_MAX: usize = 256;

/// Length of a window, microseconds, and the lines a finding carries at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) window_length: i64,
    pub(crate) window_end: i64,
    pub(crate) lines_max: usize,
}

/// The changes of a window, one per entity and subject, by name of the entity and subject. `is_open` knows whether a
/// service's own change is told already.
pub(crate) fn of_window(
    network: &Network,
    mismatches: &[Mismatch],
    downgrades: &[Downgrade],
    terms: Terms,
    is_open: impl Fn(u32, &str) -> bool,
) -> Vec<Unusual> {
    let mut all: BTreeMap<(&str, String), Unusual> = BTreeMap::new();
    let mut add = |more: Unusual| match all.entry((network.name(more.source), more.subject.clone())) {
        Entry::Occupied(known) => known.into_mut().add_breach(more, terms.lines_max),
        Entry::Vacant(place) => {
            place.insert(more);
        }
    };
    for mismatch in mismatches {
        add(mismatched(network, mismatch, terms));
    }
    for downgrade in downgrades {
        let is_plain = downgrade.lapses.iter().any(|lapse| lapse.is_plain);
        let subject = if is_plain { CLIENTS_PLAIN } else { CLIENTS_ONE_SIDED };
        let destination = downgrade.lapses.first().map(|lapse| lapse.edge.destination);
        let is_told = destination.is_some_and(|destination| is_open(destination, subject));
        for lapse in &downgrade.lapses {
            if is_told || downgrade.is_of_most() {
                add(lapsed(network, lapse, (lapse.edge.destination, subject), terms));
            } else {
                let subject = if lapse.is_plain { PLAIN } else { ONE_SIDED };
                add(lapsed(network, lapse, (lapse.edge.source, subject), terms));
            }
        }
    }
    all.into_values().collect()
}

fn mismatched(network: &Network, mismatch: &Mismatch, terms: Terms) -> Unusual {
    let Mismatch { proof, usual, since, windows } = mismatch;
    let entity = proof.entity();
    let peer = if proof.is_destination { proof.edge.source } else { proof.edge.destination };
    let port = wording::port(proof.edge.port, proof.counts.protocol_num);
    let observed = format!(
        "{} proved to be {} to {}{port}",
        wording::entity(network, entity),
        proof.principal,
        wording::entity(network, peer),
    );
    let expected = format!("{}, as in {} before", usual.join(" or "), wording::plural(*windows, "window"));
    let baseline = (since.saturating_mul(terms.window_length), *windows);
    unusual(network, (entity, PRINCIPAL), (proof.edge, proof.counts), (observed, expected), baseline, terms)
}

fn lapsed(network: &Network, lapse: &Lapse, (entity, subject): (u32, &str), terms: Terms) -> Unusual {
    let edge = lapse.edge;
    let port = wording::port(edge.port, lapse.counts.protocol_num);
    let how = if lapse.is_plain { "without encryption" } else { "without proving who it is" };
    let observed = format!(
        "{} talked to {}{port} {how}",
        wording::entity(network, edge.source),
        wording::entity(network, edge.destination),
    );
    let expected = format!(
        "both ends prove who they are, as in all {} of {} before",
        wording::plural(lapse.flows, "flow"),
        wording::plural(lapse.windows, "window"),
    );
    let baseline = (lapse.born.saturating_mul(terms.window_length), lapse.windows);
    unusual(network, (entity, subject), (edge, lapse.counts), (observed, expected), baseline, terms)
}

fn unusual(
    network: &Network,
    (entity, subject): (u32, &str),
    (edge, counts): (Edge, EdgeCounts),
    (observed, expected): (String, String),
    (baseline_since, baseline_windows): (i64, u64),
    terms: Terms,
) -> Unusual {
    let line = Line {
        detector: DetectorName::Identity,
        edge,
        counts,
        port_words: wording::port(edge.port, counts.protocol_num),
        is_answered: counts.answered > 0,
        p_value: P_MIN,
        explanation: Explanation {
            observed,
            remark: String::new(),
            expected,
            baseline_since,
            baseline_windows,
            dst_kind: network.kind(edge.destination),
            is_alone: false,
            is_inbound: false,
        },
    };
    Unusual {
        behaviour: DetectorName::Identity,
        p_value: P_MIN,
        ratio: 0.0,
        risk_score: 0.0,
        signals: 1,
        edges: vec![(edge, counts)],
        lines: vec![line],
        decided: terms.window_end,
        subject: subject.to_owned(),
        source: entity,
    }
}

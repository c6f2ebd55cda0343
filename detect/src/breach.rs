//! Detector of breaches of the declared policy: a flow that it denies is unusual by rule, at once, without statistics. One
//! finding per initiator and rule, whatever number of edges break it, and one for all rules beyond the first twenty of an
//! entity; one per agent that has no policy at all, whatever it does.
//!
//! It does not check flows against the policy: that was done when they were normalised.

use crate::distributions::P_MIN;
use crate::entities::View;
use crate::explain::Explanation;
use crate::finding::{Line, Unusual};
use crate::network::{Edge, Network};
use crate::report::{DetectorName, EdgeCounts};
use crate::wording;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What `declared_rule` begins with where the end that decided is an agent without a policy; the end follows.
const AGENT_WITHOUT_POLICY: &str = "default/agent/";
/// That end, where it is the responder.
const RESPONDER: &str = "receive";

/// The subject of an agent's one finding.
pub(crate) const NO_POLICY: &str = "no policy";

/// What the subject begins with where the finding is about one rule.
pub(crate) const RULE_SUBJECT: &str = "rule ";

/// Whose finding a breach is and what tells it from others.
fn subject(edge: Edge, rule: &str) -> (u32, String) {
    match rule.strip_prefix(AGENT_WITHOUT_POLICY) {
        Some(RESPONDER) => (edge.destination, NO_POLICY.to_owned()),
        Some(_) => (edge.source, NO_POLICY.to_owned()),
        None => (edge.source, format!("{RULE_SUBJECT}{rule}")),
    }
}

/// A breach as a finding's material.
pub(crate) fn unusual(network: &Network, edge: Edge, counts: &EdgeCounts, rule: &str) -> Unusual {
    let (entity, subject) = subject(edge, rule);
    let has_policy = !rule.starts_with(AGENT_WITHOUT_POLICY);
    let (source, destination) = (wording::entity(network, edge.source), wording::entity(network, edge.destination));
    let port = wording::port(edge.port, counts.protocol_num);
    let verb = match (counts.answered > 0, counts.denied > 0) {
        (true, _) => "contacted",
        (false, true) => "tried to contact, and was denied,",
        (false, false) => "tried in vain to contact",
    };
    let remark = if has_policy {
        String::from(", which the declared policy denies")
    } else {
        format!("; {} has no policy", wording::entity(network, entity))
    };
    let expected = match (has_policy, rule.is_empty()) {
        (false, _) => String::from("nothing: an agent without a policy is denied everything"),
        (true, true) => String::from("no such flow: the declared policy denies it"),
        (true, false) => format!("no such flow: rule {rule} of the declared policy denies it"),
    };
    let line = Line {
        detector: DetectorName::Policy,
        edge,
        counts: *counts,
        port_words: port.clone(),
        is_answered: counts.answered > 0,
        p_value: P_MIN,
        explanation: Explanation {
            observed: format!("{source} {verb} {destination}{port}"),
            remark,
            expected,
            baseline_since: counts.first,
            baseline_windows: 0,
            dst_kind: network.kind(edge.destination),
            is_alone: false,
            is_inbound: false,
        },
    };
    Unusual {
        behaviour: DetectorName::Policy,
        p_value: P_MIN,
        ratio: 0.0,
        risk_score: 0.0,
        signals: 1,
        edges: vec![(edge, *counts)],
        lines: vec![line],
        decided: counts.first,
        subject,
        source: entity,
    }
}

/// The breaches of a window, one per subject, by name of the entity and subject. `limit` may change the subject.
pub(crate) fn of_window(
    network: &Network,
    view: &View,
    lines_max: usize,
    mut limit: impl FnMut(&mut Unusual),
) -> Vec<Unusual> {
    let mut all: BTreeMap<(&str, String), Unusual> = BTreeMap::new();
    let mut breaches: Vec<_> = view.breaches.iter().collect();
    // The first that was broken is the one to look at first.
    breaches.sort_by_key(|breach| breach.counts.first);
    for breach in breaches {
        let mut more = unusual(network, breach.edge, &breach.counts, &breach.rule);
        limit(&mut more);
        match all.entry((network.name(more.source), more.subject.clone())) {
            Entry::Occupied(known) => known.into_mut().add_breach(more, lines_max),
            Entry::Vacant(place) => {
                place.insert(more);
            }
        }
    }
    all.into_values().collect()
}

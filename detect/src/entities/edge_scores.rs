//! Scores of single edges, for evaluation: what was found of the edge, of its birth and of its ends. No decision hangs on them.

use super::inflow::Judged;
use super::{EdgeScore, JudgedBirth, UnusualSize, View};
use crate::combine;
use crate::network::{Edge, Network};
use crate::report::{DetectorName, EdgeSignal, Facts};
use crate::settings::Settings;
use std::collections::BTreeMap;

/// Signals that an edge can have.
const EDGE_SIGNALS: usize = 10;

/// Scores of the edges that the edge level kept, in its order. `floods` has the p-value of each source's flood.
pub(super) fn of(
    view: &View,
    births: &[JudgedBirth],
    floods: &BTreeMap<u32, f64>,
    inflows: &[Judged],
    network: &Network,
    settings: &Settings,
) -> Vec<EdgeScore> {
    if view.edge_scores.is_empty() {
        return Vec::new();
    }
    let reached: BTreeMap<u32, &Judged> = inflows.iter().map(|judged| (judged.inflow.destination, judged)).collect();
    let mut births = births.iter().peekable();
    let score = |(edge, own): &(Edge, Vec<(DetectorName, EdgeSignal)>)| {
        let mut signals: Vec<(&'static str, f64)> =
            own.iter().map(|(name, signal)| (name.as_str(), signal.p_value)).collect();
        let size = own.iter().find_map(|(_, signal)| match signal.facts {
            Facts::Transfer { is_out, bytes, .. } => Some(UnusualSize { is_out, bytes }),
            _ => None,
        });

        if let Some(birth) = births.next_if(|birth| birth.birth.edge == *edge) {
            signals.push((DetectorName::Destination.as_str(), birth.marked.p_value));
            signals.extend(birth.chain.as_ref().map(|chain| (DetectorName::Chain.as_str(), chain.p_value)));
        }
        signals.extend(floods.get(&edge.source).map(|&p| ("source flood", p)));
        signals.extend(reached.get(&edge.destination).into_iter().flat_map(|judged| judged.signals()));
        EdgeScore {
            source: network.name(edge.source).to_owned(),
            destination: network.name(edge.destination).to_owned(),
            port: edge.port.number(),
            window_start: view.start,
            p_value: combine::cauchy(signals.iter().map(|&(_, p)| p), EDGE_SIGNALS),
            risk_score: combine::risk_score(signals.iter().map(|&(_, p)| p), settings.risk_cap),
            signals,
            size,
        }
    };
    view.edge_scores.iter().map(score).collect()
}

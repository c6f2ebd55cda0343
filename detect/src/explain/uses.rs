//! The words of a use that a known edge never had.

use super::Explainer;
use crate::finding::Line;
use crate::report::{Birth, DetectorName, EdgeSignal};
use crate::{usage, wording};

/// Usual uses that are told.
const USUAL_TOLD: usize = 3;

impl Explainer<'_> {
    /// A use that a known edge never had.
    pub(super) fn new_use(&self, signal: &EdgeSignal, place: u32, (uses, votes): (u32, u32)) -> Line {
        let EdgeSignal { edge, counts, p_value, .. } = *signal;
        let (source, destination) = (self.entity(edge.source), self.entity(edge.destination));
        let new = self.window.uses.get(place as usize);
        let (text, usual) = new.map_or(("", [].as_slice()), |new| (new.text.as_str(), new.had.as_slice()));
        let more = match uses.saturating_sub(1) {
            0 => String::new(),
            more => format!(" and {} more", wording::count(more.into())),
        };
        let port = wording::port(edge.port, counts.protocol_num);
        let remark = match votes {
            0 => String::from("; no other client ever did"),
            votes => format!("; {} did before", wording::plural(votes.into(), "other client")),
        };
        let usual: Vec<String> = usual.iter().take(USUAL_TOLD).map(|text| usage::words(text)).collect();
        let since = signal.born.saturating_mul(self.window.length);
        let expected = format!(
            "what it used in {} since {}{}; chance of such a change {}",
            wording::plural(signal.windows, "window"),
            wording::time(since),
            if usual.is_empty() { String::new() } else { format!(", mostly {}", usual.join(", ")) },
            wording::probability(p_value),
        );
        let words = usage::words(text);
        let observed = match usage::has_request(text) {
            true => format!("{source} asked {destination}{port} for {words}{more} for the first time"),
            false => format!("{source} spoke {words}{more} to {destination}{port} for the first time"),
        };
        let birth = Birth { edge, counts };
        self.line(DetectorName::Protocol, &birth, p_value, observed, remark, expected)
            .since(since, signal.windows)
            .alone(votes == 0)
    }
}

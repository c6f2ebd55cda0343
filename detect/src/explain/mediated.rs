//! The words of ways through what one entity writes and another reads.

use super::Explainer;
use crate::access;
use crate::entities::{Chain, Hop, JudgedBirth};
use crate::finding::Line;
use crate::report::{Birth, DetectorName, EdgeCounts};
use crate::wording;

impl Explainer<'_> {
    /// `agent a wrote to topic tasks at service queue for the first time`; none of a hop that is a contact.
    fn accessed(&self, hop: &Hop) -> Option<String> {
        let passage = self.mediated.passage(hop)?;
        let verb = if passage.is_write { "wrote to" } else { "read" };
        let news = if passage.is_new { " for the first time" } else { "" };
        Some(format!(
            "{} {verb} {} at {}{news}",
            self.entity(hop.edge.source),
            access::words(&passage.resource),
            self.entity(hop.edge.destination),
        ))
    }

    /// What a hop of a path was, and when.
    pub(super) fn hop(&self, hop: &Hop) -> String {
        let done = self.accessed(hop).unwrap_or_else(|| {
            format!(
                "{} contacted {}{}",
                self.entity(hop.edge.source),
                self.entity(hop.edge.destination),
                wording::port(hop.edge.port, None),
            )
        });
        format!("{done} at {}", wording::time(hop.time))
    }

    /// Whether a path goes through something that was written or read.
    pub(super) fn is_mediated(&self, chain: &Chain) -> bool {
        chain.path.iter().any(|hop| self.mediated.passage(hop).is_some())
    }

    /// The edges of a path that were accesses: evidence of a chain, and named with it, though nothing about them alone is told.
    pub(crate) fn accesses(&self, judged: &JudgedBirth, chain: &Chain) -> Vec<Line> {
        let line = |hop: &Hop| {
            let observed = self.accessed(hop)?;
            let counts = EdgeCounts { flows: 1, answered: 1, ..EdgeCounts::nothing(hop.time) };
            let expected = String::from("it was seen on the way, and is part of the path's chance");
            let birth = Birth { edge: hop.edge, counts };
            let line = self.line(DetectorName::Protocol, &birth, chain.p_value, observed, String::new(), expected);
            let (_, since, windows) = self.source_baseline(judged.birth.edge.source);
            Some(line.since(since, windows))
        };
        chain.path.iter().filter_map(line).collect()
    }
}

//! The words of searches: many first contacts in vain, and the floor of scans. Knows no threshold.

use super::Explainer;
use crate::entities::JudgedBirth;
use crate::finding::{Line, Unusual};
use crate::report::{Birth, DetectorName};
use crate::wording;

impl Explainer<'_> {
    /// A first contact among many.
    pub(crate) fn searched(&self, judged: &JudgedBirth, births: &[JudgedBirth]) -> Line {
        let answered = births.iter().filter(|birth| birth.is_answered()).count() as u64;
        let mut line = self.birth(judged);
        line.detector = DetectorName::Scan;
        line.explanation.remark = format!(
            "; of its {} {} answered",
            wording::plural(births.len() as u64, "first contact"),
            wording::count(i64::try_from(answered).unwrap_or(i64::MAX)),
        );
        line
    }

    /// The floor of scans was reached by this contact.
    pub(crate) fn floor(&self, birth: Birth, hosts: usize, ports: usize) -> Unusual {
        let edge = birth.edge;
        let observed = format!(
            "{} tried {} and up to {} of one within 5 minutes, last {}{}",
            self.entity(edge.source),
            wording::plural(hosts as u64, "host"),
            wording::plural(ports as u64, "port"),
            self.entity(edge.destination),
            wording::port(edge.port, birth.counts.protocol_num),
        );
        let (known, since, windows) = self.source_baseline(edge.source);
        let expected = match known {
            Some(known) => format!("fewer than 25 new hosts and 15 new ports of one: {known}"),
            None => String::from("fewer than 25 new hosts and 15 new ports of one"),
        };
        let line = self
            .line(DetectorName::Scan, &birth, crate::distributions::P_MIN, observed, String::new(), expected)
            .since(since, windows);
        Unusual {
            behaviour: DetectorName::Scan,
            p_value: line.p_value,
            ratio: 0.0,
            risk_score: 0.0,
            signals: 1,
            edges: vec![(edge, birth.counts)],
            lines: vec![line],
            decided: birth.counts.first,
            subject: String::new(),
            source: edge.source,
        }
    }
}

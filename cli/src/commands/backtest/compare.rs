//! The findings of two settings beside each other: which appear, vanish or move. Not how they are shown.

use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use tradewind_model::Finding;
use tradewind_model::time::{DAY, HOUR};

/// Findings of one entity and behaviour whose ids differ are still one that moved, when they begin within this time.
const MOVED_MAX: i64 = HOUR;

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Becomes {
    /// Only the changed settings find it.
    Appears,
    /// Only the current settings find it.
    Vanishes,
    /// Both find it, with another severity, time or risk score.
    Moves,
}

impl Becomes {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Appears => "appears",
            Self::Vanishes => "vanishes",
            Self::Moves => "moves",
        }
    }
}

/// A finding that is not the same. One side is there at least.
#[derive(Clone, Debug)]
pub(super) struct Change<'a> {
    pub(super) becomes: Becomes,
    pub(super) before: Option<&'a Finding>,
    pub(super) after: Option<&'a Finding>,
}

impl<'a> Change<'a> {
    /// The finding, as it is after where it is there.
    pub(super) fn finding(&self) -> Option<&'a Finding> {
        self.after.or(self.before)
    }
}

/// The findings of one side, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Counts {
    pub(super) findings: usize,
    /// Over the time that was judged; a time below a day counts as one.
    pub(super) findings_per_day: f64,
    pub(super) by_severity: BTreeMap<&'static str, usize>,
    pub(super) by_behaviour: BTreeMap<String, usize>,
}

impl Counts {
    /// Counts findings; `judged` is how long flows were judged, microseconds.
    pub(super) fn of(findings: &[Finding], judged: i64) -> Self {
        let (mut by_severity, mut by_behaviour) = (BTreeMap::new(), BTreeMap::new());
        for finding in findings {
            *by_severity.entry(finding.severity.as_str()).or_default() += 1;
            *by_behaviour.entry(finding.behaviour.clone()).or_default() += 1;
        }
        let days = judged.max(DAY) as f64 / DAY as f64;
        Self { findings: findings.len(), findings_per_day: findings.len() as f64 / days, by_severity, by_behaviour }
    }
}

/// What differs, in the order of time, and how many findings do not.
pub(super) fn changes<'a>(before: &'a [Finding], after: &'a [Finding]) -> (Vec<Change<'a>>, usize) {
    let mut changes = Vec::new();
    let mut unchanged = 0;
    for (before, after) in pairs(before, after) {
        let becomes = match (before, after) {
            (Some(before), Some(after)) if is_unmoved(before, after) => {
                unchanged += 1;
                continue;
            }
            (Some(_), Some(_)) => Becomes::Moves,
            (Some(_), None) => Becomes::Vanishes,
            (None, _) => Becomes::Appears,
        };
        changes.push(Change { becomes, before, after });
    }
    changes.sort_by_key(|change| change.finding().map(|finding| (finding.time, finding.finding_id.as_str())));
    (changes, unchanged)
}

fn is_unmoved(before: &Finding, after: &Finding) -> bool {
    let key = |finding: &Finding| (finding.severity, finding.time, finding.risk_score.to_bits());
    key(before) == key(after)
}

type Pair<'a> = (Option<&'a Finding>, Option<&'a Finding>);

/// Each finding once: with the other side's of the same id, else with the nearest of the same entity and behaviour.
fn pairs<'a>(before: &'a [Finding], after: &'a [Finding]) -> Vec<Pair<'a>> {
    let by_id: HashMap<&str, &Finding> = after.iter().map(|finding| (finding.finding_id.as_str(), finding)).collect();
    let ids: HashMap<&str, ()> = before.iter().map(|finding| (finding.finding_id.as_str(), ())).collect();
    let mut left: Vec<&Finding> = after.iter().filter(|after| !ids.contains_key(after.finding_id.as_str())).collect();
    let mut pairs = Vec::new();
    for finding in before {
        if let Some(same) = by_id.get(finding.finding_id.as_str()) {
            pairs.push((Some(finding), Some(*same)));
            continue;
        }
        let distance = |other: &Finding| other.first_seen.abs_diff(finding.first_seen);
        let is_near = |other: &Finding| {
            (&other.entity, &other.behaviour) == (&finding.entity, &finding.behaviour)
                && distance(other) <= MOVED_MAX.unsigned_abs()
        };
        let near = (0..left.len()).filter(|&place| is_near(left[place]));
        let nearest = near.min_by_key(|&place| (distance(left[place]), left[place].finding_id.as_str()));
        pairs.push((Some(finding), nearest.map(|place| left.remove(place))));
    }
    pairs.extend(left.into_iter().map(|finding| (None, Some(finding))));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::sample;
    use tradewind_model::Severity;
    use tradewind_model::time::MINUTE;

    fn finding(id: &str, minute: i64) -> Finding {
        Finding { finding_id: id.to_owned(), time: minute * MINUTE, first_seen: minute * MINUTE, ..sample() }
    }

    fn check(before: &[Finding], after: &[Finding], expected: &[(&str, &str)], same: usize) {
        let (changes, unchanged) = changes(before, after);
        let found: Vec<(&str, &str)> = changes
            .iter()
            .map(|change| (change.becomes.as_str(), change.finding().map_or("", |finding| finding.finding_id.as_str())))
            .collect();
        assert_eq!((found.as_slice(), unchanged), (expected, same));
    }

    #[test]
    fn findings_appear_vanish_and_move() {
        let severe = Finding { severity: Severity::Critical, ..finding("a", 0) };
        let other = Finding { entity: "other".to_owned(), ..finding("b", 0) };
        check(&[], &[], &[], 0);
        check(&[finding("a", 0)], &[finding("a", 0)], &[], 1);
        check(&[finding("a", 0)], &[severe], &[("moves", "a")], 0);
        check(&[finding("a", 0)], &[], &[("vanishes", "a")], 0);
        check(&[], &[finding("a", 0)], &[("appears", "a")], 0);
        check(&[finding("a", 0)], &[other], &[("vanishes", "a"), ("appears", "b")], 0);
    }

    #[test]
    fn another_id_near_by_is_a_move() {
        check(&[finding("a", 0)], &[finding("b", 5)], &[("moves", "b")], 0);
        check(&[finding("a", 0)], &[finding("b", 61)], &[("vanishes", "a"), ("appears", "b")], 0);
        // The nearest is taken, and each only once.
        let (before, after) = ([finding("a", 0), finding("b", 10)], [finding("c", 9)]);
        check(&before, &after, &[("moves", "c"), ("vanishes", "b")], 0);
    }

    #[test]
    fn a_short_time_counts_as_a_day() {
        let findings = [finding("a", 0), finding("b", 1)];
        let of = |judged| Counts::of(&findings, judged).findings_per_day;
        assert_eq!((of(HOUR), of(4 * DAY)), (2.0, 0.5));
        assert_eq!(Counts::of(&findings, DAY).by_severity, BTreeMap::from([("high", 2)]));
    }
}

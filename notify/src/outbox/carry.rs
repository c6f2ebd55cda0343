//! Which findings of an incident an alert carries, so that a receiver that keeps them gets each at least once, however many the
//! incident has. Knows no file.

use crate::alert::{Action, FINDINGS_MAX};
use std::cmp::Reverse;
use std::collections::HashSet;
use tradewind_model::Finding;

/// Findings that an alert can owe its receiver: one place is for the gravest of all, which leads it.
const OWED_MAX: usize = FINDINGS_MAX - 1;

/// The gravest and strongest first.
pub(super) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|one, other| {
        let by_severity = Reverse(one.severity).cmp(&Reverse(other.severity));
        by_severity.then(other.risk_score.total_cmp(&one.risk_score)).then(one.time.cmp(&other.time))
    });
}

/// The alerts that tell of these findings, in order: one where few are owed, or where the receiver only wants to know of the
/// incident; else the first opens, the last ends. Who only wants to know of the incident is told of nothing more by an
/// acknowledgement or an end (a pager's have no text at all): what is new then goes before it.
pub(super) fn parts(carries_all: bool, action: Action, owed: &[String]) -> Vec<(Action, Vec<String>)> {
    if !carries_all {
        let is_bare = matches!(action, Action::Acknowledge | Action::Resolve);
        let news = (is_bare && !owed.is_empty()).then_some(Action::Update);
        return news.into_iter().chain([action]).map(|action| (action, Vec::new())).collect();
    }
    if owed.len() <= OWED_MAX {
        return vec![(action, owed.to_vec())];
    }
    let mut parts: Vec<_> = owed.chunks(OWED_MAX).map(|part| (Action::Update, part.to_vec())).collect();
    let last = parts.len() - 1;
    let place = if action == Action::Open { 0 } else { last };
    parts[place].0 = action;
    parts
}

/// As many parts as these findings can have, with one that goes before an end.
pub(super) fn parts_max(owed: &[String]) -> u32 {
    u32::try_from(owed.len() / OWED_MAX).unwrap_or(u32::MAX - 2) + 2
}

/// What is owed by two alerts that become one; none where that is too much for one.
pub(super) fn both(before: &[String], after: &[String]) -> Option<Vec<String>> {
    let known: HashSet<&String> = before.iter().collect();
    let both: Vec<String> = before.iter().chain(after.iter().filter(|id| !known.contains(id))).cloned().collect();
    (both.len() <= OWED_MAX).then_some(both)
}

/// Makes room for what is owed among the findings of an alert, which are sorted: the gravest stays, others go.
pub(super) fn load(findings: &mut Vec<Finding>, owed: Vec<Finding>) {
    let ids: HashSet<&str> = owed.iter().map(|finding| finding.finding_id.as_str()).collect();
    let lead = findings.first().is_some_and(|lead| !ids.contains(lead.finding_id.as_str()));
    let room = FINDINGS_MAX.saturating_sub(owed.len()).max(usize::from(lead));
    findings.retain(|finding| !ids.contains(finding.finding_id.as_str()));
    findings.truncate(room);
    findings.extend(owed);
    sort(findings);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::finding;
    use tradewind_model::Severity;

    fn ids(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|number| format!("f{number}")).collect()
    }

    #[test]
    fn each_finding_is_in_a_part() {
        let shape = |action, count| -> Vec<(Action, usize)> {
            parts(true, action, &ids(0..count)).into_iter().map(|(action, owed)| (action, owed.len())).collect()
        };
        assert_eq!(shape(Action::Open, 0), [(Action::Open, 0)]);
        assert_eq!(shape(Action::Update, 19), [(Action::Update, 19)]);
        assert_eq!(shape(Action::Open, 40), [(Action::Open, 19), (Action::Update, 19), (Action::Update, 2)]);
        assert_eq!(shape(Action::Resolve, 20), [(Action::Update, 19), (Action::Resolve, 1)]);
        assert_eq!(parts(false, Action::Open, &ids(0..40)), [(Action::Open, vec![])]);
    }

    #[test]
    fn who_is_told_of_the_incident_alone_hears_of_what_is_new_before_its_end() {
        let actions = |action, count| -> Vec<Action> {
            parts(false, action, &ids(0..count)).into_iter().map(|(action, _)| action).collect()
        };
        assert_eq!(actions(Action::Resolve, 1), [Action::Update, Action::Resolve]);
        assert_eq!(actions(Action::Acknowledge, 30), [Action::Update, Action::Acknowledge]);
        assert_eq!(actions(Action::Resolve, 0), [Action::Resolve]);
        assert_eq!(actions(Action::Update, 1), [Action::Update]);
    }

    #[test]
    fn alerts_become_one_while_there_is_room() {
        assert_eq!(both(&ids(0..10), &ids(5..19)).unwrap(), ids(0..19));
        assert_eq!(both(&ids(0..10), &ids(10..20)), None);
    }

    #[test]
    fn the_gravest_leads_and_what_is_owed_is_there() {
        let mut carried: Vec<Finding> = ids(0..20).iter().map(|id| finding(id)).collect();
        carried[0].severity = Severity::Critical;
        let mut owed: Vec<Finding> = ids(100..119).iter().map(|id| finding(id)).collect();
        owed.iter_mut().for_each(|finding| finding.severity = Severity::Low);
        load(&mut carried, owed.clone());
        assert_eq!(carried.len(), FINDINGS_MAX);
        assert_eq!(carried[0].finding_id, "f0");
        assert!(owed.iter().all(|owed| carried.contains(owed)));
        load(&mut carried, vec![finding("f0")]);
        assert_eq!((carried.len(), carried.iter().filter(|finding| finding.finding_id == "f0").count()), (20, 1));
    }
}

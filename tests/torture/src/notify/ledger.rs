//! What one receiver was told, incident by incident, and what of it breaks the promise: at least once, in order, opened once. Where it
//! came from is not known here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Examples of what was wrong that are kept.
const EXAMPLES_MAX: usize = 5;

/// What a receiver is told of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Open,
    Update,
    /// An alert of which the receiver alone knows whether it opens something.
    Trigger,
    Resolve,
}

impl Action {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        match word {
            "open" => Some(Self::Open),
            "update" => Some(Self::Update),
            "trigger" => Some(Self::Trigger),
            "resolve" => Some(Self::Resolve),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct Told {
    is_open: bool,
    openings: u64,
    ends: u64,
    /// Flows of the last state: they grow with each.
    flows: i64,
}

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    incidents: HashMap<String, Told>,
    findings: HashSet<String>,
    /// Of those, what came first when the end of its incident was told already.
    late: HashSet<String>,
    /// Alerts that were taken in.
    pub(super) taken: u64,
    /// Of those, how many said nothing new.
    pub(super) repeated: u64,
    /// Signs of life.
    pub(super) heartbeats: u64,
    /// Alerts that came after a newer one of their incident, or after its end.
    pub(super) disordered: u64,
    /// Requests that break the contract.
    pub(super) violations: u64,
    pub(super) examples: Vec<String>,
}

impl Ledger {
    /// An alert was taken in. `flows` is missing where a receiver is not told of them.
    pub(super) fn take(&mut self, incident: &str, action: Action, flows: Option<i64>, findings: Vec<String>) {
        self.taken += 1;
        let told = self.incidents.entry(incident.to_owned()).or_default();
        let is_over = told.ends > 0;
        for finding in findings {
            if self.findings.insert(finding.clone()) && is_over {
                self.late.insert(finding);
            }
        }
        let is_older = flows.is_some_and(|flows| flows < told.flows);
        let mut is_same = flows.is_none_or(|flows| flows == told.flows);
        let wrong = match action {
            Action::Resolve => {
                is_same &= is_over;
                told.ends += u64::from(told.is_open);
                let is_unknown = told.openings == 0;
                told.is_open = false;
                is_unknown.then_some("an end of what was never opened")
            }
            Action::Open | Action::Update | Action::Trigger => {
                let is_first = told.openings == 0;
                if !told.is_open {
                    told.openings += 1;
                    told.is_open = true;
                }
                match action {
                    _ if is_over => Some("an alert after the end"),
                    Action::Update if is_first => Some("an update before the first alert"),
                    _ => None,
                }
            }
        };
        self.repeated += u64::from(is_same);
        told.flows = told.flows.max(flows.unwrap_or_default());
        let wrong = wrong.or(is_older.then_some("an alert after a newer one"));
        if let Some(wrong) = wrong {
            self.disordered += 1;
            self.example(format!("{incident}: {wrong} ({action:?}, {flows:?} flows)"));
        }
    }

    /// Part of a message that was taken in before.
    pub(super) fn take_again(&mut self, findings: Vec<String>) {
        self.taken += 1;
        self.repeated += 1;
        self.findings.extend(findings);
    }

    /// Whether the end of an incident was told.
    pub(super) fn is_over(&self, incident: &str) -> bool {
        self.incidents.get(incident).is_some_and(|told| told.ends > 0 && !told.is_open)
    }

    /// A request that no vendor would take.
    pub(super) fn violation(&mut self, what: &str) {
        self.violations += 1;
        self.example(format!("breaks the contract: {what}"));
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text);
        }
    }

    /// Whether each finding and the end of each incident is here.
    pub(super) fn has_all(&self, findings: usize, incidents: usize) -> bool {
        self.findings.len() >= findings && self.incidents.values().filter(|told| told.ends > 0).count() >= incidents
    }

    /// Of these findings, those that are here.
    pub(super) fn arrived<'a>(&self, findings: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
        findings.into_iter().filter(|id| self.findings.contains(*id)).map(String::as_str).collect()
    }

    /// Whether a finding came first after the end of its incident.
    pub(super) fn is_late(&self, finding: &str) -> bool {
        self.late.contains(finding)
    }

    /// Of how many incidents something is so many times: `(openings, ends)` by their number.
    pub(super) fn states(&self) -> BTreeMap<(u64, u64), u64> {
        let mut states = BTreeMap::new();
        for told in self.incidents.values() {
            *states.entry((told.openings, told.ends)).or_default() += 1;
        }
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong after these, as the number of alerts out of order, and the openings and ends.
    fn check(alerts: &[(&str, i64)], disordered: u64, states: (u64, u64)) {
        let mut ledger = Ledger::default();
        for (word, flows) in alerts {
            let flows = (*word != "resolve").then_some(*flows);
            ledger.take("i", Action::from_word(word).expect("a word"), flows, Vec::new());
        }
        assert_eq!(ledger.disordered, disordered, "{alerts:?}: {:?}", ledger.examples);
        assert_eq!(ledger.states().into_keys().collect::<Vec<_>>(), [states], "{alerts:?}");
    }

    #[test]
    fn what_breaks_the_promise_is_counted() {
        check(&[("trigger", 1), ("trigger", 1), ("trigger", 2), ("resolve", 0), ("resolve", 0)], 0, (1, 1));
        check(&[("trigger", 1), ("resolve", 0), ("trigger", 1)], 1, (2, 1));
        check(&[("trigger", 1), ("resolve", 0), ("trigger", 1), ("resolve", 0)], 1, (2, 2));
        check(&[("open", 1), ("update", 3), ("update", 2)], 1, (1, 0));
        check(&[("update", 1)], 1, (1, 0));
        check(&[("resolve", 0)], 1, (0, 0));
        check(&[("open", 1), ("open", 2), ("update", 2), ("resolve", 0)], 0, (1, 1));
    }

    #[test]
    fn all_is_here_when_each_end_is() {
        let mut ledger = Ledger::default();
        ledger.take("i", Action::Open, Some(1), vec!["f".to_owned()]);
        assert!(!ledger.has_all(1, 1));
        ledger.take("i", Action::Resolve, None, Vec::new());
        assert!(ledger.has_all(1, 1) && !ledger.has_all(2, 1));
        assert_eq!(ledger.arrived([&"f".to_owned(), &"g".to_owned()]).len(), 1);
        ledger.take("i", Action::Resolve, None, vec!["f".to_owned(), "g".to_owned()]);
        assert!(ledger.is_late("g") && !ledger.is_late("f"));
    }
}

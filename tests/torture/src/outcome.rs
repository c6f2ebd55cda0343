//! What a run found: of one round, and of all of them together, as it is reported and kept.

use crate::oracle::Judgement;
use crate::system::LogKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) epochs: u64,
    pub(crate) acknowledged: u64,
    /// Sent and never acknowledged.
    pub(crate) unknown: u64,
    /// Rows of table `flows`.
    pub(crate) in_lake: u64,
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) foreign: u64,
    pub(crate) dead_letters_expected: u64,
    pub(crate) dead_letters: u64,
    pub(crate) findings: u64,
    /// Of the undisturbed run.
    pub(crate) findings_expected: u64,
    pub(crate) finding_differences: Vec<String>,
    /// How long it took until all was in the lake, once nothing was disturbed any more, seconds.
    pub(crate) drain_s: u64,
    /// Whether `tradewind lake verify` found the lake whole.
    pub(crate) is_lake_whole: bool,
    pub(crate) faults: u64,
    pub(crate) faults_by_kind: BTreeMap<String, u64>,
    /// How often the embedded log said that it had cut a torn write off.
    pub(crate) torn_ends_cut: u64,
    /// How often the broker left markers of a decided transaction out, as Apache Kafka 4.3.1 does when it is killed and started at
    /// the wrong moment (KAFKA-20734): it then breaks its own promise, and what comes of it is not the service's doing.
    pub(crate) broker_lost_markers: u64,
    /// Starts of the service's processes.
    pub(crate) starts: u64,
    pub(crate) requests: u64,
    pub(crate) retries: u64,
    /// What else was not as it should be: processes that ended by themselves or did not end, requests that were refused.
    pub(crate) troubles: Vec<String>,
    pub(crate) examples: Vec<String>,
}

impl Outcome {
    pub(crate) fn take(&mut self, judged: Judgement) {
        self.acknowledged = judged.acknowledged;
        self.unknown = judged.unknown;
        self.in_lake = judged.in_lake;
        self.missing = judged.missing;
        self.doubled = judged.doubled;
        self.foreign = judged.foreign;
        self.dead_letters_expected = judged.letters_expected;
        self.dead_letters = judged.letters_found;
        self.examples = judged.examples;
    }

    pub(crate) fn is_right(&self) -> bool {
        let wrong = self.missing + self.doubled + self.foreign;
        wrong == 0
            && self.acknowledged > 0
            && self.dead_letters == self.dead_letters_expected
            && self.finding_differences.is_empty()
            && self.is_lake_whole
            && self.troubles.is_empty()
    }

    /// Whether it says nothing of the service, since the broker itself failed.
    pub(crate) fn is_void(&self) -> bool {
        self.broker_lost_markers > 0 && !self.is_right()
    }

    /// One line for a person.
    pub(crate) fn line(&self) -> String {
        let Self { seed, seconds, acknowledged, in_lake, missing, doubled, foreign, faults, .. } = self;
        let Self { dead_letters, dead_letters_expected, findings, findings_expected, drain_s, .. } = self;
        format!(
            "{}: seed {seed}, {faults} faults in {seconds} s; acknowledged {acknowledged}, in the lake {in_lake}, missing {missing}, \
             doubled {doubled}, foreign {foreign}; dead letters {dead_letters} of {dead_letters_expected}; findings {findings}, of the \
             undisturbed run {findings_expected}, differences {}; drained in {drain_s} s; troubles {}",
            match (self.is_right(), self.is_void()) {
                (true, _) => "right",
                (_, true) => "VOID, the broker lost transaction markers",
                _ => "WRONG",
            },
            self.finding_differences.len(),
            self.troubles.len()
        )
    }
}

/// All rounds of a run, kept so that it can be gone on with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) log: LogKind,
    pub(crate) seed: u64,
    /// Faults that are asked for.
    pub(crate) faults_wanted: u64,
    pub(crate) rate: u64,
    pub(crate) records_min: u64,
    pub(crate) rounds: Vec<Outcome>,
    /// Rounds that say nothing, and were repeated with another seed.
    pub(crate) void_rounds: Vec<Outcome>,
}

/// The sums over all rounds, as they are printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report<'a> {
    acknowledged: u64,
    in_lake: u64,
    missing: u64,
    doubled: u64,
    foreign: u64,
    faults: u64,
    unknown: u64,
    dead_letters_expected: u64,
    dead_letters: u64,
    findings: u64,
    findings_equal: bool,
    faults_by_kind: BTreeMap<&'a str, u64>,
    seconds: u64,
    is_right: bool,
    #[serde(flatten)]
    totals: &'a Totals,
}

impl Totals {
    pub(crate) fn faults(&self) -> u64 {
        self.sum(|round| round.faults)
    }

    pub(crate) fn is_right(&self) -> bool {
        self.rounds.iter().all(Outcome::is_right)
    }

    fn sum(&self, of: impl Fn(&Outcome) -> u64) -> u64 {
        self.rounds.iter().map(of).sum()
    }

    pub(crate) fn report(&self) -> Report<'_> {
        let mut faults_by_kind = BTreeMap::new();
        for (kind, count) in self.rounds.iter().flat_map(|round| &round.faults_by_kind) {
            *faults_by_kind.entry(kind.as_str()).or_default() += count;
        }
        Report {
            acknowledged: self.sum(|round| round.acknowledged),
            in_lake: self.sum(|round| round.in_lake),
            missing: self.sum(|round| round.missing),
            doubled: self.sum(|round| round.doubled),
            foreign: self.sum(|round| round.foreign),
            faults: self.faults(),
            unknown: self.sum(|round| round.unknown),
            dead_letters_expected: self.sum(|round| round.dead_letters_expected),
            dead_letters: self.sum(|round| round.dead_letters),
            findings: self.sum(|round| round.findings),
            findings_equal: self.rounds.iter().all(|round| round.finding_differences.is_empty()),
            faults_by_kind,
            seconds: self.sum(|round| round.seconds),
            is_right: self.is_right(),
            totals: self,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn round() -> Outcome {
        Outcome {
            acknowledged: 10,
            in_lake: 9,
            dead_letters: 1,
            dead_letters_expected: 1,
            is_lake_whole: true,
            faults: 20,
            ..Outcome::default()
        }
    }

    fn check(change: impl FnOnce(&mut Outcome), expected: bool) {
        let mut outcome = round();
        change(&mut outcome);
        assert_eq!(outcome.is_right(), expected, "{outcome:?}");
        assert_eq!(outcome.line().starts_with("right"), expected);
    }

    #[test]
    fn anything_wrong_is_wrong() {
        check(|_| {}, true);
        check(|outcome| outcome.missing = 1, false);
        check(|outcome| outcome.doubled = 1, false);
        check(|outcome| outcome.foreign = 1, false);
        check(|outcome| outcome.dead_letters = 0, false);
        check(|outcome| outcome.acknowledged = 0, false);
        check(|outcome| outcome.is_lake_whole = false, false);
        check(|outcome| outcome.troubles.push("store-0 ended".to_owned()), false);
        check(|outcome| outcome.finding_differences.push("a scan is missing".to_owned()), false);
    }

    #[test]
    fn what_the_broker_broke_is_neither_right_nor_wrong() {
        let check = |missing, broker_lost_markers, expected: &str| {
            let outcome = Outcome { missing, broker_lost_markers, ..round() };
            assert!(outcome.line().starts_with(expected), "{}", outcome.line());
        };
        check(0, 1, "right");
        check(1, 0, "WRONG");
        check(1, 1, "VOID");
    }

    #[test]
    fn rounds_are_summed() {
        let rounds = vec![round(), Outcome { missing: 2, ..round() }];
        let totals = Totals {
            log: LogKind::Kafka,
            seed: 1,
            faults_wanted: 40,
            rate: 100,
            records_min: 0,
            rounds,
            void_rounds: Vec::new(),
        };
        let report = serde_json::to_value(totals.report()).unwrap();
        for (key, expected) in
            [("acknowledged", 20), ("in_lake", 18), ("missing", 2), ("doubled", 0), ("foreign", 0), ("faults", 40)]
        {
            assert_eq!(report[key], expected, "{key}");
        }
        assert!(!totals.is_right());
    }
}

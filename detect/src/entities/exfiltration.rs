//! Detector of exfiltration, the entity's half: far more data over an edge that should not be there, or data that was gathered
//! and is now sent on.
//!
//! - **New sink, new source.** The p-value of what a young edge moved ([`crate::edges`]) and that of its birth are independent:
//!   Fisher's product, times the young edges tested.
//! - **Gathered, then sent.** What an entity took in unusually over young edges within the last hours, and what it sends
//!   unusually now, over whichever edge: Fisher's product of both, the first times the windows that were looked at. Only data
//!   from inside is gathered, and whoever is outside has no data of ours to send.
//!
//! Backups and nightly copies go over edges that are not young, and so are not seen here; what an edge with a past sends is
//! `transfer`'s, and counts here only after something was gathered.

use super::JudgedBirth;
use crate::combine::fisher;
use crate::exact;
use crate::network::Network;
use crate::report::{DetectorName, EDGE_DETECTORS, EdgeSignal, Facts, SourceDigest, Tests};
use serde::{Deserialize, Serialize};
use tradewind_model::entity::EntityKind;

/// What was gathered is remembered so long, windows of five minutes: six hours.
const REMEMBERED: u64 = 72;
/// What is gathered or sent with a higher p-value is not unusual.
const UNUSUAL: f64 = 0.05;

/// The most unusual that an entity took in lately.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Hoard {
    window: i64,
    /// Windows that were looked at since nothing was remembered.
    looks: u32,
    /// -ln p.
    #[serde(with = "exact")]
    evidence: f64,
}

/// What an entity moved in one window, by p-values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// Joined with the births of edges.
    whole: f64,
    /// Of these, taken in from inside.
    gathered: f64,
    /// Sent, over whichever edge.
    sent: f64,
    /// Whether anything could have been gathered: young edges were tested.
    is_looked_at: bool,
}

fn tests_of(digest: &SourceDigest, name: DetectorName) -> &Tests {
    let place = EDGE_DETECTORS.iter().position(|&known| known == name).expect("a detector of the edge level");
    &digest.tests[place]
}

/// p-value of a young edge's amount with its birth.
pub(super) fn p_of(signal: &EdgeSignal, births: &[JudgedBirth]) -> f64 {
    let Facts::Amount { novelty, .. } = signal.facts else { return 1.0 };
    let birth = births.iter().find(|birth| birth.birth.edge == signal.edge);
    fisher(signal.p_value, birth.map_or(novelty, |birth| birth.marked.p_value))
}

impl Moved {
    /// What was moved, by the tests of edges; none where nothing was tested.
    pub(super) fn of(digest: &SourceDigest, births: &[JudgedBirth], network: &Network) -> Option<Self> {
        let amounts = tests_of(digest, DetectorName::Exfiltration);
        let sizes = tests_of(digest, DetectorName::Transfer);
        if network.kind(digest.source) == EntityKind::External || amounts.sum.tests + sizes.sum.tests == 0 {
            return None;
        }
        let mut moved = Self { whole: 1.0, gathered: 1.0, sent: 1.0, is_looked_at: amounts.sum.tests > 0 };
        let is_inside = |signal: &EdgeSignal| network.kind(signal.edge.destination) != EntityKind::External;
        for signal in &amounts.top {
            let p_value = (p_of(signal, births) * amounts.sum.tests as f64).min(1.0);
            moved.whole = moved.whole.min(p_value);
            match signal.facts {
                Facts::Amount { is_out: true, .. } => moved.sent = moved.sent.min(p_value),
                _ if is_inside(signal) => moved.gathered = moved.gathered.min(p_value),
                _ => (),
            }
        }
        for signal in &sizes.top {
            if let Facts::Transfer { is_out: true, .. } = signal.facts {
                moved.sent = moved.sent.min(signal.p_value * sizes.sum.tests as f64);
            }
        }
        Some(moved)
    }

    /// p-value of it all: twice the lower of both stories, where something was gathered before.
    pub(super) fn p_value(&self, hoard: Option<&Hoard>, index: i64) -> f64 {
        let before = hoard.filter(|_| self.sent < UNUSUAL).and_then(|hoard| hoard.p_value(index));
        before.map_or(self.whole, |before| (2.0 * self.whole.min(fisher(before, self.sent))).min(1.0))
    }
}

impl Hoard {
    /// p-value of what was gathered before this window, within the time that is remembered.
    fn p_value(&self, index: i64) -> Option<f64> {
        let age = index.checked_sub(self.window)?.unsigned_abs();
        let is_recent = self.evidence > 0.0 && (1..=REMEMBERED).contains(&age);
        is_recent.then(|| ((-self.evidence).exp() * f64::from(self.looks)).min(1.0))
    }

    /// Takes a window in: the stronger stays, while it is remembered.
    pub(super) fn learn(&mut self, index: i64, moved: &Moved) {
        if !moved.is_looked_at {
            return;
        }
        if self.p_value(index).is_none() {
            *self = Self::default();
        }
        self.looks = self.looks.saturating_add(1);
        let evidence = -moved.gathered.ln();
        if moved.gathered < UNUSUAL && evidence > self.evidence {
            (self.window, self.evidence) = (index, evidence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows as (index, gathered, sent); the p-value of the last.
    fn check(windows: &[(i64, f64, f64)], low: f64, high: f64) {
        let mut hoard = Hoard::default();
        let mut p_value = 1.0;
        for &(index, gathered, sent) in windows {
            let moved = Moved { whole: gathered.min(sent), gathered, sent, is_looked_at: true };
            p_value = moved.p_value(Some(&hoard), index);
            hoard.learn(index, &moved);
        }
        assert!((low..=high).contains(&p_value), "{windows:?}: {p_value}");
    }

    #[test]
    fn what_is_gathered_and_then_sent_is_worse_than_either() {
        check(&[(10, 1e-3, 1.0), (16, 1.0, 1e-3)], 1e-5, 2e-4);
        // Sent first, long ago, or in the same window.
        check(&[(10, 1.0, 1e-3), (16, 1e-3, 1.0)], 1e-3, 1e-3);
        check(&[(10, 1e-3, 1.0), (100, 1.0, 1e-3)], 1e-3, 1e-3);
        check(&[(10, 1e-3, 1e-3)], 1e-3, 1e-3);
        // What is usual is not gathered, and a weaker window does not hide the stronger.
        check(&[(10, 0.2, 1.0), (16, 1.0, 1e-3)], 1e-3, 1e-3);
        check(&[(10, 1e-6, 1.0), (11, 0.04, 1.0), (12, 1.0, 1e-3)], 0.0, 2e-6);
    }

    /// Uniform p-values: what is told is not too small too often.
    #[test]
    fn p_values_under_the_null_are_not_overstated() {
        let mut state = 9_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut hoard = Hoard::default();
        let mut p_values = Vec::new();
        for index in 0..100_000 {
            let (gathered, sent) = (uniform(), uniform());
            let whole = (2.0_f64 * gathered.min(sent)).min(1.0);
            let moved = Moved { whole, gathered, sent, is_looked_at: true };
            p_values.push(moved.p_value(Some(&hoard), index));
            hoard.learn(index, &moved);
        }
        for level in [0.1, 0.01, 0.001] {
            let share = p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
            assert!(share <= level * 1.3, "P(p <= {level}) = {share}");
        }
    }
}

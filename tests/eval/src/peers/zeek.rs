//! The thresholds that Zeek ships: `policy/misc/scan.zeek` (25 hosts on one port, or 15 ports of one host, failed within five
//! minutes) and `policy/protocols/ssh/detect-bruteforcing.zeek` (30 failed logins within thirty minutes).
//!
//! A score is the largest count in its epoch so far as a share of its threshold: from 1 on Zeek would have raised a notice. The log
//! of connections does not tell of logins: connections of one source to one port that failed stand for them.

use crate::flows::{Flow, Stream};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use tradewind_model::Outcome;
use tradewind_model::time::MINUTE;

/// `addr_scan_interval` and `port_scan_interval`.
const SCAN_EPOCH: i64 = 5 * MINUTE;
/// `addr_scan_threshold`.
const HOSTS: f64 = 25.0;
/// `port_scan_threshold`.
const PORTS: f64 = 15.0;
/// `guessing_timeout`.
const GUESSING_EPOCH: i64 = 30 * MINUTE;
/// `password_guesses_limit`.
const GUESSES: f64 = 30.0;

/// Different things that a key met in its epoch. Epochs follow one another without overlap, as `SumStats` has them.
struct Distinct<Key, Item> {
    epoch: i64,
    length: i64,
    met: HashMap<Key, HashSet<Item>>,
}

impl<Key: Eq + Hash, Item: Eq + Hash> Distinct<Key, Item> {
    fn new(length: i64) -> Self {
        Self { epoch: i64::MIN, length, met: HashMap::new() }
    }

    /// How many the key has met in this epoch; with an item, that one included.
    fn count(&mut self, time: i64, key: Key, item: Option<Item>) -> f64 {
        let epoch = time.div_euclid(self.length);
        if epoch != self.epoch {
            (self.epoch, self.met) = (epoch, HashMap::new());
        }
        let met = self.met.entry(key).or_default();
        met.extend(item);
        met.len() as f64
    }
}

/// The share of the nearest threshold that a flow's source has reached.
pub(super) fn thresholds(stream: &Stream) -> Vec<f64> {
    let mut hosts = Distinct::new(SCAN_EPOCH);
    let mut ports = Distinct::new(SCAN_EPOCH);
    let mut guesses = Distinct::new(GUESSING_EPOCH);
    let mut score = |(place, flow): (usize, &Flow)| {
        let Flow { time, source, destination, port, .. } = *flow;
        let has_failed = matches!(flow.outcome, Outcome::Failed | Outcome::Denied);
        let hosts = hosts.count(time, (source, port), has_failed.then_some(destination));
        let ports = ports.count(time, (source, destination), has_failed.then_some(port));
        let guesses = guesses.count(time, (source, port), has_failed.then_some(place));
        (hosts / HOSTS).max(ports / PORTS).max(guesses / GUESSES)
    };
    stream.flows.iter().enumerate().map(&mut score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::stream;

    /// The highest score of flows, each minutes, destination and port from one source.
    fn check(flows: &[(f64, u32, u16)], outcome: Outcome, expected: f64) {
        let mut stream = stream(flows);
        stream.flows.iter_mut().for_each(|flow| flow.outcome = outcome);
        let found = thresholds(&stream).into_iter().fold(0.0, f64::max);
        assert!((found - expected).abs() < 1e-12, "{flows:?}: {found}");
    }

    #[test]
    fn notices_come_at_the_shipped_thresholds() {
        let hosts: Vec<(f64, u32, u16)> = (1..=25).map(|host| (0.1, host, 22)).collect();
        check(&hosts, Outcome::Failed, 1.0);
        check(&hosts, Outcome::Allowed, 0.0);
        check(&hosts[..24], Outcome::Failed, 0.96);
        let ports: Vec<(f64, u32, u16)> = (1..=15).map(|port| (0.1, 1, port)).collect();
        check(&ports, Outcome::Denied, 1.0);
        let guesses: Vec<(f64, u32, u16)> = (0..30).map(|minute| (f64::from(minute), 1, 22)).collect();
        check(&guesses, Outcome::Failed, 1.0);
        // Epochs do not overlap: a scan over the border counts twice from one.
        let slow: Vec<(f64, u32, u16)> = hosts.iter().map(|&(_, host, port)| (f64::from(host), host, port)).collect();
        check(&slow, Outcome::Failed, 25.0 / 30.0);
    }
}

//! Findings on a labelled stream: what a person would be told after threshold, cool-down and grouping.

use crate::flows::Stream;
use crate::metrics::median;
use crate::units::{Units, rounded, words};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::Finding;
use tradewind_model::time::SECOND;

/// What was told.
#[derive(Debug)]
pub(crate) struct Incidents {
    pub(crate) told: usize,
    pub(crate) about_attacks: usize,
    pub(crate) episodes: BTreeSet<u32>,
    pub(crate) seconds_to_detection: Option<f64>,
    pub(crate) false_by_kind: BTreeMap<String, usize>,
    by_behaviour: BTreeMap<String, usize>,
}

impl Incidents {
    pub(crate) fn of(findings: &[Finding], units: &Units<'_>, stream: &Stream, train_until: i64) -> Self {
        // The first time each was told, and the last word on it.
        let mut all: BTreeMap<&str, (i64, &Finding)> = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.last_seen >= train_until) {
            all.entry(&finding.finding_id).or_insert((finding.time, finding)).1 = finding;
        }
        let mut incidents = Self {
            told: all.len(),
            about_attacks: 0,
            episodes: BTreeSet::new(),
            seconds_to_detection: None,
            false_by_kind: BTreeMap::new(),
            by_behaviour: BTreeMap::new(),
        };
        let mut first: BTreeMap<u32, i64> = BTreeMap::new();
        for (time, finding) in all.values() {
            *incidents.by_behaviour.entry(finding.behaviour.clone()).or_default() += 1;
            let from = (finding.entity.as_str(), finding.first_seen);
            let to = (finding.entity.as_str(), finding.last_seen);
            let covered: Vec<usize> = units.places.range(from..=to).map(|(_, &place)| place).collect();
            if covered.iter().any(|&place| units.truth[place].is_attack) {
                incidents.about_attacks += 1;
            } else {
                let kind = covered
                    .first()
                    .map_or_else(|| String::from("ordinary traffic"), |&place| units.kind(place, &stream.words));
                *incidents.false_by_kind.entry(kind).or_default() += 1;
            }
            for &episode in covered.iter().flat_map(|&place| &units.truth[place].episodes) {
                let known = first.entry(episode).or_insert(i64::MAX);
                // A finding that was open before tells of the episode when the window with its flows closed.
                *known = (*known).min((*time).max(units.episodes[&episode]));
                incidents.episodes.insert(episode);
            }
        }
        let seconds = first.iter().map(|(episode, &time)| (time - units.episodes[episode]) as f64 / SECOND as f64);
        incidents.seconds_to_detection = median(seconds.collect());
        incidents
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "findings": self.told,
            "about_attacks": self.about_attacks,
            "episodes": self.episodes.len(),
            "time_to_detection_s": self.seconds_to_detection.map(rounded),
            "false_by_benign_kind": self.false_by_kind,
            "by_behaviour": self.by_behaviour,
        })
    }

    pub(crate) fn print(&self, episodes: usize) {
        println!(
            "findings: {} told, {} about attacks, {}/{episodes} episodes, half of them within {}; by behaviour: {}; false: {}",
            self.told,
            self.about_attacks,
            self.episodes.len(),
            self.seconds_to_detection.map_or("-".to_owned(), |seconds| format!("{seconds:.0} s")),
            words(&self.by_behaviour),
            words(&self.false_by_kind),
        );
    }
}

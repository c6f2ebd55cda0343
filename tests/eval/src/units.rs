//! Units of (source, window) with their truth, and what an order of them comes to. Knows no detector.

use crate::flows::{Names, Stream};
use crate::metrics::{average_precision, median};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::time::SECOND;

/// How many units a person looks at.
pub(crate) const BUDGETS: [usize; 4] = [10, 25, 30, 50];

/// What is true of a unit.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) is_attack: bool,
    pub(crate) episodes: BTreeSet<u32>,
    words: BTreeSet<u32>,
}

/// The units of the test part, by source's name and window.
pub(crate) struct Units<'a> {
    pub(crate) keys: Vec<(&'a str, i64)>,
    pub(crate) truth: Vec<Truth>,
    pub(crate) places: BTreeMap<(&'a str, i64), usize>,
    /// First flow of each episode.
    pub(crate) episodes: BTreeMap<u32, i64>,
    window: i64,
}

/// What a row comes to.
pub(crate) struct Quality {
    pub(crate) unit_ap: f64,
    /// Per budget: precision, episodes.
    pub(crate) top: Vec<(f64, usize)>,
    /// Median seconds from an episode's first flow to the end of the first of the 30 highest units that has it.
    pub(crate) seconds_to_detection: Option<f64>,
    /// Units of the 50 highest that are no attack, by kind.
    pub(crate) false_by_kind: BTreeMap<String, usize>,
}

/// What a peer alarms at with a threshold of its own.
#[derive(Debug)]
pub(crate) struct Alarms {
    pub(crate) units: usize,
    pub(crate) about_attacks: usize,
    pub(crate) episodes: usize,
}

impl<'a> Units<'a> {
    pub(crate) fn of(stream: &'a Stream, train_until: i64, window: i64) -> Self {
        let mut truth: BTreeMap<(&str, i64), Truth> = BTreeMap::new();
        let mut episodes: BTreeMap<u32, i64> = BTreeMap::new();
        for flow in stream.flows.iter().filter(|flow| flow.time >= train_until) {
            let start = flow.time.div_euclid(window) * window;
            let unit = truth.entry((stream.names.text(flow.source), start)).or_default();
            unit.is_attack |= flow.is_attack;
            unit.episodes.extend(flow.episode);
            if !flow.is_attack {
                unit.words.extend(flow.word);
            }
            if let Some(episode) = flow.episode {
                episodes.entry(episode).or_insert(flow.time);
            }
        }
        let (keys, truth): (Vec<_>, Vec<_>) = truth.into_iter().unzip();
        let places = keys.iter().enumerate().map(|(place, &key)| (key, place)).collect();
        Self { keys, truth, places, episodes, window }
    }

    pub(crate) fn positive(&self) -> usize {
        self.truth.iter().filter(|truth| truth.is_attack).count()
    }

    /// The strongest flow of each unit.
    pub(crate) fn strongest(&self, stream: &Stream, flow_scores: &[f64]) -> Vec<f64> {
        let mut scores = vec![0.0_f64; self.keys.len()];
        for (flow, &score) in stream.flows.iter().zip(flow_scores) {
            let start = flow.time.div_euclid(self.window) * self.window;
            if let Some(&place) = self.places.get(&(stream.names.text(flow.source), start)) {
                scores[place] = scores[place].max(score);
            }
        }
        scores
    }

    /// Units whose score is this or more.
    pub(crate) fn alarms(&self, scores: &[f64], from: f64) -> Alarms {
        let chosen = || scores.iter().zip(&self.truth).filter(|(score, _)| **score >= from).map(|(_, truth)| truth);
        let episodes: BTreeSet<u32> = chosen().flat_map(|truth| truth.episodes.iter().copied()).collect();
        Alarms {
            units: chosen().count(),
            about_attacks: chosen().filter(|truth| truth.is_attack).count(),
            episodes: episodes.len(),
        }
    }

    pub(crate) fn quality(&self, scores: &[f64], kinds: &Names) -> Quality {
        let labelled: Vec<(f64, bool)> =
            scores.iter().zip(&self.truth).map(|(&score, truth)| (score, truth.is_attack)).collect();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
        let top = |budget: usize| {
            let chosen = &order[..budget.min(order.len())];
            let hits = chosen.iter().filter(|&&place| self.truth[place].is_attack).count();
            let episodes: BTreeSet<u32> =
                chosen.iter().flat_map(|&place| self.truth[place].episodes.iter().copied()).collect();
            (hits as f64 / chosen.len().max(1) as f64, episodes.len())
        };
        let mut first: BTreeMap<u32, i64> = BTreeMap::new();
        for &place in order.iter().take(30) {
            let end = self.keys[place].1 + self.window;
            for &episode in &self.truth[place].episodes {
                let known = first.entry(episode).or_insert(end);
                *known = (*known).min(end);
            }
        }
        let seconds = first.iter().map(|(episode, &end)| (end - self.episodes[episode]) as f64 / SECOND as f64);
        let mut false_by_kind = BTreeMap::new();
        for &place in order.iter().take(50).filter(|&&place| !self.truth[place].is_attack && scores[place] > 0.0) {
            *false_by_kind.entry(self.kind(place, kinds)).or_default() += 1;
        }
        Quality {
            unit_ap: average_precision(&labelled),
            top: BUDGETS.iter().map(|&budget| top(budget)).collect(),
            seconds_to_detection: median(seconds.collect()),
            false_by_kind,
        }
    }

    /// The kinds of benign traffic out of the ordinary that a unit holds.
    pub(crate) fn kind(&self, place: usize, kinds: &Names) -> String {
        let words: Vec<&str> = self.truth[place].words.iter().map(|&word| kinds.text(word)).collect();
        if words.is_empty() { String::from("ordinary traffic") } else { words.join("+") }
    }
}

impl Quality {
    pub(crate) fn json(&self) -> Map<String, Value> {
        let mut all = Map::new();
        all.insert("unit_ap".into(), json!(rounded(self.unit_ap)));
        for (budget, (precision, episodes)) in BUDGETS.iter().zip(&self.top) {
            all.insert(format!("top{budget}_precision"), json!(rounded(*precision)));
            all.insert(format!("top{budget}_episodes"), json!(episodes));
        }
        all.insert("time_to_detection_s".into(), json!(self.seconds_to_detection.map(rounded)));
        all.insert("false_top50_by_benign_kind".into(), json!(self.false_by_kind));
        all
    }
}

impl Alarms {
    pub(crate) fn json(&self) -> Value {
        json!({ "units": self.units, "about_attacks": self.about_attacks, "episodes": self.episodes })
    }

    pub(crate) fn words(&self, episodes: usize) -> String {
        format!("{} units, {} about attacks, {}/{episodes} episodes", self.units, self.about_attacks, self.episodes)
    }
}

pub(crate) fn words(counts: &BTreeMap<String, usize>) -> String {
    if counts.is_empty() {
        return String::from("none");
    }
    let words: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    words.join(", ")
}

/// To six digits: what two runs agree on in print.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

//! The protocol of labelled flows with episodes: units (source, five minutes), the product's row beside the peers'.

use crate::detector;
use crate::flows::{Names, Stream};
use crate::metrics::{average_precision, median};
use crate::midas::{self, Variant};
use crate::{peers, reader};
use anyhow::{bail, ensure};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tradewind_model::Finding;
use tradewind_model::time::SECOND;

/// How many units a person looks at.
const BUDGETS: [usize; 4] = [10, 25, 30, 50];

/// What is true of a unit.
#[derive(Debug, Default)]
struct Truth {
    is_attack: bool,
    episodes: BTreeSet<u32>,
    words: BTreeSet<u32>,
}

/// The units of the test part, by source's name and window.
struct Units<'a> {
    keys: Vec<(&'a str, i64)>,
    truth: Vec<Truth>,
    places: BTreeMap<(&'a str, i64), usize>,
    /// First flow of each episode.
    episodes: BTreeMap<u32, i64>,
    window: i64,
}

/// One detector's order of units.
struct Row {
    name: &'static str,
    scores: Vec<f64>,
}

/// What a row comes to.
struct Quality {
    unit_ap: f64,
    /// Per budget: precision, episodes.
    top: Vec<(f64, usize)>,
    /// Median seconds from an episode's first flow to the end of the first of the 30 highest units that has it.
    seconds_to_detection: Option<f64>,
    /// Units of the 50 highest that are no attack, by kind.
    false_by_kind: BTreeMap<String, usize>,
}

pub(crate) fn run(dir: &Path, train_seconds: f64, shift_seconds: f64, as_json: bool) -> anyhow::Result<()> {
    ensure!(train_seconds >= 0.0 && train_seconds.is_finite(), "--train-seconds must not be below 0");
    ensure!((0.0..=86_400.0).contains(&shift_seconds), "--shift-seconds must be from 0 to 86400");
    let stream = reader::flows_of(dir, shift_seconds)?;
    ensure!(!stream.flows.is_empty(), "{} holds no flow", dir.display());
    if !stream.is_labelled {
        bail!("{}: column label is missing; without labels there is nothing to judge by", dir.display());
    }
    #[allow(clippy::cast_possible_truncation)] // Saturates.
    let train_until = ((train_seconds + shift_seconds) * SECOND as f64) as i64;
    let units = Units::of(&stream, train_until, detector::window());
    ensure!(!units.keys.is_empty(), "no flow is later than the {train_seconds} s of training");
    let outcome = detector::run(&stream, train_until)?;
    let (flows_per_s, statistics) = detector::speed(&stream)?;
    let scored: BTreeMap<(&str, i64), f64> =
        outcome.units.iter().map(|unit| ((unit.entity.as_str(), unit.window_start), unit.risk_score)).collect();
    let ours = units.keys.iter().map(|key| scored.get(key).copied().unwrap_or(0.0)).collect();
    let peer = |name, scores: Vec<f64>| Row { name, scores: units.strongest(&stream, &scores) };
    let rows = [
        Row { name: "tradewind", scores: ours },
        peer("rarity 1/n", peers::rarity(&stream)),
        peer("allow-list", peers::allow_list(&stream, Some(train_until))),
        peer("random walk (TRW)", peers::random_walk(&stream)),
        peer("MIDAS", midas::scores(&stream, Variant::Plain)),
        peer("MIDAS-R", midas::scores(&stream, Variant::Relational)),
    ];
    let qualities: Vec<Quality> = rows.iter().map(|row| units.quality(&row.scores, &stream.words)).collect();
    let incidents = Incidents::of(&outcome.findings, &units, &stream, train_until);
    let declared = reader::first_fields(&dir.join("episodes.csv"))?.len();
    if as_json {
        let mut all = qualities[0].json();
        all.insert("flows_per_s".into(), json!(flows_per_s.round()));
        all.insert("units".into(), json!(units.keys.len()));
        all.insert("positive_units".into(), json!(units.positive()));
        all.insert("episodes".into(), json!(units.episodes.len()));
        all.insert("episodes_declared".into(), json!(declared));
        all.insert("flows".into(), json!(stream.flows.len()));
        all.insert("edges".into(), json!(statistics.edges));
        all.insert("incidents".into(), incidents.json());
        let peers = rows.iter().zip(&qualities).skip(1);
        let peers: Map<String, Value> =
            peers.map(|(row, quality)| (row.name.to_owned(), Value::Object(quality.json()))).collect();
        all.insert("peers".into(), Value::Object(peers));
        println!("{}", Value::Object(all));
        return Ok(());
    }
    println!(
        "{}: {} flows, {} edges; {} units after {train_seconds} s of training, {} positive, {} episodes",
        stream.name,
        stream.flows.len(),
        statistics.edges,
        units.keys.len(),
        units.positive(),
        units.episodes.len(),
    );
    print!("\n{:<18} {:>7}", "detector", "unit AP");
    BUDGETS.iter().for_each(|budget| print!("   top {budget}: P, found"));
    println!("   to detection");
    for (row, quality) in rows.iter().zip(&qualities) {
        print!("{:<18} {:>7.4}", row.name, quality.unit_ap);
        for (precision, episodes) in &quality.top {
            print!("   {precision:.3}, {:>6}", format!("{episodes}/{}", units.episodes.len()));
        }
        println!("   {}", quality.seconds_to_detection.map_or("-".to_owned(), |seconds| format!("{seconds:.0} s")));
    }
    println!("\nfalse among the top 50 of tradewind: {}", words(&qualities[0].false_by_kind));
    incidents.print(units.episodes.len());
    println!("{flows_per_s:.0} flows/s on one core");
    Ok(())
}

fn words(counts: &BTreeMap<String, usize>) -> String {
    if counts.is_empty() {
        return String::from("none");
    }
    let words: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    words.join(", ")
}

impl<'a> Units<'a> {
    fn of(stream: &'a Stream, train_until: i64, window: i64) -> Self {
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

    fn positive(&self) -> usize {
        self.truth.iter().filter(|truth| truth.is_attack).count()
    }

    /// The strongest flow of each unit.
    fn strongest(&self, stream: &Stream, flow_scores: &[f64]) -> Vec<f64> {
        let mut scores = vec![0.0_f64; self.keys.len()];
        for (flow, &score) in stream.flows.iter().zip(flow_scores) {
            let start = flow.time.div_euclid(self.window) * self.window;
            if let Some(&place) = self.places.get(&(stream.names.text(flow.source), start)) {
                scores[place] = scores[place].max(score);
            }
        }
        scores
    }

    fn quality(&self, scores: &[f64], kinds: &Names) -> Quality {
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
    fn kind(&self, place: usize, kinds: &Names) -> String {
        let words: Vec<&str> = self.truth[place].words.iter().map(|&word| kinds.text(word)).collect();
        if words.is_empty() { String::from("ordinary traffic") } else { words.join("+") }
    }
}

impl Quality {
    fn json(&self) -> Map<String, Value> {
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

/// To six digits: what two runs agree on in print.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// Findings: what a person would be told, after budget, cool-down and grouping.
struct Incidents {
    told: usize,
    about_attacks: usize,
    episodes: BTreeSet<u32>,
    seconds_to_detection: Option<f64>,
    false_by_kind: BTreeMap<String, usize>,
    by_behaviour: BTreeMap<String, usize>,
}

impl Incidents {
    fn of(findings: &[Finding], units: &Units<'_>, stream: &Stream, train_until: i64) -> Self {
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

    fn json(&self) -> Value {
        json!({
            "findings": self.told,
            "about_attacks": self.about_attacks,
            "episodes": self.episodes.len(),
            "time_to_detection_s": self.seconds_to_detection.map(rounded),
            "false_by_benign_kind": self.false_by_kind,
            "by_behaviour": self.by_behaviour,
        })
    }

    fn print(&self, episodes: usize) {
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

//! The protocol of labelled flows with episodes: units (source, five minutes), the product's row beside the peers'.

use crate::detector;
use crate::flows::Stream;
use crate::incidents::Incidents;
use crate::peers::{self, Peer, Python};
use crate::reader;
use crate::units::{Alarms, BUDGETS, Quality, Units, rounded, words};
use anyhow::{bail, ensure};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tradewind_detect::combine::risk_score;
use tradewind_detect::{Settings, Statistics, UnitScore};
use tradewind_model::time::SECOND;

/// Detectors that take part in the order of units: what each adds is measured by leaving it out.
pub(crate) const ORDERING: [&str; 7] =
    ["destination", "chain", "carry", "transfer", "failed", "denied", "exfiltration"];
/// Detectors that only decide: what each would add is measured by putting it in.
pub(crate) const DECIDING: [&str; 4] = ["volume", "flood", "port", "scan"];

/// What a stream comes to.
pub(crate) struct Judgement {
    /// Per detector, ours first.
    pub(crate) rows: Vec<(&'static str, Quality)>,
    pub(crate) incidents: Incidents,
    /// What peers with a threshold of their own alarm at.
    pub(crate) alarms: Vec<(&'static str, Alarms)>,
    /// Average precision with each ordering detector left out, and with each deciding one put in.
    pub(crate) ablation: BTreeMap<&'static str, f64>,
    units: usize,
    positive: usize,
    pub(crate) episodes: usize,
    flows_per_s: f64,
    statistics: Statistics,
}

pub(crate) fn run(
    dir: &Path,
    train_seconds: f64,
    shift_seconds: f64,
    python: Option<&Python>,
    as_json: bool,
) -> anyhow::Result<()> {
    ensure!(train_seconds >= 0.0 && train_seconds.is_finite(), "--train-seconds must not be below 0");
    ensure!((0.0..=86_400.0).contains(&shift_seconds), "--shift-seconds must be from 0 to 86400");
    let stream = reader::flows_of(dir, shift_seconds)?;
    ensure!(!stream.flows.is_empty(), "{} holds no flow", dir.display());
    if !stream.is_labelled {
        bail!("{}: column label is missing; without labels there is nothing to judge by", dir.display());
    }
    let judgement = judge(&stream, train_seconds + shift_seconds, python)?;
    let declared = reader::first_fields(&dir.join("episodes.csv"))?.len();
    if as_json {
        let mut all = judgement.json();
        all.insert("episodes_declared".into(), json!(declared));
        all.insert("flows".into(), json!(stream.flows.len()));
        println!("{}", Value::Object(all));
    } else {
        judgement.print(&stream, train_seconds);
    }
    Ok(())
}

/// Judges a stream that teaches for so many seconds from its origin.
pub(crate) fn judge(stream: &Stream, train_seconds: f64, python: Option<&Python>) -> anyhow::Result<Judgement> {
    #[allow(clippy::cast_possible_truncation)] // Saturates.
    let train_until = (train_seconds * SECOND as f64) as i64;
    let units = Units::of(stream, train_until, detector::window());
    ensure!(!units.keys.is_empty(), "no flow is later than the {train_seconds} s of training");
    let outcome = detector::run(stream, train_until)?;
    let (flows_per_s, statistics) = detector::speed(stream)?;
    let scored: BTreeMap<(&str, i64), &UnitScore> =
        outcome.units.iter().map(|unit| ((unit.entity.as_str(), unit.window_start), unit)).collect();
    let ours = |score: &dyn Fn(&UnitScore) -> f64| -> Vec<f64> {
        units.keys.iter().map(|key| scored.get(key).map_or(0.0, |unit| score(unit))).collect()
    };
    let quality = |scores: &[f64]| units.quality(scores, &stream.words);
    let mut rows = vec![("tradewind", quality(&ours(&|unit| unit.risk_score)))];
    let mut alarms = Vec::new();
    for Peer { name, scores, alarms_from } in peers::all(stream, Some(train_until), python)? {
        let scores = units.strongest(stream, &scores);
        alarms.extend(alarms_from.map(|from| (name, units.alarms(&scores, from))));
        rows.push((name, quality(&scores)));
    }
    let cap = Settings::default().risk_cap;
    let without = |name: &'static str| {
        let takes_part =
            |known: &str| (ORDERING.contains(&known) && known != name) || DECIDING.contains(&name) && known == name;
        let score = |unit: &UnitScore| {
            let p_values = unit.signals.iter().filter(|(known, _)| takes_part(known)).map(|&(_, p)| p);
            risk_score(p_values, cap)
        };
        (name, quality(&ours(&score)).unit_ap)
    };
    let ablation = ORDERING.into_iter().chain(DECIDING).map(without).collect();
    let incidents = Incidents::of(&outcome.findings, &units, stream, train_until);
    Ok(Judgement {
        rows,
        incidents,
        alarms,
        ablation,
        units: units.keys.len(),
        positive: units.positive(),
        episodes: units.episodes.len(),
        flows_per_s,
        statistics,
    })
}

impl Judgement {
    pub(crate) fn json(&self) -> Map<String, Value> {
        let mut all = self.rows[0].1.json();
        all.insert("flows_per_s".into(), json!(self.flows_per_s.round()));
        all.insert("units".into(), json!(self.units));
        all.insert("positive_units".into(), json!(self.positive));
        all.insert("episodes".into(), json!(self.episodes));
        all.insert("edges".into(), json!(self.statistics.edges));
        all.insert("incidents".into(), self.incidents.json());
        let ablation = self.ablation.iter().map(|(name, precision)| ((*name).to_owned(), json!(rounded(*precision))));
        all.insert("ablation_unit_ap".into(), Value::Object(ablation.collect()));
        let peers = self.rows.iter().skip(1);
        let peers: Map<String, Value> =
            peers.map(|(name, quality)| ((*name).to_owned(), Value::Object(quality.json()))).collect();
        all.insert("peers".into(), Value::Object(peers));
        let alarms = self.alarms.iter().map(|(name, alarms)| ((*name).to_owned(), alarms.json()));
        all.insert("peers_alarms".into(), Value::Object(alarms.collect()));
        all
    }

    fn print(&self, stream: &Stream, train_seconds: f64) {
        println!(
            "{}: {} flows, {} edges; {} units after {train_seconds} s of training, {} positive, {} episodes",
            stream.name,
            stream.flows.len(),
            self.statistics.edges,
            self.units,
            self.positive,
            self.episodes,
        );
        print!("\n{:<18} {:>7}", "detector", "unit AP");
        BUDGETS.iter().for_each(|budget| print!("   top {budget}: P, found"));
        println!("   to detection");
        for (name, quality) in &self.rows {
            print!("{name:<18} {:>7.4}", quality.unit_ap);
            for (precision, episodes) in &quality.top {
                print!("   {precision:.3}, {:>6}", format!("{episodes}/{}", self.episodes));
            }
            println!("   {}", quality.seconds_to_detection.map_or("-".to_owned(), |seconds| format!("{seconds:.0} s")));
        }
        println!("\nfalse among the top 50 of tradewind: {}", words(&self.rows[0].1.false_by_kind));
        let ablation: Vec<String> =
            self.ablation.iter().map(|(name, precision)| format!("{name} {precision:.3}")).collect();
        println!("unit AP without one that orders, or with one that does not: {}", ablation.join(", "));
        for (name, alarms) in &self.alarms {
            println!("{name} at its own threshold: {}", alarms.words(self.episodes));
        }
        self.incidents.print(self.episodes);
        println!("{:.0} flows/s on one core", self.flows_per_s);
    }
}

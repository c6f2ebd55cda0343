//! The protocol of streams: every flow is scored when its window closes, then learnt. Area under the curve over flows,
//! edges a second, and where nothing is an attack, false alerts.

use crate::detector;
use crate::flows::Stream;
use crate::metrics::{area_under_curve, average_precision};
use crate::midas::{self, Variant};
use crate::{peers, reader};
use anyhow::{bail, ensure};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use tradewind_model::time::{HOUR, SECOND};

/// Flagged units (inside host, hour) a day.
const BUDGETS: [usize; 3] = [3, 10, 30];
/// Days of the stream of edges that only teach.
const TRAINING_DAYS: i64 = 12;

/// What a file comes to.
struct Quality {
    /// Per detector, ours first.
    flow_auc: Vec<(&'static str, Option<f64>)>,
    flow_ap: f64,
    edges_per_s: f64,
    flows: usize,
    more: Map<String, Value>,
}

pub(crate) fn run(dir: &Path, as_json: bool) -> anyhow::Result<()> {
    let edges = reader::files(dir, "edges.csv")?;
    let calls = reader::files(dir, "calls_")?;
    let flows = reader::files(dir, "flows.csv")?;
    let found = [edges, calls, flows].into_iter().find(|found| !found.is_empty());
    let paths = match found {
        Some(paths) => paths,
        None => reader::files(dir, "")?,
    };
    ensure!(!paths.is_empty(), "{} holds no CSV file", dir.display());
    let mut qualities = BTreeMap::new();
    for path in &paths {
        let stream = reader::read(path)?;
        if stream.flows.is_empty() {
            bail!("{} holds no flow", path.display());
        }
        qualities.insert(stream.name.clone(), judge(&stream)?);
    }
    let curves: Vec<f64> = qualities.values().filter_map(|quality| quality.flow_auc.first()?.1).collect();
    let flow_auc = (!curves.is_empty()).then(|| curves.iter().sum::<f64>() / curves.len() as f64);
    let seconds: f64 = qualities.values().map(|quality| quality.flows as f64 / quality.edges_per_s).sum();
    let edges_per_s = qualities.values().map(|quality| quality.flows as f64).sum::<f64>() / seconds.max(1e-9);
    if as_json {
        let files: Map<String, Value> =
            qualities.iter().map(|(name, quality)| (name.clone(), quality.json())).collect();
        println!(
            "{}",
            json!({ "flow_auc": flow_auc.map(rounded), "edges_per_s": edges_per_s.round(), "files": files })
        );
        return Ok(());
    }
    for (name, quality) in &qualities {
        quality.print(name);
    }
    let curve = flow_auc.map_or("-".to_owned(), |curve| format!("{curve:.4}"));
    println!("flow AUC {curve} (mean of files), {edges_per_s:.0} edges/s on one core");
    Ok(())
}

fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn judge(stream: &Stream) -> anyhow::Result<Quality> {
    let (edges_per_s, statistics) = detector::speed(stream)?;
    let mut more = Map::new();
    more.insert("edges".into(), json!(statistics.edges));
    if !stream.is_labelled {
        more.extend(false_alerts(stream)?);
        return Ok(Quality { flow_auc: Vec::new(), flow_ap: 0.0, edges_per_s, flows: stream.flows.len(), more });
    }
    let ours = detector::flow_scores(stream)?;
    let labelled = |scores: &[f64]| -> Vec<(f64, bool)> {
        scores.iter().zip(&stream.flows).map(|(&score, flow)| (score, flow.is_attack)).collect()
    };
    let flow_ap = average_precision(&labelled(&ours));
    let has_insides = stream.flows.iter().any(|flow| !flow.inside.0 || !flow.inside.1);
    if has_insides {
        let recalls = recall_of_attacks(stream, &ours);
        more.insert("recall_at_units_a_day".into(), Value::Object(recalls));
    }
    let flow_auc = [
        ("tradewind", ours),
        ("rarity 1/n", peers::rarity(stream)),
        ("random walk (TRW)", peers::random_walk(stream)),
        ("MIDAS", midas::scores(stream, Variant::Plain)),
        ("MIDAS-R", midas::scores(stream, Variant::Relational)),
    ]
    .map(|(name, scores)| (name, area_under_curve(&labelled(&scores))));
    Ok(Quality { flow_auc: flow_auc.to_vec(), flow_ap, edges_per_s, flows: stream.flows.len(), more })
}

/// Day, host, hour.
type Unit = (i64, u32, i64);

/// Share of the pairs (attack, day) after training that inside hosts see, found by so many units a day.
fn recall_of_attacks(stream: &Stream, scores: &[f64]) -> Map<String, Value> {
    const DAY: i64 = 24 * HOUR;
    // Days and hours count from the clock's midnight, not from the first flow.
    #[allow(clippy::cast_possible_truncation)]
    let offset = (stream.origin * SECOND as f64) as i64;
    let mut units: HashMap<Unit, (f64, BTreeSet<u32>)> = HashMap::new();
    let mut attacks: BTreeSet<(u32, i64)> = BTreeSet::new();
    for (flow, &score) in stream.flows.iter().zip(scores) {
        let time = flow.time.saturating_add(offset);
        let (day, hour) = (time.div_euclid(DAY), time.div_euclid(HOUR));
        if day < TRAINING_DAYS {
            continue;
        }
        for (host, _) in
            [(flow.source, flow.inside.0), (flow.destination, flow.inside.1)].into_iter().filter(|end| end.1)
        {
            let unit = units.entry((day, host, hour)).or_default();
            unit.0 = unit.0.max(score);
            if let Some(word) = flow.word.filter(|_| flow.is_attack) {
                unit.1.insert(word);
                attacks.insert((word, day));
            }
        }
    }
    let mut order: Vec<(Unit, (f64, BTreeSet<u32>))> = units.into_iter().collect();
    order.sort_by(|(one_key, one), (other_key, other)| {
        one_key.0.cmp(&other_key.0).then(other.0.total_cmp(&one.0)).then(one_key.cmp(other_key))
    });
    let recall = |budget: usize| {
        let mut found: BTreeSet<(u32, i64)> = BTreeSet::new();
        for day in order.chunk_by(|(one, _), (other, _)| one.0 == other.0) {
            for ((day, ..), (_, words)) in day.iter().take(budget) {
                found.extend(words.iter().map(|&word| (word, *day)));
            }
        }
        found.len() as f64 / attacks.len().max(1) as f64
    };
    BUDGETS.iter().map(|&budget| (budget.to_string(), json!(rounded(recall(budget))))).collect()
}

/// The first half teaches; what the second raises is false.
fn false_alerts(stream: &Stream) -> anyhow::Result<Map<String, Value>> {
    let last = stream.flows.last().map_or(0, |flow| flow.time);
    let half = last / 2;
    let outcome = detector::run(stream, half)?;
    let ids: BTreeSet<&str> = outcome.findings.iter().map(|finding| finding.finding_id.as_str()).collect();
    let mut by_behaviour: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for finding in &outcome.findings {
        by_behaviour.entry(&finding.behaviour).or_default().insert(&finding.finding_id);
    }
    let by_behaviour: BTreeMap<&str, usize> = by_behaviour.into_iter().map(|(name, ids)| (name, ids.len())).collect();
    let hours = (last - half) as f64 / HOUR as f64;
    let services = stream.names.len() as f64;
    let mut all = Map::new();
    all.insert("false_findings".into(), json!(ids.len()));
    all.insert("false_findings_by_behaviour".into(), json!(by_behaviour));
    all.insert("false_findings_per_hour".into(), json!(rounded(ids.len() as f64 / hours.max(1e-9))));
    let rate = ids.len() as f64 / hours.max(1e-9) * 100.0 / services.max(1.0);
    all.insert("false_findings_per_hour_and_100_services".into(), json!(rounded(rate)));
    Ok(all)
}

impl Quality {
    fn json(&self) -> Value {
        let mut all = self.more.clone();
        all.insert("flows".into(), json!(self.flows));
        all.insert("edges_per_s".into(), json!(self.edges_per_s.round()));
        if let Some((_, ours)) = self.flow_auc.first() {
            all.insert("flow_auc".into(), json!(ours.map(rounded)));
            all.insert("flow_ap".into(), json!(rounded(self.flow_ap)));
            let peers = self.flow_auc.iter().skip(1);
            let peers: Map<String, Value> =
                peers.map(|(name, curve)| ((*name).to_owned(), json!(curve.map(rounded)))).collect();
            all.insert("peers_flow_auc".into(), Value::Object(peers));
        }
        Value::Object(all)
    }

    fn print(&self, name: &str) {
        println!("{name}: {} flows, {:.0} edges/s", self.flows, self.edges_per_s);
        for (detector, curve) in &self.flow_auc {
            println!("  {detector:<18} flow AUC {}", curve.map_or("-".to_owned(), |curve| format!("{curve:.4}")));
        }
        for (key, value) in &self.more {
            println!("  {key}: {value}");
        }
    }
}

//! The protocol of streams: every flow is scored when its window closes, then learnt. Area under the curve over flows,
//! edges a second, and where nothing is an attack, false alerts.

use crate::detector;
use crate::flows::Stream;
use crate::metrics::{area_under_curve, average_precision};
use crate::peers::{self, Peer, Python};
use crate::units::rounded;
use crate::{host_hours, reader};
use anyhow::{bail, ensure};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use tradewind_model::Finding;
use tradewind_model::time::{HOUR, SECOND};

/// Findings about attacks that are listed.
const FINDINGS_LISTED: usize = 10;
/// With more attacks than this none is listed by name.
const ATTACKS_LISTED: usize = 20;

/// What a file comes to.
pub(crate) struct Quality {
    /// Per detector, ours first; empty where nothing is labelled.
    pub(crate) flow_auc: Vec<(&'static str, Option<f64>)>,
    flow_ap: f64,
    pub(crate) edges_per_s: f64,
    pub(crate) flows: usize,
    pub(crate) more: Map<String, Value>,
}

/// Judges the files of a folder, by name.
pub(crate) fn judge_all(dir: &Path, python: Option<&Python>) -> anyhow::Result<BTreeMap<String, Quality>> {
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
        qualities.insert(stream.name.clone(), judge(&stream, python)?);
    }
    Ok(qualities)
}

pub(crate) fn run(dir: &Path, python: Option<&Python>, as_json: bool) -> anyhow::Result<()> {
    let qualities = judge_all(dir, python)?;
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

fn judge(stream: &Stream, python: Option<&Python>) -> anyhow::Result<Quality> {
    let (edges_per_s, statistics) = detector::speed(stream)?;
    let mut more = Map::new();
    more.insert("edges".into(), json!(statistics.edges));
    if !stream.is_labelled {
        more.extend(false_alerts(stream)?);
        return Ok(Quality { flow_auc: Vec::new(), flow_ap: 0.0, edges_per_s, flows: stream.flows.len(), more });
    }
    let outcome = detector::edges(stream)?;
    let ours = detector::flow_scores(stream, &outcome);
    let labelled = |scores: &[f64]| -> Vec<(f64, bool)> {
        scores.iter().zip(&stream.flows).map(|(&score, flow)| (score, flow.is_attack)).collect()
    };
    let flow_ap = average_precision(&labelled(&ours));
    let has_insides = stream.flows.iter().any(|flow| !flow.inside.0 || !flow.inside.1);
    let mut recalls = Map::new();
    if has_insides {
        let recall = host_hours::recall_of_attacks(stream, &host_hours::by_destinations(stream, &outcome.destinations));
        more.insert("recall_at_units_a_day".into(), Value::Object(recall));
    }
    let mut flow_auc = vec![("tradewind", area_under_curve(&labelled(&ours)))];
    for Peer { name, scores, .. } in peers::all(stream, None, python)? {
        flow_auc.push((name, area_under_curve(&labelled(&scores))));
        if has_insides {
            let recall = host_hours::recall_of_attacks(stream, &host_hours::by_flows(stream, &scores));
            recalls.insert(name.to_owned(), Value::Object(recall));
        }
    }
    if has_insides {
        more.insert("peers_recall_at_units_a_day".into(), Value::Object(recalls));
    }
    let ranks = ranks_of_attacks(stream, &ours);
    if ranks.len() <= ATTACKS_LISTED {
        more.insert("attacks".into(), Value::Object(ranks));
    }
    more.insert("findings".into(), findings(stream)?);
    Ok(Quality { flow_auc, flow_ap, edges_per_s, flows: stream.flows.len(), more })
}

/// Window, source, destination and port.
type EdgeInWindow = (i64, u32, u32, Option<u16>);

/// Per attack the place of its strongest edge among all edges and windows, and the seconds from its first flow between these ends
/// to the end of that window.
fn ranks_of_attacks(stream: &Stream, scores: &[f64]) -> Map<String, Value> {
    let window = detector::window();
    let mut edges: HashMap<EdgeInWindow, (f64, BTreeSet<u32>)> = HashMap::new();
    let mut first: BTreeMap<(u32, u32, u32), i64> = BTreeMap::new();
    for (flow, &score) in stream.flows.iter().zip(scores) {
        let key = (flow.time.div_euclid(window), flow.source, flow.destination, flow.port);
        let edge = edges.entry(key).or_insert((score, BTreeSet::new()));
        if let Some(word) = flow.word.filter(|_| flow.is_attack) {
            edge.1.insert(word);
            first.entry((word, flow.source, flow.destination)).or_insert(flow.time);
        }
    }
    let mut order: Vec<_> = edges.into_iter().collect();
    order.sort_by(|(one_key, one), (other_key, other)| other.0.total_cmp(&one.0).then(one_key.cmp(other_key)));
    let mut ranks = Map::new();
    for (rank, ((index, source, destination, port), (_, words))) in (1_u64..).zip(order) {
        for word in words {
            let seconds = ((index + 1) * window - first[&(word, source, destination)]) as f64 / SECOND as f64;
            let ends = format!("{} to {}", stream.names.text(source), stream.names.text(destination));
            let edge = port.map_or(ends.clone(), |port| format!("{ends}:{port}"));
            let found = json!({ "rank": rank, "edge": edge, "seconds": rounded(seconds) });
            ranks.entry(stream.words.text(word).to_owned()).or_insert(found);
        }
    }
    ranks
}

/// Findings that a person would be told of, and those about attacks among them, each with the seconds from the attack's first flow
/// on the edge to the word.
fn findings(stream: &Stream) -> anyhow::Result<Value> {
    let outcome = detector::run(stream, i64::MIN)?;
    let mut told: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in &outcome.findings {
        told.entry(&finding.finding_id).or_insert(finding);
    }
    let mut about: Vec<(i64, Value)> = Vec::new();
    let mut first: HashMap<(&str, &str), i64> = HashMap::new();
    for flow in stream.flows.iter().filter(|flow| flow.is_attack) {
        let edge = (stream.names.text(flow.source), stream.names.text(flow.destination));
        first.entry(edge).or_insert(flow.time);
    }
    for finding in told.values() {
        let mut attacks = finding.observations.iter().filter_map(|seen| {
            let edge = (seen.src_entity.as_str(), seen.dst_entity.as_str());
            first.get(&edge).map(|time| (edge, (finding.time - time) as f64 / SECOND as f64))
        });
        if let Some((edge, seconds)) = attacks.next() {
            about.push((
                finding.time,
                json!({ "edge": format!("{} to {}", edge.0, edge.1), "behaviour": finding.behaviour, "seconds": rounded(seconds) }),
            ));
        }
    }
    about.sort_by_key(|(time, _)| *time);
    let first_words: Vec<Value> = about.iter().take(FINDINGS_LISTED).map(|(_, value)| value.clone()).collect();
    Ok(json!({ "told": told.len(), "about_attacks": about.len(), "first": first_words }))
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
    /// The area under the curve of a detector, where it was judged and there are both attacks and other flows.
    pub(crate) fn curve(&self, detector: &str) -> Option<f64> {
        self.flow_auc.iter().find(|(known, _)| *known == detector).and_then(|(_, curve)| *curve)
    }

    pub(crate) fn json(&self) -> Value {
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

//! Quality on the labelled stream `eval/hybrid`: learn on its first 1,570.9 s, judge the units (source, 5 minutes) after.
//!
//! Reference on the same file: ranking units by 1/n of (source, destination, port) has average precision 0.632.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::time::Instant;
use tradewind_detect::{Conversation, Engine, FlowEvent, Settings};
use tradewind_model::Outcome;
use tradewind_testkit::shared;

/// The stream's origin, which its windows count from.
const ORIGIN: i64 = 1_760_000_000_000_000;
pub(crate) const TRAIN_UNTIL: i64 = 1_570_900_000;
const WINDOW: i64 = 300_000_000;

pub(crate) struct Row {
    /// Start of the flow since the origin, microseconds.
    start: i64,
    end: i64,
    /// One of both: what the windows go by.
    time: i64,
    src: String,
    dst: String,
    port: Option<i32>,
    outcome: Outcome,
    is_attack: bool,
    episode: i64,
    benign_kind: String,
    bytes_out: Option<i64>,
    bytes_in: Option<i64>,
}

pub(crate) fn read(path: &Path) -> Vec<Row> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|&field| field == name).unwrap();
    let [ts, dur, src, dst, port, outcome, label, episode, kind, sent, received] =
        ["ts", "dur", "src", "dst", "dport", "outcome", "label", "episode", "benign_kind", "sbytes", "dbytes"]
            .map(column);
    let micros = |text: &str| (text.parse::<f64>().unwrap_or(0.0) * 1e6).round() as i64;
    let mut rows: Vec<Row> = lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let start = micros(fields[ts]) - ORIGIN;
            Row {
                start,
                end: start + micros(fields[dur]),
                time: start,
                src: fields[src].to_owned(),
                dst: fields[dst].to_owned(),
                port: fields[port].parse().ok(),
                outcome: Outcome::from_word(fields[outcome]).unwrap(),
                is_attack: fields[label] == "1",
                episode: fields[episode].parse().unwrap_or(-1),
                benign_kind: fields[kind].to_owned(),
                bytes_out: fields[sent].parse().ok(),
                bytes_in: fields[received].parse().ok(),
            }
        })
        .collect();
    rows.sort_by_key(|row| row.time);
    rows
}

/// The same flows, each told when it ended, as a log does.
fn by_end(mut rows: Vec<Row>) -> Vec<Row> {
    rows.iter_mut().for_each(|row| row.time = row.end);
    rows.sort_by_key(|row| row.time);
    rows
}

pub(crate) fn event(row: &Row) -> FlowEvent<'_> {
    FlowEvent {
        time: row.time,
        src_entity: &row.src,
        src_kind: "service",
        dst_entity: &row.dst,
        dst_kind: "service",
        dst_port: row.port,
        protocol_num: Some(6),
        outcome: row.outcome,
        is_src_dst_assignment_known: true,
        opens: None,
        flow_count: 1,
        bytes_out: row.bytes_out,
        bytes_in: row.bytes_in,
        declared_verdict: None,
        declared_rule: None,
        conversation: Conversation::default(),
    }
}

#[derive(Default)]
struct Truth {
    is_attack: bool,
    episodes: BTreeSet<i64>,
    benign_kinds: BTreeSet<String>,
}

#[derive(Debug)]
struct Quality {
    units: usize,
    positive: usize,
    average_precision: f64,
    /// Precision and episodes found at the 10, 25, 30 and 50 highest.
    top: [(f64, usize); 4],
    findings: usize,
    false_findings: Vec<String>,
}

fn evaluate(rows: &[Row]) -> Quality {
    let mut engine = Engine::new(Settings::default()).unwrap();
    engine.keep_scores();
    engine.train_until(TRAIN_UNTIL);
    let mut findings: Vec<_> = rows.iter().flat_map(|row| engine.observe(&event(row))).collect();
    findings.extend(engine.finish());
    let mut truth: BTreeMap<(i64, &str), Truth> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.start >= TRAIN_UNTIL) {
        let unit = truth.entry((row.time.div_euclid(WINDOW) * WINDOW, &row.src)).or_default();
        unit.is_attack |= row.is_attack;
        unit.benign_kinds.insert(row.benign_kind.clone());
        if row.episode >= 0 {
            unit.episodes.insert(row.episode);
        }
    }
    let scores = engine.take_scores();
    let mut units: Vec<(f64, &Truth)> = scores
        .iter()
        .filter_map(|score| Some((score.risk_score, truth.get(&(score.window_start, score.entity.as_str()))?)))
        .collect();
    assert_eq!(units.len(), truth.len());
    units.sort_by(|one, other| other.0.total_cmp(&one.0));
    let positive = units.iter().filter(|unit| unit.1.is_attack).count();
    let top = [10, 25, 30, 50].map(|budget| {
        let chosen = &units[..budget];
        let episodes: BTreeSet<i64> = chosen.iter().flat_map(|unit| unit.1.episodes.iter().copied()).collect();
        (chosen.iter().filter(|unit| unit.1.is_attack).count() as f64 / budget as f64, episodes.len())
    });
    let mut false_findings: Vec<String> = findings
        .iter()
        .filter(|finding| finding.window_count == 1)
        .filter_map(|finding| {
            let unit = truth.get(&(finding.first_seen, finding.entity.as_str()))?;
            (!unit.is_attack)
                .then(|| format!("{} p {:.0e} {:?}", finding.behaviour, finding.p_value, unit.benign_kinds))
        })
        .collect();
    false_findings.sort();
    let ids: BTreeSet<&str> = findings.iter().map(|finding| finding.finding_id.as_str()).collect();
    Quality {
        units: units.len(),
        positive,
        average_precision: average_precision(&units),
        top,
        findings: ids.len(),
        false_findings,
    }
}

/// Precision averaged over the positives, ties taken as one step.
fn average_precision(units: &[(f64, &Truth)]) -> f64 {
    let positive = units.iter().filter(|unit| unit.1.is_attack).count() as f64;
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    for ties in units.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let hits = ties.iter().filter(|unit| unit.1.is_attack).count() as f64;
        seen += ties.len() as f64;
        found += hits;
        sum += hits * found / seen;
    }
    sum / positive
}

/// What is reached today, a little below. It may only rise.
fn check(name: &str, quality: &Quality, average_precision: f64, precision: f64, episodes: usize) {
    eprintln!(
        "{name}: average precision {:.3}, top 10, 25, 30, 50 {:?} of {}/{} units; {} findings, false: {:?}",
        quality.average_precision,
        quality.top,
        quality.positive,
        quality.units,
        quality.findings,
        quality.false_findings
    );
    assert!(quality.average_precision >= average_precision, "{name}: {quality:?}");
    assert!(quality.top[1].0 >= precision && quality.top[1].1 >= episodes, "{name}: {quality:?}");
}

#[test]
fn attacks_on_services_rank_first() {
    let Some(path) = shared("eval/hybrid/flows.csv.gz") else { return };
    let rows = read(&path);
    let by_start = evaluate(&rows);
    assert_eq!((by_start.units, by_start.positive), (332, 27));
    check("by start", &by_start, 0.985, 1.0, 15);
    assert!(by_start.findings >= 13 && by_start.false_findings.is_empty(), "{by_start:?}");
    // A long connection then counts in the window in which it ends, after what made it suspicious.
    check("by end", &evaluate(&by_end(rows)), 0.95, 0.96, 15);
}

/// Not a limit, since machines differ: prints what a flow costs.
#[test]
fn what_a_flow_costs() {
    let Some(path) = shared("eval/hybrid/flows.csv.gz") else { return };
    let rows = read(&path);
    let mut engine = Engine::new(Settings::default()).unwrap();
    let started = Instant::now();
    for row in &rows {
        engine.observe(&event(row));
    }
    let nanoseconds = started.elapsed().as_nanos() as f64 / rows.len() as f64;
    eprintln!("{nanoseconds:.0} ns a flow, {:?}", engine.statistics());
    assert_eq!(engine.statistics().events, rows.len() as u64);
    assert_eq!(engine.statistics().late, 0);
}

//! Rows against other people's parses of the same records, record by record. Where both differ, the table of faults says why ours stays.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs;
use tradewind_formats::framing::{ChunkSizes, Chunks, Piece};
use tradewind_formats::{Decoded, FormatChoice, Framing, choose};
use tradewind_model::time;

/// How a value of ours compares with an expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As text, in any case.
    Text,
    /// Numbers, or texts of numbers.
    Number,
    /// Times within a millisecond, which many of the others cut at.
    Time,
    /// `event.type`: denied and allowed against `outcome`; anything else is not compared.
    Outcome,
}

/// A column of ours and a field of theirs.
pub(crate) type Pair = (&'static str, &'static str, How);

/// A value that differs for a reason: number of the record, or none for all; the column; why.
pub(crate) type Fault = (Option<usize>, &'static str, &'static str);

/// A sample and what another parser made of it, in the Elastic Common Schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison {
    pub(crate) family: &'static str,
    pub(crate) sample: &'static str,
    pub(crate) pairs: &'static [&'static [Pair]],
    pub(crate) faults: &'static [Fault],
    /// Records without a row, with the reason.
    pub(crate) without_row: &'static [(usize, &'static str)],
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) records: usize,
    pub(crate) values: usize,
}

/// Compares one sample; none where the samples are not there.
pub(crate) fn compare(comparison: &Comparison) -> Option<Result<Compared, String>> {
    let read = |suffix: &str| {
        let path = tradewind_testkit::shared(&format!("samples/{}{suffix}", comparison.sample))?;
        Some(fs::read_to_string(path).unwrap())
    };
    let (log, expected) = (read("")?, read("-expected.json")?);
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let expected = expected["expected"].as_array().cloned().unwrap_or_default();
    Some(compare_texts(comparison, &log, &expected))
}

/// As [`compare`], for what was read already.
pub(crate) fn compare_texts(comparison: &Comparison, log: &str, expected: &[Value]) -> Result<Compared, String> {
    let rows = decode(log);
    // Rows by the text of their record, in order.
    let mut by_text: HashMap<&str, VecDeque<Map<String, Value>>> = HashMap::new();
    let mut all: VecDeque<&str> = VecDeque::new();
    for row in rows {
        let offset = usize::try_from(row["position_offset"].as_i64().unwrap()).unwrap();
        let record = log[offset..].lines().next().unwrap_or_default().trim();
        all.push_back(record);
        by_text.entry(record).or_default().push_back(row);
    }
    let mut compared = Compared::default();
    let mut used = HashSet::new();
    let mut problems = Vec::new();
    for (index, expected) in expected.iter().enumerate() {
        let is_without_row = comparison.without_row.iter().any(|(without, _)| *without == index);
        let original = expected.pointer("/event/original").and_then(Value::as_str).map(str::trim);
        let shown = original.map(|text| text.chars().take(100).collect::<String>()).unwrap_or_default();
        // Some of the others join lines that a shipper had joined, and read the first alone.
        let mut lines = original.map(str::lines).into_iter().flatten().map(str::trim);
        let original = lines.next();
        for line in lines {
            if by_text.get_mut(line).and_then(VecDeque::pop_front).is_none() {
                problems.push(format!("record {index} has no row for a further line"));
            }
        }
        let row = match original {
            Some(text) => by_text.get_mut(text).and_then(VecDeque::pop_front),
            None if is_without_row => None,
            None => all.pop_front().and_then(|text| by_text.get_mut(text)?.pop_front()),
        };
        match row {
            Some(_) if is_without_row => {
                problems.push(format!("record {index} has a row, and is listed as one without"))
            }
            None if is_without_row => {}
            None => problems.push(format!("record {index} has no row: {shown}")),
            Some(row) => {
                compared.records += 1;
                for pair in comparison.pairs.iter().flat_map(|pairs| pairs.iter()) {
                    let Some(difference) = differs(&row, expected, *pair) else { continue };
                    compared.values += 1;
                    let is_listed = |(place, (at, column, _)): &(usize, &Fault)| {
                        let is_it = at.is_none_or(|at| at == index) && *column == pair.0;
                        is_it && (difference.is_some() || !used.contains(place))
                    };
                    let listed = comparison.faults.iter().enumerate().find(is_listed);
                    match (difference, listed) {
                        (Some(_), Some((place, _))) => {
                            used.insert(place);
                        }
                        (Some(difference), None) => problems.push(format!("record {index}: {difference}")),
                        (None, Some((_, (Some(_), column, _)))) => {
                            problems.push(format!("record {index}: {column} agrees, and is listed as a fault"));
                        }
                        (None, _) => {}
                    }
                }
            }
        }
    }
    let left: usize = by_text.values().map(VecDeque::len).sum();
    if left > 0 {
        problems.push(format!("{left} rows that nobody expects"));
    }
    for (place, (_, column, reason)) in comparison.faults.iter().enumerate() {
        if !used.contains(&place) {
            problems.push(format!("a fault that is not seen any more: {column}: {reason}"));
        }
    }
    if problems.is_empty() { Ok(compared) } else { Err(format!("{}:\n  {}", comparison.sample, problems.join("\n  "))) }
}

/// Whether the pair differs, and how; none where nothing is expected.
fn differs(row: &Map<String, Value>, expected: &Value, (column, path, how): Pair) -> Option<Option<String>> {
    let pointer = format!("/{}", path.replace('.', "/"));
    let theirs = expected.pointer(&pointer).or_else(|| expected.get(path))?;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.len() == 1 => {
            items[0].as_str().map_or_else(|| items[0].to_string(), str::to_owned)
        }
        other => other.to_string(),
    };
    let wanted = text(theirs);
    let found = row.get(column).map(text);
    let is_same = match (how, &found) {
        (How::Text, Some(found)) => found.eq_ignore_ascii_case(&wanted),
        (How::Number, Some(found)) => found.parse::<f64>().ok() == wanted.parse::<f64>().ok(),
        (How::Time, Some(found)) => {
            let (found, wanted) = (time::parse(found).ok()?, time::parse(&wanted).ok()?);
            (found - wanted).abs() <= 1_000
        }
        (How::Outcome, found) => {
            let kinds: Vec<String> =
                theirs.as_array().map(|kinds| kinds.iter().map(text).collect()).unwrap_or_default();
            let wanted = ["denied", "allowed"].into_iter().find(|word| kinds.iter().any(|kind| kind == word))?;
            found.as_deref() == Some(wanted)
        }
        (_, None) => false,
    };
    Some((!is_same).then(|| format!("{column} is {found:?}, {path} is {wanted}")))
}

/// All rows of a log, by content.
fn decode(log: &str) -> Vec<Map<String, Value>> {
    let chosen = choose(log.as_bytes(), &FormatChoice::Auto).unwrap();
    let Framing::Text(records) = chosen.framing else { panic!("text is expected") };
    let mut out = Decoded::default();
    let mut chunks = Chunks::new(log.as_bytes(), records, ChunkSizes::default());
    chunks.head(tradewind_formats::detect::HEAD_BYTES);
    chunks.skip(chosen.skip);
    let mut buffer = Vec::new();
    while let Some(piece) = chunks.next(&mut buffer).unwrap() {
        if let Piece::Records { offset } = piece {
            chosen.format.decode(&buffer, offset, &mut out);
        }
    }
    (0..out.flows.len()).map(|row| out.flows.row_json(row)).collect()
}

#[test]
fn samples_agree_with_their_expected_parse() {
    let mut totals: BTreeMap<&str, Compared> = BTreeMap::new();
    let mut faults = Vec::new();
    for comparison in crate::expected_table::COMPARISONS {
        match compare(comparison) {
            None => return,
            Some(Ok(compared)) => {
                let total = totals.entry(comparison.family).or_default();
                total.records += compared.records;
                total.values += compared.values;
            }
            Some(Err(fault)) => faults.push(fault),
        }
    }
    for (family, total) in totals {
        println!("compared {} records, {} values of {family}", total.records, total.values);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The harness itself: what must make it fail does.
#[test]
fn differences_are_seen() {
    const LINE: &str = "10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 612 \"-\" \"curl/8\"";
    const PAIRS: &[Pair] = &[
        ("src_ip", "source.ip", How::Text),
        ("bytes_in", "http.bytes", How::Number),
        ("end_time", "@timestamp", How::Time),
    ];
    let comparison =
        |faults, without_row| Comparison { family: "nginx", sample: "made up", pairs: &[PAIRS], faults, without_row };
    let record = |ip: &str| serde_json::json!({"event": {"original": LINE}, "source": {"ip": ip}, "http": {"bytes": "612"}, "@timestamp": "2000-10-10T13:55:36Z"});
    let run = |comparison: &Comparison, log: &str, expected: &[Value]| compare_texts(comparison, log, expected);
    let plain = comparison(&[], &[]);
    assert_eq!(run(&plain, LINE, &[record("10.0.0.1")]), Ok(Compared { records: 1, values: 3 }));
    let fault = |result: Result<Compared, String>| result.unwrap_err();
    assert!(
        fault(run(&plain, LINE, &[record("10.0.0.2")])).contains("src_ip is Some(\"10.0.0.1\"), source.ip is 10.0.0.2")
    );
    assert!(fault(run(&plain, LINE, &[])).contains("1 rows that nobody expects"));
    assert!(fault(run(&plain, LINE, &[record("10.0.0.1"), record("10.0.0.1")])).contains("record 1 has no row"));
    let known = comparison(&[(Some(0), "src_ip", "why")], &[]);
    assert!(run(&known, LINE, &[record("10.0.0.2")]).is_ok());
    assert!(fault(run(&known, LINE, &[record("10.0.0.1")])).contains("src_ip agrees, and is listed as a fault"));
    let without = comparison(&[], &[(0, "why")]);
    assert!(fault(run(&without, LINE, &[record("10.0.0.1")])).contains("has a row, and is listed"));
}

//! Reads labelled flows from CSV, packed by gzip or not. Columns are found by name; what a file does not have stays
//! unknown, and what cannot be read is an error that says where.

use crate::flows::{Flow, Stream};
use anyhow::{Context as _, anyhow, bail};
use csv::StringRecord;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use tradewind_model::Outcome;

/// Zeek's states of a connection that was answered (docs.zeek.org, conn.log, field conn_state).
const ANSWERED: [&str; 8] = ["SF", "S1", "S2", "S3", "RSTO", "RSTR", "RST", "OTH"];

/// Zeek's states of one that did not work. What is in neither list is no word of Zeek's and says nothing.
const FAILED: [&str; 6] = ["S0", "REJ", "SH", "SHR", "RSTOS0", "RSTRH"];
/// TCP's protocol number.
const TCP: i16 = 6;

/// Columns of a file.
struct Columns {
    path: PathBuf,
    names: Vec<String>,
}

impl Columns {
    fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn require(&self, name: &str) -> anyhow::Result<usize> {
        self.find(name).ok_or_else(|| {
            anyhow!("{}: column {name} is missing; there are {}", self.path.display(), self.names.join(", "))
        })
    }
}

/// Files of a folder whose names begin and end so, packed or not, in order.
pub(crate) fn files(dir: &Path, begin: &str) -> anyhow::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        bail!("{} is not a folder", dir.display());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("failed to list {}", dir.display()))? {
        let path = entry.with_context(|| format!("failed to list {}", dir.display()))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_csv = name.ends_with(".csv") || name.ends_with(".csv.gz");
        if name.starts_with(begin) && is_csv {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The flows of a folder, with the grid of windows moved back by some seconds.
pub(crate) fn flows_of(dir: &Path, shift_seconds: f64) -> anyhow::Result<Stream> {
    let found = ["flows.csv.gz", "flows.csv"].map(|name| dir.join(name));
    if !dir.is_dir() {
        bail!("{} is not a folder", dir.display());
    }
    let path = found
        .iter()
        .find(|path| path.is_file())
        .ok_or_else(|| anyhow!("{} holds neither flows.csv.gz nor flows.csv", dir.display()))?;
    read_shifted(path, shift_seconds)
}

/// The first field of each row of a CSV file, where there is such a file.
pub(crate) fn first_fields(path: &Path) -> anyhow::Result<Vec<String>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let (_, mut reader) = open(path)?;
    let fields = reader.records().map(|record| {
        let record = record.with_context(|| format!("failed to read {}", path.display()))?;
        Ok(record.get(0).unwrap_or_default().to_owned())
    });
    fields.collect()
}

fn open(path: &Path) -> anyhow::Result<(Columns, csv::Reader<Box<dyn Read>>)> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let bytes: Box<dyn Read> =
        if is_packed { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().with_context(|| format!("failed to read {}", path.display()))?;
    let names = header.iter().map(|name| name.trim().trim_start_matches('\u{feff}').to_owned()).collect();
    Ok((Columns { path: path.to_owned(), names }, reader))
}

/// Reads one file of flows, edges or calls.
pub(crate) fn read(path: &Path) -> anyhow::Result<Stream> {
    read_shifted(path, 0.0)
}

/// As [`read`], with the grid of windows moved back by some seconds.
fn read_shifted(path: &Path, shift_seconds: f64) -> anyhow::Result<Stream> {
    let (columns, mut reader) = open(path)?;
    let (time, unit) = match columns.find("minute") {
        Some(minute) if columns.find("ts").is_none() => (minute, 60.0),
        _ => (columns.require("ts")?, 1.0),
    };
    let (source, destination) = (columns.require("src")?, columns.require("dst")?);
    let [port, protocol, sent, received, outcome, state, label, episode, kind, attack, inside, outside] = [
        "dport",
        "proto",
        "sbytes",
        "dbytes",
        "outcome",
        "state",
        "label",
        "episode",
        "benign_kind",
        "attack",
        "src_inside",
        "dst_inside",
    ]
    .map(|name| columns.find(name));
    let mut stream = Stream { is_labelled: label.is_some(), ..Stream::default() };
    stream.name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut seconds = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).with_context(|| format!("failed to read {}", path.display()))? {
        let text = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or_default().trim();
        let second = text(Some(time)).parse::<f64>().ok().filter(|second| second.is_finite());
        let Some(second) = second else {
            let line = record.position().map_or(0, csv::Position::line);
            bail!("{}, line {line}: {:?} is no time", path.display(), text(Some(time)));
        };
        let word = [text(kind), text(attack)].into_iter().find(|word| !word.is_empty());
        let bytes = |column| text(column).parse::<f64>().ok().filter(|bytes| *bytes >= 0.0);
        #[allow(clippy::cast_possible_truncation)] // Saturates.
        let whole = |column| bytes(column).map(|bytes| bytes as i64);
        seconds.push(second * unit);
        stream.flows.push(Flow {
            time: 0,
            source: stream.names.number(text(Some(source))),
            destination: stream.names.number(text(Some(destination))),
            port: port_of(text(port)),
            protocol: protocol_num(text(protocol)),
            outcome: outcome_of(text(outcome), text(state), protocol_num(text(protocol))),
            bytes_out: whole(sent),
            bytes_in: whole(received),
            is_attack: is_true(text(label)),
            episode: text(episode).parse().ok(),
            word: word.map(|word| stream.words.number(word)),
            inside: (inside.is_none() || is_true(text(inside)), outside.is_none() || is_true(text(outside))),
        });
    }
    stream.arrange(seconds, shift_seconds);
    Ok(stream)
}

/// A port, also one that was written as a number with a fraction.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The range is checked.
fn port_of(text: &str) -> Option<u16> {
    let port = text.parse::<f64>().ok()?;
    (0.0..65_536.0).contains(&port).then_some(port as u16)
}

fn is_true(text: &str) -> bool {
    text.parse::<f64>().map_or(text.eq_ignore_ascii_case("true"), |number| number > 0.0)
}

fn protocol_num(text: &str) -> Option<i16> {
    let text = text.to_ascii_lowercase();
    match text.trim_start_matches("ipv4-").trim_start_matches("ipv6-") {
        "tcp" => Some(6),
        "udp" => Some(17),
        "icmp" => Some(1),
        number => number.parse().ok(),
    }
}

/// The outcome as it is told, else as the state tells it; a file with neither says nothing. Without a connection to accept, as
/// in UDP or a group's multicast, silence is no failure.
fn outcome_of(outcome: &str, state: &str, protocol: Option<i16>) -> Outcome {
    if let Some(outcome) = Outcome::from_word(&outcome.to_ascii_lowercase()) {
        return outcome;
    }
    match state {
        "S0" if protocol.is_some_and(|protocol| protocol != TCP) => Outcome::Unknown,
        state if ANSWERED.contains(&state) => Outcome::Allowed,
        state if FAILED.contains(&state) => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<usize, &str>) {
        let path = std::env::temp_dir().join(format!("tradewind-eval-{}-{}.csv", std::process::id(), text.len()));
        std::fs::write(&path, text).unwrap();
        let read = read(&path);
        std::fs::remove_file(&path).unwrap();
        match (read, expected) {
            (Ok(stream), Ok(flows)) => {
                assert_eq!(stream.flows.len(), flows, "{text}");
                assert!(stream.flows.is_sorted_by_key(|flow| flow.time), "{text}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (read, expected) => panic!("{text}: {read:?} is not {expected:?}"),
        }
    }

    #[test]
    fn columns_may_be_few_and_rows_unsorted() {
        check("ts,src,dst\n5,a,b\n3,b,a\n", Ok(2));
        check("dst,ts,src,state,dport\nb,5,a,ODD,x\n", Ok(1));
        check("minute,src,dst,label\n1,2,3,1\n", Ok(1));
        check("ts,src\n5,a\n", Err("column dst is missing"));
        check("ts,src,dst\nsoon,a,b\n", Err("line 2: \"soon\" is no time"));
    }

    #[test]
    fn outcomes_are_read_soberly() {
        assert_eq!(outcome_of("", "S0", Some(17)), Outcome::Unknown);
        assert_eq!(outcome_of("", "S0", None), Outcome::Failed);
        for (outcome, state, expected) in [
            ("denied", "SF", Outcome::Denied),
            ("", "SF", Outcome::Allowed),
            ("", "S0", Outcome::Failed),
            ("", "odd", Outcome::Unknown),
            ("", "", Outcome::Unknown),
        ] {
            assert_eq!(outcome_of(outcome, state, Some(TCP)), expected, "{outcome} {state}");
        }
    }
}

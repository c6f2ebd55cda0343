//! Connections that are known, observed by several and written as real log text, counted in a lake: every one that is
//! counted twice or missed is told by its kind. Imports come at once or file by file, are killed and are repeated. The
//! rules themselves are tested where connect is.

mod logs;
mod observers;
mod truth;

use crate::program::Program;
use flate2::Compression;
use flate2::write::GzEncoder;
use logs::Log;
use observers::{Layout, Observed, bytes, observe};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use truth::{Connection, Kind, connections, inventory};

const CONNECTIONS: usize = 5_000;
/// Counts may be off by one in so many: 0.5 %.
const COUNT_ONE_IN: u64 = 200;
/// Bytes may be off by one in so many: 1 %.
const BYTES_ONE_IN: u64 = 100;
/// No import of these tests may take longer.
const LIMIT: Duration = Duration::from_secs(60);

const SETTINGS: &str = "version = 1\n[inventory]\nfile = \"inventory.csv\"\n[normalise]\ndefault_network = \"prod\"\n\
    networks = { vpc-00 = \"prod\", vpc-01 = \"prod\", vpc-02 = \"prod\" }\n";

/// What is true, what was written of it, and a lake for it.
struct Scenario {
    name: &'static str,
    truth: Vec<Connection>,
    observed: Observed,
    program: Program,
}

/// What is checked beside the counts of the connections of which the lake has rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// All files were imported, so that bytes are complete.
    Whole,
    /// Some files are missing.
    Part,
}

/// A row of the lake.
#[derive(Debug)]
struct Row {
    of: usize,
    source: String,
    opens: bool,
    is_lead: bool,
    src_is_client: bool,
}

/// How often connections of a kind were counted, and why not once.
#[derive(Clone, Debug, Default)]
struct Tally {
    true_ones: u64,
    missed: u64,
    doubled: u64,
    causes: BTreeMap<&'static str, u64>,
}

impl Scenario {
    fn new(name: &'static str, layout: Layout, seed: u64, reuses_soon: bool) -> Self {
        let truth = connections(CONNECTIONS, seed, reuses_soon);
        let observed = observe(&truth, layout, seed + 100);
        let program = Program::new();
        program.file("tradewind.toml", SETTINGS).file("inventory.csv", inventory());
        for log in &observed.logs {
            program.file(&log.name, &log.text);
        }
        Self { name, truth, observed, program }
    }

    fn names(&self) -> Vec<&str> {
        self.observed.logs.iter().map(|log| log.name.as_str()).collect()
    }

    fn import(&self, names: &[&str], code: i32) {
        let arguments: Vec<&str> = ["import", "--quiet"].iter().chain(names).copied().collect();
        let outcome = self.program.run(&arguments);
        assert_eq!(outcome.code, code, "{}{}", outcome.out, outcome.err);
    }

    /// The lines that a query answers, without the names of its columns.
    fn ask(&self, query: &str) -> Vec<Vec<String>> {
        let answer = self.program.run(&["sql", "-o", "csv", query]);
        assert_eq!(answer.code, 0, "{query}: {}", answer.err);
        answer.out.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }

    fn rows(&self) -> Vec<Row> {
        let of: HashMap<&str, &HashMap<u64, usize>> =
            self.observed.logs.iter().map(|log| (log.name.as_str(), &log.of)).collect();
        let rows = self.ask(
            "SELECT path, position_offset, flows.source, opens, is_lead, src_ip \
             FROM flows JOIN imports ON position = content_hash",
        );
        let row = |row: Vec<String>| {
            let name = Path::new(&row[0]).file_name().and_then(|name| name.to_str()).unwrap();
            let of = of[name.trim_end_matches(".gz")][&row[1].parse().unwrap()];
            Row {
                of,
                source: row[2].clone(),
                opens: row[3] == "true",
                is_lead: row[4] == "true",
                src_is_client: row[5] == self.truth[of].client.ip(),
            }
        };
        rows.into_iter().map(row).collect()
    }

    /// Why a connection was not counted once.
    fn cause(&self, of: usize, uses: &HashMap<(truth::Host, i64, truth::Host, i64, i64), u32>) -> &'static str {
        let connection = &self.truth[of];
        if connection.longest_silence() > connection.idle_gap() {
            "silent for longer than the idle gap"
        } else if uses[&connection.tuple()] > 1 {
            "on a tuple that was used twice"
        } else if self.observed.lost[of] > 0 {
            "records lost"
        } else {
            "unexplained"
        }
    }

    /// Compares the lake with the truth. Connections of the kinds `without` are told, but not held to the bounds.
    fn check(&self, when: &str, extent: Extent, without: &[Kind]) -> BTreeMap<Kind, Tally> {
        let rows = self.rows();
        let (mut opened, mut is_seen) = (vec![0_u64; self.truth.len()], vec![false; self.truth.len()]);
        for row in &rows {
            opened[row.of] += u64::from(row.opens);
            is_seen[row.of] = true;
        }
        let turned = rows.iter().filter(|row| !row.src_is_client).count();
        let mut uses: HashMap<_, u32> = HashMap::new();
        for connection in &self.truth {
            *uses.entry(connection.tuple()).or_default() += 1;
        }
        let mut kinds: BTreeMap<Kind, Tally> = BTreeMap::new();
        for (of, connection) in self.truth.iter().enumerate().filter(|(of, _)| is_seen[*of]) {
            let tally = kinds.entry(connection.kind).or_default();
            tally.true_ones += 1;
            tally.missed += u64::from(opened[of] == 0);
            tally.doubled += opened[of].saturating_sub(1);
            if opened[of] != 1 {
                *tally.causes.entry(self.cause(of, &uses)).or_default() += 1;
            }
        }
        let mut out = std::io::stderr();
        let seen = is_seen.iter().filter(|seen| **seen).count();
        writeln!(out, "{} {when}: {} rows of {seen} connections, {turned} the wrong way round", self.name, rows.len())
            .unwrap();
        for (kind, tally) in &kinds {
            writeln!(out, "  {kind:?}: {tally:?}").unwrap();
        }
        let bounded = || kinds.iter().filter(|(kind, _)| !without.contains(kind)).map(|(_, tally)| tally);
        let [true_ones, missed, doubled] = [
            bounded().map(|tally| tally.true_ones).sum::<u64>(),
            bounded().map(|tally| tally.missed).sum(),
            bounded().map(|tally| tally.doubled).sum(),
        ];
        writeln!(out, "  all: {true_ones}, missed {missed}, doubled {doubled}").unwrap();
        assert!(missed.max(doubled) * COUNT_ONE_IN <= true_ones, "{missed} missed, {doubled} doubled of {true_ones}");
        let unexplained: u64 = bounded().filter_map(|tally| tally.causes.get("unexplained")).sum();
        assert_eq!(unexplained, 0, "{kinds:?}");
        self.check_sums(&rows, &is_seen, extent, without);
        kinds
    }

    /// Compares what a user's queries count with the truth: connections by protocol, and bytes of what leads.
    fn check_sums(&self, rows: &[Row], is_seen: &[bool], extent: Extent, without: &[Kind]) {
        let mut out = std::io::stderr();
        let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
        for (connection, _) in self.truth.iter().zip(is_seen).filter(|(_, seen)| **seen) {
            *expected.entry(connection.protocol).or_default() += 1;
        }
        let counted = self.ask("SELECT protocol_num, count(*) FILTER (WHERE opens) FROM flows GROUP BY 1 ORDER BY 1");
        let counted: BTreeMap<i64, u64> =
            counted.iter().map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap())).collect();
        writeln!(out, "  connections by protocol: true {expected:?}, counted {counted:?}").unwrap();
        assert_eq!(counted.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        let [counted_all, expected_all] = [&counted, &expected].map(|counts| counts.values().sum::<u64>());
        if without.is_empty() {
            for (protocol, expected) in &expected {
                let off = counted[protocol].abs_diff(*expected);
                // One may be off even where there are fewer.
                assert!(off <= (expected / COUNT_ONE_IN).max(1), "protocol {protocol}: {}", counted[protocol]);
            }
            assert!(counted_all.abs_diff(expected_all) * COUNT_ONE_IN <= expected_all, "{counted_all} {expected_all}");
        }
        let sums = &self.ask(
            "SELECT (SELECT sum(bytes_out) FILTER (WHERE is_lead) FROM flows), \
             (SELECT sum(bytes_in) FILTER (WHERE is_lead) FROM flows), sum(connection_count), sum(lead_bytes_out), \
             sum(lead_bytes_in) FROM connections",
        )[0];
        let sums: Vec<u64> = sums.iter().map(|sum| sum.parse().unwrap()).collect();
        assert_eq!((sums[2], sums[3], sums[4]), (counted_all, sums[0], sums[1]), "the view tells otherwise");
        if extent == Extent::Whole {
            let expected = self.expected_bytes(rows);
            for (way, (counted, expected)) in ["out", "in"].iter().zip(sums.iter().zip(expected)) {
                let off = counted.abs_diff(expected);
                writeln!(out, "  bytes {way}: {counted}, lead sources' truth {expected}, off by {off}").unwrap();
                assert!(off * BYTES_ONE_IN <= expected, "bytes {way}: {counted} counted of {expected}");
            }
        }
    }

    /// What the source that leads most of an edge's rows would count of all its connections without loss: out and in.
    fn expected_bytes(&self, rows: &[Row]) -> [u64; 2] {
        let edge = |of: usize| {
            let Connection { client, server, protocol, server_port, .. } = self.truth[of];
            (client.service, server.service, protocol, server_port)
        };
        let mut leads: BTreeMap<_, BTreeMap<&str, u64>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.is_lead) {
            *leads.entry(edge(row.of)).or_default().entry(&row.source).or_default() += 1;
        }
        let mut sums = [0, 0];
        for (of, connection) in self.truth.iter().enumerate() {
            let Some(sources) = leads.get(&edge(of)) else { continue };
            let Some((source, _)) = sources.iter().max_by_key(|(_, rows)| **rows) else { continue };
            for (sum, bytes) in sums.iter_mut().zip(bytes(source, connection)) {
                *sum += bytes.unsigned_abs();
            }
        }
        sums
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn all_files_in_one_import() {
    let scenario = Scenario::new("version 2", Layout::Default, 1, false);
    scenario.import(&scenario.names(), 0);
    scenario.check("at once", Extent::Whole, &[]);
}

#[test]
fn ports_reused_soon_are_told_apart_by_flags() {
    let scenario = Scenario::new("version 5", Layout::Flags, 2, true);
    scenario.import(&scenario.names(), 0);
    let kinds = scenario.check("at once", Extent::Whole, &[Kind::ReusedSoon]);
    let reused = &kinds[&Kind::ReusedSoon];
    assert!(reused.true_ones > 50 && reused.missed.max(reused.doubled) * 50 <= reused.true_ones, "{reused:?}");
}

#[test]
fn one_import_for_each_file() {
    let scenario = Scenario::new("version 5", Layout::Flags, 3, false);
    for name in scenario.names() {
        scenario.import(&[name], 0);
    }
    scenario.check("file by file", Extent::Whole, &[]);
}

#[test]
fn one_import_for_each_file_in_another_order() {
    let scenario = Scenario::new("version 2", Layout::Default, 4, false);
    let mut names = scenario.names();
    names.reverse();
    // Sources alternate: every fourth file, from each of the first four on.
    for name in (0..4).flat_map(|from| names.iter().skip(from).step_by(4)) {
        scenario.import(&[name], 0);
    }
    scenario.check("file by file in another order", Extent::Whole, &[]);
}

/// Whether a version of a table is committed.
fn is_committed(lake: &Path, table: &str, version: u64) -> bool {
    lake.join(table).join(format!("_delta_log/{version:020}.json")).exists()
}

fn data_files(table: &Path) -> BTreeSet<std::ffi::OsString> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().collect::<Vec<_>>();
    let days = entries(table).into_iter().filter(|entry| entry.file_name() != "_delta_log");
    days.flat_map(|day| entries(&day.path())).map(|file| file.file_name()).collect()
}

#[test]
fn imports_that_are_killed() {
    let scenario = Scenario::new("version 5", Layout::Flags, 5, false);
    let names = scenario.names();
    let lake = scenario.program.folder().join("lake");
    scenario.import(&names[..2], 0);
    let mut killed = 0;
    for (until, take) in
        [("a data file is there", 5), ("flows are committed", 8), ("a data file is there", names.len())]
    {
        let before = data_files(&lake.join("flows"));
        let version = (0..).find(|&version| !is_committed(&lake, "flows", version)).unwrap();
        let arguments: Vec<&str> = ["import", "--quiet"].iter().chain(&names[..take]).copied().collect();
        let mut child = scenario.program.command(&arguments).stdout(std::process::Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        let is_there = || match until {
            "flows are committed" => is_committed(&lake, "flows", version),
            _ => data_files(&lake.join("flows")) != before,
        };
        while !is_there() && child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < LIMIT, "{until}: the state did not come");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        scenario.check("killed", Extent::Part, &[]);
    }
    assert!(killed >= 2, "only {killed} imports were killed before they ended");
    scenario.import(&names, 0);
    scenario.check("killed and finished", Extent::Whole, &[]);
}

#[test]
fn damaged_archives_among_the_files() {
    let scenario = Scenario::new("version 2", Layout::Default, 6, false);
    let (program, logs) = (&scenario.program, &scenario.observed.logs);
    let mut names: Vec<String> = logs.iter().map(|log| log.name.clone()).collect();
    for (number, log) in [1, 4, 6].into_iter().map(|number: usize| (number, &logs[number])) {
        names[number] = format!("{}.gz", log.name);
        let packed = gzip(&log.text);
        let mut damaged = packed.clone();
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 0xff;
        program.file(&names[number], if number == 4 { &packed[..checksum] } else { &damaged });
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    scenario.import(&names[..2], 1);
    scenario.import(&names, 1);
    scenario.check("without the damaged ones", Extent::Part, &[]);
    let repair = |log: &Log| program.file(&format!("{}.gz", log.name), gzip(&log.text));
    [1, 4, 6].map(|number: usize| repair(&logs[number]));
    scenario.import(&names, 0);
    scenario.check("repaired", Extent::Whole, &[]);
}

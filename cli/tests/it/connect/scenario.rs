//! A lake of records whose truth is known, and how it is compared with that truth. No stories of imports.

use super::observers::{Observed, bytes};
use super::truth::{Connection, Kind, Tuple, inventory};
use crate::program::Program;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::process::Command;

/// Counts may be off by one in so many: 0.5 %.
const COUNT_ONE_IN: u64 = 200;
/// Bytes may be off by one in so many: 1 %.
const BYTES_ONE_IN: u64 = 100;
/// Threads of an import, so that parts of a file are decoded side by side whatever the machine has.
const THREADS: &str = "4";

const SETTINGS: &str = "version = 1\n[inventory]\nfile = \"inventory.csv\"\n[normalise]\ndefault_network = \"prod\"\n\
    networks = { vpc-00 = \"prod\", vpc-01 = \"prod\", vpc-02 = \"prod\" }\n";

/// What is true, what was written of it, and a lake for it.
pub(super) struct Scenario {
    name: &'static str,
    truth: Vec<Connection>,
    pub(super) observed: Observed,
    pub(super) program: Program,
}

/// What is checked beside the counts of the connections of which the lake has rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
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
    observer: String,
    opens: bool,
    is_lead: bool,
    src_is_client: bool,
}

/// How often connections of a kind were counted, and why not once.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) true_ones: u64,
    pub(super) missed: u64,
    pub(super) doubled: u64,
    causes: BTreeMap<&'static str, u64>,
}

impl Scenario {
    /// Writes the files beside a lake that is still to come.
    pub(super) fn new(name: &'static str, truth: Vec<Connection>, observed: Observed) -> Self {
        let program = Program::new();
        program.file("tradewind.toml", SETTINGS).file("inventory.csv", inventory());
        for log in &observed.logs {
            program.file(&log.name, &log.text);
        }
        Self { name, truth, observed, program }
    }

    /// The import of some files, quietly.
    pub(super) fn command(&self, names: &[&str]) -> Command {
        let arguments: Vec<&str> = ["import", "--quiet", "--threads", THREADS].iter().chain(names).copied().collect();
        self.program.command(&arguments)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.observed.logs.iter().map(|log| log.name.as_str()).collect()
    }

    pub(super) fn import(&self, names: &[&str], code: i32) {
        let output = self.command(names).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The lines that a query answers, without the names of its columns.
    fn ask(&self, query: &str) -> Vec<Vec<String>> {
        let answer = self.program.run(&["sql", "-o", "csv", query]);
        assert_eq!(answer.code, 0, "{query}: {}", answer.err);
        answer.out.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }

    /// All rows. A row's origin is the hash of its file, since the ledger of imports may lag behind after a kill.
    fn rows(&self) -> Vec<Row> {
        let mut logs: HashMap<String, &HashMap<u64, usize>> = HashMap::new();
        for log in &self.observed.logs {
            for name in [log.name.clone(), format!("{}.gz", log.name)] {
                if let Ok(bytes) = std::fs::read(self.program.folder().join(name)) {
                    logs.insert(blake3::hash(&bytes).to_hex().to_string(), &log.of);
                }
            }
        }
        let rows = self.ask(
            "SELECT position, position_offset, source, coalesce(observer, vantage), opens, is_lead, src_ip FROM flows",
        );
        let row = |row: Vec<String>| {
            let of = logs[&row[0]][&row[1].parse().unwrap()];
            Row {
                of,
                source: row[2].clone(),
                observer: row[3].clone(),
                opens: row[4] == "true",
                is_lead: row[5] == "true",
                src_is_client: row[6] == self.truth[of].client.ip(),
            }
        };
        rows.into_iter().map(row).collect()
    }

    /// Why a connection was not counted once.
    fn cause(&self, of: usize, rows: u32, uses: &HashMap<Tuple, u32>) -> &'static str {
        let connection = &self.truth[of];
        if connection.longest_silence() > connection.idle_gap() {
            "silent for longer than the idle gap"
        } else if uses[&connection.tuple()] > 1 {
            "on a tuple that was used twice"
        } else if self.observed.lost[of] * 2 >= rows + self.observed.lost[of] {
            "most records lost"
        } else {
            "unexplained"
        }
    }

    /// Compares the lake with the truth. Connections of the kinds `without` are told, but not held to the bounds.
    pub(super) fn check(&self, when: &str, extent: Extent, without: &[Kind]) -> BTreeMap<Kind, Tally> {
        let rows = self.rows();
        let (mut opened, mut seen) = (vec![0_u64; self.truth.len()], vec![0_u32; self.truth.len()]);
        for row in &rows {
            opened[row.of] += u64::from(row.opens);
            seen[row.of] += 1;
        }
        let mut uses: HashMap<_, u32> = HashMap::new();
        for connection in &self.truth {
            *uses.entry(connection.tuple()).or_default() += 1;
        }
        let mut kinds: BTreeMap<Kind, Tally> = BTreeMap::new();
        for (of, connection) in self.truth.iter().enumerate().filter(|(of, _)| seen[*of] > 0) {
            let tally = kinds.entry(connection.kind).or_default();
            tally.true_ones += 1;
            tally.missed += u64::from(opened[of] == 0);
            tally.doubled += opened[of].saturating_sub(1);
            if opened[of] != 1 {
                *tally.causes.entry(self.cause(of, seen[of], &uses)).or_default() += 1;
            }
        }
        for row in &rows {
            // Ports and flags tell who opened all but an echo.
            assert!(row.src_is_client || self.truth[row.of].kind == Kind::Ping, "{row:?} {:?}", self.truth[row.of]);
        }
        let mut out = std::io::stderr();
        let all_seen = seen.iter().filter(|rows| **rows > 0).count();
        writeln!(out, "{} {when}: {} rows of {all_seen} connections; {}", self.name, rows.len(), self.leads(&rows))
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
        let mut faults = Vec::new();
        if missed.max(doubled) * COUNT_ONE_IN > true_ones {
            faults.push(format!("{missed} missed, {doubled} doubled of {true_ones}"));
        }
        let unexplained: u64 = bounded().filter_map(|tally| tally.causes.get("unexplained")).sum();
        if unexplained > 0 {
            faults.push(format!("{unexplained} not counted once without a cause"));
        }
        self.check_sums(&seen, without, &mut faults);
        if extent == Extent::Whole {
            self.check_bytes(&rows, &mut faults);
        }
        assert!(faults.is_empty(), "{} {when}: {faults:?}", self.name);
        kinds
    }

    /// How many connections are led by whom.
    fn leads(&self, rows: &[Row]) -> String {
        let mut leads: HashMap<usize, BTreeSet<(&str, &str)>> = HashMap::new();
        for row in rows {
            let leads = leads.entry(row.of).or_default();
            if row.is_lead {
                leads.insert((&row.source, &row.observer));
            }
        }
        let sources = |leads: &BTreeSet<(&str, &str)>| leads.iter().map(|lead| lead.0).collect::<BTreeSet<_>>().len();
        let nobody = leads.values().filter(|leads| leads.is_empty()).count();
        let several = leads.values().filter(|leads| leads.len() > 1).count();
        let of_several = leads.values().filter(|leads| sources(leads) > 1).count();
        format!("led by nobody {nobody}, by several observers {several}, by several sources {of_several}")
    }

    /// Compares the connections by protocol that a user's query counts with the truth.
    fn check_sums(&self, seen: &[u32], without: &[Kind], faults: &mut Vec<String>) {
        let mut out = std::io::stderr();
        let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
        for (connection, _) in self.truth.iter().zip(seen).filter(|(_, rows)| **rows > 0) {
            *expected.entry(connection.protocol).or_default() += 1;
        }
        let counted = self.ask("SELECT protocol_num, count(*) FILTER (WHERE opens) FROM flows GROUP BY 1 ORDER BY 1");
        let counted: BTreeMap<i64, u64> =
            counted.iter().map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap())).collect();
        writeln!(out, "  connections by protocol: true {expected:?}, counted {counted:?}").unwrap();
        assert_eq!(counted.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        if without.is_empty() {
            let all = [&expected, &counted].map(|counts| counts.values().sum());
            let each = expected.iter().map(|(protocol, expected)| [*expected, counted[protocol]]);
            for [expected, counted] in each.chain([all]) {
                // One may be off even where there are few.
                if counted.abs_diff(expected) > (expected / COUNT_ONE_IN).max(1) {
                    faults.push(format!("{counted} counted of {expected}"));
                }
            }
        }
    }

    /// Compares the bytes of leading rows with what their sources saw, and the view with the queries it stands for.
    fn check_bytes(&self, rows: &[Row], faults: &mut Vec<String>) {
        let sums = &self.ask(
            "SELECT (SELECT sum(bytes_out) FILTER (WHERE is_lead) FROM flows), \
             (SELECT sum(bytes_in) FILTER (WHERE is_lead) FROM flows), \
             (SELECT count(*) FILTER (WHERE opens) FROM flows), sum(lead_bytes_out), sum(lead_bytes_in), \
             sum(connection_count) FROM connections",
        )[0];
        let sums: Vec<u64> = sums.iter().map(|sum| sum.parse().unwrap()).collect();
        let mut out = std::io::stderr();
        assert_eq!(sums[..3], sums[3..], "the view tells otherwise");
        for (way, (counted, expected)) in ["out", "in"].iter().zip(sums.iter().zip(self.expected_bytes(rows))) {
            let off = counted.abs_diff(expected);
            writeln!(out, "  bytes {way}: {counted} of {expected}, off by {off}").unwrap();
            if off * BYTES_ONE_IN > expected {
                faults.push(format!("bytes {way}: {counted} counted of {expected}"));
            }
        }
    }

    /// What the source that leads most of an edge's connections would count of all of them without loss: out and in.
    fn expected_bytes(&self, rows: &[Row]) -> [u64; 2] {
        let edge = |of: usize| {
            let Connection { client, server, protocol, server_port, .. } = self.truth[of];
            (client.service, server.service, protocol, server_port)
        };
        let leads: BTreeSet<(usize, &str)> =
            rows.iter().filter(|row| row.is_lead).map(|row| (row.of, row.source.as_str())).collect();
        let mut edges: BTreeMap<_, BTreeMap<&str, u64>> = BTreeMap::new();
        for (of, source) in leads {
            *edges.entry(edge(of)).or_default().entry(source).or_default() += 1;
        }
        let mut sums = [0, 0];
        for (of, connection) in self.truth.iter().enumerate() {
            let Some(sources) = edges.get(&edge(of)) else { continue };
            let Some((source, _)) = sources.iter().max_by_key(|(_, connections)| **connections) else { continue };
            for (sum, bytes) in sums.iter_mut().zip(bytes(source, connection)) {
                *sum += bytes.unsigned_abs();
            }
        }
        sums
    }
}

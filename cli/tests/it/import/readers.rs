//! The lake is open: DuckDB's delta extension, Polars and `deltalake` read the same numbers from it as `tradewind sql`.

use super::bad_input::skipped;
use super::vpc_log::{self, Expected, HEALTHY};
use super::{ask, import};
use crate::program::Program;
use serde_json::{Map, Value};
use std::process::Command;

/// Answers the questions below with each reader.
const SCRIPT: &str = include_str!("readers.py");

/// What is asked of every reader, in our SQL: names and answers are those that the script prints. Times are compared as
/// microseconds.
const QUESTIONS: [(&str, &str); 4] = [
    (
        "totals",
        "SELECT count(*) AS rows, sum(bytes_out) AS bytes_out, count(DISTINCT src_ip) AS sources, \
         CAST(min(start_time) AS BIGINT) AS first, CAST(max(start_time) AS BIGINT) AS last, \
         count(*) FILTER (WHERE bytes_in IS NULL) AS without_answer FROM flows",
    ),
    ("outcomes", "SELECT outcome, count(*) AS rows FROM flows GROUP BY outcome ORDER BY outcome"),
    ("dates", "SELECT CAST(date AS VARCHAR) AS date, count(*) AS rows FROM flows GROUP BY date ORDER BY date"),
    (
        "others",
        "SELECT (SELECT count(*) FROM dead_letters) AS dead_letters, (SELECT sum(records) FROM imports) AS imported, \
         (SELECT sum(flows) FROM coverage) AS covered",
    ),
];

#[test]
fn other_readers_read_the_same() {
    let Some(python) = std::env::var_os("TRADEWIND_PYTHON") else {
        skipped("TRADEWIND_PYTHON names no Python with the readers; scripts/python-env makes one");
        return;
    };
    let program = Program::new();
    let mut expected = Expected::default();
    vpc_log::write(&program.folder().join("vpc.log"), 3, 50_000, HEALTHY, &mut expected);
    // A day of its own, and a time that no calendar of most languages holds.
    let row = |times: &str| vpc_log::ROW.replace("1700000000 1700000060", times);
    let times = row("1700100000 1700100060") + &row("253402300000 253402300060");
    program.file("days.log", vpc_log::HEADER.to_owned() + &times);
    let mut paths = vec!["vpc.log".to_owned(), "days.log".to_owned()];
    paths
        .extend(tradewind_testkit::shared("samples/envoy_istio").map(|samples| format!("{}/*.log", samples.display())));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let imported = import(&program, &paths, 0);
    assert!(imported.number("flows") >= expected.flows + 2, "{}", imported.summary);

    let ours: Map<String, Value> =
        QUESTIONS.iter().map(|(name, query)| ((*name).to_owned(), Value::Array(ask(&program, query)))).collect();
    let output = Command::new(python).args(["-c", SCRIPT]).arg(program.folder().join("lake")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let readers: Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    for reader in ["duckdb", "polars", "deltalake"] {
        let Some(theirs) = readers.get(reader) else {
            skipped(&format!("{reader} is not installed"));
            continue;
        };
        for (name, answer) in &ours {
            assert_eq!(&theirs[name], answer, "{reader} reads other {name} than we do");
        }
        assert_columns(reader, &theirs["columns"], &program);
    }
}

/// Every column is there, in our order, with the type that the reader has for ours.
fn assert_columns(reader: &str, theirs: &Value, program: &Program) {
    let ours: Vec<(String, String)> = ask(program, "DESCRIBE flows")
        .iter()
        .map(|column| ["column_name", "data_type"].map(|key| column[key].as_str().unwrap().to_owned()))
        .map(|[name, ty]| (name, kind(&ty).to_owned()))
        .collect();
    let theirs: Vec<(String, String)> = serde_json::from_value(theirs.clone()).unwrap();
    assert_eq!(theirs, ours, "{reader} reads other columns than we do");
    for expected in [("dst_port", "int32"), ("start_time", "timestamp_us_utc"), ("date", "date"), ("opens", "bool")] {
        let is_there = ours.iter().any(|(name, kind)| (name.as_str(), kind.as_str()) == expected);
        assert!(is_there, "{expected:?} is not among {ours:?}");
    }
}

/// Our word for an Arrow type, as the script has it.
fn kind(arrow: &str) -> &'static str {
    match arrow {
        "Int16" => "int16",
        "Int32" => "int32",
        "Int64" => "int64",
        "Boolean" => "bool",
        "Date32" => "date",
        text if text.contains("Utf8") => "text",
        time if time.starts_with("Timestamp(") && time.contains("UTC") => "timestamp_us_utc",
        other => panic!("`{other}` is not expected in flows"),
    }
}

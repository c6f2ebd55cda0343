//! `tradewind demo`, and what can be done with the lake that it leaves: the first complete path through the product.

use crate::program::{Outcome, Program};
use serde_json::Value;
use std::io::Read as _;
use std::process::Stdio;

/// Runs the demo and goes on in its folder.
fn kept() -> (Program, Outcome) {
    let program = Program::new();
    let demo = program.run(&["demo", "--keep", "demo"]);
    (program, demo)
}

fn in_demo(program: &Program, arguments: &[&str]) -> Outcome {
    let arguments: Vec<&str> = ["--config", "demo/tradewind.toml"].iter().chain(arguments).copied().collect();
    program.run(&arguments)
}

#[test]
fn the_demo_finds_what_it_planted_and_its_lake_answers() {
    let (program, demo) = kept();
    assert_eq!(demo.code, 0, "{}", demo.err);
    for expected in ["$ tradewind import logs", "$ tradewind detect", "$ tradewind sql \"SELECT", "To go on:"] {
        assert!(demo.out.contains(expected), "{expected} is not in:\n{}", demo.out);
    }
    assert!(demo.out.contains("[critical] agent support-bot"), "{}", demo.out);

    let findings: Vec<Value> = serde_json::from_str(&in_demo(&program, &["findings", "-o", "json"]).out).unwrap();
    let entities: Vec<&str> = findings.iter().filter_map(|finding| finding["entity"].as_str()).collect();
    let planted = |entity: &str| entity.ends_with("/support-bot") || entity.ends_with("/ci-runner");
    assert!(!entities.is_empty() && entities.iter().all(|entity| planted(entity)), "{entities:?}");
    assert!(findings.len() <= 5, "few findings: {findings:?}");
    the_payments_are_found_in_time(&program, &findings);
    the_queries_show_what_is_counted(&program, &findings);
    the_policy_names_what_was_planted(&program, &PLANTED_IN_A);

    again_adds_nothing(&program, findings.len());
    shows_one_finding(&program, &findings[0]);
    answers_in_every_output(&program);
    explains_errors(&program);
}

/// Edges of scenario A that the policy denies.
const PLANTED_IN_A: [(&str, &str); 10] = [
    ("support-bot", "customer-db"),
    ("support-bot", "ledger-db"),
    ("support-bot", "vault"),
    ("support-bot", "payment-api"),
    ("support-bot", "orders-db"),
    ("support-bot", "ledger"),
    ("support-bot", "warehouse"),
    ("support-bot", "ci-runner"),
    ("ci-runner", "vault"),
    ("ci-runner", "payment-api"),
];

/// Within a minute of the first payment, and with the way that led there.
fn the_payments_are_found_in_time(program: &Program, findings: &[Value]) {
    let query = "SELECT min(start_time) AS first, count(*) AS calls FROM flows \
                 WHERE src_entity LIKE '%/ci-runner' AND dst_entity LIKE '%/payment-api'";
    let payments: Value = serde_json::from_str(&in_demo(program, &["sql", "-o", "ndjson", query]).out).unwrap();
    assert_eq!(payments["calls"], 847);
    let seconds = |time: &Value| {
        let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
        time.as_second()
    };
    let of = |behaviour: &str| {
        let is_wanted = |finding: &&Value| {
            let text = finding.to_string();
            finding["behaviour"] == behaviour && text.contains("/ci-runner") && text.contains("/payment-api")
        };
        findings.iter().find(is_wanted).unwrap_or_else(|| panic!("no {behaviour} finding: {findings:?}"))
    };
    let late = seconds(&of("policy")["time"]) - seconds(&payments["first"]);
    assert!((0..=60).contains(&late), "found {late} s after the first payment");
    let chain = of("chain");
    let told = chain["observed"].as_str().unwrap();
    assert!(told.contains("agent support-bot contacted service ci-runner on port 22"), "{told}");
    assert!(seconds(&chain["time"]) - seconds(&payments["first"]) <= 60, "{chain}");
}

/// The query of a finding shows the flows that it counts, no more and no less.
fn the_queries_show_what_is_counted(program: &Program, findings: &[Value]) {
    for finding in findings {
        let query = format!("SELECT count(*) AS n FROM ({})", finding["evidence_query"].as_str().unwrap());
        let rows: Value = serde_json::from_str(&in_demo(program, &["sql", "-o", "ndjson", &query]).out).unwrap();
        assert_eq!(rows["n"], finding["flow_count"], "{finding}");
    }
}

/// `policy check` names these edges and no other.
fn the_policy_names_what_was_planted(program: &Program, planted: &[(&str, &str)]) {
    let checked = in_demo(program, &["policy", "check", "-o", "json"]);
    assert_eq!(checked.code, 0, "{}", checked.err);
    let report: Value = serde_json::from_str(&checked.out).unwrap();
    let name = |entity: &Value| entity.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let mut edges: Vec<(String, String)> = report["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| (name(&edge["src_entity"]), name(&edge["dst_entity"])))
        .collect();
    edges.sort();
    let mut expected: Vec<_> = planted.iter().map(|(src, dst)| ((*src).to_owned(), (*dst).to_owned())).collect();
    expected.sort();
    assert_eq!(edges, expected);
    for empty in ["plaintext", "unknown", "agents_without_policy", "unused_rules"] {
        assert_eq!(report[empty], Value::Array(Vec::new()), "{empty}");
    }
    // The columns that import filled say the same.
    let denied = "SELECT count(*) AS n FROM flows WHERE declared_verdict = 'denied'";
    let rows: Value = serde_json::from_str(&in_demo(program, &["sql", "-o", "ndjson", denied]).out).unwrap();
    assert_eq!(rows["n"], report["flows"]["denied"]);
    let query = report["violations"][0]["query"].as_str().unwrap();
    assert!(!in_demo(program, &["sql", "-o", "ndjson", query]).out.is_empty());
    assert_eq!(in_demo(program, &["policy", "check", "--exit-code"]).code, 2);
}

#[test]
fn an_enforced_policy_is_found_as_a_denied_scan() {
    let program = Program::new();
    let demo = program.run(&["demo", "--scenario", "c", "--keep", "demo"]);
    assert_eq!(demo.code, 0, "{}", demo.err);
    let findings: Vec<Value> = serde_json::from_str(&in_demo(&program, &["findings", "-o", "json"]).out).unwrap();
    assert!(findings.iter().all(|finding| finding["entity"].as_str().unwrap().ends_with("/support-bot")));
    assert!(findings.len() <= 2, "{findings:?}");
    the_queries_show_what_is_counted(&program, &findings);
    let scan = findings.iter().find(|finding| finding["behaviour"] == "scan").unwrap();
    assert_eq!(scan["severity"], "critical");
    assert!(scan["observed"].as_str().unwrap().contains("was denied"), "{scan}");
    let query = "SELECT DISTINCT src_entity, dst_entity FROM flows WHERE outcome = 'denied'";
    let denied = in_demo(&program, &["sql", "-o", "ndjson", query]);
    let denied: Vec<Value> = denied.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let name = |entity: &Value| entity.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let edges: Vec<_> = denied.iter().map(|row| (name(&row["src_entity"]), name(&row["dst_entity"]))).collect();
    let planted: Vec<(&str, &str)> = edges.iter().map(|(src, dst)| (src.as_str(), dst.as_str())).collect();
    assert!(planted.len() > 25 && planted.iter().all(|(src, _)| *src == "support-bot"), "{planted:?}");
    the_policy_names_what_was_planted(&program, &planted);
}

fn again_adds_nothing(program: &Program, findings: usize) {
    let import = in_demo(program, &["import", "demo/logs", "-o", "json"]);
    let summary: Value = serde_json::from_str(&import.out).unwrap();
    assert_eq!((&summary["flows"], &summary["records"]), (&Value::from(0), &Value::from(0)), "{}", import.out);
    let detect = in_demo(program, &["detect"]);
    assert!(detect.err.contains(", 0 new or changed"), "{}", detect.err);
    let rows = in_demo(program, &["sql", "-o", "csv", "SELECT count(*) AS n FROM findings"]);
    assert_eq!(rows.out, format!("n\n{findings}\n"));
}

fn shows_one_finding(program: &Program, finding: &Value) {
    let id = finding["finding_id"].as_str().unwrap();
    let shown = in_demo(program, &["findings", "show", &id[..8]]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    for expected in [id, "expected", "since", "Observations, strongest first:"] {
        assert!(shown.out.contains(expected), "{expected} is not in:\n{}", shown.out);
    }
    let query = finding["evidence_query"].as_str().unwrap();
    let flows = in_demo(program, &["sql", "-o", "ndjson", query]);
    assert!(flows.code == 0 && !flows.out.is_empty(), "{}", flows.err);
    let entity = in_demo(program, &["findings", "list", "--entity", "support-bot", "-o", "ndjson"]);
    assert!(entity.out.lines().all(|line| line.contains("/support-bot")), "{}", entity.out);
    assert_eq!(in_demo(program, &["findings", "--severity", "critical", "-o", "ndjson"]).out.lines().count(), 1);
    let unknown = in_demo(program, &["findings", "show", "zz"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (1, "error: there is no finding zz: `tradewind findings` lists them\n")
    );
}

fn answers_in_every_output(program: &Program) {
    const QUERY: &str =
        "SELECT 'a' AS word, CAST(1 AS BIGINT) AS number, to_timestamp_micros(0) AS time, NULL AS nothing";
    let check = |format: &str, expected: &str| {
        let answer = in_demo(program, &["sql", "-o", format, QUERY]);
        assert_eq!((answer.code, answer.out.as_str()), (0, expected), "{}", answer.err);
    };
    check("csv", "word,number,time,nothing\na,1,1970-01-01T00:00:00Z,\n");
    let object = r#"{"word":"a","number":1,"time":"1970-01-01T00:00:00Z","nothing":null}"#;
    check("ndjson", &format!("{object}\n"));
    check("json", &format!("[\n{object}\n]\n"));
    let piped = program.run_with_input(&["sql", "--lake", "demo/lake", "-o", "csv"], b"select 1 as a; select 2 as b;");
    assert_eq!(piped.out, "a\n1\nb\n2\n", "{}", piped.err);
    let table = in_demo(program, &["sql", "SELECT * FROM flows"]);
    assert!(table.err.contains("10,000 rows shown; there are more"), "{}", table.err);
}

fn explains_errors(program: &Program) {
    let check = |query: &str, expected: &str| {
        let answer = in_demo(program, &["sql", query]);
        assert_eq!((answer.code, answer.out.as_str()), (1, ""), "{query}");
        assert!(answer.err.contains(expected), "{query}: {}", answer.err);
    };
    check("SELECT count(* FROM flows", "  SELECT count(* FROM flows\n                 ^");
    check("SELECT nope FROM flows", "No field named nope. `DESCRIBE flows` lists the columns");
    check("DROP TABLE flows", "the lake is read only");
    check("INSERT INTO findings SELECT * FROM findings", "the lake is read only");
}

/// Findings of an entity whose name is an attack on the terminal: what is shown is harmless, and its SQL still finds.
#[test]
fn a_hostile_name_is_shown_and_its_query_still_right() {
    let (program, _) = kept();
    let inventory = std::fs::read_to_string(program.folder().join("demo/inventory.csv")).unwrap();
    program.file("demo/inventory.csv", inventory.replace("support-bot", "support\u{1b}[2J\u{9b}31mbot"));
    let other = |arguments: &[&str]| in_demo(&program, &[arguments, &["--lake", "other"]].concat());
    let steers = |character: char| character.is_control() && character != '\n';
    for arguments in [&["import", "demo/logs"][..], &["detect"], &["findings"], &["findings", "-o", "json"]] {
        let outcome = other(arguments);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(!outcome.out.contains(steers) && !outcome.err.contains(steers), "{arguments:?}: {outcome:?}");
    }
    let findings: Vec<Value> = serde_json::from_str(&other(&["findings", "-o", "json"]).out).unwrap();
    let of_bot = |finding: &&Value| finding["entity"].as_str().is_some_and(|entity| entity.contains('\u{1b}'));
    let finding = findings.iter().find(of_bot).unwrap();
    let shown = other(&["findings", "show", finding["finding_id"].as_str().unwrap()]);
    assert!(!shown.out.contains(steers), "{}", shown.out);
    let (_, query) = shown.out.split_once("SQL that shows the flows:\n").unwrap();
    assert!(query.contains("chr(27)"), "{query}");
    let rows = other(&["sql", "-o", "csv", query]).out.lines().count();
    let meant = other(&["sql", "-o", "csv", finding["evidence_query"].as_str().unwrap()]).out.lines().count();
    assert!(rows > 1 && rows == meant, "{rows} and {meant} lines");
}

#[test]
fn a_demo_that_nobody_reads_to_its_end_says_so() {
    let program = Program::new();
    let mut child =
        program.command(&["demo", "--keep", "demo"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = "standard output was closed: the steps of the demo that it could not show are not done\n";
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && err.ends_with(told), "{:?}: {err}", output.status);
}

#[test]
fn a_folder_that_is_in_use_is_left_alone() {
    let program = Program::new();
    program.file("mine.txt", "");
    let demo = program.run(&["demo", "--keep", "."]);
    assert_eq!(demo.code, 64);
    assert!(demo.err.contains("the folder is not empty"), "{}", demo.err);
}

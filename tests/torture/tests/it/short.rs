//! Twenty faults on each log: nothing missing, doubled or foreign, and the findings of an undisturbed run.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The exit code where a server cannot be had.
const SKIPPED: i32 = 3;

/// Runs the program and returns its report; none where a server cannot be had. It fails where something is wrong.
pub(crate) fn torture(arguments: &[&str]) -> Option<serde_json::Value> {
    // One at a time: each keeps a small machine busy, and slowness is not what is tested.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let torture = Path::new(env!("CARGO_BIN_EXE_tradewind-torture"));
    if !torture.with_file_name("tradewind").is_file() {
        // Not by `eprintln!`, which the test harness keeps to itself when a test passes.
        writeln!(std::io::stderr(), "SKIPPED: tradewind is not built: run the tests of the whole workspace").ok();
        return None;
    }
    let output = Command::new(torture).args(arguments).stderr(Stdio::piped()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let is_required = std::env::var_os("TRADEWIND_REQUIRE_SERVERS").is_some_and(|value| value == "1");
    if output.status.code() == Some(SKIPPED) && !is_required {
        writeln!(std::io::stderr(), "{}", said.lines().find(|line| line.contains("SKIPPED")).unwrap_or("SKIPPED")).ok();
        return None;
    }
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    Some(serde_json::from_slice(&output.stdout).expect("the report is JSON"))
}

fn check(log: &str, seed: &str) {
    let Some(report) = torture(&["--log", log, "--faults", "20", "--seed", seed, "--json"]) else { return };
    for (key, expected) in [("missing", 0), ("doubled", 0), ("foreign", 0), ("faults", 20)] {
        assert_eq!(report[key], expected, "{key} in {report}");
    }
    assert!(report["acknowledged"].as_u64() > Some(10_000), "{report}");
}

#[test]
fn twenty_faults_on_kafka() {
    check("kafka", "1");
}

#[test]
fn twenty_faults_on_the_embedded_log() {
    check("embedded", "2");
}

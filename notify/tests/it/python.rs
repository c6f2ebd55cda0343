//! Independent parsers and validators, from the Python environment of the tests.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a script with this as its input. None, after a line that says so, where there is no Python with these modules; that is a
/// failure where everything is required.
pub(crate) fn run(script: &str, modules: &[&str], input: &str) -> Option<String> {
    let python = std::env::var_os("TRADEWIND_PYTHON");
    let has = |python: &std::ffi::OsStr| {
        Command::new(python)
            .args(["-c", &format!("import {}", modules.join(","))])
            .output()
            .is_ok_and(|done| done.status.success())
    };
    let Some(python) = python.filter(|python| has(python)) else {
        skipped(&format!("TRADEWIND_PYTHON names no Python with {}", modules.join(", ")));
        return None;
    };
    let mut child = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap())
}

/// Says that a test did not run; fails where it has to.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("TRADEWIND_REQUIRE_SERVERS").is_none_or(|value| value != "1"), "{why}");
    writeln!(std::io::stderr(), "SKIPPED: {why}").ok();
}

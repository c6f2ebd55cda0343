//! `SIGKILL` at any moment: nothing that was acknowledged is missing, nothing is there twice; and what a torn last write takes with
//! it is counted.

use super::damage::{journal, tear};
use super::handles::{all_values, create};
use super::open;
use crate::conformance::{at, records};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use tradewind_transport::Log;

/// Records of one write of the child.
const EACH: u64 = 3;

/// The child: writes numbered records to the log in its working directory and says each write that was acknowledged, until it is
/// killed. Runs only when the test below starts it.
#[test]
#[ignore = "the child of `a_killed_writer_loses_nothing`"]
fn child() {
    let log = open(Path::new("log"));
    if log.topics(&["t"]).unwrap().is_empty() {
        create(&log, "t", 1);
    }
    let mut producer = log.producer("p").unwrap();
    let mut out = std::io::stdout();
    loop {
        let next = u64::try_from(log.range(&at("t", 0)).unwrap().1).unwrap();
        let values: Vec<String> = (next..next + EACH).map(|number| number.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        producer.write(records(&at("t", 0), &values), None).unwrap();
        writeln!(out, "acknowledged {}", next + EACH).unwrap();
    }
}

/// Starts the child in a folder, kills it when it acknowledged so many writes, and says how far it was.
fn write_and_kill(folder: &Path, writes: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::kill::child", "--ignored", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut last = 0;
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some((_, number)) = line.unwrap().split_once("acknowledged ") {
            last = number.parse().unwrap();
            seen += 1;
            if seen == writes {
                // What it writes until it is dead is read as well.
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(seen >= writes, "the child ended by itself after {seen} writes");
    last
}

#[test]
fn a_killed_writer_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (round, writes) in [1, 20, 3, 57, 2, 33].into_iter().enumerate() {
        let acknowledged = write_and_kill(folder.path(), writes);
        let log = open(&folder.path().join("log"));
        let (_, end) = log.range(&at("t", 0)).unwrap();
        let found = all_values(&log, "t");
        assert!(
            found.iter().map(|value| value.parse::<u64>().unwrap()).eq(0..found.len() as u64),
            "round {round}: {found:?}"
        );
        let end = u64::try_from(end).unwrap();
        // The write that was under way may be there, and as a whole.
        assert!(end == acknowledged || end == acknowledged + EACH, "round {round}: {end} of {acknowledged}");
        assert_eq!(log.recovered().writes, 0, "what the kill tears was not acknowledged; the system wrote it whole");
    }
    // The loss of power tears what was written last.
    let log_folder = folder.path().join("log");
    let before = {
        let log = open(&log_folder);
        u64::try_from(log.range(&at("t", 0)).unwrap().1).unwrap()
    };
    tear(&journal(&log_folder), 7);
    let log = open(&log_folder);
    assert_eq!((log.recovered().writes, log.recovered().records), (1, EACH));
    assert_eq!(u64::try_from(log.range(&at("t", 0)).unwrap().1).unwrap(), before - EACH, "cut and counted agree");
    let found = all_values(&log, "t");
    assert!(found.iter().map(|value| value.parse::<u64>().unwrap()).eq(0..before - EACH));
}

//! Imports that are killed, or asked to end: running the same command again finishes them, with each record once.

use super::vpc_log::{self, Expected, HEALTHY, Mix, assert_each_once};
use super::{Running, ask, assert_tidy, checked, has_data_file, import};
use crate::program::Program;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Rows of a data file are 262,144: one thread writes two files before the third is full.
const LINES_OF_SEVERAL_FILES: u64 = 700_000;

fn commit(lake: &Path, table: &str, version: u64) -> PathBuf {
    lake.join(table).join(format!("_delta_log/{version:020}.json"))
}

/// A state in which an import is killed: what it has done by then.
type State = (&'static str, fn(&Path) -> bool);

const STATES: [State; 9] = [
    ("the first table is being made", |lake| lake.join("dead_letters").is_dir()),
    ("the first table is there", |lake| commit(lake, "dead_letters", 0).exists()),
    ("the ledger is there", |lake| commit(lake, "imports", 0).exists()),
    ("all tables are there", |lake| commit(lake, "flows", 0).exists()),
    ("a data file is there", |lake| has_data_file(&lake.join("flows"))),
    ("rejects are committed", |lake| commit(lake, "dead_letters", 1).exists()),
    ("coverage is committed", |lake| commit(lake, "coverage", 1).exists()),
    ("flows are committed", |lake| commit(lake, "flows", 1).exists()),
    ("a file of the ledger is there", |lake| has_data_file(&lake.join("imports"))),
];

#[test]
fn an_import_that_is_killed_in_any_state_is_finished_by_the_next() {
    let program = Program::new();
    let expected = vpc_log::write_folder(&program.folder().join("logs"), 3, 20_000, HEALTHY);
    let mut killed = 0;
    for (name, state) in STATES {
        let lake = program.folder().join("lake");
        let mut running = Running::start(program.command(&["import", "-o", "json", "logs"]));
        let is_there = running.until(|| state(&lake));
        let was_killed = running.kill().code().is_none();
        assert!(is_there || !was_killed, "{name}");
        killed += u32::from(was_killed);
        let again = import(&program, &["logs"], 0);
        assert!(again.number("flows") == expected.flows || again.number("flows") == 0, "{name}: {}", again.summary);
        assert_each_once(&program, &expected);
        assert_eq!(import(&program, &["logs"], 0).number("files_skipped"), expected.files, "{name}");
        std::fs::remove_dir_all(lake).unwrap();
    }
    assert!(killed >= 6, "only {killed} of {} imports were killed before they ended", STATES.len());
}

#[test]
fn an_import_that_is_killed_again_and_again_is_finished_in_the_end() {
    const KILLS: u32 = 12;
    let program = Program::new();
    // So many rejects that they are written out before the commit.
    let mix = Mix { reject_every: 3, gap_every: 50 };
    let expected = vpc_log::write_folder(&program.folder().join("logs"), 3, 80_000, mix);
    let started = Instant::now();
    import(&program, &["logs", "--lake", "undisturbed"], 0);
    let undisturbed = started.elapsed();
    for kill in 1..=KILLS {
        let mut running = Running::start(program.command(&["import", "logs"]));
        let (started, after) = (Instant::now(), undisturbed * kill / KILLS);
        running.until(|| started.elapsed() >= after);
        running.kill();
    }
    import(&program, &["logs"], 0);
    assert_each_once(&program, &expected);
}

#[test]
fn a_signal_ends_an_import_without_a_trace() {
    let program = Program::new();
    let mut expected = Expected::default();
    vpc_log::write(&program.folder().join("flows.log"), 1, LINES_OF_SEVERAL_FILES, HEALTHY, &mut expected);
    let lake = program.folder().join("lake");
    for signal in ["TERM", "INT"] {
        let command = program.command(&["import", "-o", "json", "--threads", "1", "flows.log"]);
        let mut running = Running::start(command);
        assert!(running.until(|| has_data_file(&lake.join("flows"))), "it ended before it wrote anything");
        running.signal(signal);
        let signalled = Instant::now();
        let stopped = checked(running.end(), 1);
        assert!(signalled.elapsed() < Duration::from_secs(20), "it took {:?} to end", signalled.elapsed());
        assert_eq!(stopped.summary["interrupted"], true, "{}", stopped.summary);
        assert_eq!(stopped.number("records"), 0, "{}", stopped.summary);
        assert_eq!(
            stopped.outcome.err,
            "error: interrupted; what was committed stays, and running the same command again goes on from there\n"
        );
        assert_eq!(ask(&program, "SELECT count(*) AS n FROM flows")[0]["n"], 0);
        assert_tidy(&lake);
    }
    let finished = import(&program, &["flows.log"], 0);
    assert_eq!(finished.number("flows"), expected.flows);
    assert_each_once(&program, &expected);
    assert_tidy(&lake);
}

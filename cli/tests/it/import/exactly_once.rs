//! Each record is in the lake exactly once: whoever imports it again, or beside.

use super::vpc_log::{self, Expected, HEALTHY, Mix, assert_each_once};
use super::{Running, assert_tidy, checked, import};
use crate::program::Program;

#[test]
fn the_same_bytes_add_nothing() {
    let program = Program::new();
    let expected = vpc_log::write_folder(&program.folder().join("logs"), 3, 5_000, HEALTHY);
    let first = import(&program, &["logs"], 0);
    assert_eq!((first.number("files"), first.number("files_skipped")), (3, 0), "{}", first.summary);
    assert_eq!(first.number("flows"), expected.flows);

    std::fs::copy(program.folder().join("logs/1.log"), program.folder().join("other.name")).unwrap();
    let bytes = std::fs::read(program.folder().join("logs/2.log")).unwrap();
    for paths in [&["logs"][..], &["logs/0.log"], &["other.name"], &["logs", "other.name", "logs/*.log"], &["-"]] {
        let arguments: Vec<&str> = ["import", "-o", "json"].iter().chain(paths).copied().collect();
        let again = checked(program.run_with_input_if(&arguments, (paths == ["-"]).then_some(&bytes)), 0);
        assert_eq!(again.number("files"), again.number("files_skipped"), "{}", again.summary);
        assert_eq!((again.number("records"), again.number("bytes_out")), (0, 0), "{}", again.summary);
    }
    let told = program.run(&["import", "logs"]);
    assert!(told.out.contains("3 skipped: their bytes were imported before; nothing was added\n"), "{}", told.out);
    assert_each_once(&program, &expected);
    assert_tidy(&program.folder().join("lake"));
}

trait WithInput {
    fn run_with_input_if(&self, arguments: &[&str], input: Option<&Vec<u8>>) -> crate::program::Outcome;
}

impl WithInput for Program {
    fn run_with_input_if(&self, arguments: &[&str], input: Option<&Vec<u8>>) -> crate::program::Outcome {
        match input {
            Some(input) => self.run_with_input(arguments, input),
            None => self.run(arguments),
        }
    }
}

#[test]
fn standard_input_twice_adds_nothing() {
    let program = Program::new();
    let mut expected = Expected::default();
    vpc_log::write(&program.folder().join("flows.log"), 7, 5_000, HEALTHY, &mut expected);
    let bytes = std::fs::read(program.folder().join("flows.log")).unwrap();
    let first = checked(program.run_with_input(&["import", "-", "-o", "json"], &bytes), 0);
    assert_eq!((first.number("flows"), first.number("bytes_in")), (expected.flows, bytes.len() as u64));
    for again in [&["import", "-", "-o", "json"][..], &["import", "flows.log", "-o", "json"]] {
        let again = checked(program.run_with_input_if(again, (again[1] == "-").then_some(&bytes)), 0);
        assert_eq!((again.number("files_skipped"), again.number("records")), (1, 0), "{}", again.summary);
    }
    assert_each_once(&program, &expected);
    assert_eq!(super::ask(&program, "SELECT path FROM imports")[0]["path"], "-");
}

#[test]
fn equal_files_of_one_folder_come_in_once() {
    let program = Program::new();
    let expected = vpc_log::write_folder(&program.folder().join("logs"), 2, 5_000, HEALTHY);
    for copy in 0..5 {
        std::fs::copy(
            program.folder().join(format!("logs/{}.log", copy % 2)),
            program.folder().join(format!("logs/copy{copy}.log")),
        )
        .unwrap();
    }
    let imported = import(&program, &["logs"], 0);
    assert_eq!((imported.number("files"), imported.number("files_skipped")), (7, 5), "{}", imported.summary);
    assert_each_once(&program, &expected);
}

/// Starts three imports of the same folder at the same moment.
fn beside_each_other(files: u64, lines: u64, mix: Mix) {
    let program = Program::new();
    let expected = vpc_log::write_folder(&program.folder().join("logs"), files, lines, mix);
    let arguments = ["import", "-o", "json", "--threads", "2", "logs"];
    let running: Vec<Running> = (0..3).map(|_| Running::start(program.command(&arguments))).collect();
    let imported: Vec<_> = running.into_iter().map(|running| checked(running.end(), 0)).collect();
    for (key, wanted) in [("flows", expected.flows), ("rejected", expected.rejected), ("gaps", expected.gaps)] {
        let told: u64 = imported.iter().map(|imported| imported.number(key)).sum();
        assert_eq!(told, wanted, "the summaries together tell other {key} than there are");
    }
    let objects: u64 = imported.iter().map(|each| each.number("files") - each.number("files_skipped")).sum();
    assert_eq!(objects, expected.files);
    assert_each_once(&program, &expected);
    assert_tidy(&program.folder().join("lake"));
}

#[test]
fn three_imports_of_one_folder_at_the_same_time() {
    beside_each_other(6, 20_000, HEALTHY);
}

#[test]
fn three_imports_with_more_rejects_than_are_held_in_memory() {
    // Over 16 MiB of rejects: they are written out before the commit, by all three.
    beside_each_other(2, 120_000, Mix { reject_every: 2, gap_every: 3 });
}

//! Which files an import takes, and which it leaves alone: names and bytes that are the same, links, the lake, many days.

use super::vpc_log::{HEADER, ROW};
use super::{ask, import};
use crate::program::Program;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

fn log(rows: usize) -> String {
    format!("{HEADER}{}", ROW.repeat(rows))
}

/// With a folder for logs.
fn with_logs() -> Program {
    let program = Program::new();
    std::fs::create_dir(program.folder().join("logs")).unwrap();
    program
}

/// A gzip file without its end.
fn damaged() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(log(2_000).as_bytes()).unwrap();
    let mut packed = encoder.finish().unwrap();
    packed.truncate(packed.len() - 8);
    packed
}

#[test]
fn every_copy_of_a_damaged_file_is_told_and_the_others_are_imported() {
    let program = with_logs();
    program.file("logs/whole.log", log(3));
    for copy in 0..20 {
        program.file(&format!("logs/copy{copy}.gz"), damaged());
    }
    let imported = import(&program, &["logs"], 1);
    assert_eq!(imported.number("flows"), 3, "{}", imported.summary);
    assert_eq!(imported.summary["failures"].as_array().unwrap().len(), 20, "{}", imported.summary);
    assert_eq!(ask(&program, "SELECT count(*) AS n FROM flows")[0]["n"], 3);
}

#[test]
fn files_whose_names_look_alike_are_told_apart() {
    let program = with_logs();
    program.file("logs/other.log", log(1));
    for (name, bytes) in [(&b"a\xff.gz"[..], damaged()), (&b"a\xfe.gz"[..], log(2).into_bytes())] {
        std::fs::write(program.folder().join("logs").join(OsStr::from_bytes(name)), bytes).unwrap();
    }
    assert_eq!(import(&program, &["logs"], 1).number("flows"), 3);
}

#[test]
fn links_that_lead_out_of_a_folder_are_left_alone() {
    let program = with_logs();
    program.file("logs/a.log", log(1)).file("secret.log", log(2));
    symlink(program.folder().join("secret.log"), program.folder().join("logs/out.log")).unwrap();
    symlink(program.folder().join("logs/a.log"), program.folder().join("logs/same.log")).unwrap();
    let imported = import(&program, &["logs"], 0);
    assert_eq!((imported.number("flows"), imported.number("files_skipped")), (1, 1), "{}", imported.summary);
    assert!(
        imported.summary["notes"].to_string().contains("out.log (a link out of the folder)"),
        "{}",
        imported.summary
    );
    // Who names the link itself wants it.
    assert_eq!(import(&program, &["logs/out.log"], 0).number("flows"), 2);
}

#[test]
fn the_lake_is_no_log() {
    let program = Program::new();
    program.file("a.log", log(1));
    import(&program, &["."], 0);
    let again = import(&program, &["."], 0);
    assert_eq!((again.number("files"), again.number("records")), (1, 0), "{}", again.summary);
    assert!(again.summary["notes"].to_string().contains("lake (the lake)"), "{}", again.summary);
}

#[test]
fn a_file_that_grew_from_any_earlier_one_is_refused() {
    let program = Program::new();
    let other = ROW.replace("40000", "40001");
    for text in [log(5), format!("{HEADER}{other}")] {
        program.file("app.log", &text);
        import(&program, &["app.log"], 0);
    }
    program.file("app.log", format!("{HEADER}{other}{other}"));
    import(&program, &["app.log"], 1);
    assert_eq!(ask(&program, "SELECT count(*) AS n FROM flows")[0]["n"], 6);
}

#[test]
fn made_up_times_do_not_make_thousands_of_files() {
    let program = Program::new();
    let rows: String = (0..3_000)
        .map(|day| {
            let start = 946_684_800 + day * 86_400;
            format!("2 123456789010 eni-1 10.0.0.1 10.0.0.2 40000 443 6 1 40 {start} {} ACCEPT OK\n", start + 60)
        })
        .collect();
    program.file("flows.log", format!("{HEADER}{rows}"));
    assert_eq!(import(&program, &["flows.log"], 0).number("flows"), 3_000);
    let days = ask(&program, "SELECT count(DISTINCT date) AS n FROM flows");
    assert_eq!(days[0]["n"], 401, "400 of its own, and the day of the import");
    let moved =
        "SELECT count(*) AS n, count(DISTINCT end_time) AS times FROM flows WHERE time_quality = 'out_of_range'";
    assert_eq!((&ask(&program, moved)[0]["n"], &ask(&program, moved)[0]["times"]), (&2_600.into(), &2_600.into()));
    let coverage = ask(&program, "SELECT count(DISTINCT date) AS n, sum(flows) AS flows FROM coverage");
    assert_eq!((&coverage[0]["n"], &coverage[0]["flows"]), (&401.into(), &3_000.into()));
}

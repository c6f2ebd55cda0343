//! Input that is damaged, foreign or made to do harm: each is told, none stops the others, nothing is lost silently.

use super::vpc_log::{HEADER, ROW};
use super::{Imported, Running, ask, checked, import, outcome};
use crate::program::Program;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

/// What an import of bombs may take, in bytes: less than one of them unpacked.
const BOMB_MEMORY_MAX: u64 = 256 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// Imports one file whose first line is a header and whose second is a row, and checks that the row is there and the rest
/// is told as rejects: reason, detail, offset and length of each.
fn check(name: &str, bytes: impl AsRef<[u8]>, flows: u64, expected: &[(&str, &str, u64, u64)]) {
    let program = Program::new();
    program.file(name, bytes);
    assert_rejects(&program, name, flows, expected);
}

fn assert_rejects(program: &Program, name: &str, flows: u64, expected: &[(&str, &str, u64, u64)]) {
    let imported = import(program, &[name], 0);
    assert_eq!(imported.number("flows"), flows, "{}", imported.summary);
    assert_eq!(imported.number("rejected"), expected.len() as u64, "{}", imported.summary);
    assert_eq!(ask(program, "SELECT count(*) AS n FROM flows")[0]["n"], flows);
    let letters = ask(program, "SELECT * FROM dead_letters ORDER BY position_offset");
    assert_eq!(letters.len(), expected.len(), "{letters:?}");
    for (letter, (reason, detail, offset, length)) in letters.iter().zip(expected) {
        let found = (letter["reason"].as_str(), letter["position_offset"].as_u64(), letter["raw_bytes"].as_u64());
        assert_eq!(found, (Some(*reason), Some(*offset), Some(*length)), "{letter}");
        assert!(letter["detail"].as_str().is_some_and(|told| told.contains(detail)), "{letter}");
        assert_eq!(file_name(letter), name);
    }
}

/// The lake keeps where a file was from the root.
fn file_name(letter: &Value) -> &str {
    letter["path"].as_str().and_then(|path| path.rsplit('/').next()).unwrap()
}

fn row_and(rest: impl AsRef<[u8]>) -> Vec<u8> {
    [HEADER.as_bytes(), ROW.as_bytes(), rest.as_ref()].concat()
}

/// Where the third line begins.
const THIRD: u64 = (HEADER.len() + ROW.len()) as u64;

#[test]
fn lines_that_are_no_records_are_rejected_alone() {
    let check = |rest: &[u8], reason: &str, detail: &str, length: u64| {
        check("flows.log", row_and([rest, ROW.as_bytes()].concat()), 2, &[(reason, detail, THIRD, length)]);
    };
    check(
        b"2 123456789010 eni-\xff\xfe 10.0.0.1 10.0.0.2 40000 443 6 1 40 1700000000 1700000060 ACCEPT OK\n",
        "invalid_utf8",
        "byte 19 of the line is not UTF-8",
        88,
    );
    check(b"a half line that another writer wrote\n", "too_few_fields", "7 fields, but the layout has 14", 37);
    check(
        b"2 123456789010 eni-1 10.0.0.1 10.0.0.2 40000 99443 6 1 40 1700000000 1700000060 ACCEPT OK\n",
        "bad_number",
        "99443",
        89,
    );
}

#[test]
fn a_half_line_at_the_end_is_told() {
    check(
        "flows.log",
        row_and("2 123456789010 eni-1 10.0.0.1 10.0"),
        1,
        &[("too_few_fields", "5 fields, but the layout has 14", THIRD, 34)],
    );
}

#[test]
fn a_line_of_100_megabytes_is_passed_over() {
    let long = vec![b'x'; 100_000_000];
    check(
        "flows.log",
        row_and([&long, b"\n".as_slice(), ROW.as_bytes()].concat()),
        2,
        &[("record_too_long", "a record of 100000001 bytes, more than 16777216", THIRD, 100_000_001)],
    );
}

#[test]
fn invalid_utf8_in_an_envoy_line_is_told() {
    let program = Program::new();
    let line = r#"{"start_time":"2024-01-01T00:00:00.000Z","downstream_remote_address":"10.0.0.1:4000","upstream_host":"10.0.0.2:80","response_code":200,"method":"GET","response_flags":"-","bytes_sent":1}"#;
    let bad = [&line.as_bytes()[..line.len() - 1], b",\"path\":\"/\xff\"}\n"].concat();
    program.file("access.log", [line.as_bytes(), b"\n", &bad, line.as_bytes(), b"\n"].concat());
    let length = bad.len() as u64 - 1;
    assert_rejects(&program, "access.log", 2, &[("invalid_utf8", "UTF-8", line.len() as u64 + 1, length)]);
}

/// Imports `bad` beside a whole file, and checks that each bad one is told as a failure and that nothing of it is kept.
fn assert_failures(imported: &Imported, program: &Program, expected: &[(&str, &str)]) {
    let failures = imported.summary["failures"].as_array().unwrap();
    assert_eq!(failures.len(), expected.len(), "{}", imported.summary);
    for (path, detail) in expected {
        let failure = failures.iter().find(|failure| failure["path"].as_str() == Some(*path)).unwrap();
        let told = failure["error"].as_str().unwrap();
        assert!(told.contains(detail) && told.contains("nothing of it was imported"), "{told}");
    }
    assert_eq!(ask(program, "SELECT count(*) AS n FROM flows")[0]["n"], 1);
    assert_eq!(ask(program, "SELECT count(*) AS n FROM dead_letters")[0]["n"], 0);
    assert_eq!(ask(program, "SELECT path FROM imports").len(), 1);
}

#[test]
fn nothing_is_kept_of_a_cut_or_damaged_archive() {
    let log = row_and(ROW.repeat(300_000));
    let packed = gzip(&log);
    let program = Program::new();
    program.file("whole.log", row_and("")).file("cut.gz", &packed[..packed.len() / 2]);
    let mut damaged = packed.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 0xff;
    program.file("damaged.gz", &damaged);
    program.file("cut.zst", &zstd(&log)[..100]);
    let imported = import(&program, &["cut.gz", "damaged.gz", "cut.zst", "whole.log"], 1);
    let expected = [
        ("cut.gz", "the gzip stream ends in the middle"),
        ("damaged.gz", "the gzip stream is damaged"),
        ("cut.zst", "the zstd stream ends in the middle"),
    ];
    assert_failures(&imported, &program, &expected);
    // Fetched again, all of it is imported, once.
    program.file("cut.gz", &packed);
    assert_eq!(import(&program, &["cut.gz"], 0).number("flows"), 300_001);
}

#[test]
fn nothing_is_kept_of_a_damaged_parquet_file() {
    let program = Program::new();
    program.file("whole.log", row_and("")).file("delivery.parquet", b"PAR1 is all that is left of it, and PAR1");
    let imported = import(&program, &["delivery.parquet", "whole.log"], 1);
    assert_failures(&imported, &program, &[("delivery.parquet", "arquet")]);
}

#[test]
fn bombs_end_soon_and_are_told() {
    let program = Program::new();
    // Each is a row and 512 MiB without a line end, or of nothing else: one packed part, many times.
    let bomb = |name: &str, start: &str, filling: u8| {
        let part = gzip(&vec![filling; 16 << 20]);
        program.file(name, [gzip(start.as_bytes()), part.repeat(32)].concat());
    };
    let start = format!("{HEADER}{ROW}");
    bomb("zeros.gz", &start, 0);
    bomb("lines.gz", &start, b'\n');
    bomb("foreign.gz", "", 0);
    program.file("whole.log", row_and(""));
    let files = ["import", "-o", "json", "zeros.gz", "lines.gz", "foreign.gz", "whole.log"];
    let mut running = Running::start(program.command(&files));
    let peak = running.peak_memory();
    let imported = checked(running.end(), 1);
    assert!(peak > 0 && peak < BOMB_MEMORY_MAX, "it took {peak} bytes of memory");
    let failures = imported.summary["failures"].as_array().unwrap();
    let mut told: Vec<_> = failures.iter().filter_map(|failure| failure["path"].as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["lines.gz", "zeros.gz"], "{}", imported.summary);
    assert!(failures.iter().all(|failure| failure["error"].as_str().unwrap().contains("unpacking stopped at")));
    assert_eq!(ask(&program, "SELECT count(*) AS n FROM flows")[0]["n"], 1);
    let letters = ask(&program, "SELECT path, reason FROM dead_letters");
    assert_eq!((file_name(&letters[0]), letters[0]["reason"].as_str()), ("foreign.gz", Some("unknown_format")));
    assert_eq!(letters.len(), 1);
}

#[test]
fn foreign_files_are_told_and_do_not_stop_the_others() {
    let program = Program::new();
    let garbage: Vec<u8> =
        (0..100_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    program
        .file("flows.log", row_and(""))
        .file("garbage", garbage)
        .file("table.csv", "name,amount\napples,3\n")
        .file("syslog", "Nov 23 09:13:11 host sshd[1]: Accepted publickey for root\n");
    let imported = import(&program, &["flows.log", "garbage", "table.csv", "syslog"], 0);
    assert_eq!((imported.number("flows"), imported.number("rejected")), (1, 3), "{}", imported.summary);
    for letter in ask(&program, "SELECT * FROM dead_letters") {
        assert_eq!((letter["reason"].as_str(), letter["source"].as_str()), (Some("unknown_format"), None), "{letter}");
        let told = if file_name(&letter) == "garbage" { "its first line is not text" } else { "`--input-format`" };
        assert!(letter["detail"].as_str().unwrap().contains(told), "{letter}");
    }
    let text = program.run(&["import", "--lake", "other", "garbage"]);
    assert!(text.out.contains("1 file not recognised"), "{}", text.out);
}

#[test]
fn a_file_that_was_not_recognised_can_be_imported_with_its_format() {
    let program = Program::new();
    // The last address is none: the file is not recognised first, and has a reject of its own then.
    program
        .file("own.log", "10.0.0.1 10.0.0.2 443 ACCEPT\n10.0.0.1 10.0.0.2 443 REJECT\n10.0.0.1 nowhere 443 ACCEPT\n");
    for skipped in [0, 1] {
        let foreign = import(&program, &["own.log"], 0);
        assert_eq!(foreign.number("files_skipped"), skipped, "{}", foreign.summary);
    }
    let format = "aws_vpc:srcaddr dstaddr dstport action";
    for (records, skipped) in [(3, 0), (0, 1)] {
        let known = import(&program, &["own.log", "--input-format", format], 0);
        assert_eq!((known.number("records"), known.number("files_skipped")), (records, skipped), "{}", known.summary);
    }
    assert_eq!(import(&program, &["own.log"], 0).number("files_skipped"), 1);
    assert_eq!(ask(&program, "SELECT count(*) AS n FROM flows")[0]["n"], 2);
    let reasons: Vec<Value> = ask(&program, "SELECT reason FROM dead_letters ORDER BY reason");
    let reasons: Vec<_> = reasons.iter().filter_map(|row| row["reason"].as_str()).collect();
    assert_eq!(reasons, ["bad_address", "unknown_format"]);
}

#[test]
fn a_file_that_has_grown_is_refused() {
    let program = Program::new();
    program.file("flows.log", row_and(""));
    import(&program, &["flows.log"], 0);
    program.file("flows.log", row_and(ROW)).file("other.log", row_and(ROW.repeat(2)));
    let grown = import(&program, &["flows.log", "other.log"], 1);
    assert_eq!(grown.number("flows"), 3, "{}", grown.summary);
    let told = grown.summary["failures"][0]["error"].as_str().unwrap();
    assert!(told.starts_with("it has grown since it was imported"), "{told}");
    assert_eq!(ask(&program, "SELECT count(*) AS n FROM flows")[0]["n"], 4);
}

#[test]
fn nothing_is_no_fault() {
    let program = Program::new();
    program.file("empty.log", "").file("header.log", HEADER).file("packed.gz", gzip(b""));
    let imported = import(&program, &["empty.log", "header.log", "packed.gz"], 0);
    assert_eq!((imported.number("files"), imported.number("records")), (3, 0), "{}", imported.summary);
    let formats = imported.summary["formats"].to_string();
    assert!(formats.contains("\"empty\"") && formats.contains("header line with 14 fields"), "{formats}");
    assert_eq!(ask(&program, "SELECT count(*) AS n FROM imports WHERE records = 0")[0]["n"], 3);
}

#[test]
fn a_field_of_a_later_version_is_kept() {
    let program = Program::new();
    let header = HEADER.replace("log-status", "log-status quantum-state");
    program.file("flows.log", header + &ROW.replace(" OK", " OK entangled"));
    let imported = import(&program, &["flows.log"], 0);
    let notes = imported.summary["notes"].to_string();
    assert!(notes.contains("not known to this version") && notes.contains("quantum-state"), "{notes}");
    let rows = ask(&program, "SELECT src_ip, unmapped FROM flows");
    let unmapped: Value = serde_json::from_str(rows[0]["unmapped"].as_str().unwrap()).unwrap();
    assert_eq!((&rows[0]["src_ip"], &unmapped["quantum-state"]), (&"10.0.0.1".into(), &"entangled".into()));
}

#[test]
fn a_time_in_the_year_9999_is_kept_and_marked() {
    let program = Program::new();
    // 9999-12-31T23:46:40Z and 9999-12-31T23:47:40Z; the last that fits the table's day is not the last of the year.
    let row = ROW.replace("1700000000 1700000060", "253402300000 253402300060");
    program.file("flows.log", format!("{HEADER}{row}{ROW}"));
    assert_eq!(import(&program, &["flows.log"], 0).number("flows"), 2);
    let rows = ask(
        &program,
        "SELECT time_quality, date < '3000-01-01' AS is_of_today, extract(year FROM end_time) AS year FROM flows \
         WHERE bytes_out = 40 ORDER BY end_time DESC",
    );
    assert_eq!(rows[0]["time_quality"], "out_of_range", "{rows:?}");
    assert_eq!(rows[0]["is_of_today"], true, "{rows:?}");
    assert_eq!(rows[0]["year"], 9999, "{rows:?}");
    assert_eq!(rows[1]["time_quality"], Value::Null, "{rows:?}");
    let late =
        ask(&program, "SELECT count(*) AS n FROM flows WHERE end_time > to_timestamp_micros(253300000000000000)");
    assert_eq!(late[0]["n"], 1, "the file's statistics hide it");
}

#[test]
fn what_is_no_file_is_told() {
    let program = Program::new();
    program.file("flows.log", row_and(""));
    let folder = program.folder().join("logs");
    std::fs::create_dir_all(folder.join("folder.log")).unwrap();
    std::fs::copy(program.folder().join("flows.log"), folder.join("folder.log/flows.log")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    symlink("/nowhere/at/all", folder.join("dangling")).unwrap();
    symlink(&folder, folder.join("circle")).unwrap();
    symlink(folder.join("folder.log/flows.log"), folder.join("link.log")).unwrap();

    let imported = import(&program, &["logs"], 0);
    assert_eq!(imported.number("files"), 2, "{}", imported.summary);
    assert_eq!((imported.number("files_skipped"), imported.number("flows")), (1, 1), "{}", imported.summary);
    assert_eq!(
        imported.summary["notes"][0],
        "left out: logs/circle (a link to a folder), logs/dangling (a link to nothing), logs/pipe (no file)"
    );

    let named = import(&program, &["logs/pipe", "logs/dangling", "flows.log"], 1);
    assert_eq!(named.number("files_skipped"), 1, "{}", named.summary);
    assert_failed(&named, "logs/pipe", "it is no file; to read what comes out of it: tradewind import - < logs/pipe");
    assert_failed(&named, "logs/dangling", "it is a link to a file that does not exist");
    assert!(named.outcome.err.starts_with("error: could not import 2 inputs; the first is "), "{}", named.outcome.err);
}

#[test]
fn wrong_names_are_wrong_use() {
    let check = |path: &str, expected: &str| {
        let outcome = Program::new().run(&["import", path]);
        assert_eq!((outcome.code, outcome.out.as_str(), outcome.err.as_str()), (64, "", expected));
    };
    check("absent.log", "error: `absent.log` does not exist\n");
    check("absent/*.log", "error: no file matches `absent/*.log`\n");
    check("[", "error: `[` is no pattern: Pattern syntax error near position 0: invalid range pattern\n");
}

fn assert_failed(imported: &Imported, path: &str, error: &str) {
    let failures = imported.summary["failures"].as_array().unwrap();
    let told = failures.iter().any(|failure| failure["path"] == path && failure["error"] == error);
    assert!(told, "{path}: {error} is not among {failures:?}");
}

/// Runs the program as somebody whom permissions bind: as `nobody` where the tests run as root.
fn unprivileged(program: &Program, arguments: &[&str]) -> Option<Command> {
    let command = program.command(arguments);
    let is_bound = File::open(program.folder().join("closed.log")).is_err();
    if is_bound {
        return Some(command);
    }
    let mut dropped = Command::new("setpriv");
    dropped.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).current_dir(program.folder());
    let works = dropped.arg("true").output().is_ok_and(|output| output.status.success());
    let can_start = |program: &Path| {
        let mut test = Command::new("setpriv");
        test.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program).arg("--version");
        test.output().is_ok_and(|output| output.status.success())
    };
    if !works || !can_start(Path::new(command.get_program())) {
        return None;
    }
    let mut dropped = Command::new("setpriv");
    dropped
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(program.folder())
        .env("XDG_STATE_HOME", program.folder().join("state"));
    Some(dropped)
}

#[test]
fn what_may_not_be_read_is_told_and_the_rest_imported() {
    let program = Program::new();
    program.file("closed.log", row_and("")).file("flows.log", row_and(""));
    let allow = |name: &str, mode: u32| {
        std::fs::set_permissions(program.folder().join(name), Permissions::from_mode(mode)).unwrap();
    };
    for folder in ["closed", "below/closed", "open"] {
        std::fs::create_dir_all(program.folder().join(folder)).unwrap();
        std::fs::write(program.folder().join(folder).join("inside.log"), row_and(ROW)).unwrap();
    }
    symlink("../closed/inside.log", program.folder().join("below/link.log")).unwrap();
    for (name, mode) in [(".", 0o755), ("closed", 0), ("below/closed", 0), ("closed.log", 0), ("open", 0o777)] {
        allow(name, mode);
    }
    let paths = ["closed", "closed/inside.log", "below", "closed.log", "flows.log"];
    let arguments: Vec<&str> = ["import", "-o", "json", "--lake", "open/lake"].into_iter().chain(paths).collect();
    let answer = unprivileged(&program, &arguments).map(|mut command| command.output().unwrap());
    let unwritable = unprivileged(&program, &["import", "--lake", "below/lake", "flows.log"])
        .map(|mut command| command.output().unwrap());
    // So that the folder can be removed.
    for name in ["closed", "below/closed"] {
        allow(name, 0o755);
    }
    let (Some(answer), Some(unwritable)) = (answer, unwritable) else {
        skipped("permissions do not bind root, and setpriv cannot drop the privileges");
        return;
    };
    let imported = checked(outcome(&answer), 1);
    assert_eq!(imported.number("flows"), 1, "{}", imported.summary);
    for path in ["closed", "closed/inside.log", "below/closed", "below/link.log", "closed.log"] {
        assert_failed(&imported, path, "Permission denied (os error 13)");
    }
    assert_eq!(imported.summary["failures"].as_array().unwrap().len(), 5, "{}", imported.summary);
    let unwritable = outcome(&unwritable);
    let lake = program.folder().canonicalize().unwrap().join("below/lake");
    let told = format!("error: cannot use {} as a lake\n  because: Permission denied (os error 13)\n", lake.display());
    assert_eq!((unwritable.code, unwritable.err), (1, told));
}

#[allow(clippy::print_stderr)]
pub(super) fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

//! `tradewind parse` on small files.

use crate::program::{Outcome, Program};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

/// Three records: one flow, one that is damaged, one gap.
const VPC: &str = "\
version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
2 123456789010 eni-1235b8ca 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca 172.31.16.139 somewhere 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca - - - - - - - 1431280876 1431280934 - NODATA
";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn records_and_rejects_are_lines() {
    let program = Program::new();
    let outcome = program.file("flows.log", VPC).run(&["parse", "flows.log"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let lines = lines(&outcome.out);
    assert_eq!(lines.len(), 2, "{}", outcome.out);
    let flow = &lines[0];
    assert_eq!(flow["src_ip"], "172.31.16.139");
    assert_eq!(flow["dst_port"], 22);
    assert_eq!(flow["start_time"], "2014-12-14T04:06:50Z");
    assert_eq!(flow["outcome"], "allowed");
    assert_eq!(flow["direction"], "lateral");
    assert_eq!(flow["src_entity"], "-/-/unknown/172.31.16.139");
    let reject = &lines[1];
    assert_eq!(reject["rejected"], "bad_address");
    let second = VPC.lines().take(2).map(|line| line.len() + 1).sum::<usize>();
    assert_eq!(reject["position"], second);
    assert!(reject["detail"].as_str().unwrap().contains("somewhere"), "{reject}");
    assert!(outcome.err.contains("flows.log: aws_vpc, header line with 14 fields"), "{}", outcome.err);
    assert!(outcome.err.ends_with("records=3 flows=1 rejected=1 gaps=1\n"), "{}", outcome.err);
}

#[test]
fn the_inventory_names_the_ends() {
    let program = Program::new();
    program
        .file("flows.log", VPC)
        .file("names.csv", "address,entity,kind,namespace\n172.31.16.21,cart,service,shop\n")
        .file("tradewind.toml", "[inventory]\nfile = \"names.csv\"\n");
    let outcome = program.run(&["parse", "flows.log"]);
    assert_eq!(lines(&outcome.out)[0]["dst_entity"], "-/shop/service/cart", "{}", outcome.err);
}

#[test]
fn every_output_has_the_record() {
    let program = Program::new();
    program.file("flows.log", VPC);
    let json: Vec<Value> = serde_json::from_str(&program.run(&["parse", "flows.log", "-o", "json"]).out).unwrap();
    assert_eq!(json.len(), 2);
    let csv = program.run(&["parse", "flows.log", "-o", "csv"]);
    assert!(csv.out.starts_with("start_time,end_time,logged_time,"), "{}", csv.out);
    assert_eq!(csv.out.lines().count(), 2);
    assert!(csv.err.contains("\"rejected\":\"bad_address\""), "{}", csv.err);
    let table = program.run(&["parse", "flows.log", "-o", "table"]);
    let header = table.out.lines().next().unwrap();
    assert!(header.starts_with(" start_time") && header.contains("dst_entity"), "{}", table.out);
    assert!(!header.contains("icmp_type"), "a column without a value is shown: {header}");
    assert!(table.err.contains("\n1 row\n"), "{}", table.err);
    let parquet = program.command(&["parse", "flows.log", "-o", "parquet"]).output().unwrap().stdout;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

#[test]
fn standard_input_is_read() {
    let outcome = Program::new().run_with_input(&["parse", "-"], VPC.as_bytes());
    assert_eq!((outcome.code, lines(&outcome.out).len()), (0, 2), "{}", outcome.err);
}

#[test]
fn several_files_are_told_apart() {
    let program = Program::new();
    let outcome = program.file("a.log", VPC).file("b.log", VPC).run(&["parse", "a.log", "b.log"]);
    let lines = lines(&outcome.out);
    assert_eq!(lines[1]["file"], "a.log");
    assert_eq!(lines[3]["file"], "b.log");
    assert_eq!(lines[2]["position"], "b.log");
    assert!(outcome.err.ends_with("records=6 flows=2 rejected=2 gaps=2\n"), "{}", outcome.err);
}

#[test]
fn keys_come_in_the_order_of_the_columns() {
    let program = Program::new();
    program.file("flows.log", VPC);
    let header = program.run(&["parse", "flows.log", "-o", "csv"]).out;
    let columns: Vec<&str> = header.lines().next().unwrap().split(',').collect();
    for format in ["ndjson", "json"] {
        let text = program.run(&["parse", "flows.log", "-o", format]).out;
        let flow = text.lines().find(|line| line.contains("\"src_ip\"")).unwrap();
        let places: Vec<_> = columns.iter().filter_map(|name| flow.find(&format!("\"{name}\":"))).collect();
        assert!(places.len() > 20 && places.is_sorted(), "{flow}");
        let reject = text.lines().find(|line| line.contains("\"rejected\"")).unwrap();
        assert!(reject.starts_with("{\"rejected\":\"bad_address\",\"position\":"), "{reject}");
    }
}

/// What an attacker can have a log say: clear the screen, turn what follows red (with a C1 control), write backwards.
const HOSTILE: &str = "\u{1b}[2J\u{7f}\u{9b}31m\u{202e}";

fn assert_harmless(outcome: &Outcome) {
    let steers = |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
    assert!(!outcome.out.contains(steers) && !outcome.err.contains(steers), "{outcome:?}");
}

#[test]
fn what_a_log_says_cannot_steer_the_terminal() {
    let program = Program::new();
    let principal = format!("spiffe://c/ns/shop/sa/o{HOSTILE}");
    let record = serde_json::json!({
        "start_time": "2026-01-31T08:00:00Z", "response_code": 200, "response_flags": "-",
        "downstream_remote_address": "10.10.1.12:48911", "downstream_local_address": "10.20.1.10:8443",
        "upstream_cluster": "inbound|8443||", "downstream_peer_uri_san": principal,
    });
    let name = format!("mesh{HOSTILE}.json");
    program.file(&name, format!("{record}\n{{\"start_time\":\"{HOSTILE}\"}}\n"));
    for format in ["ndjson", "json", "table"] {
        let outcome = program.run(&["parse", &name, &name, "-o", format]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert_harmless(&outcome);
    }
    let flow = &lines(&program.run(&["parse", &name]).out)[0];
    assert_eq!((flow["src_principal"].as_str(), flow["position"].as_str()), (Some(&*principal), Some(&*name)));
    program.file(&format!("{HOSTILE}.jpg"), [0xff, 0xd8, 0xff, 0xe0]);
    for arguments in [
        ["parse", &format!("{HOSTILE}.jpg")],
        ["parse", &format!("absent{HOSTILE}")],
        ["import", &name],
        ["import", &format!("{HOSTILE}.jpg")],
        ["import", &format!("absent{HOSTILE}")],
    ] {
        assert_harmless(&program.run(&arguments));
    }
    assert_harmless(&program.run(&["import", &name, "-o", "json", "--lake", &format!("lake{HOSTILE}")]));
    for format in ["table", "json", "ndjson"] {
        let rows = program.run(&["sql", "-o", format, "SELECT src_entity, position, path FROM flows, imports"]);
        assert_eq!(rows.code, 0, "{rows:?}");
        assert_harmless(&rows);
    }
}

#[test]
fn a_table_has_the_columns_with_values_and_no_long_cells() {
    let program = Program::new();
    let empty =
        program.file("broken.log", &VPC[..VPC.find('\n').unwrap() + 1]).run(&["parse", "broken.log", "-o", "table"]);
    assert_eq!(empty.code, 0, "{empty:?}");
    assert!(empty.err.contains("\n0 rows\n"), "{empty:?}");
    let path = "/x".repeat(120);
    let record = serde_json::json!({
        "start_time": "2026-01-31T08:00:00Z", "response_code": 200, "response_flags": "-", "method": "GET", "path": path,
        "downstream_remote_address": "10.10.1.12:48911", "upstream_host": "10.20.1.10:8443", "bytes_sent": 1,
    });
    program.file("mesh.json", format!("{record}\n"));
    let table = program.run(&["parse", "mesh.json", "-o", "table"]);
    let header = table.out.lines().next().unwrap();
    let resource = header.find("resource").map(|place| header[..place].chars().count()).unwrap();
    let row: String = table.out.lines().nth(2).unwrap().chars().skip(resource).take(200).collect();
    assert_eq!(row, format!("{}/…", "/x".repeat(99)));
    assert!(table.err.contains("more than 200 characters are cut"), "{}", table.err);
    for format in ["csv", "ndjson"] {
        assert!(program.run(&["parse", "mesh.json", "-o", format]).out.contains(&path), "{format}");
    }
}

#[test]
fn what_has_no_known_format_is_a_reject_and_a_failure() {
    let program = Program::new();
    let outcome = program.file("photo.jpg", [0xff, 0xd8, 0xff, 0xe0, 0, 1, 2, 3]).run(&["parse", "photo.jpg"]);
    assert_eq!(outcome.code, 1, "{}", outcome.err);
    assert_eq!(lines(&outcome.out)[0]["rejected"], "unknown_format");
    assert!(outcome.err.ends_with("error: no known format: photo.jpg\n"), "{}", outcome.err);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let program = Program::new();
    let absent = program.run(&["parse", "absent.log"]);
    assert_eq!(absent.code, 1);
    assert_eq!(absent.err, "error: failed to read absent.log\n  because: No such file or directory (os error 2)\n");
    let folder = program.run(&["parse", "."]);
    assert_eq!(folder.code, 1);
    assert!(folder.err.contains("it is a directory"), "{}", folder.err);
}

#[test]
fn an_empty_file_has_no_records() {
    let outcome = Program::new().file("empty.log", "").run(&["parse", "empty.log"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, ""));
    assert_eq!(outcome.err, "empty.log: there is no record in it\nrecords=0 flows=0 rejected=0 gaps=0\n");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let program = Program::new();
    let row = VPC.lines().nth(1).unwrap();
    let header = VPC.lines().next().unwrap();
    program.file("long.log", format!("{header}\n{}", format!("{row}\n").repeat(200_000)));
    let mut command = program.command(&["parse", "long.log"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{errors}");
    assert!(first.contains("172.31.16.139") && !errors.contains("error"), "{errors}");
}

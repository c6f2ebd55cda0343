//! All stages in one process, on the embedded log.

use super::running::{Service, free_address, lines, number, wrong};
use crate::program::Program;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// A program with a service that follows `logs/*.log` and takes pushes, and commits soon.
fn program(push: SocketAddr) -> (Program, SocketAddr) {
    let (program, pages) = (Program::new(), free_address());
    std::fs::create_dir(program.folder().join("logs")).unwrap();
    program.file(
        "tradewind.toml",
        format!(
            "[run]\nlisten = \"{pages}\"\nidle_s = 2\n[store]\ninterval_ms = 300\n[connect]\nhash_seed = 7\n\
             [[source]]\ntype = \"file\"\nname = \"files\"\npaths = [\"{}/logs/*.log\"]\npoll_interval_ms = 50\n\
             scan_interval_ms = 100\n\
             [[source]]\ntype = \"http\"\nname = \"push\"\nlisten = \"{push}\"\nanonymous = true\n",
            program.folder().display()
        ),
    );
    (program, pages)
}

fn append(program: &Program, name: &str, text: &str) {
    let path = program.folder().join("logs").join(name);
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Status and body of an answer.
fn ask(address: SocketAddr, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

fn push(address: SocketAddr, key: &str, body: &str) -> Option<u16> {
    let request = format!(
        "POST /v1/raw HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(address, &request).map(|(status, _)| status)
}

#[test]
fn files_and_pushes_are_in_the_lake_once_through_kills_and_restarts() {
    let address = free_address();
    let (program, _) = program(address);
    append(&program, "a.log", &lines(0..2_000));
    let mut service = Service::start(&program, "first", &[]);
    service.until("the first lines are stored", || wrong(&program, 0..2_000) == Some(0));
    append(&program, "a.log", &lines(2_000..5_000));
    append(&program, "b.log", &format!("{}broken line\n", lines(5_000..6_000)));
    service.kill();
    // What was acknowledged is there after a kill, and is not there twice when it is sent again.
    let mut service = Service::start(&program, "second", &[]);
    service.until("it listens", || push(address, "one", &lines(6_000..7_000)) == Some(200));
    service.kill();
    let mut service = Service::start(&program, "third", &[]);
    service.until("it listens again", || push(address, "one", &lines(6_000..7_000)) == Some(200));
    service.until("all is stored", || {
        wrong(&program, 0..7_000) == Some(0) && number(&program, "SELECT count(*) FROM dead_letters") == Some(1)
    });
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    assert_eq!(number(&program, "SELECT count(*) FROM flows"), Some(7_000));
    assert_eq!(number(&program, "SELECT count(*) FROM dead_letters WHERE raw = 'broken line'"), Some(1));
    assert_eq!(number(&program, "SELECT sum(flows) FROM coverage"), Some(7_000));
    assert_eq!(number(&program, "SELECT sum(rejected) FROM coverage"), Some(1));
    let verified = program.run(&["lake", "verify", "--from", "2026-01-01"]);
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[test]
fn a_signal_drains_what_was_taken_in() {
    let address = free_address();
    let (program, pages) = program(address);
    let mut service = Service::start(&program, "run", &[]);
    service.until("it is ready", || get(pages, "/readyz").is_some_and(|(status, _)| status == 200));
    service.until("it listens", || push(address, "a", &lines(0..500)) == Some(200));
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    // What was acknowledged is in the log at least; the next start brings it into the lake.
    let mut service = Service::start(&program, "again", &[]);
    service.until("all is stored", || wrong(&program, 0..500) == Some(0));
    let (_, metrics) = get(pages, "/metrics").unwrap();
    assert!(metrics.contains("# TYPE tradewind_store_flows"), "{metrics}");
    assert_eq!(get(pages, "/livez").unwrap().0, 200);
    let status = program.run(&["status"]);
    assert!(status.code == 0 && status.out.contains("store: works"), "{status:?}");
}

#[test]
fn a_scan_is_told_and_stored() {
    let address = free_address();
    let (program, _) = program(address);
    let line = |minute: i64, source: u32, target: u32, action: &str| {
        let start = 1_767_225_600 + minute * 60;
        format!(
            "2 123456789010 eni-1 10.0.0.{source} 10.0.2.{target} {} 443 6 10 900 {start} {} {action} OK\n",
            30_000 + minute,
            start + 1
        )
    };
    let ordinary: String =
        (0..60).flat_map(|minute| (1..4).map(move |source| line(minute, source, source, "ACCEPT"))).collect();
    let scan: String = (10..60).map(|target| line(60, 9, target, "REJECT")).collect();
    // What comes later closes the window of the scan: 5 min, and 3 min in which flow logs may be late.
    let later: String = (61..75).map(|minute| line(minute, 1, 1, "ACCEPT")).collect();
    append(&program, "a.log", &format!("{ordinary}{scan}{later}"));
    let mut service = Service::start(&program, "run", &[]);
    let query = "SELECT count(*) FROM findings WHERE behaviour = 'scan'";
    service.until("the scan is found", || number(&program, query).is_some_and(|found| found > 0));
    // Killed and begun again it says the same, and nothing else.
    let ids = "SELECT count(DISTINCT finding_id) FROM findings";
    let before = number(&program, ids);
    service.kill();
    append(&program, "a.log", &line(75, 1, 1, "ACCEPT"));
    let mut service = Service::start(&program, "again", &[]);
    service.until("the last line is stored", || number(&program, "SELECT count(*) FROM flows") == Some(245));
    service.signal("TERM");
    service.end();
    assert_eq!(number(&program, ids), before);
}

#[test]
fn a_replay_after_a_fix_brings_rejects_in() {
    let address = free_address();
    let (program, _) = program(address);
    // Without a header nobody knows what these fields are.
    let unknown = "10.0.0.1 10.0.0.2 40000 443 6 1767225600 1767225660 ACCEPT OK 5\n";
    append(&program, "custom.log", &unknown.repeat(3));
    let mut service = Service::start(&program, "run", &[]);
    service.until("it is rejected", || number(&program, "SELECT count(*) FROM dead_letters") == Some(1));
    service.signal("TERM");
    service.end();
    let replayed = program.run(&["replay", "--from", "2026-01-01", "--dead-letters", "-o", "json"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    let report: serde_json::Value = serde_json::from_str(&replayed.out).unwrap();
    // Nothing was fixed: what leaves comes in again, once.
    assert_eq!((&report["dead_letters_out"], &report["dead_letters_in"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(number(&program, "SELECT count(*) FROM dead_letters"), Some(1));
    assert_eq!(number(&program, "SELECT count(*) FROM flows"), Some(0));
}

//! All stages in one process, on the embedded log.

use super::running::lines;
use super::setup::Setup;

#[test]
fn files_and_pushes_are_in_the_lake_once_through_kills_and_restarts() {
    let setup = Setup::embedded();
    setup.append("a.log", lines(0..2_000));
    let mut service = setup.start("first");
    service.until("the first lines are stored", || setup.has_stored(0..2_000));
    setup.append("a.log", lines(2_000..5_000));
    setup.append("b.log", format!("{}broken line\n", lines(5_000..6_000)));
    service.kill();
    // What was acknowledged is there after a kill, and is not there twice when it is sent again.
    let mut service = setup.start("second");
    service.until("it listens", || setup.push("one", &lines(6_000..7_000)) == Some(200));
    service.kill();
    let mut service = setup.start("third");
    service.until("it listens again", || setup.push("one", &lines(6_000..7_000)) == Some(200));
    service.until("all is stored", || {
        setup.has_stored(0..7_000) && setup.number("SELECT count(*) FROM dead_letters") == Some(1)
    });
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(7_000));
    assert_eq!(setup.number("SELECT count(*) FROM dead_letters WHERE raw = 'broken line'"), Some(1));
    assert_eq!(setup.number("SELECT sum(flows) FROM coverage"), Some(7_000));
    assert_eq!(setup.number("SELECT sum(rejected) FROM coverage"), Some(1));
    let verified = setup.program.run(&["lake", "verify", "--from", "2026-01-01"]);
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[test]
fn a_signal_drains_what_was_taken_in() {
    let setup = Setup::embedded();
    let mut service = setup.start("run");
    service.until("it is ready", || setup.is_ready());
    service.until("it listens", || setup.push("a", &lines(0..500)) == Some(200));
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    // What was acknowledged is in the log at least; the next start brings it into the lake.
    let mut service = setup.start("again");
    service.until("all is stored", || setup.has_stored(0..500));
    let (_, metrics) = setup.get("/metrics").unwrap();
    assert!(metrics.contains("# TYPE tradewind_store_flows"), "{metrics}");
    assert_eq!(setup.get("/livez").unwrap().0, 200);
    let status = setup.program.run(&["status"]);
    assert!(status.code == 0 && status.out.contains("store: works"), "{status:?}");
}

#[test]
fn a_scan_is_told_and_stored() {
    let setup = Setup::embedded();
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
    setup.append("a.log", format!("{ordinary}{scan}{later}"));
    let mut service = setup.start("run");
    let query = "SELECT count(*) FROM findings WHERE behaviour = 'scan'";
    service.until("the scan is found", || setup.number(query).is_some_and(|found| found > 0));
    // Killed and begun again it says the same, and nothing else.
    let ids = "SELECT count(DISTINCT finding_id) FROM findings";
    let before = setup.number(ids);
    service.kill();
    setup.append("a.log", line(75, 1, 1, "ACCEPT"));
    let mut service = setup.start("again");
    service.until("the last line is stored", || setup.number("SELECT count(*) FROM flows") == Some(245));
    service.signal("TERM");
    service.end();
    assert_eq!(setup.number(ids), before);
    // What the service told is what a replay of the stored flows gives.
    let listed = setup.program.run(&["findings", "-o", "json"]);
    let findings: Vec<serde_json::Value> = serde_json::from_str(&listed.out).unwrap();
    for finding in &findings {
        let verified = setup.program.run(&["verify", finding["finding_id"].as_str().unwrap()]);
        assert!(verified.code == 0 && verified.out.starts_with("identical: "), "{finding}: {verified:?}");
    }
}

#[test]
fn a_replay_after_a_fix_brings_rejects_in() {
    let setup = Setup::embedded();
    // Without a header nobody knows what these fields are.
    let unknown = "10.0.0.1 10.0.0.2 40000 443 6 1767225600 1767225660 ACCEPT OK 5\n";
    setup.append("custom.log", unknown.repeat(3));
    let mut service = setup.start("run");
    service.until("it is rejected", || setup.number("SELECT count(*) FROM dead_letters") == Some(1));
    service.signal("TERM");
    service.end();
    let replayed = setup.program.run(&["replay", "--from", "2026-01-01", "--dead-letters", "-o", "json"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    let report: serde_json::Value = serde_json::from_str(&replayed.out).unwrap();
    // Nothing was fixed: what leaves comes in again, once.
    assert_eq!((&report["dead_letters_out"], &report["dead_letters_in"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(setup.number("SELECT count(*) FROM dead_letters"), Some(1));
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(0));
}

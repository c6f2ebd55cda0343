//! Clocks that go back: that of the machine, and that of a log.

use super::running::{Service, lines};
use super::setup::Setup;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The library that tells a program another time (Debian: `libfaketime`).
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let found = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.is_file());
    if found.is_none() {
        tradewind_testkit::skipped("a clock cannot be set back without libfaketime (scripts/setup installs it)");
    }
    found
}

#[test]
fn a_clock_that_goes_back_an_hour_changes_nothing() {
    let Some(library) = faketime() else { return };
    let setup = Setup::embedded();
    let clock = setup.program.folder().join("clock");
    let environment: [(&str, &OsStr); 4] = [
        ("LD_PRELOAD", library.as_os_str()),
        ("FAKETIME_TIMESTAMP_FILE", clock.as_os_str()),
        ("FAKETIME_NO_CACHE", "1".as_ref()),
        // What measures how long something takes goes on, as it does when the clock of a machine is set.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".as_ref()),
    ];
    std::fs::write(&clock, "+0").unwrap();
    let begin = |name: &str| Service::start_in(&setup.program, name, &[], &environment);
    let mut service = begin("run");
    setup.append("a.log", lines(0..2_000));
    service.until("a push is taken", || setup.push("before", &lines(2_000..3_000)) == Some(200));
    service.until("the first are stored", || setup.has_stored(0..3_000));

    std::fs::write(&clock, "-1h").unwrap();
    setup.append("a.log", lines(3_000..5_000));
    service.until("a push is taken", || setup.push("after", &lines(5_000..6_000)) == Some(200));
    // What was pushed before is known to be the same, though it was taken in an hour from now.
    service.until("a repeated push is known", || setup.push("before", &lines(2_000..3_000)) == Some(200));
    service.until("the next are stored", || setup.has_stored(0..6_000));
    let taken_in =
        "SELECT count(*) FROM flows WHERE ingest_time < (SELECT min(ingest_time) FROM flows) + INTERVAL '30' MINUTE";
    assert_eq!(setup.number(taken_in), Some(3_000), "the clock did not go back");
    assert!(setup.is_ready(), "{}", service.log());
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());

    // Begun again by the clock that is behind, it goes on.
    let mut service = begin("again");
    setup.append("b.log", lines(6_000..7_000));
    service.until("all is stored", || setup.has_stored(0..7_000));
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(7_000));
    assert_eq!(setup.number("SELECT sum(flows) FROM coverage"), Some(7_000));
}

#[test]
fn a_log_whose_time_goes_back_an_hour_is_stored_and_its_flows_count_as_late() {
    let setup = Setup::embedded();
    let mut service = setup.start("run");
    // A hundred lines a second of the log: two hours.
    let line = |number: u32, second: u32| {
        let start = 1_767_225_600 + i64::from(second);
        let (a, b, bytes) = (number % 7, number % 5 + 10, 1_000_000 + number);
        format!("2 123456789010 eni-1 10.0.0.{a} 10.0.1.{b} 40000 443 6 10 {bytes} {start} {start} ACCEPT OK\n")
    };
    let every = |numbers: std::ops::Range<u32>, from: u32| -> String {
        numbers.clone().map(|number| line(number, from + (number - numbers.start) * 6)).collect()
    };
    setup.append("a.log", every(0..1_200, 0));
    service
        .until("two hours are judged", || setup.metric("tradewind_detect_flows").is_some_and(|flows| flows >= 1_200));
    assert_eq!(setup.metric("tradewind_detect_late"), Some(0));
    // The log goes back an hour: what it says now is late as soon as the windows of that time are closed.
    setup.append("a.log", every(1_200..1_800, 3_600));
    let mut next = 1_800;
    let is_late = || setup.metric("tradewind_detect_late").is_some_and(|late| late > 0);
    service.until("flows are late", || {
        setup.append("a.log", line(next, 3_600));
        next += 1;
        is_late()
    });
    setup.append("a.log", every(next..next + 600, 7_200));
    let all = next + 600;
    service.until("all is stored", || setup.has_stored(0..all));
    service.until("all is judged or late", || setup.metric("tradewind_detect_flows") == Some(all.into()));
    assert!(setup.is_ready(), "{}", service.log());
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(all.into()));
}

//! Connections that are known, observed by several and written as real log text, counted in a lake: every one that is
//! counted twice or missed is told by its kind. Imports come at once or file by file, are killed and are repeated. The
//! rules themselves are tested where connect is.

mod logs;
mod observers;
mod scenario;
mod truth;

use flate2::Compression;
use flate2::write::GzEncoder;
use observers::{Delivery, Layout, observe};
use scenario::{Extent, Scenario};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use truth::{Kind, connections};

const CONNECTIONS: usize = 5_000;
/// No import of these tests may take longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Files of whole flow logs, where no tuple is used again before its idle gap has passed.
fn scenario(name: &'static str, layout: Layout, seed: u64) -> Scenario {
    let truth = connections(CONNECTIONS, seed, false);
    let observed = observe(&truth, layout, Delivery::Whole, seed + 100);
    Scenario::new(name, truth, observed)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn all_files_in_one_import() {
    let scenario = scenario("version 2", Layout::Default, 1);
    scenario.import(&scenario.names(), 0);
    scenario.check("at once", Extent::Whole, &[]);
}

#[test]
fn ports_reused_soon_are_told_apart_by_flags() {
    let truth = connections(CONNECTIONS, 2, true);
    let observed = observe(&truth, Layout::Flags, Delivery::Whole, 102);
    let scenario = Scenario::new("version 5", truth, observed);
    scenario.import(&scenario.names(), 0);
    let kinds = scenario.check("at once", Extent::Whole, &[Kind::ReusedSoon]);
    let reused = &kinds[&Kind::ReusedSoon];
    assert!(reused.true_ones > 50 && reused.missed.max(reused.doubled) * 50 <= reused.true_ones, "{reused:?}");
}

#[test]
fn files_of_five_minutes_in_one_import() {
    let truth = connections(CONNECTIONS, 7, false);
    let observed = observe(&truth, Layout::Default, Delivery::FiveMinutes, 107);
    let scenario = Scenario::new("version 2", truth, observed);
    scenario.import(&scenario.names(), 0);
    scenario.check("in files of five minutes", Extent::Whole, &[]);
}

#[test]
fn one_import_for_each_file() {
    let scenario = scenario("version 5", Layout::Flags, 3);
    for name in scenario.names() {
        scenario.import(&[name], 0);
    }
    scenario.check("file by file", Extent::Whole, &[]);
}

#[test]
fn one_import_for_each_file_in_another_order() {
    let scenario = scenario("version 2", Layout::Default, 4);
    let mut names = scenario.names();
    names.reverse();
    // Sources alternate: every fourth file, from each of the first four on.
    for name in (0..4).flat_map(|from| names.iter().skip(from).step_by(4)) {
        scenario.import(&[name], 0);
    }
    scenario.check("file by file in another order", Extent::Whole, &[]);
}

/// Whether a version of a table is committed.
fn is_committed(lake: &Path, table: &str, version: u64) -> bool {
    lake.join(table).join(format!("_delta_log/{version:020}.json")).exists()
}

fn data_files(table: &Path) -> BTreeSet<OsString> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().collect::<Vec<_>>();
    let days = entries(table).into_iter().filter(|entry| entry.file_name() != "_delta_log");
    days.flat_map(|day| entries(&day.path())).map(|file| file.file_name()).collect()
}

#[test]
fn imports_that_are_killed() {
    let scenario = scenario("version 5", Layout::Flags, 5);
    let names = scenario.names();
    let lake = scenario.program.folder().join("lake");
    scenario.import(&names[..2], 0);
    let mut killed = 0;
    for (until, take) in
        [("a data file is there", 5), ("flows are committed", 8), ("a data file is there", names.len())]
    {
        let before = data_files(&lake.join("flows"));
        let version = (0..).find(|&version| !is_committed(&lake, "flows", version)).unwrap();
        let mut child = scenario.command(&names[..take]).stdout(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        let is_there = || match until {
            "flows are committed" => is_committed(&lake, "flows", version),
            _ => data_files(&lake.join("flows")) != before,
        };
        while !is_there() && child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < LIMIT, "{until}: the state did not come");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        scenario.check("killed", Extent::Part, &[]);
    }
    assert!(killed >= 2, "only {killed} imports were killed before they ended");
    scenario.import(&names, 0);
    scenario.check("killed and finished", Extent::Whole, &[]);
}

#[test]
fn damaged_archives_among_the_files() {
    let scenario = scenario("version 2", Layout::Default, 6);
    let (program, logs) = (&scenario.program, &scenario.observed.logs);
    let mut names: Vec<String> = logs.iter().map(|log| log.name.clone()).collect();
    for (number, log) in [1, 4, 6].into_iter().map(|number: usize| (number, &logs[number])) {
        names[number] = format!("{}.gz", log.name);
        let packed = gzip(&log.text);
        let mut damaged = packed.clone();
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 0xff;
        program.file(&names[number], if number == 4 { &packed[..checksum] } else { &damaged });
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    scenario.import(&names[..2], 1);
    scenario.import(&names, 1);
    scenario.check("without the damaged ones", Extent::Part, &[]);
    for log in [1, 4, 6].map(|number: usize| &logs[number]) {
        program.file(&format!("{}.gz", log.name), gzip(&log.text));
    }
    scenario.import(&names, 0);
    scenario.check("repaired", Extent::Whole, &[]);
}

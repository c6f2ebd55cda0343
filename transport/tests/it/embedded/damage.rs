//! Damage: a torn end is cut and counted, anything else is an error.

use super::handles::{all_values, create};
use super::open;
use crate::conformance::{at, records};
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use tradewind_transport::embedded::{Embedded, EmbeddedSettings, Recovered};
use tradewind_transport::{ErrorKind, Log, LogError};

/// The newest journal.
pub(super) fn journal(folder: &Path) -> PathBuf {
    let entries = std::fs::read_dir(folder.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let journals = entries.filter(|path| path.extension().is_some_and(|extension| extension == "jnl"));
    journals.max_by_key(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap()).unwrap()
}

/// Cuts so many bytes off the end of what was written to a file.
pub(super) fn tear(path: &Path, bytes: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut all = Vec::new();
    file.read_to_end(&mut all).unwrap();
    let written = all.len() - all.iter().rev().take_while(|byte| **byte == 0).count();
    file.set_len(u64::try_from(written).unwrap().saturating_sub(bytes)).unwrap();
}

/// Flips a byte.
fn flip(path: &Path, at: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 0x55]).unwrap();
}

fn find(bytes: &[u8], part: &[u8]) -> Vec<u64> {
    let found = bytes.windows(part.len()).enumerate().filter(|(_, window)| *window == part);
    found.map(|(at, _)| u64::try_from(at).unwrap()).collect()
}

/// A log with writes of two records each: `a0 b0`, `a1 b1` and so on.
fn written(folder: &Path, writes: usize) {
    let log = open(folder);
    create(&log, "t", 1);
    for number in 0..writes {
        let values = [format!("a{number}-marked"), format!("b{number}-marked")];
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        log.producer("p").unwrap().write(records(&at("t", 0), &values), None).unwrap();
    }
}

fn open_error(folder: &Path) -> LogError {
    match Embedded::open(folder, &EmbeddedSettings::default()) {
        Ok(log) => panic!("it opened, with {:?} cut and {:?} there", log.recovered(), log.range(&at("t", 0))),
        Err(error) => error,
    }
}

#[test]
fn a_torn_end_is_cut_and_counted() {
    // From a byte of the last batch to all but its first bytes.
    for bytes in [1, 5, 13, 40, 100, 150] {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), 3);
        tear(&journal(folder.path()), bytes);
        let log = open(folder.path());
        let Recovered { writes, records: count, bytes: cut } = log.recovered();
        assert_eq!((writes, count), (1, 2), "after {bytes} bytes were cut off");
        assert!(cut > 0);
        assert_eq!(log.range(&at("t", 0)).unwrap(), (0, 4), "all of the torn write is gone, and nothing else");
        log.producer("p").unwrap().write(records(&at("t", 0), &["after"]), None).unwrap();
        drop(log);
        let log = open(folder.path());
        assert_eq!(log.recovered(), Recovered::default(), "it is counted once");
        assert_eq!(all_values(&log, "t"), ["a0-marked", "b0-marked", "a1-marked", "b1-marked", "after"]);
    }
}

#[test]
fn an_end_that_is_there_but_wrong_is_cut_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 3);
    let path = journal(folder.path());
    let place = find(&std::fs::read(&path).unwrap(), b"b2-marked");
    flip(&path, place[0]);
    let log = open(folder.path());
    assert_eq!((log.recovered().writes, log.recovered().records), (1, 2));
    assert_eq!(all_values(&log, "t"), ["a0-marked", "b0-marked", "a1-marked", "b1-marked"]);
}

#[test]
fn damage_before_the_end_is_an_error_wherever_it_is() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), 3);
    let journal_bytes = std::fs::read(journal(whole.path())).unwrap();
    // From the start of the batch on: 13 bytes, the mark of 46, and the head, key and front of the first record.
    let begin = find(&journal_bytes, b"a0-marked")[0] - (13 + 46 + 37 + 14);
    assert_eq!(journal_bytes[usize::try_from(begin).unwrap()], 1, "a batch begins with 1");
    let end = find(&journal_bytes, b"b1-marked")[0] + 9;
    let relative = journal(whole.path()).strip_prefix(whole.path()).unwrap().to_owned();
    // Every 17th byte comes by every field of the layout; each opening takes a while.
    for place in (begin..end).step_by(17) {
        let folder = tempfile::tempdir().unwrap();
        copy(whole.path(), folder.path());
        flip(&folder.path().join(&relative), place);
        let error = open_error(folder.path());
        assert_eq!(error.kind(), ErrorKind::Fatal, "byte {place}: {error}");
        assert!(error.to_string().contains("damaged"), "byte {place}: {error}");
        // It does not heal by being opened, and nothing was cut.
        assert_eq!(open_error(folder.path()).kind(), ErrorKind::Fatal, "byte {place}");
    }
}

#[test]
fn damaged_tables_and_payloads_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { memtable_bytes: 1 << 20, ..EmbeddedSettings::default() };
    let log = Embedded::open(folder.path(), &settings).unwrap();
    create(&log, "t", 1);
    let value = "0123456789abcdef".repeat(20_000);
    for number in 0..20 {
        log.producer("p").unwrap().write(records(&at("t", 0), &[&format!("{number} {value}")]), None).unwrap();
    }
    let payloads = |folder: &Path| -> Vec<PathBuf> {
        let keyspaces = std::fs::read_dir(folder.join("store/keyspaces")).unwrap().map(|entry| entry.unwrap().path());
        let blobs = keyspaces.filter_map(|keyspace| std::fs::read_dir(keyspace.join("blobs")).ok());
        blobs.flatten().map(|entry| entry.unwrap().path()).collect()
    };
    let begun = std::time::Instant::now();
    while payloads(folder.path()).is_empty() {
        assert!(begun.elapsed() < crate::conformance::PATIENCE, "nothing was written to payload files");
        log.producer("p").unwrap().write(records(&at("t", 0), &[&value]), None).unwrap();
    }
    drop(log);
    let path = payloads(folder.path()).remove(0);
    flip(&path, 200);
    let error = match Embedded::open(folder.path(), &settings) {
        Err(error) => error,
        Ok(log) => {
            let partitions = vec![(at("t", 0), tradewind_transport::Start::First)];
            let subscription = tradewind_transport::Subscription::Assigned { group: "g".to_owned(), partitions };
            let mut consumer = log.consumer(&subscription).unwrap();
            crate::conformance::wait_assigned(consumer.as_mut());
            // Which record's payload it is hangs on when the store wrote its files.
            loop {
                match consumer.poll(std::time::Duration::from_secs(1)) {
                    Ok(tradewind_transport::Event::Idle) => panic!("everything was read, and the damage not told"),
                    Ok(_) => {}
                    Err(error) => break error,
                }
            }
        }
    };
    assert_eq!(error.kind(), ErrorKind::Fatal, "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// Copies a folder; files without the zeros that they end with.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            if target.extension().is_some_and(|extension| extension == "jnl") {
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
            }
            std::fs::write(target, bytes).unwrap();
        }
    }
}

//! The embedded log and its disk: retention frees space, offsets survive it, and a full disk loses nothing.

use super::handles::{all_values, create, create_with, write_bytes};
use super::open;
use crate::conformance::{at, records, try_poll, wait_assigned};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tradewind_transport::embedded::{Embedded, EmbeddedSettings};
use tradewind_transport::{Cleanup, ErrorKind, Log, LogError, Start, Subscription};

const HOUR: i64 = 3_600_000_000;
const NOW: i64 = 1_700_000_000_000_000;

/// Bytes that a folder takes on the disk, and not what its sparse files look like.
fn bytes_on_disk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                bytes_on_disk(&entry.path())
            } else {
                entry.metadata().map_or(0, |meta| meta.blocks() * 512)
            }
        })
        .sum()
}

#[test]
fn retention_by_size_frees_the_disk() {
    const MIB: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { memtable_bytes: MIB, ..EmbeddedSettings::default() };
    let log = Embedded::open(folder.path(), &settings).unwrap();
    create_with(&log, "t", 1, Cleanup::Delete { age: None, bytes: Some(4 * MIB) });
    let mut highest = 0;
    for round in 1..=16 {
        for _ in 0..80 {
            write_bytes(&log, "t", 100_000, NOW).unwrap();
        }
        log.maintain(NOW).unwrap();
        let (first, end) = log.range(&at("t", 0)).unwrap();
        assert_eq!(end, round * 80, "offsets go on");
        assert!((40..=42).contains(&(end - first)), "4 MiB of records of 100 kB are kept, not {}", end - first);
        highest = highest.max(bytes_on_disk(folder.path()));
    }
    // 128 MB were written. The journal goes in files of 64 MB; at most two are there.
    let at_rest = bytes_on_disk(folder.path());
    assert!(at_rest < 90 * MIB, "{at_rest} bytes are left on disk, at most {highest}");
    let mut consumer = log
        .consumer(&Subscription::Assigned { group: "g".to_owned(), partitions: vec![(at("t", 0), Start::First)] })
        .unwrap();
    wait_assigned(consumer.as_mut());
    let payloads = folder.path().join("store").join("keyspaces");
    assert!(bytes_on_disk(&payloads) < 16 * MIB, "{} bytes of tables and payloads", bytes_on_disk(&payloads));
    assert!(matches!(try_poll(consumer.as_mut()), Ok(tradewind_transport::Event::Batch(_))));
    let range = log.range(&at("t", 0)).unwrap();
    drop((log, consumer));
    // The journals were rotated and removed meanwhile.
    let log = Embedded::open(folder.path(), &settings).unwrap();
    assert_eq!(log.range(&at("t", 0)).unwrap(), range);
    let partitions = vec![(at("t", 0), Start::First)];
    let mut consumer = log.consumer(&Subscription::Assigned { group: "g".to_owned(), partitions }).unwrap();
    crate::conformance::read(consumer.as_mut(), usize::try_from(range.1 - range.0).unwrap());
}

#[test]
fn retention_by_age_keeps_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    create_with(&log, "t", 1, Cleanup::Delete { age: Some(Duration::from_secs(3_600)), bytes: None });
    // One clock was far ahead; what it wrote holds back nothing.
    for timestamp in [NOW - 3 * HOUR, NOW + 1_000 * HOUR, NOW - 2 * HOUR, NOW - HOUR / 2] {
        write_bytes(&log, "t", 1_000, timestamp).unwrap();
    }
    let mut behind = log
        .consumer(&Subscription::Assigned { group: "g".to_owned(), partitions: vec![(at("t", 0), Start::At(1))] })
        .unwrap();
    assert_eq!(log.maintain(NOW - 4 * HOUR).unwrap().records, 0);
    assert_eq!(log.maintain(NOW).unwrap().records, 3);
    assert_eq!(log.range(&at("t", 0)).unwrap(), (3, 4));
    wait_assigned(behind.as_mut());
    let error = try_poll(behind.as_mut()).unwrap_err();
    assert!(matches!(error, LogError::OutOfRange { first: 3, end: 4, wanted: 1, .. }), "{error}");
    behind.seek(&at("t", 0), Start::First).unwrap();
    assert!(matches!(try_poll(behind.as_mut()), Ok(tradewind_transport::Event::Batch(_))));
    assert_eq!(log.maintain(NOW + 2 * HOUR).unwrap().records, 1);
    drop((log, behind));
    let log = open(folder.path());
    assert_eq!(log.range(&at("t", 0)).unwrap(), (4, 4), "an empty partition remembers where it ended");
    write_bytes(&log, "t", 10, NOW).unwrap();
    assert_eq!(log.range(&at("t", 0)).unwrap(), (4, 5));
    assert_eq!(log.offset_at(&at("t", 0), NOW - HOUR).unwrap(), 4);
}

#[test]
fn maintenance_runs_beside_readers_and_writers() {
    let folder = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { memtable_bytes: 1 << 20, ..EmbeddedSettings::default() };
    let log = Embedded::open(folder.path(), &settings).unwrap();
    create_with(&log, "t", 1, Cleanup::Delete { age: None, bytes: Some(2 << 20) });
    std::thread::scope(|scope| {
        scope.spawn(|| (0..150).for_each(|_| write_bytes(&log, "t", 100_000, NOW).unwrap()));
        scope.spawn(|| {
            let partitions = vec![(at("t", 0), Start::First)];
            let mut consumer = log.consumer(&Subscription::Assigned { group: "g".to_owned(), partitions }).unwrap();
            while log.range(&at("t", 0)).unwrap().1 < 150 {
                match try_poll(consumer.as_mut()) {
                    Ok(_) => {}
                    Err(LogError::OutOfRange { .. }) => consumer.seek(&at("t", 0), Start::First).unwrap_or_default(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        while log.range(&at("t", 0)).unwrap().1 < 150 {
            log.maintain(NOW).unwrap();
        }
    });
}

/// A file system of its own of so many bytes, which is gone when this is.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this may not be done; says so.
    fn new(folder: &Path, bytes: u64) -> Option<Self> {
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        tradewind_testkit::skipped("a small file system cannot be mounted (this needs root)");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have files open.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(folder.path(), 24 << 20) else { return };
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![1; 8 << 20]).unwrap();
    let log = open(&disk.0.join("log"));
    create(&log, "filled", 1);
    create(&log, "t", 1);
    let mut written = 0;
    let error = loop {
        assert!(written < 1_000, "the disk is not full after {written} records");
        match write_bytes(&log, "filled", 100_000, NOW) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, LogError::Disk { is_full: true, .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(log.range(&at("filled", 0)).unwrap(), (0, written), "what was refused is not there");
    // What was half-written is undone, which may make room for another one.
    let again = loop {
        assert!(written < 1_000, "the disk is not full after {written} records");
        match write_bytes(&log, "filled", 100_000, NOW) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&again, LogError::Disk { is_full: true, .. }), "{again:?}");
    std::fs::remove_file(&ballast).unwrap();
    log.producer("p").unwrap().write(records(&at("t", 0), &["there is space again"]), None).unwrap();
    write_bytes(&log, "filled", 100_000, NOW).unwrap();
    let check = |log: &Embedded| {
        assert_eq!(log.range(&at("filled", 0)).unwrap(), (0, written + 1));
        let partitions = vec![(at("filled", 0), Start::First)];
        let mut consumer = log.consumer(&Subscription::Assigned { group: "g".to_owned(), partitions }).unwrap();
        let batches = crate::conformance::read(consumer.as_mut(), usize::try_from(written + 1).unwrap());
        assert!(batches.iter().flat_map(|batch| &batch.records).all(|received| received.record.value.len() == 100_000));
        assert_eq!(all_values(log, "t"), ["there is space again"]);
    };
    check(&log);
    drop(log);
    check(&open(&disk.0.join("log")));
}

//! Handles, settings and members of the embedded log.

use super::open;
use crate::conformance::{at, inputs, poll, read, records, values, wait_assigned};
use std::path::Path;
use std::time::Duration;
use tradewind_transport::embedded::{Embedded, EmbeddedSettings, SyncPolicy};
use tradewind_transport::{Cleanup, ErrorKind, Event, Log, LogError, Outgoing, Record, Start, Subscription, TopicSpec};

/// A topic that forgets nothing.
pub(super) fn create(log: &Embedded, name: &str, partitions: i32) {
    create_with(log, name, partitions, Cleanup::Delete { age: None, bytes: None });
}

pub(super) fn create_with(log: &Embedded, name: &str, partitions: i32, cleanup: Cleanup) {
    let spec = TopicSpec { name: name.to_owned(), partitions, replication: 1, cleanup, message_bytes_max: 1 << 20 };
    assert!(log.create(&spec).unwrap());
}

/// Writes one record of so many random bytes.
pub(super) fn write_bytes(log: &Embedded, topic: &str, bytes: usize, timestamp: i64) -> Result<(), LogError> {
    use std::hash::{BuildHasher, RandomState};
    let mut state = RandomState::new().hash_one(0);
    let value: Vec<u8> = (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect();
    let record = Record { value: value.into(), timestamp, ..Record::default() };
    log.producer("filler")?.write(vec![Outgoing { to: at(topic, 0), record }], None)
}

/// All values of partition 0 of a topic.
pub(super) fn all_values(log: &Embedded, topic: &str) -> Vec<String> {
    let (first, end) = log.range(&at(topic, 0)).unwrap();
    let partitions = vec![(at(topic, 0), Start::First)];
    let mut consumer = log.consumer(&Subscription::Assigned { group: "all".to_owned(), partitions }).unwrap();
    values(&read(consumer.as_mut(), usize::try_from(end - first).unwrap()))
}

fn member(log: &Embedded, name: &str) -> Box<dyn tradewind_transport::Consumer> {
    let topics = vec!["t".to_owned()];
    let subscription = Subscription::Group { group: "g".to_owned(), member: name.to_owned(), topics };
    log.consumer(&subscription).unwrap()
}

#[test]
fn a_folder_is_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let error = Embedded::open(folder.path(), &EmbeddedSettings::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&folder.path().display().to_string()) && text.contains("another process"), "{text}");
    assert_eq!(error.kind(), ErrorKind::Fatal);
    drop(log);
    open(folder.path());
}

#[test]
fn a_log_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    create(&log, "t", 2);
    let mut consumer = log
        .consumer(&Subscription::Assigned { group: "g".to_owned(), partitions: vec![(at("t", 0), Start::First)] })
        .unwrap();
    log.producer("p").unwrap().write(records(&at("t", 0), &["a", "b"]), None).unwrap();
    let batch = read(consumer.as_mut(), 2).remove(0);
    log.producer("p")
        .unwrap()
        .write(records(&at("t", 1), &["c"]), Some((&inputs(&batch), &consumer.membership())))
        .unwrap();
    let before = log.topics(&["t"]).unwrap();
    drop((log, consumer));
    let log = open(folder.path());
    assert_eq!(log.topics(&["t"]).unwrap(), before);
    assert_eq!(log.committed("g", &[at("t", 0), at("t", 1)]).unwrap(), [Some(2), None]);
    assert_eq!((log.range(&at("t", 0)).unwrap(), log.range(&at("t", 1)).unwrap()), ((0, 2), (0, 1)));
    assert_eq!(all_values(&log, "t"), ["a", "b"]);
    assert_eq!(log.recovered(), tradewind_transport::embedded::Recovered::default());
}

#[test]
fn what_is_not_given_back_in_time_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { handover_timeout_ms: 50, ..EmbeddedSettings::default() };
    let log = Embedded::open(folder.path(), &settings).unwrap();
    create(&log, "t", 2);
    log.producer("p").unwrap().write(records(&at("t", 1), &["a"]), None).unwrap();
    let mut stuck = member(&log, "a");
    assert_eq!(wait_assigned(stuck.as_mut()).len(), 2);
    let Event::Batch(taken) = poll(stuck.as_mut()) else { panic!("no batch") };
    let membership = stuck.membership();
    let mut other = member(&log, "b");
    assert_eq!(wait_assigned(other.as_mut()), [at("t", 1)]);
    let error = log.producer("p").unwrap().write(Vec::new(), Some((&inputs(&taken), &membership))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(poll(stuck.as_mut()), Event::Revoked(vec![at("t", 1)]));
    assert_eq!(log.committed("g", &[at("t", 1)]).unwrap(), [None]);
    let Event::Batch(again) = poll(other.as_mut()) else { panic!("no batch") };
    log.producer("p").unwrap().write(Vec::new(), Some((&inputs(&again), &other.membership()))).unwrap();
    assert_eq!(log.committed("g", &[at("t", 1)]).unwrap(), [Some(1)]);
}

#[test]
fn a_partition_waits_for_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    create(&log, "t", 2);
    log.producer("p").unwrap().write(records(&at("t", 1), &["a"]), None).unwrap();
    let mut first = member(&log, "a");
    wait_assigned(first.as_mut());
    let Event::Batch(taken) = poll(first.as_mut()) else { panic!("no batch") };
    let mut second = member(&log, "b");
    assert_eq!(second.poll(Duration::ZERO).unwrap(), Event::Idle);
    // What it has in hand it may still commit: nobody else has it yet.
    log.producer("p").unwrap().write(Vec::new(), Some((&inputs(&taken), &first.membership()))).unwrap();
    assert_eq!(poll(first.as_mut()), Event::Revoked(vec![at("t", 1)]));
    assert_eq!(wait_assigned(second.as_mut()), [at("t", 1)]);
    assert_eq!(second.poll(Duration::ZERO).unwrap(), Event::Idle, "what was committed does not come again");
    drop(second);
    assert_eq!(wait_assigned(first.as_mut()), [at("t", 1)], "who leaves gives back");
}

#[test]
fn an_interval_syncs_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { sync: SyncPolicy::Interval, sync_interval_ms: 1, ..EmbeddedSettings::default() };
    let log = Embedded::open(folder.path(), &settings).unwrap();
    create(&log, "t", 1);
    for value in ["a", "b", "c"] {
        log.producer("p").unwrap().write(records(&at("t", 0), &[value]), None).unwrap();
    }
    drop(log);
    assert_eq!(all_values(&open(folder.path()), "t"), ["a", "b", "c"]);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let check = |settings: EmbeddedSettings, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let error = Embedded::open(folder.path(), &settings).unwrap_err();
        assert!(matches!(&error, LogError::Settings(text) if text.contains(expected)), "{error}");
    };
    check(EmbeddedSettings { sync_interval_ms: 0, ..EmbeddedSettings::default() }, "sync_interval_ms");
    check(EmbeddedSettings { memtable_bytes: 1, ..EmbeddedSettings::default() }, "memtable_bytes");
    let error = Embedded::open(Path::new("/proc/no such folder"), &EmbeddedSettings::default()).unwrap_err();
    assert!(matches!(&error, LogError::Disk { is_full: false, .. }), "{error}");
    assert!(error.to_string().contains("/proc/no such folder"), "{error}");
    let parsed: EmbeddedSettings = serde_json::from_str(r#"{"sync": "interval", "sync_interval_ms": 5}"#).unwrap();
    assert_eq!(parsed.sync, SyncPolicy::Interval);
    assert!(serde_json::from_str::<EmbeddedSettings>(r#"{"fsync": "always"}"#).is_err());
}

//! Rows of a stream are in the lake exactly once, whoever commits, stops, resumes or tries again.

use super::{ask, flows, import, lake, stage};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tradewind_model::Clock;
use tradewind_model::table::{COVERAGE, DEAD_LETTERS, FINDINGS, FLOWS};
use tradewind_model::time::MINUTE;
use tradewind_storage::{
    CommitError, Coverage, DeadLetter, Lake, OffsetRange, StreamCommit, StreamCommitted, StreamSink, TxnKey,
    VerifyOptions,
};

const COUNT: &str = "select count(*) from flows";

fn key(partition: i32) -> TxnKey {
    TxnKey { topic: "flows-1".to_owned(), partition }
}

fn range(partition: i32, from: i64, next: i64) -> OffsetRange {
    OffsetRange { key: key(partition), from, next }
}

/// As many rows as there are offsets.
async fn commit(lake: &Lake, ranges: Vec<OffsetRange>) -> StreamCommit {
    let rows = ranges.iter().map(|range| range.next - range.from).sum();
    let files = stage(lake, flows("topic/0", 1_700_000_000_000_000, rows)).await;
    StreamCommit { ranges, files }
}

async fn send(lake: &Lake, sink: &mut StreamSink, ranges: Vec<OffsetRange>) -> StreamCommitted {
    sink.commit(&commit(lake, ranges).await).await.unwrap()
}

/// Data files in the folder of `flows`, part of the table or not.
fn data_files(folder: &std::path::Path) -> usize {
    let days = std::fs::read_dir(folder.join("flows")).unwrap().flatten();
    let days = days.filter(|entry| entry.file_name().to_string_lossy().starts_with("date="));
    days.map(|day| std::fs::read_dir(day.path()).unwrap().count()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_and_rows_are_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    assert!(sink.versions(&[key(0), key(1)]).await.unwrap().is_empty());
    assert_eq!(send(&lake, &mut sink, vec![range(0, 0, 5), range(1, 40, 42)]).await, StreamCommitted::Version(1));
    assert_eq!(send(&lake, &mut sink, vec![range(0, 5, 6)]).await, StreamCommitted::Version(2));
    assert_eq!(ask(&lake, COUNT).await, ["8"]);
    let expected = [(key(0), 6), (key(1), 42)];
    assert_eq!(sink.versions(&[key(0), key(1), key(2)]).await.unwrap().into_iter().collect::<Vec<_>>(), expected);
    let mut another = self::lake(folder.path()).await.stream_sink(&FLOWS).await.unwrap();
    assert_eq!(another.versions(&[key(0), key(1)]).await.unwrap().into_iter().collect::<Vec<_>>(), expected);
    let other_topic = TxnKey { topic: "flows-2".to_owned(), partition: 0 };
    assert!(another.versions(&[other_topic]).await.unwrap().is_empty(), "a topic made anew begins at 0");
}

/// One sink commits `first`, then another, that had looked before it, commits `second`.
async fn check(first: &[(i32, i64, i64)], second: &[(i32, i64, i64)], expected: StreamCommitted, rows: &str) {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let ranges = |ranges: &[(i32, i64, i64)]| ranges.iter().map(|&(key, from, next)| range(key, from, next)).collect();
    let mut owner = lake.stream_sink(&FLOWS).await.unwrap();
    send(&lake, &mut owner, vec![range(0, 0, 10), range(1, 0, 10)]).await;
    // Stopped after it looked, and resumed after the other has committed.
    let mut stopped = self::lake(folder.path()).await.stream_sink(&FLOWS).await.unwrap();
    stopped.versions(&[key(0), key(1)]).await.unwrap();
    let prepared = commit(&lake, ranges(second)).await;
    send(&lake, &mut owner, ranges(first)).await;
    assert_eq!(stopped.commit(&prepared).await.unwrap(), expected, "{first:?} {second:?}");
    assert_eq!(ask(&lake, COUNT).await, [rows], "{first:?} {second:?}");
    let listed: usize = ask(&lake, "select count(*) from flows group by date, position").await.len();
    assert!(listed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_owner_that_resumes_adds_nothing_twice() {
    use StreamCommitted::{Covered, Moved, Version};
    // Both the same.
    check(&[(0, 10, 20)], &[(0, 10, 20)], Covered, "30").await;
    // The winner went further, or less far.
    check(&[(0, 10, 25)], &[(0, 10, 20)], Covered, "35").await;
    check(&[(0, 10, 15)], &[(0, 10, 20)], Moved(vec![(key(0), 15)]), "25").await;
    // Other partitions do not matter.
    check(&[(1, 10, 15)], &[(0, 10, 20)], Version(3), "35").await;
    // Of two partitions one moved, both moved, one of them not far enough.
    check(&[(0, 10, 20)], &[(0, 10, 20), (1, 10, 20)], Moved(vec![(key(0), 20)]), "30").await;
    check(&[(0, 10, 20), (1, 10, 30)], &[(0, 10, 20), (1, 10, 20)], Covered, "50").await;
    check(&[(0, 10, 20), (1, 10, 12)], &[(0, 10, 20), (1, 10, 20)], Moved(vec![(key(0), 20), (key(1), 12)]), "32")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_an_old_version_in_sequence_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    for ranges in [(0, 5), (5, 9), (9, 12)] {
        send(&lake, &mut sink, vec![range(0, ranges.0, ranges.1)]).await;
    }
    // By the same sink, and by one that was opened after.
    for sink in [&mut sink, &mut lake.stream_sink(&FLOWS).await.unwrap()] {
        assert_eq!(send(&lake, sink, vec![range(0, 0, 5)]).await, StreamCommitted::Covered);
        assert_eq!(send(&lake, sink, vec![range(0, 5, 9)]).await, StreamCommitted::Covered);
        assert_eq!(send(&lake, sink, vec![range(0, 9, 14)]).await, StreamCommitted::Moved(vec![(key(0), 12)]));
    }
    assert_eq!(ask(&lake, COUNT).await, ["12"]);
    assert_eq!(data_files(folder.path()), 3, "what was refused is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_offsets_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    send(&lake, &mut sink, vec![range(0, 7, 10)]).await;
    let hole = commit(&lake, vec![range(0, 11, 12)]).await;
    let error = sink.commit(&hole).await.unwrap_err();
    assert!(matches!(error, CommitError::OffsetGap { stored: 10, from: 11, .. }), "{error}");
    for wrong in [vec![range(0, 10, 9)], vec![range(0, -1, 2)], vec![range(0, 10, 11), range(0, 11, 12)]] {
        let wrong = StreamCommit { ranges: wrong, files: Vec::new() };
        assert!(matches!(sink.commit(&wrong).await.unwrap_err(), CommitError::OffsetRanges { .. }), "{wrong:?}");
    }
    let rows_of_nothing = StreamCommit { ranges: Vec::new(), files: hole.files };
    assert!(matches!(sink.commit(&rows_of_nothing).await.unwrap_err(), CommitError::OffsetRanges { .. }));
    assert_eq!(ask(&lake, COUNT).await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_without_rows_move_on() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    let nothing = StreamCommit { ranges: vec![range(0, 0, 4)], files: Vec::new() };
    assert_eq!(sink.commit(&nothing).await.unwrap(), StreamCommitted::Version(1));
    assert_eq!(sink.versions(&[key(0)]).await.unwrap()[&key(0)], 4);
    assert_eq!(sink.commit(&StreamCommit::default()).await.unwrap(), StreamCommitted::Covered);
    assert_eq!(send(&lake, &mut sink, vec![range(0, 4, 5), range(1, 3, 3)]).await, StreamCommitted::Version(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_owners_at_once_leave_each_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut owners = Vec::new();
    for _ in 0..3 {
        let lake = self::lake(folder.path()).await;
        // Each believes that both partitions are its own, commits what is next in steps of its own, and takes what it is told.
        owners.push(tokio::spawn(async move {
            let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
            let mut at = [0, 0];
            let mut done = 0;
            while at[0] < 60 || at[1] < 60 {
                let ranges: Vec<_> = (0..2)
                    .filter(|&partition| at[partition as usize] < 60)
                    .map(|partition| range(partition, at[partition as usize], (at[partition as usize] + 7).min(60)))
                    .collect();
                match send(&lake, &mut sink, ranges.clone()).await {
                    StreamCommitted::Version(_) => {
                        done += 1;
                        ranges.iter().for_each(|range| at[range.key.partition as usize] = range.next);
                    }
                    StreamCommitted::Covered => {
                        ranges.iter().for_each(|range| at[range.key.partition as usize] = range.next);
                    }
                    StreamCommitted::Moved(moved) => {
                        moved.iter().for_each(|(key, stored)| at[key.partition as usize] = (*stored).min(60));
                    }
                }
            }
            done
        }));
    }
    let mut commits = 0;
    for owner in owners {
        commits += owner.await.unwrap();
    }
    assert!(commits > 0);
    assert_eq!(ask(&lake, COUNT).await, ["120"]);
    let report = lake.verify(&Default::default()).await.unwrap();
    assert_eq!((report.problems, report.rows), (Vec::new(), 120));
    assert!(report.stream_ranges > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_table_has_its_own_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let letter = DeadLetter {
        ingest_time: 1_700_000_000_000_000,
        source: None,
        reason: "bad_number".into(),
        detail: String::new(),
        position: "raw/0".to_owned(),
        position_offset: 3,
        position_index: None,
        path: "raw".to_owned(),
        raw_bytes: 1,
        raw: "x".to_owned(),
    };
    let minute = Coverage {
        minute: 1_700_000_040_000_000,
        source: "aws_vpc".to_owned(),
        observer: None,
        position: "raw/0".to_owned(),
        flows: 1,
        gaps: 0,
        gap_reason: None,
        rejected: None,
        bytes_in: None,
        lag_us: None,
    };
    for (table, files) in [
        (&DEAD_LETTERS, lake.stage_dead_letters(std::slice::from_ref(&letter)).await.unwrap()),
        (&COVERAGE, lake.stage_coverage(std::slice::from_ref(&minute)).await.unwrap()),
        (&FINDINGS, Vec::new()),
    ] {
        let mut sink = lake.stream_sink(table).await.unwrap();
        let once = StreamCommit { ranges: vec![range(0, 0, 9)], files };
        assert_eq!(sink.commit(&once).await.unwrap(), StreamCommitted::Version(1), "{}", table.name);
        assert_eq!(sink.versions(&[key(0)]).await.unwrap()[&key(0)], 9, "{}", table.name);
        let again = StreamCommit { files: Vec::new(), ..once };
        assert_eq!(sink.commit(&again).await.unwrap(), StreamCommitted::Covered, "{}", table.name);
    }
    assert_eq!(ask(&lake, "select count(*) from dead_letters").await, ["1"]);
    assert_eq!(ask(&lake, "select sum(flows) from coverage").await, ["1"]);
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    assert!(sink.versions(&[key(0)]).await.unwrap().is_empty());
}

/// A clock that the test moves.
#[derive(Debug)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_entries_of_the_log_go_after_a_checkpoint_and_writers_do_not_notice() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.commit_import(&import(&lake, "a", 3).await).await.unwrap();
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    let clock = Arc::new(HandClock(AtomicI64::new(1_700_000_000_000_000)));
    let mut idle = lake.clone().with_clock(clock.clone()).stream_sink(&FLOWS).await.unwrap();
    let entries = || {
        let names = std::fs::read_dir(folder.path().join("flows/_delta_log")).unwrap().flatten();
        names.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "json")).count()
    };
    let mut commit = async |from: i64, to: i64| {
        for at in from..to {
            let ranges = vec![OffsetRange { key: key(0), from: at, next: at + 1 }];
            let commit = StreamCommit { ranges, files: Vec::new() };
            assert!(matches!(sink.commit(&commit).await.unwrap(), StreamCommitted::Version(_)));
        }
    };
    commit(0, 60).await;
    assert_eq!(entries(), 62);
    let two_days_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for entry in std::fs::read_dir(folder.path().join("flows/_delta_log")).unwrap().flatten() {
        std::fs::File::options().append(true).open(entry.path()).unwrap().set_modified(two_days_ago).unwrap();
    }
    commit(60, 110).await;
    // Version 99 wrote a checkpoint; what lies before the one of version 49 was old.
    assert_eq!(entries(), 112 - 49);
    // A writer that slept for longer than it may starts anew instead of taking the hole for the end of the log.
    clock.0.fetch_add(10 * MINUTE, Ordering::SeqCst);
    let stale = StreamCommit { ranges: vec![OffsetRange { key: key(0), from: 0, next: 9 }], files: Vec::new() };
    assert_eq!(idle.commit(&stale).await.unwrap(), StreamCommitted::Covered);
    assert_eq!(idle.versions(&[key(0)]).await.unwrap()[&key(0)], 110);
    assert_eq!(ask(&lake, "select count(*) from flows").await, ["3"]);
    assert!(lake.imported().await.unwrap().contains("a"));
    assert_eq!(lake.status().await.unwrap().tables[0].log_entries, 63);
    assert_eq!(lake.verify(&VerifyOptions::default()).await.unwrap().problems, Vec::new());
}

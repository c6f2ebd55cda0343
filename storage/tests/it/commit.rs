//! Each object is in the lake exactly once.

use super::{ask, import, lake, object};
use std::collections::HashSet;
use tradewind_storage::{Committed, Coverage, DeadLetter, Import, ImportedObject, Lake};

const COUNT: &str = "select count(*) from flows";

fn dead_letter(hash: &str) -> DeadLetter {
    DeadLetter {
        ingest_time: 1_700_000_000_000_000,
        source: Some("aws_vpc".to_owned()),
        reason: "bad_number".into(),
        detail: "`x` is not a port".to_owned(),
        position: hash.to_owned(),
        position_offset: 7,
        position_index: None,
        path: "/logs/a".to_owned(),
        raw_bytes: 3,
        raw: "x y".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_object_twice_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut first = import(&lake, "a", 10).await;
    first.dead_letters.push(dead_letter("a"));
    assert!(matches!(lake.commit_import(&first).await.unwrap(), Committed::Version(1)));
    let mut again = import(&lake, "a", 10).await;
    again.dead_letters.push(dead_letter("a"));
    assert_eq!(lake.commit_import(&again).await.unwrap(), Committed::Covered(HashSet::from(["a".to_owned()])));
    assert_eq!(ask(&lake, COUNT).await, ["10"]);
    assert_eq!(ask(&lake, "select count(*), min(reason) from dead_letters").await, ["1|bad_number"]);
    assert_eq!(ask(&lake, "select content_hash, flows from imports").await, ["a|10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_tables_beside_does_not_double_them() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    // As if the process died between `dead_letters` and `flows`: the side tables are there, the flows are not.
    let mut beside_only = import(&lake, "a", 5).await;
    beside_only.dead_letters.push(dead_letter("a"));
    beside_only.coverage.push(Coverage {
        minute: 0,
        source: "aws_vpc".to_owned(),
        observer: None,
        position: "a".to_owned(),
        flows: 5,
        gaps: 0,
        gap_reason: None,
        rejected: None,
        bytes_in: None,
        lag_us: None,
    });
    let flows_log = folder.path().join("flows/_delta_log");
    lake.commit_import(&beside_only).await.unwrap();
    std::fs::remove_file(flows_log.join("00000000000000000001.json")).unwrap();
    std::fs::remove_dir_all(folder.path().join("imports")).unwrap();
    let lake = self::lake(folder.path()).await;
    assert_eq!(ask(&lake, COUNT).await, ["0"]);
    assert_eq!(ask(&lake, "select count(*) from dead_letters").await, ["1"]);

    let mut again = import(&lake, "a", 5).await;
    again.dead_letters.clone_from(&beside_only.dead_letters);
    again.coverage.clone_from(&beside_only.coverage);
    assert!(matches!(lake.commit_import(&again).await.unwrap(), Committed::Version(1)));
    assert_eq!(ask(&lake, COUNT).await, ["5"]);
    assert_eq!(ask(&lake, "select count(*) from dead_letters").await, ["1"]);
    assert_eq!(ask(&lake, "select count(*) from coverage").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_ledger_is_mended_by_whoever_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.commit_import(&import(&lake, "a", 3).await).await.unwrap();
    lake.commit_import(&import(&lake, "b", 4).await).await.unwrap();
    std::fs::remove_file(folder.path().join("imports/_delta_log/00000000000000000002.json")).unwrap();
    assert_eq!(ask(&lake, "select content_hash from imports").await, ["a"]);
    let imported = lake.imported().await.unwrap();
    assert!(imported.contains("a") && imported.contains("b") && imported.len() == 2);
    assert_eq!(imported.of_path("/logs/b"), [(1, "b".to_owned())]);
    assert_eq!(ask(&lake, "select content_hash, flows_version from imports order by 1").await, ["a|1", "b|2"]);
    let again = import(&lake, "b", 4).await;
    assert!(matches!(lake.commit_import(&again).await.unwrap(), Committed::Covered(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_of_the_same_objects_leave_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut writers = Vec::new();
    for writer in 0..6 {
        let lake: Lake = lake.clone();
        // Each object is brought by two writers at the same time.
        let hash = format!("object-{}", writer / 2);
        writers.push(tokio::spawn(async move {
            let import = import(&lake, &hash, 7).await;
            lake.commit_import(&import).await.unwrap()
        }));
    }
    let mut won = 0;
    for writer in writers {
        won += usize::from(matches!(writer.await.unwrap(), Committed::Version(_)));
    }
    assert_eq!(won, 3);
    assert_eq!(ask(&lake, COUNT).await, ["21"]);
    assert_eq!(ask(&lake, "select count(*), count(distinct content_hash) from imports").await, ["3|3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_one_known_object_commits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.commit_import(&import(&lake, "a", 3).await).await.unwrap();
    let mut group = import(&lake, "b", 2).await;
    group.objects.push(object("a", 3));
    assert_eq!(lake.commit_import(&group).await.unwrap(), Committed::Covered(HashSet::from(["a".to_owned()])));
    assert_eq!(ask(&lake, COUNT).await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_not_recognised_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let unknown = DeadLetter { source: None, reason: "unknown_format".into(), ..dead_letter("a") };
    let unread = Import {
        objects: vec![ImportedObject { source: None, rejected: 1, records: 1, ..object("a", 0) }],
        dead_letters: vec![unknown],
        ..Import::default()
    };
    assert!(matches!(lake.commit_import(&unread).await.unwrap(), Committed::Version(1)));
    assert!(matches!(lake.commit_import(&unread).await.unwrap(), Committed::Covered(_)));
    let imported = lake.imported().await.unwrap();
    assert!(imported.is_unrecognised("a") && !imported.contains("a"));

    let mut read = import(&lake, "a", 3).await;
    read.dead_letters.push(dead_letter("a"));
    assert!(matches!(lake.commit_import(&read).await.unwrap(), Committed::Version(2)));
    assert!(matches!(lake.commit_import(&read).await.unwrap(), Committed::Covered(_)));
    assert!(lake.imported().await.unwrap().contains("a"));
    assert_eq!(ask(&lake, COUNT).await, ["3"]);
    assert_eq!(ask(&lake, "select reason from dead_letters order by 1").await, ["bad_number", "unknown_format"]);
    assert_eq!(ask(&lake, "select coalesce(source, '-'), flows from imports order by 1").await, ["-|0", "aws_vpc|3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_streams_between_imports_do_not_hide_them() {
    use tradewind_model::table::FLOWS;
    use tradewind_storage::{OffsetRange, StreamCommit, TxnKey};
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.commit_import(&import(&lake, "a", 3).await).await.unwrap();
    lake.commit_import(&import(&lake, "b", 4).await).await.unwrap();
    // The process was killed before it recorded `b`; then a stream ran for long, and its commits wrote checkpoints.
    std::fs::remove_file(folder.path().join("imports/_delta_log/00000000000000000002.json")).unwrap();
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    let key = TxnKey { topic: "flows-1".to_owned(), partition: 0 };
    let mut send = async |from: i64, to: i64| {
        for from in from..to {
            let range = OffsetRange { key: key.clone(), from, next: from + 1 };
            sink.commit(&StreamCommit { ranges: vec![range], files: Vec::new() }).await.unwrap();
        }
    };
    send(0, 20).await;
    let imported = lake.imported().await.unwrap();
    assert!(imported.contains("a") && imported.contains("b") && imported.len() == 2);
    assert_eq!(ask(&lake, "select content_hash, flows_version from imports order by 1").await, ["a|1", "b|2"]);

    // The same, and the first upkeep of the log comes before anybody reads the ledger: it completes it before it cleans.
    lake.commit_import(&import(&lake, "c", 5).await).await.unwrap();
    std::fs::remove_file(folder.path().join("imports/_delta_log/00000000000000000003.json")).unwrap();
    send(20, 60).await;
    assert_eq!(ask(&lake, "select content_hash, flows_version from imports order by 1").await, ["a|1", "b|2", "c|23"]);
    let again = import(&lake, "c", 5).await;
    assert!(matches!(lake.commit_import(&again).await.unwrap(), Committed::Covered(_)));
    assert_eq!(ask(&lake, COUNT).await, ["12"]);
}

//! What a commit costs must not depend on how many there were.

use super::{flows, lake, stage};
use std::time::{Duration, Instant};
use tradewind_model::table::FLOWS;
use tradewind_storage::{Lake, OffsetRange, StreamCommit, StreamCommitted, StreamSink, TxnKey};

/// Commits of 100 rows in four partitions; how long each took.
async fn send(lake: &Lake, sink: &mut StreamSink, commits: std::ops::Range<i64>) -> Vec<Duration> {
    let mut took = Vec::new();
    for at in commits {
        let files = stage(lake, flows("topic/0", 1_700_000_000_000_000, 100)).await;
        let range = |partition| OffsetRange {
            key: TxnKey { topic: "flows-1".to_owned(), partition },
            from: at * 25,
            next: (at + 1) * 25,
        };
        let commit = StreamCommit { ranges: (0..4).map(range).collect(), files };
        let started = Instant::now();
        let ended = sink.commit(&commit).await.unwrap();
        took.push(started.elapsed());
        assert!(matches!(ended, StreamCommitted::Version(_)));
    }
    took
}

fn median(took: &[Duration]) -> Duration {
    let mut sorted = took.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_commits_cost_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    let took = send(&lake, &mut sink, 0..300).await;
    let [first, last] = [median(&took[..60]), median(&took[240..])];
    assert!(last < 2 * first + Duration::from_millis(10), "{first:?} became {last:?}");
}

/// By hand: prints the medians around commit 10, 500 and 2,000, and the slowest, which writes a checkpoint.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn two_thousand_commits() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    let mut all = Vec::new();
    for at in (0..2_000).step_by(100) {
        all.extend(send(&lake, &mut sink, at..at + 100).await);
    }
    for (name, part) in [("10", &all[..50]), ("500", &all[450..550]), ("2000", &all[1_900..])] {
        eprintln!("around commit {name}: median {:?}, slowest {:?}", median(part), part.iter().max().unwrap());
    }
    let started = Instant::now();
    lake.stream_sink(&FLOWS).await.unwrap();
    eprintln!("opening a sink after 2,000 commits: {:?}", started.elapsed());
    let started = Instant::now();
    lake.imported().await.unwrap();
    eprintln!("reading the ledger after 2,000 commits: {:?}", started.elapsed());
}

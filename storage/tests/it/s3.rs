//! A lake in a real S3 store whose answers are lost, delayed and refused on the way.

use super::{ask, flows, stage};
use std::time::Duration;
use tradewind_kafka_testkit::{Fault, FaultPlan, FaultyHttp, S3, available};
use tradewind_model::table::FLOWS;
use tradewind_storage::{
    CompactOptions, Lake, LakeError, LakeLocation, OffsetRange, StreamCommit, StreamCommitted, StreamSink, TxnKey,
    VerifyOptions,
};

fn location(s3: &S3, endpoint: &str) -> LakeLocation {
    let location: LakeLocation = format!("s3://{}/lakes/one", s3.bucket()).parse().unwrap();
    let options = [
        ("aws_endpoint", endpoint),
        ("aws_access_key_id", s3.access_key()),
        ("aws_secret_access_key", s3.secret_key()),
        ("aws_region", s3.region()),
        ("aws_allow_http", "true"),
    ];
    location.with_options(options.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

fn key() -> TxnKey {
    TxnKey { topic: "flows-1".to_owned(), partition: 0 }
}

/// Commits ten rows at a time up to an offset, as often as it takes.
async fn send(lake: &Lake, sink: &mut StreamSink, to: i64) {
    let mut from = sink.versions(&[key()]).await.unwrap().get(&key()).copied().unwrap_or_default();
    while from < to {
        let files = stage(lake, flows(&format!("at-{from}"), 1_700_000_000_000_000, 10)).await;
        let commit = StreamCommit { ranges: vec![OffsetRange { key: key(), from, next: from + 10 }], files };
        match sink.commit(&commit).await {
            Ok(StreamCommitted::Version(_) | StreamCommitted::Covered) => from += 10,
            Ok(StreamCommitted::Moved(moved)) => panic!("nobody else commits: {moved:?}"),
            Err(error) => eprintln!("tried again: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_are_there_once_whatever_the_way_to_the_store_does() {
    let Some(s3) = available(S3::start()) else { return };
    let faulty = FaultyHttp::start(&s3.address()).unwrap();
    let lake = Lake::open_or_create(location(&s3, &faulty.endpoint())).await.unwrap();
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    send(&lake, &mut sink, 30).await;
    faulty.set_plan(FaultPlan {
        seed: 7,
        per_thousand: 300,
        faults: vec![
            Fault::LoseAnswer,
            Fault::LoseRequest,
            Fault::Status(503),
            Fault::Delay(Duration::from_millis(20)),
        ],
        method: Some("PUT".to_owned()),
        path_contains: Some("_delta_log".to_owned()),
    });
    send(&lake, &mut sink, 400).await;
    assert!(faulty.failed() > 0);
    faulty.set_plan(FaultPlan::default());
    assert_eq!(ask(&lake, "select count(*), count(distinct position) from flows").await, ["400|40"]);

    let direct = Lake::open(location(&s3, &s3.endpoint())).await.unwrap();
    let report =
        direct.compact(&CompactOptions { files_min: 2, ..CompactOptions::default() }, &|| false).await.unwrap();
    assert!(report.tables[0].files_in >= 40, "{report:?}");
    assert_eq!(ask(&direct, "select count(*), count(distinct position) from flows").await, ["400|40"]);
    assert_eq!(direct.verify(&VerifyOptions::default()).await.unwrap().problems, Vec::new());
    send(&lake, &mut sink, 420).await;
    assert_eq!(ask(&direct, "select count(*) from flows").await, ["420"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_read_only_is_named() {
    let Some(s3) = available(S3::start()) else { return };
    s3.set_read_only(true).unwrap();
    let error = Lake::open_or_create(location(&s3, &s3.endpoint())).await.unwrap_err();
    assert!(matches!(error, LakeError::Store { .. }), "{error}");
    assert!(error.to_string().contains("s3://lake/lakes/one"), "{error}");
}

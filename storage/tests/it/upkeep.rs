//! Compaction, retention and their reports, beside writers.

use super::{ask, import, lake, stage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tradewind_model::table::FLOWS;
use tradewind_model::time::{DAY, HOUR, MINUTE, SECOND};
use tradewind_model::{FixedClock, FlowBatch, flow, time};
use tradewind_storage::{
    CompactOptions, CompactReport, ExpireOptions, Lake, OffsetRange, PositionRange, Replaced, Replacement,
    StreamCommit, StreamCommitted, TxnKey, VerifyOptions,
};

/// 2026-03-01T10:00:00Z.
const TEN: i64 = 20_513 * DAY + 10 * HOUR;

fn never() -> bool {
    false
}

fn key() -> TxnKey {
    TxnKey { topic: "flows-1".to_owned(), partition: 0 }
}

/// Rows that end from `end` on, a minute apart, sorted as normalise leaves them: as many as texts in `sources`.
fn rows(offset: i64, end: i64, sources: &[&str]) -> FlowBatch {
    let mut batch = FlowBatch::default();
    let mut sorted: Vec<_> = sources.iter().zip(0..).collect();
    sorted.sort();
    for (source, place) in sorted {
        let end = end + place * MINUTE;
        batch.set_num(flow::START_TIME, end - SECOND);
        batch.set_num(flow::END_TIME, end);
        batch.set_num(flow::DATE, time::day_of(end));
        batch.set_num(flow::INGEST_TIME, end);
        batch.set_text(flow::SRC_IP, &format!("10.0.0.{}", offset + place));
        batch.set_text(flow::DST_IP, "10.1.0.1");
        if place % 2 == 0 {
            batch.set_num(flow::DST_PORT, 40_000 - place);
            batch.set_num(flow::BYTES_OUT, offset + place);
        }
        for (column, text) in [
            (flow::SRC_ENTITY, *source),
            (flow::SRC_KIND, "service"),
            (flow::SRC_ENTITY_SOURCE, "inventory"),
            (flow::DST_ENTITY, "-/shop/service/cart"),
            (flow::DST_KIND, "service"),
            (flow::DST_ENTITY_SOURCE, "inventory"),
            (flow::OUTCOME, "allowed"),
            (flow::RECORD_KIND, "interval"),
            (flow::SOURCE, "aws_vpc"),
            (flow::POSITION, "raw/0"),
        ] {
            batch.set_text(column, text);
        }
        batch.set_num(flow::IS_SRC_DST_ASSIGNMENT_KNOWN, 1);
        batch.set_num(flow::POSITION_OFFSET, offset + place);
        batch.set_num(flow::NORMALISER_VERSION, 1);
        batch.end_row();
    }
    batch
}

/// Commits batches one by one; the offset of each is its place times 100.
async fn send(lake: &Lake, batches: Vec<FlowBatch>) {
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    let mut from = sink.versions(&[key()]).await.unwrap().get(&key()).copied().unwrap_or_default();
    for batch in batches {
        let files = stage(lake, batch).await;
        let ranges = vec![OffsetRange { key: key(), from, next: from + 100 }];
        assert!(matches!(sink.commit(&StreamCommit { ranges, files }).await.unwrap(), StreamCommitted::Version(_)));
        from += 100;
    }
}

const ALL: &str = "select * from flows order by position_offset";

/// A lake whose clock stands two days after the rows.
async fn old_lake(folder: &std::path::Path) -> Lake {
    lake(folder).await.with_clock(Arc::new(FixedClock(TEN + 3 * DAY)))
}

fn numbers(report: &CompactReport) -> Vec<(&'static str, u64, u64, u64, u64)> {
    report.tables.iter().map(|done| (done.table, done.groups, done.files_in, done.files_out, done.rows)).collect()
}

async fn whole(lake: &Lake) {
    let day = time::day_of(TEN);
    let report = lake.verify(&VerifyOptions { positions_of: Some(day - 1..day + 2) }).await.unwrap();
    assert_eq!(report.problems, Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_become_one_for_each_hour_with_the_same_rows_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let lake = old_lake(folder.path()).await;
    let sources = ["b", "a", "", "c/é", "a"];
    send(&lake, (0..12).map(|at| rows(at * 100, TEN + (at % 3) * HOUR, &sources)).collect()).await;
    let before = ask(&lake, ALL).await;
    let report = lake.compact(&CompactOptions::default(), &never).await.unwrap();
    assert_eq!(numbers(&report), [("flows", 3, 12, 3, 60)]);
    assert_eq!(ask(&lake, ALL).await, before);
    whole(&lake).await;
    // A file gives its rows in the order they have in it.
    let order =
        "select src_entity, coalesce(dst_port, -1), start_time from flows where date_part('hour', end_time) = 11";
    let found = ask(&lake, order).await;
    let mut sorted = found.clone();
    sorted.sort_by_key(|line| {
        let cells: Vec<_> = line.split('|').map(str::to_owned).collect();
        (cells[0].clone(), cells[1].parse::<i64>().unwrap(), cells[2].clone())
    });
    assert_eq!((found.len(), &found), (20, &sorted));
    let again = lake.compact(&CompactOptions::default(), &never).await.unwrap();
    assert_eq!(numbers(&again), []);
    // The stream goes on where it was.
    send(&lake, vec![rows(1200, TEN, &["a"])]).await;
    assert_eq!(ask(&lake, "select count(*) from flows").await, ["61"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_end_is_not_in_its_day_is_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let lake = old_lake(folder.path()).await;
    let mut batches: Vec<_> = (0..60).map(|at| rows(at * 100, TEN, &["a", "b"])).collect();
    for batch in &mut batches {
        batch.num_mut(flow::END_TIME).set(1, 1_000 * DAY);
    }
    send(&lake, batches).await;
    let before = ask(&lake, ALL).await;
    let report = lake.compact(&CompactOptions { files_min: 2, ..CompactOptions::default() }, &never).await.unwrap();
    assert_eq!(report.tables.iter().map(|done| (done.rows, done.skipped)).collect::<Vec<_>>(), [(120, 0)]);
    assert_eq!(ask(&lake, ALL).await, before);
    let status = lake.status().await.unwrap();
    assert_eq!((status.tables[0].table, status.tables[0].files), ("flows", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn small_tables_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let lake = old_lake(folder.path()).await;
    for hash in ["a", "b", "c"] {
        lake.commit_import(&import(&lake, hash, 3).await).await.unwrap();
    }
    let options = CompactOptions { files_min: 2, ..CompactOptions::default() };
    let report = lake.compact(&options, &never).await.unwrap();
    assert_eq!(numbers(&report), [("flows", 1, 3, 1, 9), ("imports", 1, 3, 1, 3)]);
    let imported = lake.imported().await.unwrap();
    assert!(imported.len() == 3 && imported.contains("c"));
    assert_eq!(ask(&lake, "select content_hash, flows_version from imports order by 1").await, ["a|1", "b|2", "c|3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compaction_beside_a_writer_and_another_compactor_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lake = old_lake(folder.path()).await;
    send(&lake, (0..20).map(|at| rows(at * 100, TEN + (at % 2) * HOUR, &["a", "b"])).collect()).await;
    let is_done = Arc::new(AtomicBool::new(false));
    let compactors: Vec<_> = (0..2)
        .map(|_| {
            let (folder, is_done) = (folder.path().to_owned(), Arc::clone(&is_done));
            tokio::spawn(async move {
                let lake = old_lake(&folder).await;
                let mut moved = 0;
                let options = CompactOptions { files_min: 2, files_max: 5, ..CompactOptions::default() };
                while !is_done.load(Ordering::SeqCst) {
                    let report = lake.compact(&options, &never).await.unwrap();
                    moved += report.tables.iter().map(|done| done.rows).sum::<u64>();
                }
                moved
            })
        })
        .collect();
    send(&lake, (20..80).map(|at| rows(at * 100, TEN + (at % 2) * HOUR, &["a", "b"])).collect()).await;
    is_done.store(true, Ordering::SeqCst);
    let mut moved = 0;
    for compactor in compactors {
        moved += compactor.await.unwrap();
    }
    assert!(moved > 0);
    assert_eq!(ask(&lake, "select count(*), count(distinct position_offset) from flows").await, ["160|160"]);
    whole(&lake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let lake = old_lake(folder.path()).await;
    send(&lake, (0..8).map(|at| rows(at * 100, TEN + (at % 4) * HOUR, &["a"])).collect()).await;
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::SeqCst) >= 2;
    let report = lake.compact(&CompactOptions::default(), &stop).await.unwrap();
    assert_eq!((report.is_stopped, numbers(&report)), (true, vec![("flows", 2, 4, 2, 4)]));
    assert_eq!(ask(&lake, "select count(*) from flows").await, ["8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_days_leave_whole_and_the_stream_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    send(&lake, (0..3).map(|at| rows(at * 100, TEN + at * DAY, &["a", "b"])).collect()).await;
    let before_day = Some(time::day_of(TEN) + 1);
    let dry = lake.expire(&ExpireOptions { before_day, dry_run: true, ..Default::default() }).await.unwrap();
    let expired = lake.expire(&ExpireOptions { before_day, ..Default::default() }).await.unwrap();
    assert_eq!(dry, expired);
    let flows = &expired.tables[0];
    assert_eq!((flows.days.as_slice(), flows.files, flows.rows), (["2026-03-01".to_owned()].as_slice(), 1, 2));
    assert_eq!(ask(&lake, "select min(date), count(*) from flows").await, ["2026-03-02|4"]);
    let again = lake.expire(&ExpireOptions { before_day, ..Default::default() }).await.unwrap();
    assert_eq!(again.tables[0].files, 0);
    send(&lake, vec![rows(300, TEN + DAY, &["a"])]).await;
    assert_eq!(ask(&lake, "select count(*) from flows").await, ["5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_no_table_holds_are_swept_once_they_are_old() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    send(&lake, vec![rows(0, TEN, &["a"]), rows(100, TEN + DAY, &["a"])]).await;
    let staged = stage(&lake, rows(200, TEN, &["a"])).await;
    let before_day = Some(time::day_of(TEN) + 1);
    let options = ExpireOptions { before_day, ..Default::default() };
    assert_eq!(lake.expire(&options).await.unwrap().tables[0].deleted_files, 0, "all are young");
    let path = folder.path().join("flows").join(&staged[0].path);
    assert!(path.exists());
    // Two days later the staged file and that of the day that left are old; one hour is the least age.
    let now = std::fs::metadata(&path).unwrap().modified().unwrap();
    let now = i64::try_from(now.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let later = lake.clone().with_clock(Arc::new(FixedClock(now + 2 * DAY)));
    let soon = lake.clone().with_clock(Arc::new(FixedClock(now + HOUR / 2)));
    let eager = ExpireOptions { safety_age: 0, ..options };
    assert_eq!(soon.expire(&eager).await.unwrap().tables[0].deleted_files, 0, "the least age holds");
    let swept = later.expire(&options).await.unwrap();
    assert_eq!(swept.tables[0].deleted_files, 2);
    assert!(!path.exists());
    assert_eq!(ask(&lake, "select count(*) from flows").await, ["1"]);
    assert_eq!(lake.verify(&VerifyOptions::default()).await.unwrap().problems, Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    send(&lake, vec![rows(0, TEN, &["a"]), rows(100, TEN, &["b"]), rows(0, TEN + HOUR, &["a"])]).await;
    let day = time::day_of(TEN);
    let report = lake.verify(&VerifyOptions { positions_of: Some(day..day + 1) }).await.unwrap();
    assert_eq!((report.files, report.rows, report.positions, report.stream_ranges), (3, 3, 3, 3));
    let found: Vec<_> =
        report.problems.iter().map(|problem| format!("{}: {}", problem.subject, problem.fault)).collect();
    assert_eq!(found, ["raw/0 0 -1: is there 2 times on 2026-03-01"]);

    let files: Vec<_> = std::fs::read_dir(folder.path().join("flows/date=2026-03-01")).unwrap().flatten().collect();
    std::fs::remove_file(files[0].path()).unwrap();
    std::fs::write(files[1].path(), vec![0; std::fs::metadata(files[1].path()).unwrap().len() as usize]).unwrap();
    std::fs::write(files[2].path(), b"short").unwrap();
    let report = lake.verify(&VerifyOptions::default()).await.unwrap();
    let mut faults: Vec<_> =
        report.problems.iter().map(|problem| problem.fault.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect();
    faults.sort();
    assert_eq!(faults, ["has 5 bytes where", "has no footer that", "is not there"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    send(&lake, (0..60).map(|at| rows(at * 100, TEN + (at % 2) * DAY, &["a", "b"])).collect()).await;
    let status = lake.status().await.unwrap();
    let flows = &status.tables[0];
    assert_eq!((flows.table, flows.rows, flows.files, flows.small_files, flows.version), ("flows", 120, 60, 60, 60));
    assert_eq!(flows.days, Some(("2026-03-01".to_owned(), "2026-03-02".to_owned())));
    assert_eq!(flows.files_by_bytes.values().sum::<u64>(), 60);
    assert!(flows.commit_time.is_some() && flows.log_bytes > 0 && flows.log_entries == 61);
    let stream: Vec<_> = flows.transactions.iter().filter(|(id, _)| id.ends_with("/flows-1/0")).collect();
    assert_eq!(stream.iter().map(|(_, version)| **version).collect::<Vec<_>>(), [6000]);
    assert_eq!(
        status.tables.iter().map(|table| table.table).collect::<Vec<_>>(),
        ["flows", "dead_letters", "findings", "incidents", "controls", "imports", "coverage"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_positions_are_replaced_in_one_commit_and_the_stream_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let lake = old_lake(folder.path()).await;
    send(&lake, (0..4).map(|at| rows(at * 100, TEN, &["b", "a", "c"])).collect()).await;
    lake.compact(&CompactOptions { files_min: 2, ..CompactOptions::default() }, &never).await.unwrap();
    send(&lake, vec![rows(400, TEN, &["a", "b"])]).await;
    let replacement = async || Replacement {
        ranges: vec![PositionRange { position: "raw/0".to_owned(), offsets: 101..201 }],
        days: None,
        files: stage(&lake, rows(101, TEN + HOUR, &["x", "y"])).await,
    };
    let replaced = lake.replace(&FLOWS, &replacement().await).await.unwrap();
    assert_eq!((replaced.rows_out, replaced.rows_in, replaced.files_rewritten), (3, 2, 1));
    let expected = ["0", "1", "2", "100", "101", "102", "201", "202", "300", "301", "302", "400", "401"];
    let positions = "select position_offset from flows order by 1";
    assert_eq!(ask(&lake, positions).await, expected);
    assert_eq!(
        ask(&lake, "select src_entity from flows where position_offset in (101, 102) order by 1").await,
        ["x", "y"]
    );
    // Again: what came in leaves and comes in anew.
    let replaced = lake.replace(&FLOWS, &replacement().await).await.unwrap();
    assert_eq!((replaced.rows_out, replaced.rows_in), (2, 2));
    assert_eq!(ask(&lake, positions).await, expected);
    let nothing = Replacement {
        ranges: vec![PositionRange { position: "raw/9".to_owned(), offsets: 0..9 }],
        ..Replacement::default()
    };
    assert_eq!(lake.replace(&FLOWS, &nothing).await.unwrap(), Replaced::default());
    whole(&lake).await;
    send(&lake, vec![rows(500, TEN, &["a"])]).await;
    assert_eq!(ask(&lake, "select count(*) from flows").await, ["14"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_sorted_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let lake = old_lake(folder.path()).await;
    let unsorted = |at: i64| {
        let mut batch = rows(at * 100, TEN, &["a", "b"]);
        let code = batch.text_mut(flow::SRC_ENTITY).intern("c");
        batch.text_mut(flow::SRC_ENTITY).set(0, code);
        batch
    };
    send(&lake, (0..3).map(unsorted).collect()).await;
    let before = ask(&lake, ALL).await;
    let report = lake.compact(&CompactOptions::default(), &never).await.unwrap();
    assert_eq!(report.tables.iter().map(|done| (done.groups, done.skipped)).collect::<Vec<_>>(), [(0, 1)]);
    assert_eq!(ask(&lake, ALL).await, before);
}

/// By hand: what it costs to compact a million rows of 64 files.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn a_million_rows() {
    let folder = tempfile::tempdir().unwrap();
    let lake = old_lake(folder.path()).await;
    let names: Vec<String> = (0..16_000).map(|at| format!("-/shop/service/web-{:03}", at % 300)).collect();
    let mut batches = Vec::new();
    for at in 0..64 {
        let mut batch = rows(at * 20_000, TEN, &names.iter().map(String::as_str).collect::<Vec<_>>());
        let ends: Vec<i64> = batch.num(flow::END_TIME).values(batch.len()).iter().map(|end| TEN + end % HOUR).collect();
        batch.num_mut(flow::END_TIME).replace_values(ends);
        batch.num_mut(flow::START_TIME).replace_values(vec![TEN; 16_000]);
        batch.num_mut(flow::DATE).replace_values(vec![time::day_of(TEN); 16_000]);
        batch.num_mut(flow::DST_PORT).replace_values(vec![443; 16_000]);
        batches.push(batch);
    }
    send(&lake, batches).await;
    let started = std::time::Instant::now();
    let report = lake.compact(&CompactOptions::default(), &never).await.unwrap();
    let memory = std::fs::read_to_string("/proc/self/status").unwrap();
    let memory = memory.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
    eprintln!("{report:?} in {:?}, {memory}", started.elapsed());
}

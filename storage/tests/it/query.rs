//! What SQL answers, and what it refuses.

use super::{ask, import, lake, stage};
use tradewind_model::table::TABLES;
use tradewind_model::time;
use tradewind_storage::{Import, Lake, LakeError};

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_those_of_the_field_tables() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    for table in TABLES {
        let found = lake.query(&format!("select * from {} limit 0", table.name)).await.unwrap().schema();
        let mut found: Vec<String> =
            found.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
        let mut wanted: Vec<String> =
            table.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
        // Views are how DataFusion holds text in memory.
        found.iter_mut().for_each(|column| *column = column.replace("Utf8View", "Utf8"));
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{}", table.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delta_schema_is_that_of_the_field_tables() {
    let folder = tempfile::tempdir().unwrap();
    lake(folder.path()).await;
    for table in TABLES {
        let log = folder.path().join(table.name).join("_delta_log/00000000000000000000.json");
        let log = std::fs::read_to_string(log).unwrap();
        let actions = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let metadata = actions.filter_map(|action| action.get("metaData").cloned()).next().unwrap();
        let schema: serde_json::Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
        let found: Vec<(&str, &str, bool)> = schema["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| {
                (field["name"].as_str().unwrap(), field["type"].as_str().unwrap(), field["nullable"].as_bool().unwrap())
            })
            .collect();
        let wanted: Vec<_> = table.fields.iter().map(|field| (field.name, field.ty.delta(), field.nullable)).collect();
        assert_eq!(found, wanted, "{}", table.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.commit_import(&import(&lake, "a", 400).await).await.unwrap();
    assert_eq!(
        ask(&lake, "select count(*), sum(bytes_out), count(bytes_out), max(dst_port), count(verdict), min(start_time) from flows").await,
        ["400|39800|200|40000|0|2023-11-14T22:13:20Z"]
    );
    assert_eq!(
        ask(&lake, "select count(*) from flows where src_ip = '10.0.0.7' and date = date '2023-11-14'").await,
        ["2"]
    );
    assert_eq!(ask(&lake, "select count(*) from flows where dst_entity > 'zzz'").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_midnight_makes_a_file_for_each_date() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let midnight = time::parse("2026-03-01").unwrap();
    let files = stage(&lake, super::flows("a", midnight - 90 * time::SECOND, 60)).await;
    assert_eq!(files.len(), 2);
    lake.commit_import(&Import { objects: vec![super::object("a", 60)], files, ..Import::default() }).await.unwrap();
    assert_eq!(
        ask(&lake, "select date, count(*) from flows group by 1 order by 1").await,
        ["2026-02-28|30", "2026-03-01|30"]
    );
    let last = "select count(*) from flows where end_time >= timestamp '2026-03-01T00:00:29Z'";
    assert_eq!(ask(&lake, last).await, ["1"], "statistics must not cut off the last moment");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_have_functions() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let sql = "select cidr_contains('10.0.0.0/8', '10.2.3.4'), cidr_contains('10.0.0.0/8', '::ffff:10.0.0.1'), cidr_contains('10.0.0.0/8', null), \
               is_private('100.64.0.1'), is_private('nothing'), ip_family('::1'), ip_family('1.2.3.4')";
    assert_eq!(ask(&lake, sql).await, ["true|true||true||6|4"]);
    lake.commit_import(&import(&lake, "a", 20).await).await.unwrap();
    assert_eq!(ask(&lake, "select count(*) from flows where cidr_contains('10.0.0.0/29', src_ip)").await, ["8"]);
    let error = run(&lake, "select cidr_contains('10.0.0', src_ip) from flows").await;
    assert!(error.contains("`10.0.0` is not a network"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reading_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    for sql in [
        "create external table secrets stored as csv location '/etc/passwd'",
        "create table t as select 1",
        "insert into imports select * from imports",
        "drop table flows",
        "copy flows to '/tmp/tradewind-must-not-exist.csv'",
        "set datafusion.execution.batch_size = 1",
        "delete from flows",
    ] {
        let error = run(&lake, sql).await;
        assert!(!error.is_empty(), "{sql} was allowed");
    }
    let error = run(&lake, "select * from '/etc/passwd'").await;
    assert!(!error.is_empty(), "files must not be tables");
}

async fn run(lake: &Lake, sql: &str) -> String {
    use futures::TryStreamExt as _;
    match lake.query(sql).await {
        Err(error) => format!("{error}"),
        Ok(answer) => match answer.try_collect::<Vec<_>>().await {
            Ok(_) => String::new(),
            Err(error) => {
                format!("{error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
            }
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_tables_is_not_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    let error = Lake::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, LakeError::NotALake { .. }));
    assert!(error.to_string().contains("tradewind import"), "{error}");
}

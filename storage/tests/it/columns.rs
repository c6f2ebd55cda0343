//! Lakes of an older version, whose tables lack columns that this one has.

use super::{ask, import, lake, stage};
use serde_json::Value;
use std::path::Path;
use tradewind_model::table::{COVERAGE, FINDINGS, FLOWS, Table};
use tradewind_model::{Finding, Provenance, Severity};
use tradewind_storage::{CompactOptions, Import, Lake, LakeError};

const FIRST: &str = "_delta_log/00000000000000000000.json";

/// Makes the table of a lake as an older version made it: in its first commit the schema is what `edit` makes of it.
fn age(folder: &Path, table: &Table, edit: impl Fn(&mut Vec<Value>)) {
    let log = folder.join(table.name).join(FIRST);
    let mut lines: Vec<Value> =
        std::fs::read_to_string(&log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let metadata = lines.iter_mut().find_map(|line| line.get_mut("metaData")).unwrap();
    let mut schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    edit(schema["fields"].as_array_mut().unwrap());
    metadata["schemaString"] = Value::from(schema.to_string());
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(log, text.join("\n") + "\n").unwrap();
}

fn without(names: &'static [&'static str]) -> impl Fn(&mut Vec<Value>) {
    move |fields| fields.retain(|field| !names.contains(&field["name"].as_str().unwrap()))
}

/// Column names as the newest metadata of the table says them, and how often metadata was committed.
fn columns(folder: &Path, table: &Table) -> (Vec<String>, usize) {
    let mut logs: Vec<_> = std::fs::read_dir(folder.join(table.name).join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect();
    logs.sort();
    let lines = logs.iter().flat_map(|log| {
        let text = std::fs::read_to_string(log).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    });
    let all: Vec<Value> = lines.filter_map(|line| line.get("metaData").cloned()).collect();
    let schema: Value = serde_json::from_str(all.last().unwrap()["schemaString"].as_str().unwrap()).unwrap();
    let names = schema["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned());
    (names.collect(), all.len())
}

fn wanted(table: &Table) -> Vec<String> {
    table.fields.iter().map(|field| field.name.to_owned()).collect()
}

fn finding(id: &str) -> Finding {
    Finding {
        finding_id: id.to_owned(),
        time: 5,
        first_seen: 1,
        last_seen: 4,
        entity: "-/shop/service/web".to_owned(),
        entity_kind: "service".to_owned(),
        behaviour: "volume".to_owned(),
        severity: Severity::Low,
        title: "more".to_owned(),
        observed: "7".to_owned(),
        expected: "1".to_owned(),
        baseline_since: 0,
        flow_count: 7,
        window_count: 1,
        p_value: 1e-9,
        risk_score: 6.0,
        technique: String::new(),
        uncertain: String::new(),
        evidence_query: String::new(),
        observations: Vec::new(),
        detector_version: 1,
    }
}

/// What findings of before this version lack.
const ADDED: &[&str] =
    &["flows_version", "settings", "settings_hash", "trained_until", "replay_from", "replay_to", "made_by"];

#[tokio::test(flavor = "multi_thread")]
async fn an_older_table_is_read_with_nulls_and_gets_its_columns_when_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    lake(folder.path()).await;
    age(folder.path(), &FINDINGS, without(ADDED));
    let lake = Lake::open(folder.path()).await.unwrap();
    let query = "select finding_id, flows_version, made_by, replay_from from findings order by finding_id";
    assert_eq!(ask(&lake, query).await, Vec::<String>::new());
    assert_eq!(columns(folder.path(), &FINDINGS).1, 1, "reading writes nothing");

    let provenance = Provenance {
        flows_version: Some(3),
        replay_from: Some(1_700_000_000_000_000),
        made_by: Some("detect".to_owned()),
        ..Provenance::default()
    };
    lake.append_findings(&[finding("a")], &Provenance::default(), 9).await.unwrap();
    lake.append_findings(&[finding("b")], &provenance, 9).await.unwrap();
    assert_eq!(ask(&lake, query).await, ["a|||", "b|3|detect|2023-11-14T22:13:20Z"]);
    assert_eq!(columns(folder.path(), &FINDINGS), (wanted(&FINDINGS), 2), "they are added once, at the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_before_and_after_are_read_and_compacted_together() {
    let folder = tempfile::tempdir().unwrap();
    let old = lake(folder.path()).await;
    old.commit_import(&import(&old, "a", 10).await).await.unwrap();
    drop(old);
    // Files, too, are as the older version wrote them.
    const LACKS: &[&str] = &["bytes_out", "unmapped"];
    age(folder.path(), &FLOWS, without(LACKS));
    strip(&folder.path().join("flows"), LACKS);

    let lake = lake(folder.path()).await;
    assert_eq!(columns(folder.path(), &FLOWS).1, 2);
    let count = "select count(*), count(bytes_out), count(unmapped), count(src_ip) from flows";
    assert_eq!(ask(&lake, count).await, ["10|0|0|10"]);
    let files = stage(&lake, super::flows("b", 1_700_000_000_000_000, 10)).await;
    let more = Import { objects: vec![super::object("b", 10)], files, ..Import::default() };
    lake.commit_import(&more).await.unwrap();
    assert_eq!(ask(&lake, count).await, ["20|5|0|20"]);
    let report = lake.compact(&CompactOptions::default(), &|| false).await.unwrap();
    assert!(report.tables.iter().any(|done| done.table == "flows" && done.files_out < done.files_in), "{report:?}");
    assert_eq!(ask(&lake, count).await, ["20|5|0|20"]);
}

/// Writes the data files of a table again without these columns, and their sizes into its log.
fn strip(table: &Path, names: &[&str]) {
    use arrow::datatypes::Schema;
    use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
    let mut files = Vec::new();
    for day in std::fs::read_dir(table).unwrap().map(|entry| entry.unwrap().path()) {
        if day.file_name().is_some_and(|name| name.to_string_lossy().starts_with("date=")) {
            files.extend(std::fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(!files.is_empty());
    for path in files {
        let before = std::fs::metadata(&path).unwrap().len();
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        let kept: Vec<usize> = (0..batches[0].num_columns())
            .filter(|&place| !names.contains(&batches[0].schema().field(place).name().as_str()))
            .collect();
        let schema: Schema = batches[0].schema().project(&kept).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, schema.into(), None).unwrap();
        batches.iter().for_each(|batch| writer.write(&batch.project(&kept).unwrap()).unwrap());
        writer.close().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        for log in std::fs::read_dir(table.join("_delta_log")).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(text) = std::fs::read_to_string(&log) else { continue };
            let size = |bytes: u64| format!("\"size\":{bytes}");
            std::fs::write(log, text.replace(&size(before), &size(bytes.len() as u64))).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_open_an_older_lake_at_once_add_its_columns_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        lake(folder.path()).await;
        age(folder.path(), &FINDINGS, without(ADDED));
        age(folder.path(), &COVERAGE, without(&["lag_us", "rejected"]));
        let path = folder.path().to_owned();
        let all = (0..6).map(|number| {
            let path = path.clone();
            tokio::spawn(async move {
                let lake = Lake::open_or_create(&path).await?;
                let id = number.to_string();
                lake.append_findings(&[finding(&id)], &Provenance::default(), number).await.unwrap();
                Ok::<(), LakeError>(())
            })
        });
        for opened in futures::future::join_all(all).await {
            opened.unwrap().unwrap();
        }
        assert_eq!(columns(folder.path(), &FINDINGS), (wanted(&FINDINGS), 2));
        let (mut found, times) = columns(folder.path(), &COVERAGE);
        let mut names = wanted(&COVERAGE);
        names.sort();
        found.sort();
        assert_eq!((found, times), (names, 2));
        let lake = Lake::open(folder.path()).await.unwrap();
        assert_eq!(ask(&lake, "select count(*), count(made_by) from findings").await, ["6|0"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_have_the_columns_is_refused() {
    let check = async |edit: &dyn Fn(&mut Vec<Value>), expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        lake(folder.path()).await;
        age(folder.path(), &COVERAGE, edit);
        let error = Lake::open_or_create(folder.path()).await.unwrap_err();
        assert!(matches!(error, LakeError::Schema { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(columns(folder.path(), &COVERAGE).1, 1, "it is left as it is");
    };
    check(&without(&["flows"]), "`flows long` is missing, and no row may be without it").await;
    let retype = |fields: &mut Vec<Value>| fields.last_mut().unwrap()["type"] = Value::from("string");
    check(&retype, "`lag_us` is string where it must be long").await;
    let add = |fields: &mut Vec<Value>| {
        let mut more = fields.last().unwrap().clone();
        more["name"] = Value::from("of_tomorrow");
        fields.push(more);
    };
    check(&add, "`of_tomorrow long` is not known; a newer version may have added it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_an_earlier_version_see_its_rows_alone() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    lake.commit_import(&import(&lake, "a", 10).await).await.unwrap();
    let version = lake.version(&FLOWS).await.unwrap();
    lake.commit_import(&import(&lake, "b", 5).await).await.unwrap();
    let count = "select count(*) from flows";
    let then = lake.as_of(&FLOWS, version).await.unwrap().unwrap();
    assert_eq!((ask(&lake, count).await, ask(&then, count).await), (vec!["15".to_owned()], vec!["10".to_owned()]));
    assert_eq!(ask(&then, "select count(*) from imports").await, ["2"], "other tables are as they are");
    assert!(lake.as_of(&FLOWS, version + 2).await.unwrap().is_none(), "there is no such version yet");
    assert!(lake.as_of(&FLOWS, -1).await.unwrap().is_none());
    // Its files are rewritten, and then gone.
    lake.compact(&CompactOptions::default(), &|| false).await.unwrap();
    assert!(lake.as_of(&FLOWS, version).await.unwrap().is_some(), "removed files are kept for a while");
    let day = folder.path().join("flows/date=2023-11-14");
    let mut files: Vec<_> = std::fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    std::fs::remove_file(&files[0]).unwrap();
    assert!(lake.as_of(&FLOWS, version).await.unwrap().is_none());
}

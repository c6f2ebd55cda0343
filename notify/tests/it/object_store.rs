//! Objects in a folder and in a real S3 store, read by DuckDB and held to the schema of OCSF.

use crate::ocsf::{self, SCRIPT, tell_all};
use crate::siem::{self, letters};
use crate::stand_in::{Received, StandIn};
use crate::world;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tradewind_kafka_testkit::{Fault, FaultPlan, FaultyHttp, S3, available};
use tradewind_model::time::DAY;
use tradewind_notify::Message;

/// Rows of the Parquet objects below the folder that is its input, as lines of JSON without what is null.
const READ: &str = r#"
import duckdb, json, sys
folder = sys.stdin.read().strip()
def bare(value):
    if isinstance(value, dict):
        return {name: bare(part) for name, part in value.items() if part is not None}
    return [bare(part) for part in value] if isinstance(value, list) else value
rows = duckdb.sql(f"select to_json(flat) from (select * from read_parquet('{folder}/**/*.parquet', hive_partitioning = false, filename = false)) flat order by flat.time")
for (row,) in rows.fetchall():
    print(json.dumps(bare(json.loads(row))))
"#;

/// What Parquet says of itself, and partitions as DuckDB takes them from paths.
const ABOUT: &str = r#"
import duckdb, json, sys
folder = sys.stdin.read().strip()
files = f"'{folder}/**/*.parquet'"
print(json.dumps({
    "compression": [row[0] for row in duckdb.sql(f"select distinct compression from parquet_metadata({files})").fetchall()],
    "partitions": [list(row) for row in duckdb.sql(f"select distinct region, accountId, eventDay::varchar from read_parquet({files}, hive_partitioning = true)").fetchall()],
    "unordered": duckdb.sql(f"select count(*) from (select time < lag(time) over (partition by filename order by file_row_number) as is_less from read_parquet({files}, filename = true, file_row_number = true)) where is_less").fetchone()[0],
    "targets": [row[0] for row in duckdb.sql(f"select distinct evidences[1].dst_endpoint.svc_name from read_parquet({files}) where finding_info.uid = 'one'").fetchall()],
}))
"#;

/// Objects below a folder.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(objects(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn rows(folder: &Path) -> Option<Vec<Value>> {
    let read = crate::python::run(READ, &["duckdb"], &folder.display().to_string())?;
    Some(read.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

const SECURITY_LAKE: &str = "security_lake = { region = 'eu-west-1', account_id = 'external_tradewind' }";

fn settings(url: &str, more: &str) -> String {
    format!("[[sink]]\nname = 'lake'\ntype = 'object_store'\nurl = '{url}'\nretry_max_s = 1\n{more}\n")
}

/// Settings that reach the store, with its secret in a file of this folder.
fn reach(s3: &S3, endpoint: &str, folder: &Path) -> String {
    std::fs::write(folder.join("secret-key"), s3.secret_key()).unwrap();
    let (key, region) = (s3.access_key(), s3.region());
    format!(
        "options = {{ aws_endpoint = '{endpoint}', aws_region = '{region}', aws_allow_http = 'true', \
         aws_access_key_id = '{key}', aws_secret_access_key = {{ file = '{}' }} }}",
        folder.join("secret-key").display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_source_of_security_lake_is_what_the_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let text = settings("out/ext/tradewind", &format!("flush_s = 0\n{SECURITY_LAKE}"));
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    tell_all(&mut notifier).await;
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    let out = folder.path().join("out");
    let objects = objects(&out);
    assert_eq!(objects.len(), 5, "{objects:?}");
    let name = objects[0].strip_prefix(&out).unwrap().display().to_string();
    let parts: Vec<&str> = name.split('/').collect();
    assert_eq!(parts[..4], ["ext", "tradewind", "region=eu-west-1", "accountId=external_tradewind"], "{name}");
    let day = parts[4].strip_prefix("eventDay=").unwrap();
    assert!(day.len() == 8 && parts[5].starts_with(day) && parts[5].ends_with(".zstd.parquet"), "{name}");
    let Some(rows) = rows(&out) else { return };
    let types: Vec<i64> = rows.iter().map(|row| row["type_uid"].as_i64().unwrap()).collect();
    assert_eq!(types, [200_401, 200_402, 200_403, 200_401, 200_403]);
    assert_eq!(rows[3]["finding_info"]["title"], ocsf::HOSTILE);
    assert_eq!(rows[3]["evidences"][0]["data"]["query"], ocsf::HOSTILE);
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let Some(valid) = crate::python::run(SCRIPT, &["jsonschema", "ocsf_json_schema"], &lines.join("\n")) else {
        return;
    };
    assert_eq!(valid.trim(), "5");
    let about = crate::python::run(ABOUT, &["duckdb"], &out.display().to_string()).unwrap();
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["compression"], serde_json::json!(["ZSTD"]));
    assert_eq!(about["partitions"], serde_json::json!([["eu-west-1", "external_tradewind", day]]));
    assert_eq!(about["targets"], serde_json::json!(["payments"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_can_be_of_the_version_that_security_lake_knows() {
    let folder = tempfile::tempdir().unwrap();
    let text = settings("out", &format!("flush_s = 0\nocsf_version = '1.3'\n{SECURITY_LAKE}"));
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    tell_all(&mut notifier).await;
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    let Some(rows) = rows(&folder.path().join("out")) else { return };
    assert!(rows.iter().all(|row| row["metadata"]["version"] == "1.3.0" && row["is_alert"].is_null()), "{rows:?}");
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let script = SCRIPT.replace("1.8.0", "1.3.0");
    let Some(valid) = crate::python::run(&script, &["jsonschema", "ocsf_json_schema"], &lines.join("\n")) else {
        return;
    };
    assert_eq!(valid.trim(), "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_replaces_its_object() {
    let folder = tempfile::tempdir().unwrap();
    let sink = world::sink(&settings("out", ""), folder.path());
    let messages: Vec<Message> =
        siem::all().into_iter().take(7).chain([siem::hostile("hostile"), siem::huge("huge")]).collect();
    for _ in 0..2 {
        let answers = sink.deliver(&messages).await;
        assert_eq!(letters(&answers), "d".repeat(messages.len()), "{answers:?}");
        assert!(format!("{answers:?}").contains("9 events"), "{answers:?}");
    }
    let out = folder.path().join("out");
    assert_eq!(objects(&out).len(), 1);
    assert_eq!(letters(&sink.deliver(&messages[..3]).await), "ddd");
    assert_eq!(objects(&out).len(), 2);
    // Neither several in one nor signs of life are findings.
    let answers = sink.deliver(&[siem::digest(), siem::heartbeat(&[]), siem::message("one")]).await;
    assert_eq!(letters(&answers), "rrd", "{answers:?}");
    let Some(rows) = rows(&out) else { return };
    assert_eq!(rows.len(), 9 + 3 + 1);
    let about =
        crate::python::run(&ABOUT.replace("region, accountId, ", "'', '', "), &["duckdb"], &out.display().to_string());
    let about: Value = serde_json::from_str(&about.unwrap()).unwrap();
    assert_eq!(about["unordered"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_has_objects_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let sink = world::sink(&settings("out", "format = 'ocsf'\ncompression = 'zstd'"), folder.path());
    let (mut early, late) = (siem::alert("early"), siem::alert("late"));
    early.recorded_time -= DAY;
    let messages = [late, early].map(|alert| Message::Alert(Box::new(alert)));
    assert_eq!(letters(&sink.deliver(&messages).await), "dd");
    let objects = objects(&folder.path().join("out"));
    assert_eq!(objects.len(), 2, "{objects:?}");
    let texts: Vec<String> = objects
        .iter()
        .map(|path| String::from_utf8(zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap()).unwrap())
        .collect();
    assert!(texts[0].contains("\"early\"") && texts[1].contains("\"late\""), "{texts:?}");
    assert!(objects[0].display().to_string().ends_with(".ndjson.zst"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_json_have_signs_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let sink = world::sink(&settings("out", "format = 'json'"), folder.path());
    let messages = siem::all();
    assert_eq!(letters(&sink.deliver(&messages).await), "d".repeat(messages.len()));
    let mut lines = Vec::new();
    for path in objects(&folder.path().join("out")) {
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    assert_eq!(lines.iter().filter(|line| line["heartbeat"].is_object()).count(), 2);
    assert!(lines.iter().any(|line| line["alert"]["origin"] == "test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_gathered_and_none_is_lost_when_the_store_is_killed() {
    const INCIDENTS: usize = 300;
    let Some(s3) = available(S3::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = format!("s3://{}/ext/tradewind", s3.bucket());
    let text = settings(&url, &format!("flush_s = 1\n{SECURITY_LAKE}\n{}", reach(&s3, &s3.endpoint(), folder.path())));
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    for number in 0..INCIDENTS {
        world::open(&notifier, &format!("incident-{number}")).await;
        if number == INCIDENTS / 3 {
            s3.kill9();
        }
    }
    world::until(&mut notifier, "the store was missed", |notifier| {
        notifier.status().unwrap().sinks["lake"].last_error.is_some()
    })
    .await;
    s3.restart().unwrap();
    world::delivered(&mut notifier).await;
    for number in 0..INCIDENTS {
        world::resolve(&notifier, &format!("incident-{number}")).await;
    }
    world::delivered(&mut notifier).await;
    let status = notifier.status().unwrap();
    assert_eq!((status.sinks["lake"].delivered, status.sinks["lake"].refused), (2 * INCIDENTS as u64, 0));
    notifier.stop().await.unwrap();
    let objects = objects(&s3.bucket_folder().join("ext"));
    assert!(objects.len() < INCIDENTS / 5, "{} objects", objects.len());
    let partitions = "/ext/tradewind/region=eu-west-1/accountId=external_tradewind/eventDay=";
    assert!(objects.iter().all(|path| path.display().to_string().contains(partitions)), "{objects:?}");
    let Some(rows) = rows(&s3.bucket_folder().join("ext")) else { return };
    let uids: BTreeSet<&str> = rows.iter().map(|row| row["metadata"]["uid"].as_str().unwrap()).collect();
    // A store that is killed after it wrote and before it answered may have some of them twice.
    assert_eq!(uids.len(), 2 * INCIDENTS, "{} rows in {} objects", rows.len(), objects.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_doubles_nothing() {
    let Some(s3) = available(S3::start()) else { return };
    let faulty = FaultyHttp::start(&s3.address()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = settings(
        &format!("s3://{}/alerts", s3.bucket()),
        &format!("flush_s = 0\ntimeout_ms = 3000\n{}", reach(&s3, &faulty.endpoint(), folder.path())),
    );
    faulty.set_plan(FaultPlan {
        seed: 11,
        per_thousand: 400,
        faults: vec![
            Fault::LoseAnswer,
            Fault::LoseRequest,
            Fault::Status(503),
            Fault::Delay(Duration::from_millis(20)),
        ],
        method: Some("PUT".to_owned()),
        path_contains: None,
    });
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    for number in 0..30 {
        world::open(&notifier, &format!("incident-{number}")).await;
        world::delivered(&mut notifier).await;
    }
    notifier.stop().await.unwrap();
    assert!(faulty.failed() > 0);
    let Some(rows) = rows(&s3.bucket_folder()) else { return };
    assert_eq!(rows.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_has_to_mend_is_told_and_waits() {
    let Some(s3) = available(S3::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let reached = reach(&s3, &s3.endpoint(), folder.path());
    let check = async |url: &str, options: &str, wanted: &str| {
        let sink = world::sink(&settings(url, options), folder.path());
        let answers = sink.deliver(&[siem::message("one"), siem::message("two")]).await;
        assert_eq!(letters(&answers), "LL", "{answers:?}");
        let said = format!("{answers:?} {sink:?}");
        assert!(!said.contains(s3.secret_key()) && !said.contains("another-secret"), "{said}");
        assert!(said.contains(wanted), "{said}");
    };
    let here = format!("s3://{}/alerts", s3.bucket());
    check("s3://not-there/alerts", &reached, "NoSuchBucket").await;
    std::fs::write(folder.path().join("wrong"), "another-secret").unwrap();
    let wrong = reached.replace("secret-key'", "wrong'");
    check(&here, &wrong, "SignatureDoesNotMatch").await;
    let unknown = reached.replace(&format!("'{}'", s3.access_key()), "'nobody'");
    check(&here, &unknown, "access key ID").await;
    s3.set_read_only(true).unwrap();
    check(&here, &reached, "AccessDenied").await;
    s3.kill9();
    check(&here, &reached, "failed to write alerts/eventDay=").await;
    s3.restart().unwrap();
    let sink = world::sink(&settings(&here, &reached), folder.path());
    assert_eq!(letters(&sink.deliver(&[siem::message("one")]).await), "d");
}

/// What STS answers, <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>, and S3 to a session of it.
fn aws(request: &Received) -> (u16, String) {
    let query = request.uri.query().unwrap_or_default();
    let asked: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let text = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let fault = |status: u16, code: &str| {
        (status, format!("<ErrorResponse><Error><Code>{code}</Code><Message>said so</Message></Error></ErrorResponse>"))
    };
    let signed = request.header("authorization").unwrap_or_default();
    let is_signed = |key: &str, service: &str| {
        signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={key}/"))
            && signed.contains(&format!("/us-east-1/{service}/aws4_request"))
            && ["host", "x-amz-content-sha256", "x-amz-date"]
                .iter()
                .all(|name| signed.contains(name) && request.header(name).is_some())
    };
    if request.method == "PUT" {
        let is_here = request.uri.path().replace("%3D", "=").starts_with("/lake/ext/tradewind/eventDay=");
        let is_of_session = request.header("x-amz-security-token") == Some("of-the-session");
        let is_good = is_here && is_of_session && is_signed("KEY-OF-THE-SESSION", "s3");
        return if is_good { (200, String::new()) } else { fault(403, "InvalidToken") };
    }
    if request.method != "GET" || (text("Action"), text("Version")) != ("AssumeRole", "2011-06-15") {
        return fault(400, "InvalidAction");
    }
    if !is_signed("KEY-OF-THE-BASE", "sts") {
        return fault(403, "InvalidClientTokenId");
    }
    let arn = "arn:aws:iam::123456789012:role/AmazonSecurityLake-Provider-tradewind-us-east-1";
    let is_allowed = text("ExternalId") == "tradewind-external" && text("RoleArn") == arn;
    if !is_allowed || text("RoleSessionName") != "tradewind" || text("DurationSeconds") != "3600" {
        return fault(403, "AccessDenied");
    }
    let credentials = "<AccessKeyId>KEY-OF-THE-SESSION</AccessKeyId><SecretAccessKey>secret-of-the-session</SecretAccessKey>\
                       <SessionToken>of-the-session</SessionToken><Expiration>2036-01-01T00:00:00Z</Expiration>";
    (
        200,
        format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_custom_source_is_assumed() {
    let stand_in = StandIn::start(aws).await;
    let folder = tempfile::tempdir().unwrap();
    let role = |external: &str| {
        let url = stand_in.url();
        let more = format!(
            "options = {{ aws_endpoint = '{url}', aws_endpoint_url_sts = '{url}', aws_region = 'us-east-1', aws_allow_http = 'true', \
             aws_access_key_id = 'KEY-OF-THE-BASE', aws_secret_access_key = {{ env = 'TOKEN' }} }}\n\
             assume_role = {{ role_arn = 'arn:aws:iam::123456789012:role/AmazonSecurityLake-Provider-tradewind-us-east-1', \
             external_id = '{external}' }}"
        );
        settings("s3://lake/ext/tradewind", &more)
    };
    let sink = world::sink(&role("tradewind-external"), folder.path());
    for id in ["one", "two"] {
        let answers = sink.deliver(&[siem::message(id)]).await;
        assert_eq!(letters(&answers), "d", "{answers:?}");
    }
    let methods: Vec<String> = stand_in.received().iter().map(|request| request.method.to_string()).collect();
    assert_eq!(methods, ["GET", "PUT", "PUT"], "a session serves many objects");
    let shown = format!("{sink:?}");
    assert!(!shown.contains("of-the-session") && !shown.contains(world::TOKEN), "{shown}");
    let answers = world::sink(&role("another"), folder.path()).deliver(&[siem::message("one")]).await;
    assert_eq!(letters(&answers), "L");
    assert!(format!("{answers:?}").contains("AccessDenied: said so"), "{answers:?}");
}

#[test]
fn settings_are_checked() {
    let faults = |url: &str, more: &str| siem::faults(&settings(url, more)).join("; ");
    assert_eq!(faults("s3://bucket/ext/tradewind", SECURITY_LAKE), "");
    assert!(faults("s3://bucket", &format!("{SECURITY_LAKE}\nformat = 'ocsf'")).contains("Parquet alone"));
    assert!(faults("s3://bucket", "security_lake = { region = 'x', account_id = '../1' }").contains("account_id"));
    assert!(faults("gs://bucket", "assume_role = { role_arn = 'arn:aws:iam::1:role/x' }").contains("s3://"));
    assert!(faults("s3://bucket", "assume_role = { role_arn = 'x' }").contains("role_arn"));
    assert!(faults("s3://bucket", "flush_s = 4000").contains("flush_s"));
    assert!(faults("s3://bucket", "group_s = 60").contains("group_s"));
    assert!(faults("s3://bucket", "heartbeat_s = 60").contains("signs of life"));
    assert!(faults("ftp://bucket", "").contains("url"));
    let plain = faults("s3://bucket", "options = { aws_secret_access_key = 'hidden' }");
    assert!(plain.contains("is a secret") && !plain.contains("hidden"), "{plain}");
    assert!(faults("s3://bucket", "options = { aws_regoin = 'x' }").contains("aws_regoin"));
}

//! Kafka: a real broker, read by its own console consumer.

use crate::ocsf::{self, SCRIPT, tell_all};
use crate::siem::{self, letters};
use crate::world::{self, TOKEN};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};
use tradewind_kafka_testkit::{Kafka, KafkaOptions, User, available};

/// A record as the console consumer prints it.
#[derive(Debug)]
struct Read {
    partition: i32,
    headers: BTreeMap<String, String>,
    key: String,
    value: Value,
}

/// All records of a topic. Each partition's are in their order.
fn read(kafka: &Kafka, topic: &str, count: usize) -> Vec<Read> {
    let (bootstrap, count) = (kafka.bootstrap(), count.to_string());
    let mut arguments = vec!["--bootstrap-server", bootstrap.as_str(), "--topic", topic, "--from-beginning"];
    arguments.extend(["--max-messages", &count, "--timeout-ms", "20000"]);
    let properties =
        ["print.partition=true", "print.headers=true", "print.key=true", "headers.separator=|", "key.separator=~~"];
    arguments.extend(properties.iter().flat_map(|property| ["--formatter-property", property]));
    let printed = kafka.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments).unwrap();
    let parse = |line: &str| {
        let parts: Vec<&str> = line.splitn(4, "~~").collect();
        let [partition, headers, key, value] = parts[..] else { panic!("{line}") };
        let pair = |header: &str| header.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Read {
            partition: partition.strip_prefix("Partition:").unwrap().parse().unwrap(),
            headers: headers.split('|').filter_map(pair).collect(),
            key: key.to_owned(),
            value: serde_json::from_str(value).unwrap(),
        }
    };
    printed.lines().filter(|line| line.starts_with("Partition:")).map(parse).collect()
}

fn settings(brokers: &str, topic: &str, more: &str) -> String {
    format!(
        "[[sink]]\nname = 'kafka'\ntype = 'kafka'\nbrokers = ['{brokers}']\ntopic = '{topic}'\ntimeout_ms = 6000\n\
         retry_max_s = 1\n{more}\n"
    )
}

fn sasl(mechanism: &str) -> String {
    format!(
        "security_protocol = 'sasl_plaintext'\nsasl = {{ mechanism = '{mechanism}', user = 'alice', password = {{ env = 'TOKEN' }} }}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_an_incident_are_records_in_order() {
    let Some(kafka) = available(Kafka::shared()) else { return };
    kafka.create_topic("findings-ocsf", 3, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = settings(&kafka.bootstrap(), "findings-ocsf", "");
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    tell_all(&mut notifier).await;
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    let records = read(kafka, "findings-ocsf", 5);
    let types = |key: &str| -> Vec<i64> {
        let of = records.iter().filter(|record| record.key == key);
        of.map(|record| record.value["type_uid"].as_i64().unwrap()).collect()
    };
    assert_eq!((types("one"), types("hostile")), (vec![200_401, 200_402, 200_403], vec![200_401, 200_403]));
    for key in ["one", "hostile"] {
        let partitions: BTreeSet<i32> =
            records.iter().filter(|record| record.key == key).map(|record| record.partition).collect();
        assert_eq!(partitions.len(), 1, "{key}");
    }
    for record in &records {
        assert_eq!(record.headers["content-type"], "application/json");
        assert_eq!(record.value["metadata"]["uid"], record.headers["event_key"].as_str());
        assert_eq!(record.headers["origin"], "live");
    }
    let hostile = records.iter().find(|record| record.key == "hostile").unwrap();
    assert_eq!(hostile.value["finding_info"]["title"], ocsf::HOSTILE);
    let lines: Vec<String> = records.iter().map(|record| record.value.to_string()).collect();
    let Some(valid) = crate::python::run(SCRIPT, &["jsonschema", "ocsf_json_schema"], &lines.join("\n")) else {
        return;
    };
    assert_eq!(valid.trim(), "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_signs_of_life_and_ocsf_has_none() {
    let Some(kafka) = available(Kafka::shared()) else { return };
    kafka.create_topic("findings-json", 1, &[]).unwrap();
    let sink = siem::sink(&settings(&kafka.bootstrap(), "findings-json", "format = 'json'"));
    let mut messages = siem::all();
    messages.extend([siem::hostile("hostile"), siem::digest()]);
    let answers = sink.deliver(&messages).await;
    let taken = messages.len() - 1;
    assert_eq!(letters(&answers), "d".repeat(taken) + "r", "{answers:?}");
    let records = read(kafka, "findings-json", taken);
    let test =
        records.iter().find(|record| record.headers.get("origin").is_some_and(|origin| origin == "test")).unwrap();
    assert!(test.value["alert"]["incident"]["title"].as_str().unwrap().starts_with("TEST"));
    let life = records.iter().find(|record| record.value["heartbeat"].is_object()).unwrap();
    assert_eq!(life.key, "null");
    assert!(format!("{answers:?}").contains(&format!("partition 0, offset {}", taken - 1)), "{answers:?}");
    let sink = siem::sink(&settings(&kafka.bootstrap(), "findings-json", ""));
    assert_eq!(letters(&sink.deliver(&[siem::heartbeat(&[])]).await), "r");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_is_killed() {
    const INCIDENTS: usize = 300;
    let Some(kafka) = available(Kafka::start(KafkaOptions::default())) else { return };
    kafka.create_topic("findings", 4, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = settings(&kafka.bootstrap(), "findings", "rate_per_minute = 6000");
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    for number in 0..INCIDENTS {
        world::open(&notifier, &format!("incident-{number}")).await;
        if number == INCIDENTS / 3 {
            kafka.kill9();
        }
        if number == 2 * INCIDENTS / 3 {
            tokio::task::block_in_place(|| kafka.restart()).unwrap();
        }
    }
    for number in 0..INCIDENTS {
        world::resolve(&notifier, &format!("incident-{number}")).await;
    }
    world::delivered(&mut notifier).await;
    let status = notifier.status().unwrap();
    assert!(status.sinks["kafka"].last_error.is_some(), "the broker was missed");
    assert_eq!(status.sinks["kafka"].refused, 0);
    notifier.stop().await.unwrap();
    let printed = kafka
        .tool(
            "org.apache.kafka.tools.GetOffsetShell",
            &["--bootstrap-server", &kafka.bootstrap(), "--topic", "findings"],
        )
        .unwrap();
    let count: usize = printed.lines().map(|line| line.rsplit(':').next().unwrap().parse::<usize>().unwrap()).sum();
    let mut seen: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for record in read(&kafka, "findings", count) {
        if keys.insert(record.headers["event_key"].clone()) {
            seen.entry(record.key).or_default().push(record.value["activity_id"].as_i64().unwrap());
        }
    }
    assert_eq!(seen.len(), INCIDENTS);
    assert!(seen.values().all(|states| *states == [1, 3]), "{seen:?}");
    assert_eq!(keys.len(), 2 * INCIDENTS, "of {count} records");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_told_and_waited_for() {
    let Some(kafka) = available(Kafka::shared()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = settings(&kafka.bootstrap(), "findings-late", "");
    let mut notifier = world::start(&world::settings(&text), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::until(&mut notifier, "an attempt failed", |notifier| {
        notifier.status().unwrap().sinks["kafka"].last_error.is_some()
    })
    .await;
    let said = notifier.status().unwrap().sinks["kafka"].last_error.clone().unwrap();
    assert!(said.contains("no topic `findings-late`") && said.contains("create it"), "{said}");
    kafka.create_topic("findings-late", 1, &[]).unwrap();
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    assert_eq!(read(kafka, "findings-late", 1).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_fits_its_topic() {
    let Some(kafka) = available(Kafka::shared()) else { return };
    kafka.create_topic("findings-small", 1, &[("max.message.bytes", "20000")]).unwrap();
    let sink = siem::sink(&settings(&kafka.bootstrap(), "findings-small", "compression = 'none'"));
    let messages = [siem::message("one"), siem::huge("huge"), siem::message("two")];
    let answers = sink.deliver(&messages).await;
    assert_eq!(letters(&answers), "ddd", "{answers:?}");
    let records = read(kafka, "findings-small", 3);
    assert!(records[1].value.to_string().len() < 20_000);
    assert_eq!(records[1].value["metadata"]["is_truncated"], true);
    // It takes less from now on.
    let bootstrap = kafka.bootstrap();
    let mut arguments = vec!["--bootstrap-server", bootstrap.as_str(), "--alter", "--topic", "findings-small"];
    arguments.extend(["--add-config", "max.message.bytes=9000"]);
    kafka.tool("kafka.admin.ConfigCommand", &arguments).unwrap();
    let answers = sink.deliver(&[siem::message("three"), siem::huge("huge-too")]).await;
    assert_eq!(letters(&answers), "dd", "{answers:?}");
    let records = read(kafka, "findings-small", 5);
    assert!(records.iter().any(|record| record.key == "huge-too" && record.value.to_string().len() < 9_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_told_in_its_words() {
    let options = KafkaOptions { users: vec![User::new("alice", TOKEN)], has_acl: true, ..KafkaOptions::default() };
    let Some(kafka) = available(Kafka::start(options)) else { return };
    kafka.create_topic("findings", 1, &[("max.message.bytes", "9000")]).unwrap();
    let brokers = kafka.sasl_bootstrap();
    let text = |more: &str| settings(&brokers, "findings", more);
    // Without the right to see the topic there is none.
    let sink = siem::sink(&text(&sasl("SCRAM-SHA-256")));
    let answers = sink.deliver(&[siem::message("one")]).await;
    assert_eq!(letters(&answers), "L");
    assert!(format!("{answers:?}").contains("allow this client"), "{answers:?}");
    // With the right to write, but not to ask how long a record may be.
    kafka.allow("alice", "Write", &["--topic", "findings"]).unwrap();
    let sink = siem::sink(&text(&format!("compression = 'none'\n{}", sasl("SCRAM-SHA-256"))));
    let messages = [siem::message("one"), siem::huge("huge"), siem::message("two")];
    let answers = sink.deliver(&messages).await;
    assert_eq!(letters(&answers), "drd", "{answers:?}");
    assert!(format!("{answers:?}").contains("max.message.bytes"), "{answers:?}");
    // Another secret.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong"), "not-the-password").unwrap();
    let wrong = sasl("SCRAM-SHA-256").replace("env = 'TOKEN'", "file = 'wrong'");
    let sink = world::sink(&text(&wrong), folder.path());
    let begun = Instant::now();
    let answers = sink.deliver(&[siem::message("one")]).await;
    assert_eq!(letters(&answers), "L");
    let said = format!("{answers:?} {sink:?}");
    assert!(said.contains("`alice`") && said.contains("SCRAM-SHA-256") && !said.contains("not-the-password"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked() {
    let Some(kafka) = available(Kafka::start(KafkaOptions { tls: true, ..KafkaOptions::default() })) else { return };
    kafka.create_topic("findings", 1, &[]).unwrap();
    let more = |tls: &str| settings(&kafka.tls_bootstrap(), "findings", &format!("security_protocol = 'ssl'\n{tls}"));
    let patient = more("").replace("6000", "10000");
    let answers = siem::sink(&patient).deliver(&[siem::message("one")]).await;
    assert_eq!(letters(&answers), "L");
    assert!(format!("{answers:?}").contains("TLS"), "{answers:?}");
    let trusting = more(&format!("tls = {{ ca_file = '{}' }}", kafka.certificate().display()));
    let answers = siem::sink(&trusting).deliver(&[siem::message("one")]).await;
    assert_eq!(letters(&answers), "d", "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_are_told_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let sink = siem::sink(&settings(&address, "findings", ""));
    let begun = Instant::now();
    let answers = sink.deliver(&[siem::message("one"), siem::message("two")]).await;
    assert_eq!(letters(&answers), "LL");
    assert!(format!("{answers:?}").contains(&address), "{answers:?}");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[test]
fn settings_are_checked() {
    let faults = |brokers: &str, topic: &str, more: &str| siem::faults(&settings(brokers, topic, more)).join("; ");
    assert_eq!(faults("kafka:9092", "findings", ""), "");
    assert!(faults("kafka", "findings", "").contains("`kafka` is not a `host:port`"));
    assert!(faults("kafka:9092", "find ings", "").contains("`topic`"));
    assert!(faults("kafka:9092", "findings", "security_protocol = 'sasl_ssl'").contains("sasl"));
    assert!(faults("kafka:9092", "findings", &sasl("PLAIN")).contains("readable"));
    assert_eq!(faults("127.0.0.1:9092", "findings", &sasl("PLAIN")), "");
    assert!(
        faults("kafka:9092", "findings", "properties = { 'sasl.password' = 'x' }").contains("readable in the settings")
    );
    assert!(faults("kafka:9092", "findings", "properties = { acks = '0' }").contains("`acks`"));
    assert!(faults("kafka:9092", "findings", "heartbeat_s = 5").contains("signs of life"));
    assert!(faults("kafka:9092", "findings", "group_s = 5").contains("group_s"));
    let missing = settings("kafka:9092", "findings", "security_protocol = 'ssl'\ntls = { ca_file = 'not-there.pem' }");
    let error = world::try_sink(&missing, Path::new("/")).unwrap_err().to_string();
    assert!(error.contains("sink `kafka`") && error.contains("not-there.pem"), "{error}");
}

//! The broker: it answers, keeps what was acknowledged over SIGKILL, stands still, and has the listeners that were asked for.

use std::io::ErrorKind;
use std::time::Duration;

use tradewind_kafka_testkit::{Kafka, KafkaOptions, Toxiproxy, User, available};

use crate::raw::{SILENCE, eventually, kafka_api_count};

const LIMIT: Duration = Duration::from_secs(30);

fn produce(kafka: &Kafka, topic: &str, records: u32) {
    let (bootstrap, records) = (format!("bootstrap.servers={}", kafka.bootstrap()), records.to_string());
    let size = ["--record-size", "100", "--throughput", "-1", "--producer-props", &bootstrap, "acks=all"];
    let arguments = [&["--topic", topic, "--num-records", &records][..], &size].concat();
    kafka.tool("org.apache.kafka.tools.ProducerPerformance", &arguments).unwrap();
}

fn end_offset(kafka: &Kafka, topic: &str) -> String {
    let bootstrap = kafka.bootstrap();
    let arguments = ["--bootstrap-server", &bootstrap, "--topic", topic, "--time", "-1"];
    kafka.tool("org.apache.kafka.tools.GetOffsetShell", &arguments).unwrap().trim().to_owned()
}

#[test]
fn a_shared_broker_answers() {
    let Some(kafka) = available(Kafka::shared()) else { return };
    assert!(kafka_api_count(&kafka.bootstrap(), LIMIT).unwrap() > 40);
    assert_eq!(Kafka::shared().unwrap().bootstrap(), kafka.bootstrap());
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let options = KafkaOptions { is_optimised: true, ..KafkaOptions::default() };
    let Some(kafka) = available(Kafka::start(options)) else { return };
    kafka.create_topic("records", 1, &[]).unwrap();
    produce(&kafka, "records", 1_000);
    let bootstrap = kafka.bootstrap();
    kafka.kill9();
    assert!(!kafka.is_running());
    assert_eq!(kafka_api_count(&bootstrap, LIMIT).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    kafka.restart().unwrap();
    assert_eq!(kafka.bootstrap(), bootstrap);
    assert_eq!(end_offset(&kafka, "records"), "records:0:1000");
    kafka.stop().unwrap();
    kafka.restart().unwrap();
    assert_eq!(end_offset(&kafka, "records"), "records:0:1000");
}

#[test]
fn a_broker_can_be_killed_while_it_starts() {
    let Some(kafka) = available(Kafka::start(KafkaOptions::default())) else { return };
    kafka.kill9();
    std::thread::scope(|scope| {
        let restart = scope.spawn(|| kafka.restart());
        eventually("the process", || kafka.process_id().is_some());
        kafka.kill9();
        let error = restart.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("ended"), "{error}");
    });
    kafka.restart().unwrap();
    assert!(kafka_api_count(&kafka.bootstrap(), LIMIT).is_ok());
}

#[test]
fn a_paused_broker_says_nothing_until_it_goes_on() {
    let Some(kafka) = available(Kafka::start(KafkaOptions::default())) else { return };
    kafka.pause().unwrap();
    // The kernel still takes the connection; nobody answers.
    let silence = kafka_api_count(&kafka.bootstrap(), SILENCE).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::WouldBlock, "{silence}");
    kafka.resume().unwrap();
    assert!(kafka_api_count(&kafka.bootstrap(), LIMIT).unwrap() > 40);
    kafka.pause().unwrap();
    kafka.kill9();
    kafka.restart().unwrap();
    assert!(kafka_api_count(&kafka.bootstrap(), LIMIT).unwrap() > 40);
}

#[test]
fn a_client_behind_the_proxy_stays_behind_it() {
    let options = KafkaOptions { has_faulty_listener: true, ..KafkaOptions::default() };
    let Some(kafka) = available(Kafka::start(options)) else { return };
    let Some(toxiproxy) = available(Toxiproxy::start()) else { return };
    let through = kafka.route_through(&toxiproxy, "kafka").unwrap();
    assert_ne!(through, kafka.bootstrap());
    // The tool goes to the address that the broker advertises.
    let list = ["--bootstrap-server", &through, "--list"];
    kafka.tool("org.apache.kafka.tools.TopicCommand", &list).unwrap();
    toxiproxy.cut("kafka").unwrap();
    assert!(kafka_api_count(&through, LIMIT).is_err());
    assert!(kafka_api_count(&kafka.bootstrap(), LIMIT).is_ok(), "the plain listener is not behind the proxy");
    toxiproxy.heal("kafka").unwrap();
    assert!(kafka_api_count(&through, LIMIT).is_ok());
}

/// Lists topics as a client with these settings, each a line of a properties file.
fn list_topics(kafka: &Kafka, bootstrap: &str, settings: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.properties");
    std::fs::write(&file, format!("{settings}\ndefault.api.timeout.ms=8000\nrequest.timeout.ms=4000\n")).unwrap();
    let arguments = ["--bootstrap-server", bootstrap, "--list", "--command-config", file.to_str().unwrap()];
    kafka.tool("org.apache.kafka.tools.TopicCommand", &arguments).map_err(|error| error.to_string())
}

fn scram(protocol: &str, user: &str, password: &str) -> String {
    format!(
        "security.protocol={protocol}\nsasl.mechanism=SCRAM-SHA-256\nsasl.jaas.config=org.apache.kafka.common.security.scram.\
         ScramLoginModule required username=\"{user}\" password=\"{password}\";"
    )
}

#[test]
fn users_are_told_apart_and_see_what_they_may() {
    let users = vec![User::new("alice", "right"), User::new("bob", "also-right")];
    let options = KafkaOptions { users, has_acl: true, ..KafkaOptions::default() };
    let Some(kafka) = available(Kafka::start(options)) else { return };
    kafka.create_topic("secrets", 1, &[]).unwrap();
    kafka.allow("alice", "Describe", &["--topic", "secrets"]).unwrap();
    let list = |user, password| list_topics(&kafka, &kafka.sasl_bootstrap(), &scram("SASL_PLAINTEXT", user, password));
    assert_eq!(list("alice", "right").unwrap().trim(), "secrets");
    assert_eq!(list("bob", "also-right").unwrap().trim(), "");
    let refused = list("alice", "wrong").unwrap_err();
    assert!(refused.contains("SaslAuthenticationException"), "{refused}");
}

#[test]
fn tls_and_tokens_are_understood() {
    let users = vec![User::new("alice", "right")];
    let options = KafkaOptions { users, tls: true, oauth: true, ..KafkaOptions::default() };
    let Some(kafka) = available(Kafka::start(options)) else { return };
    kafka.create_topic("plans", 1, &[]).unwrap();
    let trust = format!("ssl.truststore.type=PEM\nssl.truststore.location={}", kafka.certificate().display());
    let check = |bootstrap: String, settings: String| {
        assert_eq!(list_topics(&kafka, &bootstrap, &settings).unwrap().trim(), "plans", "{settings}");
    };
    check(kafka.tls_bootstrap(), format!("security.protocol=SSL\n{trust}"));
    check(kafka.sasl_bootstrap(), format!("{}\n{trust}", scram("SASL_SSL", "alice", "right")));
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
    let token = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\nsasl.jaas.config={module} required \
         unsecuredLoginStringClaim_sub=\"alice\";"
    );
    check(kafka.oauth_bootstrap(), token);
    let untrusted = list_topics(&kafka, &kafka.tls_bootstrap(), "security.protocol=SSL").unwrap_err();
    assert!(untrusted.contains("SslAuthenticationException"), "{untrusted}");
}

#[test]
fn data_given_from_outside_outlives_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let options = KafkaOptions { data: Some(folder.path().join("data")), ..KafkaOptions::default() };
    let Some(kafka) = available(Kafka::start(options.clone())) else { return };
    kafka.create_topic("kept", 3, &[]).unwrap();
    drop(kafka);
    let kafka = Kafka::start(options).unwrap();
    assert_eq!(list_topics(&kafka, &kafka.bootstrap(), "").unwrap().trim(), "kept");
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    let settings = vec![("log.retention.ms".to_owned(), "soon".to_owned())];
    let Some(_) = available(Kafka::shared()) else { return };
    let error = Kafka::start(KafkaOptions { settings, ..KafkaOptions::default() }).unwrap_err().to_string();
    assert!(error.contains("ended") && error.contains("log.retention.ms"), "{error}");
}

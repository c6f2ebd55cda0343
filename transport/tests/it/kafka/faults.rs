//! What a person is told when something is wrong.

use super::*;
use servers::{KafkaOptions, User};
use tradewind_transport::LogError;
use tradewind_transport::kafka::{SaslMechanism, SaslSettings, Secret, SecurityProtocol};

/// The error has this kind and says all of these.
fn check(error: &LogError, kind: ErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn a_broker_that_is_down_is_told_with_its_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = listener.local_addr().unwrap().to_string();
    drop(listener);
    let log = Kafka::connect(&KafkaSettings { request_timeout_ms: 2_000, ..settings(&brokers) }).unwrap();
    let words = [brokers.as_str(), "is a broker running there"];
    check(&log.topics(&["raw"]).unwrap_err(), ErrorKind::Retry, &words);
    check(&log.create(&spec("raw", 1)).unwrap_err(), ErrorKind::Retry, &words);
    check(&log.producer("writer").unwrap_err(), ErrorKind::Retry, &words);
    check(&log.committed("group", &[TopicPartition::new("raw", 0)]).unwrap_err(), ErrorKind::Retry, &words);
    for subscription in [assigned("raw", 0, Start::First), member("group", "a", "raw")] {
        let mut consumer = log.consumer(&subscription).unwrap();
        let deadline = Instant::now() + LONG;
        let error = loop {
            assert!(Instant::now() < deadline);
            if let Err(error) = consumer.poll(Duration::from_millis(100)) {
                break error;
            }
        };
        check(&error, ErrorKind::Retry, &words);
        drop(consumer);
    }
}

#[test]
fn settings_that_cannot_work_are_told_all_at_once() {
    let settings = KafkaSettings {
        brokers: vec!["nowhere".to_owned()],
        security_protocol: SecurityProtocol::SaslSsl,
        batch_records_max: 0,
        properties: [("isolation.level".to_owned(), "read_uncommitted".to_owned())].into(),
        ..KafkaSettings::default()
    };
    let words = ["`nowhere`", "sasl.user", "sasl.password_file", "batch_records_max", "isolation.level"];
    check(&Kafka::connect(&settings).unwrap_err(), ErrorKind::Fatal, &words);
    let unknown =
        KafkaSettings { properties: [("no.such".to_owned(), "1".to_owned())].into(), ..KafkaSettings::default() };
    let log = Kafka::connect(&unknown).unwrap();
    check(&log.producer("writer").unwrap_err(), ErrorKind::Fatal, &["no.such"]);
}

#[test]
fn a_missing_topic_is_told_with_what_to_do() {
    let Some(log) = shared() else { return };
    let topic = fresh("missing");
    let words = [topic.as_str(), "tradewind topics create"];
    let mut writer = producer(&log, &fresh("writer"));
    check(&writer.write(vec![to(&topic, 0, "x")], None).unwrap_err(), ErrorKind::Fatal, &words);
    for subscription in [assigned(&topic, 0, Start::First), member(&fresh("group"), "a", &topic)] {
        let mut consumer = log.consumer(&subscription).unwrap();
        let deadline = Instant::now() + LONG;
        let error = loop {
            assert!(Instant::now() < deadline, "nothing is told for {subscription:?}");
            match consumer.poll(Duration::from_millis(100)) {
                Err(error) if error.kind() != ErrorKind::Retry => break error,
                _ => {}
            }
        };
        check(&error, ErrorKind::Fatal, &words);
    }
    // The producer is fit for the next write; a partition that is missing is told as well.
    let there = super::topic(&log, "there", 1);
    writer.write(vec![to(&there, 0, "kept")], None).unwrap();
    check(
        &writer.write(vec![to(&there, 0, "undone"), to(&there, 5, "x")], None).unwrap_err(),
        ErrorKind::Fatal,
        &[&there],
    );
    writer.write(vec![to(&there, 0, "after")], None).unwrap();
    assert_eq!(all(&log, &there, 0), ["kept", "after"]);
}

#[test]
fn who_is_refused_is_told_who_he_is_and_what_he_lacks() {
    let options = KafkaOptions { users: vec![User::new("alice", "right")], has_acl: true, ..KafkaOptions::default() };
    let Some(server) = servers::available(servers::Kafka::start(options)) else { return };
    let log = |password: &str| {
        let sasl = SaslSettings {
            mechanism: SaslMechanism::ScramSha256,
            user: Some("alice".to_owned()),
            password: Some(Secret::new(password)),
            ..SaslSettings::default()
        };
        let security_protocol = SecurityProtocol::SaslPlaintext;
        Kafka::connect(&KafkaSettings { security_protocol, sasl, ..settings(&server.sasl_bootstrap()) }).unwrap()
    };
    let wrong = log("wrong");
    let words = ["`alice`", "SCRAM-SHA-256", "password"];
    check(&wrong.topics(&["raw"]).unwrap_err(), ErrorKind::Fatal, &words);
    check(&wrong.producer("writer").unwrap_err(), ErrorKind::Fatal, &words);
    let mut consumer = wrong.consumer(&member("group", "a", "raw")).unwrap();
    let deadline = Instant::now() + LONG;
    let error = loop {
        assert!(Instant::now() < deadline);
        if let Err(error) = consumer.poll(Duration::from_millis(100)) {
            break error;
        }
    };
    check(&error, ErrorKind::Fatal, &words);
    assert!(!format!("{wrong:?}").contains("wrong"), "a password is never shown");
    // The right password, and no rights: whoever may not see a topic is told that it is not there.
    let plain = client(&server.bootstrap());
    let topic = super::topic(&plain, "guarded", 1);
    let right = log("right");
    assert_eq!(right.topics(&[&topic]).unwrap(), []);
    check(&right.create(&spec("mine", 1)).unwrap_err(), ErrorKind::Fatal, &["User:alice", "ACL"]);
    check(&right.producer("writer").unwrap_err(), ErrorKind::Fatal, &["User:alice", "transactional id"]);
    check(
        &right.committed("group", &[TopicPartition::new(topic, 0)]).unwrap_err(),
        ErrorKind::Fatal,
        &["User:alice", "group"],
    );
}

#[test]
fn an_offset_that_was_forgotten_is_an_error() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "forgotten", 1);
    let mut consumer = log.consumer(&assigned(&topic, 0, Start::At(50))).unwrap();
    assert!(matches!(event(&mut *consumer), Event::Assigned(_)));
    let deadline = Instant::now() + LONG;
    let error = loop {
        assert!(Instant::now() < deadline);
        if let Err(error) = consumer.poll(Duration::from_millis(100)) {
            break error;
        }
    };
    assert!(matches!(error, LogError::OutOfRange { wanted: 50, first: 0, end: 0, .. }), "{error}");
}

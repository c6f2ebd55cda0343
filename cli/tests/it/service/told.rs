//! What the service says when it cannot work: what, where, and what to do.

use super::running::{Service, free_address};
use crate::program::Program;
use tradewind_kafka_testkit::{Kafka, KafkaOptions, User, available};

fn program(settings: &str) -> Program {
    let program = Program::new();
    let pages = free_address();
    program.file("tradewind.toml", format!("[run]\nlisten = \"{pages}\"\n{settings}"));
    program
}

fn kafka(bootstrap: &str) -> String {
    format!("[transport]\nlog = \"kafka\"\n[transport.kafka]\nbrokers = [\"{bootstrap}\"]\nrequest_timeout_ms = 4000\n")
}

#[test]
fn topics_that_are_missing_are_named() {
    let Some(broker) = available(Kafka::shared()) else { return };
    let program = program(
        &kafka(&broker.bootstrap()).replace("[transport.kafka]", "topic_prefix = \"absent\"\n[transport.kafka]"),
    );
    let outcome = program.run(&["run"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("topic `absent.raw` is missing"), "{}", outcome.err);
    assert!(outcome.err.contains("tradewind topics create"), "{}", outcome.err);
}

#[test]
fn a_wrong_password_ends_it_and_names_the_user() {
    let options = KafkaOptions { users: vec![User::new("alice", "right")], ..KafkaOptions::default() };
    let Some(broker) = available(Kafka::start(options)) else { return };
    let program = program(&format!(
        "{}security_protocol = \"sasl_plaintext\"\nsasl = {{ mechanism = \"SCRAM-SHA-256\", user = \"alice\", password_file = \
         \"password\" }}\n",
        kafka(&broker.sasl_bootstrap())
    ));
    program.file("password", "wrong\n");
    let outcome = program.run(&["run"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("alice"), "{}", outcome.err);
    assert!(!outcome.err.contains("wrong"), "{}", outcome.err);
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let address = free_address();
    let program = program(&kafka(&address.to_string()));
    let mut service = Service::start(&program, "run", &[]);
    let log = program.folder().join("run.log");
    service.until("it says that it waits", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("waiting for the log"))
    });
    assert!(service.log().contains(&address.to_string()), "{}", service.log());
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
}

#[test]
fn two_services_on_one_embedded_log_are_told_apart() {
    let program = program("");
    let log = program.folder().join("run.log");
    let mut service = Service::start(&program, "run", &[]);
    service.until("it runs", || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("running")));
    let outcome = program.run(&["run"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("another process"), "{}", outcome.err);
}

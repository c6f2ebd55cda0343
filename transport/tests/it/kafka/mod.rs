//! The log on a real Apache Kafka: what only it can show. What every log does is in the conformance suite.

mod exactly_once;
mod faults;
mod groups;
mod records;

use crate::conformance::{Subject, conformance};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tradewind_kafka_testkit as servers;
use tradewind_transport::kafka::{Kafka, KafkaSettings};
use tradewind_transport::{
    Batch, Cleanup, Consumer, ErrorKind, Event, Log, Outgoing, Producer, Record, Start, Subscription, TopicPartition,
    TopicSpec,
};

conformance!(subject);

/// The log that the conformance suite is about.
fn subject() -> Option<Subject> {
    let log = Box::new(shared()?);
    Some(Subject { log, prefix: fresh("case"), maintain: None, _keep: Box::new(()) })
}

/// How long a test waits for what has to come.
const LONG: Duration = Duration::from_secs(60);

/// A client of the broker that the tests share.
fn shared() -> Option<Kafka> {
    Some(client(&servers::available(servers::Kafka::shared())?.bootstrap()))
}

/// Settings with short times, so that what has to fail fails soon.
fn settings(brokers: &str) -> KafkaSettings {
    KafkaSettings {
        brokers: vec![brokers.to_owned()],
        request_timeout_ms: 15_000,
        session_timeout_ms: 6_000,
        transaction_timeout_ms: 30_000,
        ..KafkaSettings::default()
    }
}

fn client(brokers: &str) -> Kafka {
    Kafka::connect(&settings(brokers)).unwrap()
}

/// A name that no other test uses.
fn fresh(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn spec(name: &str, partitions: i32) -> TopicSpec {
    // The tests' records are of 2023: by an age they would be forgotten at once.
    let cleanup = Cleanup::Delete { age: None, bytes: None };
    TopicSpec { name: name.to_owned(), partitions, replication: 1, cleanup, message_bytes_max: 1 << 20 }
}

/// A topic of its own.
fn topic(log: &Kafka, name: &str, partitions: i32) -> String {
    let name = fresh(name);
    assert!(log.create(&spec(&name, partitions)).unwrap());
    name
}

fn record(value: &str) -> Record {
    Record { value: value.to_owned().into(), timestamp: 1_700_000_000_000_000, ..Record::default() }
}

fn to(topic: &str, partition: i32, value: &str) -> Outgoing {
    Outgoing { to: TopicPartition::new(topic, partition), record: record(value) }
}

fn assigned(topic: &str, partition: i32, start: Start) -> Subscription {
    Subscription::Assigned { group: fresh("readers"), partitions: vec![(TopicPartition::new(topic, partition), start)] }
}

fn member(group: &str, name: &str, topic: &str) -> Subscription {
    Subscription::Group { group: group.to_owned(), member: name.to_owned(), topics: vec![topic.to_owned()] }
}

/// The next event that is one; errors of kind `Retry` are waited out.
fn event(consumer: &mut dyn Consumer) -> Event {
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(200)) {
            Ok(Event::Idle) => {}
            Ok(event) => return event,
            Err(error) if error.kind() == ErrorKind::Retry => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no event came");
}

/// Batches until there are so many records; assignments pass.
fn batches(consumer: &mut dyn Consumer, records: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    while batches.iter().map(|batch| batch.records.len()).sum::<usize>() < records {
        if let Event::Batch(batch) = event(consumer) {
            batches.push(batch);
        }
    }
    batches
}

fn values(batches: &[Batch]) -> Vec<String> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records.map(|received| String::from_utf8(received.record.value.to_vec()).unwrap()).collect()
}

/// All records of a partition, read by a consumer of its own.
fn all(log: &Kafka, topic: &str, partition: i32) -> Vec<String> {
    let place = TopicPartition::new(topic, partition);
    let end = log.range(&place).unwrap().1;
    let mut consumer = log.consumer(&assigned(topic, partition, Start::First)).unwrap();
    let deadline = Instant::now() + LONG;
    let mut read = Vec::new();
    let mut quiet_since = Instant::now();
    while read.last().is_none_or(|batch: &Batch| batch.next < end) && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)).unwrap() {
            Event::Batch(batch) => {
                read.push(batch);
                quiet_since = Instant::now();
            }
            // The last offsets may be markers of transactions, or records of one that was undone.
            _ if quiet_since.elapsed() > Duration::from_secs(3) => break,
            _ => {}
        }
    }
    values(&read)
}

/// A producer, waited for while the broker cannot be reached.
fn producer(log: &Kafka, name: &str) -> Box<dyn Producer> {
    let deadline = Instant::now() + LONG;
    loop {
        match log.producer(name) {
            Ok(producer) => return producer,
            Err(error) if error.kind() == ErrorKind::Retry && Instant::now() < deadline => {}
            Err(error) => panic!("{error}"),
        }
    }
}

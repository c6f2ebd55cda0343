//! Exactly once, whatever is killed.

use super::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use tradewind_transport::{Inputs, LogError};

#[test]
fn the_later_of_two_producers_fences_the_earlier() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "fencing", 1);
    let name = fresh("writer");
    let mut first = producer(&log, &name);
    first.write(vec![to(&topic, 0, "first")], None).unwrap();
    let mut second = producer(&log, &name);
    for _ in 0..2 {
        let error = first.write(vec![to(&topic, 0, "fenced")], None).unwrap_err();
        assert!(matches!(error, LogError::Fenced { .. }), "{error}");
    }
    second.write(vec![to(&topic, 0, "second")], None).unwrap();
    assert_eq!(all(&log, &topic, 0), ["first", "second"]);
}

/// Reads numbers from one topic, writes them to another one and commits; begins again after every error that says so.
fn transform(log: &Kafka, [from, into]: [&str; 2], group: &str, is_done: &AtomicBool) {
    let mut writer = producer(log, group);
    let mut consumer = log.consumer(&member(group, "only", from)).unwrap();
    let mut held: Vec<TopicPartition> = Vec::new();
    while !is_done.load(Ordering::Relaxed) {
        let batch = match consumer.poll(Duration::from_millis(100)) {
            Ok(Event::Batch(batch)) => batch,
            Ok(Event::Assigned(partitions)) => {
                held = partitions;
                continue;
            }
            Ok(Event::Idle | Event::Revoked(_)) => continue,
            Err(error) if error.kind() == ErrorKind::Retry => continue,
            Err(error) => panic!("{error}"),
        };
        let records = batch.records.iter().map(|received| Outgoing {
            to: TopicPartition::new(into, batch.from.partition),
            record: received.record.clone(),
        });
        let inputs = Inputs { next: vec![(batch.from.clone(), batch.next)] };
        match writer.write(records.collect(), Some((&inputs, &consumer.membership()))) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Retry => {
                for partition in &held {
                    while let Err(error) = consumer.seek(partition, Start::Committed) {
                        assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
                        if is_done.load(Ordering::Relaxed) || matches!(error, LogError::Aborted { .. }) {
                            break;
                        }
                    }
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn numbers_go_through_exactly_once_while_the_broker_is_killed() {
    let Some(server) = servers::available(servers::Kafka::start(servers::KafkaOptions::default())) else { return };
    let log = client(&server.bootstrap());
    let [from, into] = ["numbers", "squares"].map(|name| topic(&log, name, 2));
    let is_done = Arc::new(AtomicBool::new(false));
    let transformer = {
        let (log, is_done, from, into) = (log.clone(), Arc::clone(&is_done), from.clone(), into.clone());
        thread::spawn(move || transform(&log, [&from, &into], "squares", &is_done))
    };
    let writer = {
        let (log, from) = (log.clone(), from.clone());
        thread::spawn(move || {
            let mut writer = producer(&log, "numbers");
            for block in 0..200 {
                let records: Vec<Outgoing> = (0..20).map(|n| to(&from, n % 2, &(block * 20 + n).to_string())).collect();
                while let Err(error) = writer.write(records.clone(), None) {
                    assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
                    assert!(!error.to_string().contains("is decided when"), "{error}");
                }
                thread::sleep(Duration::from_millis(20));
            }
        })
    };
    for _ in 0..3 {
        thread::sleep(Duration::from_secs(2));
        server.kill9();
        thread::sleep(Duration::from_millis(500));
        server.restart().unwrap();
    }
    writer.join().unwrap();
    let mut found: HashMap<String, u32> = HashMap::new();
    let deadline = Instant::now() + LONG;
    while found.len() < 4_000 && Instant::now() < deadline {
        found.clear();
        for value in [0, 1].iter().flat_map(|partition| all(&log, &into, *partition)) {
            *found.entry(value).or_default() += 1;
        }
    }
    is_done.store(true, Ordering::Relaxed);
    transformer.join().unwrap();
    let written: usize = [0, 1].iter().map(|partition| all(&log, &from, *partition).len()).sum();
    let doubled = found.values().filter(|count| **count > 1).count();
    assert_eq!((written, found.len(), doubled), (4_000, 4_000, 0));
}

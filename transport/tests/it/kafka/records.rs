//! Topics, records and offsets.

use super::*;
use bytes::Bytes;

#[test]
fn topics_are_made_once_and_told_as_they_are() {
    let Some(log) = shared() else { return };
    let [plain, compact] = ["plain", "compact"].map(fresh);
    let cleanup = Cleanup::Delete { age: Some(Duration::from_secs(86_400)), bytes: Some(1 << 30) };
    let wanted = [
        TopicSpec { cleanup, message_bytes_max: 100_000, ..spec(&plain, 3) },
        TopicSpec { cleanup: Cleanup::Compact, ..spec(&compact, 1) },
    ];
    for topic in &wanted {
        assert!(log.create(topic).unwrap());
        assert!(!log.create(topic).unwrap());
    }
    let found = log.topics(&[&compact, "missing", &plain]).unwrap();
    let found: Vec<_> =
        found.iter().map(|topic| (&*topic.name, topic.partitions, topic.cleanup, topic.message_bytes_max)).collect();
    assert_eq!(
        found,
        [(&*compact, 1, Some(Cleanup::Compact), Some(1 << 20)), (&*plain, 3, Some(cleanup), Some(100_000))]
    );
}

#[test]
fn a_record_comes_back_as_it_was() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "whole", 1);
    let mut full = Record {
        key: Some(Bytes::from_static(b"key\0\xff")),
        value: Bytes::from_static(b"\0value\xff"),
        timestamp: 1_700_000_000_123_000,
        ..Record::default()
    };
    full.add_header("format", "vpc");
    full.add_header("format", "twice");
    full.add_header("empty", "");
    let bare = Record { timestamp: 1_000, ..Record::default() };
    let place = TopicPartition::new(topic.as_str(), 0);
    let write = [&full, &bare].map(|record| Outgoing { to: place.clone(), record: record.clone() });
    producer(&log, &fresh("writer")).write(write.to_vec(), None).unwrap();
    let mut consumer = log.consumer(&assigned(&topic, 0, Start::First)).unwrap();
    let read = batches(&mut *consumer, 2);
    let records: Vec<_> = read.iter().flat_map(|batch| batch.records.clone()).map(|received| received.record).collect();
    assert_eq!(records, [full, bare]);
}

#[test]
fn large_records_travel_in_parts() {
    let Some(log) = shared() else { return };
    let topic = fresh("small");
    log.create(&TopicSpec { message_bytes_max: 20_000, ..spec(&topic, 1) }).unwrap();
    let mut producer = producer(&log, &fresh("writer"));
    // Random bytes, which no compression brings under the limit.
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let large: Bytes = (0..100_000).flat_map(|_| random()).collect();
    let medium = large.slice(0..9_000);
    let place = TopicPartition::new(topic.as_str(), 0);
    let written: Vec<Bytes> =
        vec![medium.clone(), medium.clone(), large.clone(), medium.clone(), large.slice(7..500_000), medium];
    let records = written.iter().map(|value| Outgoing {
        to: place.clone(),
        record: Record {
            value: value.clone(),
            timestamp: 1_000_000,
            key: Some(Bytes::from_static(b"pair")),
            ..Record::default()
        },
    });
    producer.write(records.collect(), None).unwrap();
    let mut consumer = log.consumer(&assigned(&topic, 0, Start::First)).unwrap();
    let read = batches(&mut *consumer, written.len());
    let back: Vec<Bytes> =
        read.iter().flat_map(|batch| batch.records.clone()).map(|received| received.record.value).collect();
    assert!(back == written, "lengths {:?}", back.iter().map(Bytes::len).collect::<Vec<_>>());
    assert!(read.iter().flat_map(|batch| &batch.records).all(|received| received.record.headers.is_empty()));
    assert!(log.range(&place).unwrap().1 > 60, "it went in parts");
    // What was written is gone on from behind the last part.
    producer.write(vec![to(&topic, 0, "after")], None).unwrap();
    consumer.seek(&place, Start::At(read.last().unwrap().next)).unwrap();
    assert_eq!(values(&batches(&mut *consumer, 1)), ["after"]);
}

#[test]
fn a_large_record_for_a_compacted_topic_is_refused() {
    let Some(log) = shared() else { return };
    let topic = fresh("compact");
    log.create(&TopicSpec { cleanup: Cleanup::Compact, message_bytes_max: 10_000, ..spec(&topic, 1) }).unwrap();
    let mut producer = producer(&log, &fresh("writer"));
    let mut write = |value: &str| {
        let mut record = to(&topic, 0, value);
        record.record.key = Some(Bytes::from_static(b"key"));
        producer.write(vec![record], None)
    };
    let error = write(&"x".repeat(20_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("compacted"), "{error}");
    write("small").unwrap();
    assert_eq!(all(&log, &topic, 0), ["small"]);
}

#[test]
fn offsets_follow_times_and_ranges() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "times", 1);
    let place = TopicPartition::new(topic.as_str(), 0);
    assert_eq!(log.range(&place).unwrap(), (0, 0));
    let mut writer = producer(&log, &fresh("writer"));
    let records = (0..5).map(|second| {
        let mut record = to(&topic, 0, "tick");
        record.record.timestamp += second * 1_000_000;
        record
    });
    writer.write(records.collect(), None).unwrap();
    let start = 1_700_000_000_000_000;
    let at = |timestamp: i64| log.offset_at(&place, timestamp).unwrap();
    let end = log.range(&place).unwrap().1;
    assert_eq!(end, 6, "five records and the marker of the transaction");
    assert_eq!([at(0), at(start), at(start + 1), at(start + 1_500_000), at(start + 5_000_000)], [0, 0, 0, 2, end]);
    assert_eq!(log.committed("nobody", std::slice::from_ref(&place)).unwrap(), [None]);
    let missing = log.range(&TopicPartition::new(topic.as_str(), 7)).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Fatal, "{missing}");
}

#[test]
fn a_consumer_begins_where_it_is_told_and_commits() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "starts", 1);
    let place = TopicPartition::new(topic.as_str(), 0);
    let mut writer = producer(&log, &fresh("writer"));
    let numbers: Vec<Outgoing> = (0..10).map(|number| to(&topic, 0, &number.to_string())).collect();
    writer.write(numbers, None).unwrap();
    let group = fresh("group");
    let open = |start: Start| {
        let partitions = vec![(place.clone(), start)];
        log.consumer(&Subscription::Assigned { group: group.clone(), partitions }).unwrap()
    };
    let mut consumer = open(Start::At(7));
    assert_eq!(event(&mut *consumer), Event::Assigned(vec![place.clone()]));
    assert_eq!(values(&batches(&mut *consumer, 3)), ["7", "8", "9"]);
    // Back and forth; nothing of before a seek comes after it.
    for (start, expected) in [(Start::At(2), "2"), (Start::First, "0"), (Start::At(9), "9")] {
        consumer.seek(&place, start).unwrap();
        assert_eq!(values(&batches(&mut *consumer, 1))[0], expected);
    }
    let beyond = consumer.seek(&place, Start::At(1_000)).unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::Fatal, "{beyond}");
    consumer.commit(&tradewind_transport::Inputs { next: vec![(place.clone(), 4)] }).unwrap();
    assert_eq!(log.committed(&group, std::slice::from_ref(&place)).unwrap(), [Some(4)]);
    drop(consumer);
    assert_eq!(values(&batches(&mut *open(Start::Committed), 1))[0], "4");
    // A seek between the assignment and the next poll is where it begins.
    let mut consumer = open(Start::First);
    assert!(matches!(event(&mut *consumer), Event::Assigned(_)));
    consumer.seek(&place, Start::End).unwrap();
    assert_eq!(consumer.poll(Duration::from_millis(700)).unwrap(), Event::Idle);
    writer.write(vec![to(&topic, 0, "new")], None).unwrap();
    assert_eq!(values(&batches(&mut *consumer, 1)), ["new"]);
}

#[test]
fn paused_partitions_wait_and_others_come() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "pauses", 2);
    let places = [0, 1].map(|partition| TopicPartition::new(topic.as_str(), partition));
    let partitions = places.iter().map(|place| (place.clone(), Start::First)).collect();
    let mut consumer = log.consumer(&Subscription::Assigned { group: fresh("group"), partitions }).unwrap();
    assert!(matches!(event(&mut *consumer), Event::Assigned(_)));
    consumer.pause(&places[..1]);
    let mut writer = producer(&log, &fresh("writer"));
    writer.write(vec![to(&topic, 0, "paused"), to(&topic, 1, "comes")], None).unwrap();
    assert_eq!(values(&batches(&mut *consumer, 1)), ["comes"]);
    assert_eq!(consumer.poll(Duration::from_millis(500)).unwrap(), Event::Idle);
    consumer.resume(&places[..1]);
    assert_eq!(values(&batches(&mut *consumer, 1)), ["paused"]);
}

#[test]
fn a_stage_that_stalls_gets_everything_once() {
    let Some(server) = servers::available(servers::Kafka::shared()) else { return };
    let small = KafkaSettings { buffer_bytes_max: 20_000, fetch_bytes_max: 40_000, ..settings(&server.bootstrap()) };
    let log = Kafka::connect(&small).unwrap();
    let topic = topic(&log, "stalls", 1);
    let text = |number: usize| format!("{number:0>1000}");
    let records = (0..500).map(|number| to(&topic, 0, &text(number)));
    producer(&log, &fresh("writer")).write(records.collect(), None).unwrap();
    let mut consumer = log.consumer(&assigned(&topic, 0, Start::First)).unwrap();
    let mut read = batches(&mut *consumer, 1);
    // Longer than the reader waits before it pauses.
    std::thread::sleep(Duration::from_secs(2));
    let left = 500 - values(&read).len();
    read.extend(batches(&mut *consumer, left));
    assert_eq!(values(&read), (0..500).map(text).collect::<Vec<_>>());
}

//! Topics: made once, described, missed, compacted.

use super::{Subject, at, read, records, try_poll};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tradewind_transport::{Cleanup, ErrorKind, LogError, Start, TopicSpec};

pub(crate) fn topics_are_created_once(subject: &Subject) {
    let cleanup = Cleanup::Delete { age: Some(Duration::from_secs(86_400)), bytes: Some(1 << 30) };
    let (first, second, missing) =
        (subject.topic_with(3, cleanup), subject.topic_with(1, Cleanup::Compact), subject.name("none"));
    let again = TopicSpec {
        name: first.clone(),
        partitions: 9,
        replication: 1,
        cleanup: Cleanup::Compact,
        message_bytes_max: 1,
    };
    assert!(!subject.log.create(&again).unwrap(), "a topic that is there stays as it is");
    let found = subject.log.topics(&[&second, &missing, &first]).unwrap();
    let names: Vec<&str> = found.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, [&second, &first]);
    assert_eq!((found[0].partitions, found[1].partitions), (1, 3));
    assert!(found[0].cleanup.is_none_or(|found| found == Cleanup::Compact), "{:?}", found[0]);
    assert!(found[1].cleanup.is_none_or(|found| found == cleanup), "{:?}", found[1]);
    assert!(found[1].message_bytes_max.is_none_or(|bytes| bytes == 1 << 20), "{:?}", found[1]);
}

pub(crate) fn missing_topics_are_told(subject: &Subject) {
    let missing = subject.name("missing");
    let is_told = |error: &LogError| {
        assert_eq!(error.kind(), ErrorKind::Fatal, "{error}");
        assert!(error.to_string().contains(&missing), "`{error}` does not name the topic");
    };
    is_told(&subject.log.range(&at(&missing, 0)).unwrap_err());
    is_told(&subject.any_producer().write(records(&at(&missing, 0), &["lost"]), None).unwrap_err());
    let mut member = subject.member(&subject.name("group"), "a", &missing);
    let begun = Instant::now();
    let error = loop {
        match try_poll(member.as_mut()) {
            Err(error) => break error,
            Ok(event) => assert!(begun.elapsed() < super::PATIENCE, "{event:?}"),
        }
    };
    is_told(&error);
}

pub(crate) fn a_compacted_topic_keeps_the_newest(subject: &Subject) {
    let topic = subject.topic_with(1, Cleanup::Compact);
    let of = at(&topic, 0);
    let written = [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("b", ""), ("a", "3"), ("d", "1")];
    let mut producer = subject.any_producer();
    for (key, value) in written {
        let mut outgoing = records(&of, &[value]);
        outgoing[0].record.key = Some(Bytes::from(key));
        producer.write(outgoing, None).unwrap();
    }
    if let Some(maintain) = &subject.maintain {
        // Two days after the records: what removes a key is over as well.
        maintain(1_700_172_800_000_000);
        let mut consumer = subject.assigned(&subject.name("group"), std::slice::from_ref(&of), Start::First);
        let offsets: Vec<i64> = read(consumer.as_mut(), 3)
            .iter()
            .flat_map(|batch| &batch.records)
            .map(|received| received.offset)
            .collect();
        assert_eq!(offsets, [3, 5, 6], "the newest of each key stay where they were");
        assert_eq!(subject.log.range(&of).unwrap().1, 7, "the end stays");
    }
    let mut consumer = subject.assigned(&subject.name("group"), std::slice::from_ref(&of), Start::First);
    let mut newest = BTreeMap::new();
    let count = if subject.maintain.is_some() { 3 } else { written.len() };
    for received in read(consumer.as_mut(), count).iter().flat_map(|batch| &batch.records) {
        newest.insert(received.record.key.clone().unwrap(), received.record.value.clone());
    }
    newest.retain(|_, value| !value.is_empty());
    let expected: BTreeMap<Bytes, Bytes> = [("a", "3"), ("c", "1"), ("d", "1")]
        .into_iter()
        .map(|(key, value)| (Bytes::from(key), Bytes::from(value)))
        .collect();
    assert_eq!(newest, expected);
    let error = producer.write(records(&of, &["no key"]), None).unwrap_err();
    assert!(matches!(error, LogError::Record { .. }), "{error}");
}

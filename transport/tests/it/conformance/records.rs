//! Records: what is written is read, in order, whatever it is and however much.

use super::{PATIENCE, Subject, at, poll, read, records, values, wait_assigned};
use bytes::Bytes;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tradewind_transport::{Event, Outgoing, Record, Start};

pub(crate) fn order_and_offsets(subject: &Subject) {
    let topic = subject.topic(2);
    let mut producer = subject.any_producer();
    for write in 0..3 {
        let written: Vec<String> = (0..10).map(|number| format!("{write}-{number}")).collect();
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        producer.write(records(&at(&topic, 1), &written), None).unwrap();
    }
    let mut consumer = subject.assigned(&subject.name("group"), &[at(&topic, 0), at(&topic, 1)], Start::First);
    let batches = read(consumer.as_mut(), 30);
    let expected: Vec<String> =
        (0..3).flat_map(|write| (0..10).map(move |number| format!("{write}-{number}"))).collect();
    assert_eq!(values(&batches), expected);
    let offsets: Vec<i64> = batches.iter().flat_map(|batch| &batch.records).map(|received| received.offset).collect();
    assert_eq!(offsets[0], 0, "offsets begin at 0");
    assert!(offsets.is_sorted_by(|a, b| a < b));
    assert!(batches.iter().all(|batch| batch.from == at(&topic, 1)));
}

pub(crate) fn what_is_written_is_read(subject: &Subject) {
    let topic = subject.topic(1);
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut headed = Record { timestamp: 1_699_999_999_999_000, ..Record::default() };
    headed.add_header("twice", every_byte.clone());
    headed.add_header("twice", Bytes::from_static(b"again"));
    headed.add_header("empty", Bytes::new());
    let plain = |key: Option<&[u8]>, value: &[u8]| Record {
        key: key.map(Bytes::copy_from_slice),
        value: Bytes::copy_from_slice(value),
        timestamp: 1_700_000_000_123_000,
        ..Record::default()
    };
    let written = [
        plain(None, b"no key"),
        plain(Some(b"key"), b"a key"),
        plain(Some(&every_byte), &every_byte),
        plain(Some(b"empty value"), b""),
        headed,
    ];
    let outgoing = written.iter().map(|record| Outgoing { to: at(&topic, 0), record: record.clone() }).collect();
    subject.any_producer().write(outgoing, None).unwrap();
    let mut consumer = subject.assigned(&subject.name("group"), &[at(&topic, 0)], Start::First);
    let batches = read(consumer.as_mut(), written.len());
    let found: Vec<Record> =
        batches.into_iter().flat_map(|batch| batch.records).map(|received| received.record).collect();
    assert_eq!(found, written);
}

pub(crate) fn a_record_of_five_megabytes(subject: &Subject) {
    let topic = subject.topic(1);
    let mut seed = 7_u32;
    let value: Bytes = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    })
    .take(5_000_000)
    .collect();
    let big =
        Record { key: Some(Bytes::from_static(b"big")), value, timestamp: 1_700_000_000_000_000, ..Record::default() };
    let mut outgoing = records(&at(&topic, 0), &["before"]);
    outgoing.push(Outgoing { to: at(&topic, 0), record: big.clone() });
    outgoing.extend(records(&at(&topic, 0), &["after"]));
    subject.any_producer().write(outgoing, None).unwrap();
    let mut consumer = subject.assigned(&subject.name("group"), &[at(&topic, 0)], Start::First);
    let batches = read(consumer.as_mut(), 3);
    let found: Vec<&Record> =
        batches.iter().flat_map(|batch| &batch.records).map(|received| &received.record).collect();
    assert_eq!(found[0].value, "before");
    assert!(found[1] == &big, "the big record came back as another");
    assert_eq!(found[2].value, "after");
}

pub(crate) fn many_small_records(subject: &Subject) {
    const WRITES: usize = 10;
    const EACH: usize = 2_000;
    let topic = subject.topic(1);
    let mut producer = subject.any_producer();
    let written: Vec<String> = (0..WRITES * EACH).map(|number| number.to_string()).collect();
    for part in written.chunks(EACH) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        producer.write(records(&at(&topic, 0), &part), None).unwrap();
    }
    assert!(subject.values(&at(&topic, 0), WRITES * EACH) == written, "records are missing, doubled or out of order");
}

pub(crate) fn concurrent_producers(subject: &Subject) {
    const PRODUCERS: usize = 4;
    const WRITES: usize = 10;
    let topic = subject.topic(2);
    std::thread::scope(|scope| {
        for number in 0..PRODUCERS {
            let (mut producer, topic) = (subject.any_producer(), &topic);
            scope.spawn(move || {
                for write in 0..WRITES {
                    let value = format!("{number}:{write}");
                    let mut outgoing = records(&at(topic, 0), &[&value]);
                    outgoing.extend(records(&at(topic, 1), &[&value]));
                    producer.write(outgoing, None).unwrap();
                }
            });
        }
    });
    for partition in 0..2 {
        let mut by_producer: HashMap<String, Vec<usize>> = HashMap::new();
        for value in subject.values(&at(&topic, partition), PRODUCERS * WRITES) {
            let (number, write) = value.split_once(':').unwrap();
            by_producer.entry(number.to_owned()).or_default().push(write.parse().unwrap());
        }
        assert_eq!(by_producer.len(), PRODUCERS);
        for (number, writes) in by_producer {
            assert_eq!(writes, (0..WRITES).collect::<Vec<_>>(), "writes of producer {number} in partition {partition}");
        }
    }
}

pub(crate) fn a_waiting_consumer_is_woken(subject: &Subject) {
    let topic = subject.topic(1);
    let mut consumer = subject.assigned(&subject.name("group"), &[at(&topic, 0)], Start::First);
    wait_assigned(consumer.as_mut());
    let mut producer = subject.any_producer();
    // Warm: the producer's first write may have to find its coordinator.
    producer.write(records(&at(&topic, 0), &["first"]), None).unwrap();
    assert!(matches!(poll(consumer.as_mut()), Event::Batch(_)));
    let (woken, wrote) = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let begun = Instant::now();
            loop {
                match consumer.poll(PATIENCE) {
                    Ok(Event::Batch(_)) => return Instant::now(),
                    other => assert!(begun.elapsed() < PATIENCE, "{other:?}"),
                }
            }
        });
        producer.write(records(&at(&topic, 0), &["second"]), None).unwrap();
        let wrote = Instant::now();
        (reader.join().unwrap(), wrote)
    });
    let took = woken.saturating_duration_since(wrote);
    assert!(took < Duration::from_secs(2), "the record was seen {took:?} after it was written");
}

//! Writes: all of one or none, with the inputs that they were made of.

use super::{Subject, at, inputs, poll, read, records, values, wait_assigned};
use tradewind_transport::{ErrorKind, Event, Inputs, Start};

pub(crate) fn all_or_nothing(subject: &Subject) {
    let topic = subject.topic(3);
    let mut producer = subject.any_producer();
    let mut refused = records(&at(&topic, 0), &["refused"]);
    refused.extend(records(&at(&topic, 1), &["refused"]));
    refused.extend(records(&at(&topic, 99), &["there is no such partition"]));
    let error = producer.write(refused, None).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Fenced, "{error}");
    // A producer that a write failed of may have to be begun again.
    let mut producer = subject.any_producer();
    let mut written = records(&at(&topic, 0), &["a", "b"]);
    written.extend(records(&at(&topic, 1), &["c"]));
    written.extend(records(&at(&topic, 2), &["d"]));
    producer.write(written, None).unwrap();
    let partitions: Vec<_> = (0..3).map(|partition| at(&topic, partition)).collect();
    let mut consumer = subject.assigned(&subject.name("group"), &partitions, Start::First);
    let mut found = values(&read(consumer.as_mut(), 4));
    found.sort();
    assert_eq!(found, ["a", "b", "c", "d"]);
}

pub(crate) fn consume_transform_produce(subject: &Subject) {
    let (from, to, group) = (at(&subject.topic(1), 0), at(&subject.topic(1), 0), subject.name("group"));
    let name = subject.name("stage");
    for value in ["1", "2", "3", "4", "5"] {
        subject.write(&from, &[value]);
    }
    let mut done = 0;
    // A new life of the stage begins where the last one committed.
    while done < 5 {
        let mut producer = subject.producer(&name);
        let mut consumer = subject.assigned(&group, std::slice::from_ref(&from), Start::Committed);
        wait_assigned(consumer.as_mut());
        let Event::Batch(batch) = poll(consumer.as_mut()) else { panic!("no batch") };
        assert_eq!(batch.records[0].record.value, (done + 1).to_string(), "a life begins where the last one committed");
        let one =
            Inputs { next: vec![(from.clone(), batch.records.get(1).map_or(batch.next, |second| second.offset))] };
        let output = format!("out {}", done + 1);
        producer.write(records(&to, &[&output]), Some((&one, &consumer.membership()))).unwrap();
        assert_eq!(subject.log.committed(&group, std::slice::from_ref(&from)).unwrap(), [Some(one.next[0].1)]);
        done += 1;
    }
    assert_eq!(subject.values(&to, 5), ["out 1", "out 2", "out 3", "out 4", "out 5"]);
}

pub(crate) fn inputs_alone_and_commits(subject: &Subject) {
    let (topic, group) = (subject.topic(1), subject.name("group"));
    let from = [at(&topic, 0)];
    subject.write(&from[0], &["a"]);
    subject.write(&from[0], &["b"]);
    assert_eq!(subject.log.committed(&group, &from).unwrap(), [None]);
    let mut consumer = subject.assigned(&group, &from, Start::First);
    let batches = read(consumer.as_mut(), 2);
    let second = batches.iter().flat_map(|batch| &batch.records).nth(1).unwrap().offset;
    let first_only = Inputs { next: vec![(from[0].clone(), second)] };
    subject.any_producer().write(Vec::new(), Some((&first_only, &consumer.membership()))).unwrap();
    assert_eq!(subject.log.committed(&group, &from).unwrap(), [Some(second)]);
    let all = inputs(batches.last().unwrap());
    consumer.commit(&all).unwrap();
    assert_eq!(subject.log.committed(&group, &from).unwrap(), [Some(all.next[0].1)]);
    assert_eq!(subject.log.committed(&subject.name("another"), &from).unwrap(), [None]);
}

pub(crate) fn a_later_producer_fences(subject: &Subject) {
    let (to, name) = (at(&subject.topic(1), 0), subject.name("stage"));
    let mut earlier = subject.producer(&name);
    earlier.write(records(&to, &["earlier"]), None).unwrap();
    let mut later = subject.producer(&name);
    let error = earlier.write(records(&to, &["too late"]), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    later.write(records(&to, &["later"]), None).unwrap();
    let error = earlier.write(records(&to, &["much too late"]), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    subject.any_producer().write(records(&to, &["another name"]), None).unwrap();
    assert_eq!(subject.values(&to, 3), ["earlier", "later", "another name"]);
}

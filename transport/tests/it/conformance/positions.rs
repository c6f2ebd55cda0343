//! Positions: seeking, pausing, ranges, timestamps.

use super::{Subject, at, poll, read, records, try_poll, values, wait_assigned};
use tradewind_transport::{Event, Inputs, LogError, Start};

pub(crate) fn seek_goes_everywhere(subject: &Subject) {
    let (topic, group) = (subject.topic(1), subject.name("group"));
    let from = at(&topic, 0);
    subject.write(&from, &["a", "b", "c", "d"]);
    let mut consumer = subject.assigned(&group, std::slice::from_ref(&from), Start::First);
    let offsets: Vec<i64> =
        read(consumer.as_mut(), 4).iter().flat_map(|batch| &batch.records).map(|received| received.offset).collect();
    consumer.commit(&Inputs { next: vec![(from.clone(), offsets[1])] }).unwrap();
    for (start, expected) in [
        (Start::First, &["a", "b", "c", "d"][..]),
        (Start::At(offsets[2]), &["c", "d"][..]),
        (Start::Committed, &["b", "c", "d"][..]),
        (Start::At(0), &["a", "b", "c", "d"][..]),
        (Start::End, &[][..]),
    ] {
        consumer.seek(&from, start).unwrap();
        assert_eq!(values(&read(consumer.as_mut(), expected.len())), expected, "{start:?}");
    }
    subject.write(&from, &["e"]);
    assert_eq!(values(&read(consumer.as_mut(), 1)), ["e"], "after the end comes what is written later");
    let mut ended = subject.assigned(&group, std::slice::from_ref(&from), Start::End);
    wait_assigned(ended.as_mut());
    assert_eq!(try_poll(ended.as_mut()).unwrap(), Event::Idle);
}

pub(crate) fn offsets_that_are_not_there(subject: &Subject) {
    let topic = subject.topic(1);
    let from = at(&topic, 0);
    subject.write(&from, &["a"]);
    let mut consumer = subject.assigned(&subject.name("group"), std::slice::from_ref(&from), Start::First);
    read(consumer.as_mut(), 1);
    let out_of_range = |error: &LogError| matches!(error, LogError::OutOfRange { wanted: 1_000, .. });
    // Some logs only know when they read.
    let begun = std::time::Instant::now();
    let mut outcome = consumer.seek(&from, Start::At(1_000)).map(|()| Event::Idle);
    while outcome.as_ref().is_ok_and(|event| *event == Event::Idle) && begun.elapsed() < super::PATIENCE {
        outcome = try_poll(consumer.as_mut());
    }
    assert!(outcome.as_ref().is_err_and(out_of_range), "{outcome:?}");
    let mut other = subject.assigned(&subject.name("group"), std::slice::from_ref(&from), Start::First);
    wait_assigned(other.as_mut());
    assert!(other.seek(&at(&topic, 7), Start::First).is_err(), "a partition that is not assigned");
}

pub(crate) fn pause_and_resume(subject: &Subject) {
    let topic = subject.topic(2);
    let both = [at(&topic, 0), at(&topic, 1)];
    let mut consumer = subject.assigned(&subject.name("group"), &both, Start::First);
    wait_assigned(consumer.as_mut());
    consumer.pause(&both[..1]);
    subject.write(&both[0], &["paused"]);
    subject.write(&both[1], &["running"]);
    assert_eq!(values(&read(consumer.as_mut(), 1)), ["running"]);
    assert_eq!(try_poll(consumer.as_mut()).unwrap(), Event::Idle, "the paused partition stays silent");
    consumer.resume(&both[..1]);
    assert_eq!(values(&read(consumer.as_mut(), 1)), ["paused"]);
}

pub(crate) fn ranges_and_timestamps(subject: &Subject) {
    let topic = subject.topic(2);
    let of = at(&topic, 0);
    assert_eq!(subject.log.range(&of).unwrap(), (0, 0));
    // Seconds; not in order.
    let seconds = [10, 30, 20, 40];
    for second in seconds {
        let mut outgoing = records(&of, &["timed"]);
        outgoing[0].record.timestamp = (1_700_000_000 + second) * 1_000_000;
        subject.any_producer().write(outgoing, None).unwrap();
    }
    let mut consumer = subject.assigned(&subject.name("group"), std::slice::from_ref(&of), Start::First);
    let batches = read(consumer.as_mut(), seconds.len());
    let offsets: Vec<i64> = batches.iter().flat_map(|batch| &batch.records).map(|received| received.offset).collect();
    let (first, end) = subject.log.range(&of).unwrap();
    assert_eq!(first, 0);
    assert!(
        end > offsets[3] && batches.last().is_some_and(|batch| batch.next <= end),
        "the end is after the last record"
    );
    assert_eq!(subject.log.range(&at(&topic, 1)).unwrap(), (0, 0));
    for (second, expected) in [(0, 0), (10, 0), (11, 1), (20, 1), (30, 1), (31, 3), (40, 3)] {
        let found = subject.log.offset_at(&of, (1_700_000_000 + second) * 1_000_000).unwrap();
        assert_eq!(found, offsets[expected], "at {second} s");
    }
    assert_eq!(subject.log.offset_at(&of, 1_700_000_041_000_000).unwrap(), end, "after all there is the end");
    assert!(matches!(poll(subject.assigned(&subject.name("group"), &[of], Start::End).as_mut()), Event::Assigned(_)));
}

//! Random operations on the embedded log and on a simple model of one, with the log closed and opened in between.

use super::open;
use crate::conformance::{at, records};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Duration;
use tradewind_transport::embedded::Embedded;
use tradewind_transport::{Cleanup, Consumer, Event, Inputs, Log, Start, Subscription, TopicPartition, TopicSpec};

const PARTITIONS: i32 = 3;
const MINUTE: i64 = 60_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// One write: partitions of its records; commits this much of what is there, or nothing.
    Write(Vec<i32>, Option<(i32, u8)>),
    /// A write that has to fail as a whole.
    Refused(Vec<i32>),
    /// All of a partition from somewhere on.
    Read(i32, u8),
    /// The first record of a time.
    Search(i32, i64),
    /// Forgets what is older than this many steps.
    Maintain(i64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let partition = 0..PARTITIONS;
    prop_oneof![
        6 => (vec(partition.clone(), 0..6), proptest::option::of((partition.clone(), any::<u8>())))
            .prop_map(|(to, inputs)| Step::Write(to, inputs)),
        1 => vec(partition.clone(), 0..4).prop_map(Step::Refused),
        3 => (partition.clone(), any::<u8>()).prop_map(|(of, from)| Step::Read(of, from)),
        2 => (partition, 0..40_i64).prop_map(|(of, step)| Step::Search(of, step)),
        1 => (0..40_i64).prop_map(Step::Maintain),
        1 => Just(Step::Reopen),
    ]
}

/// What a log has to be like.
#[derive(Default)]
struct Model {
    /// Value and timestamp by partition and offset.
    partitions: [Vec<(String, i64)>; 3],
    /// Offset of the first record of each write, by partition.
    writes: [Vec<usize>; 3],
    first: [usize; 3],
    committed: HashMap<i32, i64>,
}

fn index(partition: i32) -> usize {
    usize::try_from(partition).unwrap()
}

impl Model {
    fn some_offset(&self, partition: i32, part: u8) -> i64 {
        let (first, end) = (self.first[index(partition)], self.partitions[index(partition)].len());
        i64::try_from(first + (end - first) * usize::from(part) / 255).unwrap()
    }

    /// Forgets writes from the first on while all of one is older than this.
    fn expire(&mut self, oldest: i64) {
        for partition in 0..3 {
            let ends = self.writes[partition].iter().skip(1).copied().chain([self.partitions[partition].len()]);
            for (begin, end) in self.writes[partition].clone().into_iter().zip(ends.collect::<Vec<_>>()) {
                let write = &self.partitions[partition][begin..end];
                if begin >= self.first[partition]
                    && begin == self.first[partition]
                    && write.iter().all(|(_, time)| *time < oldest)
                {
                    self.first[partition] = end;
                }
            }
        }
    }
}

fn consumer(log: &Embedded, partition: i32, start: Start) -> Box<dyn Consumer> {
    let partitions = vec![(at("t", partition), start)];
    log.consumer(&Subscription::Assigned { group: "g".to_owned(), partitions }).unwrap()
}

fn read_all(log: &Embedded, partition: i32, from: i64) -> Vec<(i64, String, i64)> {
    let mut consumer = consumer(log, partition, Start::At(from));
    let mut found = Vec::new();
    loop {
        match consumer.poll(Duration::ZERO).unwrap() {
            Event::Batch(batch) => found.extend(batch.records.into_iter().map(|received| {
                let value = String::from_utf8(received.record.value.to_vec()).unwrap();
                (received.offset, value, received.record.timestamp)
            })),
            Event::Idle => return found,
            _ => {}
        }
    }
}

fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let cleanup = Cleanup::Delete { age: Some(Duration::from_secs(60)), bytes: None };
    let spec =
        TopicSpec { name: "t".to_owned(), partitions: PARTITIONS, replication: 1, cleanup, message_bytes_max: 1 << 20 };
    log.create(&spec).unwrap();
    let mut model = Model::default();
    for (number, step) in (0_i64..).zip(steps) {
        // Times go forth and back.
        let time = |place: i64| (number + (number * 7 + place * 3) % 5) * MINUTE;
        let outgoing = |to: &[i32]| {
            let mut all = Vec::new();
            for (place, partition) in (0..).zip(to) {
                let mut one = records(&at("t", *partition), &[&format!("{number}/{place}")]);
                one[0].record.timestamp = time(place);
                all.append(&mut one);
            }
            all
        };
        match step {
            Step::Write(to, committed) => {
                let inputs = committed.map(|(partition, part)| (partition, model.some_offset(partition, part)));
                let inputs_given =
                    Inputs { next: inputs.iter().map(|(partition, next)| (at("t", *partition), *next)).collect() };
                let reader = consumer(&log, 0, Start::End);
                let membership = reader.membership();
                let given = inputs.is_some().then_some((&inputs_given, &membership));
                log.producer("p").unwrap().write(outgoing(&to), given).unwrap();
                let before: Vec<usize> = model.partitions.iter().map(Vec::len).collect();
                for (place, partition) in (0..).zip(&to) {
                    model.partitions[index(*partition)].push((format!("{number}/{place}"), time(place)));
                }
                for (partition, begin) in before.into_iter().enumerate() {
                    if model.partitions[partition].len() > begin {
                        model.writes[partition].push(begin);
                    }
                }
                model.committed.extend(inputs);
            }
            Step::Refused(to) => {
                let mut all = outgoing(&to);
                all.extend(records(&at("t", PARTITIONS), &["nowhere"]));
                log.producer("p").unwrap().write(all, None).unwrap_err();
            }
            Step::Read(partition, part) => {
                let from = model.some_offset(partition, part);
                let records = model.partitions[index(partition)].iter().enumerate();
                let expected: Vec<_> = records
                    .map(|(offset, (value, time))| (i64::try_from(offset).unwrap(), value.clone(), *time))
                    .filter(|(offset, ..)| *offset >= from)
                    .collect();
                assert_eq!(read_all(&log, partition, from), expected);
            }
            Step::Search(partition, minute) => {
                let all = &model.partitions[index(partition)];
                let skipped = model.first[index(partition)];
                let found = all.iter().skip(skipped).position(|(_, time)| *time >= minute * MINUTE);
                let expected = found.map_or(all.len(), |found| found + skipped);
                let answer = log.offset_at(&at("t", partition), minute * MINUTE).unwrap();
                assert_eq!(answer, i64::try_from(expected).unwrap());
            }
            Step::Maintain(behind) => {
                // A minute is kept, and a time far ahead of the clock does not count.
                let now = (number - behind % 4) * MINUTE;
                log.maintain(now).unwrap();
                model.expire(now - MINUTE);
            }
            Step::Reopen => {
                drop(log);
                log = open(folder.path());
            }
        }
        for partition in 0..PARTITIONS {
            let (first, end) = (model.first[index(partition)], model.partitions[index(partition)].len());
            let expected = (i64::try_from(first).unwrap(), i64::try_from(end).unwrap());
            assert_eq!(log.range(&at("t", partition)).unwrap(), expected);
        }
        let all: Vec<TopicPartition> = (0..PARTITIONS).map(|partition| at("t", partition)).collect();
        let expected: Vec<_> = (0..PARTITIONS).map(|partition| model.committed.get(&partition).copied()).collect();
        assert_eq!(log.committed("g", &all).unwrap(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_log_is_as_the_model(steps in vec(step(), 1..40)) {
        run(steps);
    }
}

//! What every log has to do, whichever it is: cases over [`Log`], and a macro that makes tests of them for one log.
//!
//! A case asks for nothing that one of the logs cannot give: offsets may have holes, assignments take a while.

pub(crate) mod groups;
pub(crate) mod positions;
pub(crate) mod records;
pub(crate) mod topics;
pub(crate) mod transactions;

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tradewind_transport::{
    Batch, Cleanup, Consumer, Event, Inputs, Log, LogError, Outgoing, Producer, Record, Start, Subscription,
    TopicPartition, TopicSpec,
};

/// Whatever a log does takes no longer than this, or the case fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// One poll.
const STEP: Duration = Duration::from_millis(50);

/// A log under test.
pub(crate) struct Subject {
    pub(crate) log: Box<dyn Log>,
    /// Begins every name, so that cases that share a log do not meet.
    pub(crate) prefix: String,
    /// Has the log forget what it is to forget, at this time; where that can be asked for.
    pub(crate) maintain: Option<Box<dyn Fn(i64)>>,
    /// What has to live as long as the log.
    pub(crate) _keep: Box<dyn Any>,
}

static NAMES: AtomicU32 = AtomicU32::new(0);

impl Subject {
    /// A name that nothing else has.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}-{what}-{}", self.prefix, NAMES.fetch_add(1, Ordering::Relaxed))
    }

    /// A new topic that forgets nothing.
    pub(crate) fn topic(&self, partitions: i32) -> String {
        self.topic_with(partitions, Cleanup::Delete { age: None, bytes: None })
    }

    /// A new topic.
    pub(crate) fn topic_with(&self, partitions: i32, cleanup: Cleanup) -> String {
        let name = self.name("topic");
        let spec = TopicSpec { name: name.clone(), partitions, replication: 1, cleanup, message_bytes_max: 1 << 20 };
        assert!(self.log.create(&spec).unwrap(), "{name} is new");
        name
    }

    pub(crate) fn producer(&self, name: &str) -> Box<dyn Producer> {
        self.log.producer(name).unwrap()
    }

    /// A producer of a name of its own.
    pub(crate) fn any_producer(&self) -> Box<dyn Producer> {
        self.producer(&self.name("producer"))
    }

    /// Writes values to one partition in one write.
    pub(crate) fn write(&self, to: &TopicPartition, values: &[&str]) {
        self.any_producer().write(records(to, values), None).unwrap();
    }

    /// A consumer of these partitions from somewhere.
    pub(crate) fn assigned(&self, group: &str, partitions: &[TopicPartition], start: Start) -> Box<dyn Consumer> {
        let partitions = partitions.iter().map(|partition| (partition.clone(), start)).collect();
        self.log.consumer(&Subscription::Assigned { group: group.to_owned(), partitions }).unwrap()
    }

    pub(crate) fn member(&self, group: &str, member: &str, topic: &str) -> Box<dyn Consumer> {
        let subscription =
            Subscription::Group { group: group.to_owned(), member: member.to_owned(), topics: vec![topic.to_owned()] };
        self.log.consumer(&subscription).unwrap()
    }

    /// All values of a partition, in order.
    pub(crate) fn values(&self, of: &TopicPartition, count: usize) -> Vec<String> {
        let mut consumer = self.assigned(&self.name("reader"), std::slice::from_ref(of), Start::First);
        values(&read(consumer.as_mut(), count))
    }
}

pub(crate) fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// Records of these values. Milliseconds, as some logs keep no more.
pub(crate) fn records(to: &TopicPartition, values: &[&str]) -> Vec<Outgoing> {
    let record = |value: &&str| Record {
        value: value.as_bytes().to_vec().into(),
        timestamp: 1_700_000_000_000_000,
        ..Record::default()
    };
    values.iter().map(|value| Outgoing { to: to.clone(), record: record(value) }).collect()
}

/// The values of batches.
pub(crate) fn values(batches: &[Batch]) -> Vec<String> {
    let all = batches.iter().flat_map(|batch| &batch.records);
    all.map(|received| String::from_utf8(received.record.value.to_vec()).unwrap()).collect()
}

/// Polls until there is something else than nothing. Errors that say `poll again` are nothing.
pub(crate) fn poll(consumer: &mut dyn Consumer) -> Event {
    let begun = Instant::now();
    loop {
        match try_poll(consumer) {
            Ok(Event::Idle) => assert!(begun.elapsed() < PATIENCE, "nothing came"),
            Ok(event) => return event,
            Err(error) => panic!("{error}"),
        }
    }
}

/// One poll, where `poll again` is [`Event::Idle`].
pub(crate) fn try_poll(consumer: &mut dyn Consumer) -> Result<Event, LogError> {
    match consumer.poll(STEP) {
        Err(error) if error.kind() == tradewind_transport::ErrorKind::Retry => Ok(Event::Idle),
        other => other,
    }
}

/// Reads batches until there are so many records, and sees that no more come at once.
pub(crate) fn read(consumer: &mut dyn Consumer, count: usize) -> Vec<Batch> {
    let (mut batches, mut found) = (Vec::new(), 0);
    while found < count {
        if let Event::Batch(batch) = poll(consumer) {
            check_batch(&batch);
            found += batch.records.len();
            batches.push(batch);
        }
    }
    assert_eq!(found, count, "more records than were written: {:?}", values(&batches));
    if let Event::Batch(batch) = try_poll(consumer).unwrap() {
        panic!("more records than were written: {batch:?}");
    }
    batches
}

/// What holds of every batch.
fn check_batch(batch: &Batch) {
    assert!(batch.records.is_sorted_by(|a, b| a.offset < b.offset), "offsets go up: {batch:?}");
    assert!(batch.records.last().is_none_or(|last| last.offset < batch.next), "the next one is after all: {batch:?}");
}

/// What a batch is committed as.
pub(crate) fn inputs(batch: &Batch) -> Inputs {
    Inputs { next: vec![(batch.from.clone(), batch.next)] }
}

/// Polls until a consumer has partitions, and says which.
pub(crate) fn wait_assigned(consumer: &mut dyn Consumer) -> Vec<TopicPartition> {
    loop {
        match poll(consumer) {
            Event::Assigned(mut partitions) if !partitions.is_empty() => {
                partitions.sort();
                return partitions;
            }
            Event::Batch(batch) => panic!("a batch before an assignment: {batch:?}"),
            _ => {}
        }
    }
}

/// Makes a test of every case. The subject is none where the log cannot be had.
macro_rules! conformance {
    ($subject:path: $($module:ident: $($case:ident),+;)+) => {
        $($(
            #[test]
            fn $case() {
                if let Some(subject) = $subject() {
                    $crate::conformance::$module::$case(&subject);
                }
            }
        )+)+
    };
    ($subject:path) => {
        $crate::conformance::conformance! { $subject:
            records: order_and_offsets, what_is_written_is_read, a_record_of_five_megabytes, many_small_records,
                concurrent_producers, a_waiting_consumer_is_woken;
            transactions: all_or_nothing, consume_transform_produce, inputs_alone_and_commits, a_later_producer_fences;
            groups: nothing_before_assigned, partitions_are_handed_over, a_member_gets_back_its_share, a_zombie_cannot_commit,
                a_group_reads_everything_once;
            positions: seek_goes_everywhere, offsets_that_are_not_there, pause_and_resume, ranges_and_timestamps;
            topics: topics_are_created_once, missing_topics_are_told, a_compacted_topic_keeps_the_newest;
        }
    };
}
pub(crate) use conformance;

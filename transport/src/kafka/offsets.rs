//! Offsets: what a partition holds, how far a group has committed.

use super::{Asks, Kafka, fault};
use crate::error::LogError;
use crate::record::TopicPartition;
use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use std::thread;
use std::time::{Duration, Instant};

/// The first offset, and the last stable one: nothing before it belongs to a transaction that is still open.
pub(super) fn range(kafka: &Kafka, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
    let what = format!("read the offsets of {partition}");
    kafka.ask(&Asks::Committed, &what, |client, timeout| {
        // The client reads committed records, so that the brokers answer with the last stable offset (ListOffsets, KIP-98).
        client.fetch_watermarks(&partition.topic, partition.partition, timeout)
    })
}

/// How long to wait for the markers of transactions that were committed when the question was asked.
const MARKERS: Duration = Duration::from_millis(500);

/// The same, and whatever was written before is in it. A commit is answered before its markers are in the partitions (KIP-98,
/// "the coordinator's WriteTxnMarkers"), so the last stable offset may be behind for a moment.
pub(super) fn settled_range(kafka: &Kafka, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
    let what = format!("read the offsets of {partition}");
    let (_, written) = kafka.ask(&Asks::Uncommitted, &what, |client, timeout| {
        client.fetch_watermarks(&partition.topic, partition.partition, timeout)
    })?;
    let deadline = Instant::now() + MARKERS;
    let mut wait = Duration::from_millis(2);
    loop {
        let range = range(kafka, partition)?;
        if range.1 >= written || Instant::now() >= deadline {
            return Ok(range);
        }
        thread::sleep(wait);
        wait = (wait * 2).min(MARKERS / 5);
    }
}

/// Sees that a partition holds this offset, or ends there.
pub(super) fn check(kafka: &Kafka, partition: &TopicPartition, wanted: i64) -> Result<(), LogError> {
    let holds = |range: (i64, i64)| (range.0..=range.1).contains(&wanted);
    if holds(range(kafka, partition)?) {
        return Ok(());
    }
    let range = settled_range(kafka, partition)?;
    if holds(range) { Ok(()) } else { Err(fault::out_of_range(partition, range, wanted)) }
}

/// An offset that is one.
pub(super) fn known(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// What a group has committed.
pub(super) fn committed(
    kafka: &Kafka,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Vec<Option<i64>>, LogError> {
    ask_group(kafka, group, partitions, |element| element.and_then(|element| known(element.offset())))
}

/// The notes that were committed with the offsets; empty where there is none.
pub(super) fn notes(kafka: &Kafka, group: &str, partitions: &[TopicPartition]) -> Result<Vec<String>, LogError> {
    ask_group(kafka, group, partitions, |element| {
        element.map_or_else(String::new, |element| element.metadata().to_owned())
    })
}

/// Waits for transactions that are being decided (KIP-447), but not longer than a request may take.
fn ask_group<T>(
    kafka: &Kafka,
    group: &str,
    partitions: &[TopicPartition],
    take: impl Fn(Option<&TopicPartitionListElem<'_>>) -> T,
) -> Result<Vec<T>, LogError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let what = format!("read what the group `{group}` has committed");
    kafka.ask(&Asks::Group(group.to_owned()), &what, |client, timeout| {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        let answer = client.committed_offsets(list, timeout)?;
        partitions
            .iter()
            .map(|partition| {
                let element = answer.find_partition(&partition.topic, partition.partition);
                element.as_ref().map_or(Ok(()), TopicPartitionListElem::error)?;
                Ok(take(element.as_ref()))
            })
            .collect()
    })
}

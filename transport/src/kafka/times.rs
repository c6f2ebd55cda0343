//! Where a time is in a partition.

use super::context::QueryContext;
use super::{Asks, Kafka, offsets};
use crate::error::LogError;
use crate::record::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long records are looked at for the first one that is late enough.
const LOOK: Duration = Duration::from_secs(5);
/// The group of the consumer that looks; it commits nothing.
const GROUP: &str = "tradewind.times";

/// The first offset whose record has this time or a later one; the end where there is none. Brokers keep milliseconds, so the
/// time is cut to those.
///
/// Brokers find a place that is early enough, yet it may be the marker of a transaction, which has the time of the broker's clock
/// (`ListOffsets` looks at batches, control batches are such). So the records from there are looked at. Where that takes too long
/// the offset is one before which there is no such record.
pub(super) fn offset_at(kafka: &Kafka, partition: &TopicPartition, timestamp: i64) -> Result<i64, LogError> {
    let wanted = timestamp.div_euclid(1_000).max(0);
    let (_, end) = offsets::settled_range(kafka, partition)?;
    let what = format!("look for a time in {partition}");
    let found = kafka.ask(&Asks::Committed, &what, |client, timeout| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(wanted))?;
        let answer = client.offsets_for_times(list, timeout)?;
        let elements = answer.elements();
        let Some(element) = elements.first() else { return Ok(None) };
        element.error()?;
        Ok(offsets::known(element.offset()))
    })?;
    match found {
        Some(found) if found < end => look(kafka, partition, found..end, wanted),
        _ => Ok(end),
    }
}

fn look(kafka: &Kafka, partition: &TopicPartition, range: std::ops::Range<i64>, wanted: i64) -> Result<i64, LogError> {
    let unusable = |error: KafkaError| LogError::Settings(format!("the settings for Kafka cannot work: {error}"));
    let mut config = kafka.settings().consumer(GROUP, None)?;
    let consumer: BaseConsumer<QueryContext> =
        config.set("enable.partition.eof", "true").create_with_context(QueryContext::default()).map_err(unusable)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(range.start)).map_err(unusable)?;
    consumer.assign(&list).map_err(unusable)?;
    let deadline = Instant::now() + LOOK;
    let mut next = range.start;
    while next < range.end && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.timestamp().to_millis().is_some_and(|time| time >= wanted) => {
                return Ok(message.offset().min(range.end));
            }
            Some(Ok(message)) => next = message.offset() + 1,
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(range.end),
            Some(Err(error)) => tracing::debug!(%partition, %error, "looking for a time"),
            None => {}
        }
    }
    Ok(if next < range.end { next } else { range.end })
}

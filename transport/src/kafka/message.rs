//! Messages of librdkafka as records of ours.

use crate::record::{Batch, Header, Received, Record, TopicPartition};
use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use std::panic::{self, AssertUnwindSafe};

/// Stands for the headers of a record whose names are not UTF-8, which Kafka asks of them.
const UNREADABLE: &str = "tradewind.headers.unreadable";

/// The batch of this message's partition.
pub(super) fn batch_of<'a>(batches: &'a mut Vec<Batch>, message: &BorrowedMessage<'_>) -> &'a mut Batch {
    let is_of = |batch: &Batch| batch.from.partition == message.partition() && *batch.from.topic == *message.topic();
    let place = batches.iter().rposition(is_of).unwrap_or_else(|| {
        let from = TopicPartition::new(message.topic(), message.partition());
        batches.push(Batch { from, records: Vec::new(), next: 0 });
        batches.len() - 1
    });
    &mut batches[place]
}

/// A copy of the message.
pub(super) fn take(message: &BorrowedMessage<'_>) -> Received {
    let unreadable = |_| vec![Header { name: UNREADABLE.to_owned(), value: Bytes::new() }];
    // `rdkafka` panics at a name that is not UTF-8, and whoever may write to a topic can send one.
    let headers = panic::catch_unwind(AssertUnwindSafe(|| headers(message))).unwrap_or_else(unreadable);
    let record = Record {
        key: message.key().map(Bytes::copy_from_slice),
        headers,
        value: message.payload().map_or_else(Bytes::new, Bytes::copy_from_slice),
        timestamp: message.timestamp().to_millis().unwrap_or_default().saturating_mul(1_000),
    };
    Received { offset: message.offset(), record }
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let header = |header: rdkafka::message::Header<'_, &[u8]>| Header {
        name: header.key.to_owned(),
        value: header.value.map_or_else(Bytes::new, Bytes::copy_from_slice),
    };
    headers.iter().map(header).collect()
}

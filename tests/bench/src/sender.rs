//! A producer of its own that writes lines straight into the topic of raw records, as any program with a Kafka client can. What
//! the lines are is not known here.

use anyhow::Context;
use bytes::Bytes;
use tradewind_model::{Clock, SystemClock};
use tradewind_transport::envelope::RawEnvelope;
use tradewind_transport::kafka::{Kafka, KafkaSettings};
use tradewind_transport::{Log, Outgoing, Producer, TopicPartition};

/// Prefix of all topics, as the service has it by default.
pub(crate) const TOPIC_PREFIX: &str = "tradewind";
/// Partitions of the topics of raw records and of flows, as the service makes them by default.
pub(crate) const PARTITIONS: i32 = 4;

/// The log, as a client beside the service sees it.
///
/// # Errors
/// Settings that cannot work.
pub(crate) fn connect(brokers: &str) -> anyhow::Result<Kafka> {
    let settings = KafkaSettings {
        brokers: vec![brokers.to_owned()],
        client_id: "bench".to_owned(),
        note_writes: false,
        linger_ms: 0,
        ..KafkaSettings::default()
    };
    Kafka::connect(&settings).context("failed to connect to Kafka")
}

/// A partition of one of the service's topics.
pub(crate) fn partition(topic: &str, number: i32) -> TopicPartition {
    TopicPartition::new(format!("{TOPIC_PREFIX}.{topic}").as_str(), number)
}

/// Writes raw records.
#[derive(Debug)]
pub(crate) struct Sender {
    producer: Box<dyn Producer>,
}

impl Sender {
    /// # Errors
    /// When Kafka does not answer.
    pub(crate) fn new(kafka: &Kafka) -> anyhow::Result<Self> {
        Ok(Self { producer: kafka.producer("bench").context("failed to make a producer")? })
    }

    /// Writes a record of lines into each raw partition, and says when the records were made: microseconds since 1970. They are
    /// durable when it returns.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub(crate) fn write(&mut self, texts: Vec<Vec<u8>>) -> anyhow::Result<i64> {
        let now = SystemClock.now();
        let envelope = RawEnvelope {
            observer: Some("bench".to_owned()),
            format: Some("aws_vpc".to_owned()),
            received_time: Some(now),
            ..RawEnvelope::default()
        };
        let records = (0..PARTITIONS).zip(texts).filter(|(_, text)| !text.is_empty());
        let outgoing = records.map(|(number, text)| Outgoing {
            to: partition("raw", number),
            record: envelope.record(Bytes::from(text), now),
        });
        self.producer.write(outgoing.collect(), None).context("failed to write raw records")?;
        Ok(now)
    }
}

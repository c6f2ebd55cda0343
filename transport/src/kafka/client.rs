//! A transactional client of librdkafka: one for each name of a producer and each largest batch.

use super::context::{Troubles, log};
use super::fault::Attempt;
use super::transaction::{Failure, failure};
use super::{Compression, Kafka, is_refusal};
use crate::error::LogError;
use crate::record::{Record, TopicPartition};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long reports of delivery are waited for at a time.
const FLUSH_POLL_MIN: Duration = Duration::from_millis(1);
const FLUSH_POLL_MAX: Duration = Duration::from_millis(100);
/// How long one call into librdkafka may block before its events are served.
pub(super) const STEP: Duration = Duration::from_secs(1);

/// What librdkafka calls back.
#[derive(Debug, Default)]
pub(super) struct WriterContext {
    troubles: Troubles,
    /// The first record of the transaction that was not delivered.
    undelivered: Mutex<Option<Undelivered>>,
}

/// A record that the brokers did not take.
#[derive(Debug)]
struct Undelivered {
    error: KafkaError,
    to: TopicPartition,
}

impl ClientContext for WriterContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.error(&error, reason);
    }
}

impl ProducerContext for WriterContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else { return };
        let is_purged = matches!(error.rdkafka_error_code(), Some(Code::PurgeQueue | Code::PurgeInflight));
        if !is_purged {
            let to = TopicPartition::new(message.topic(), message.partition());
            let mut first = self.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| Undelivered { error: error.clone(), to });
        }
    }
}

/// The client. Its transaction is aborted, or it is dropped, before another one begins.
pub(super) struct Client {
    producer: BaseProducer<WriterContext>,
    kafka: Kafka,
    name: String,
    /// Bytes of the largest batch.
    pub(super) batch_bytes: usize,
}

impl Client {
    /// Takes the place of any other producer of this name: finishes or undoes what that had begun.
    pub(super) fn open(
        kafka: &Kafka,
        name: &str,
        compression: Compression,
        batch_bytes: usize,
        within: Duration,
    ) -> Result<Self, LogError> {
        let producer = kafka
            .settings()
            .producer(name, compression, batch_bytes)?
            .create_with_context(WriterContext::default())
            .map_err(|error| LogError::Settings(format!("the settings for Kafka cannot work: {error}")))?;
        let client = Self { producer, kafka: kafka.clone(), name: name.to_owned(), batch_bytes };
        let start = Instant::now();
        loop {
            let error = match client.producer.init_transactions(STEP) {
                Ok(()) => return Ok(client),
                Err(error) => error,
            };
            client.producer.poll(Duration::ZERO);
            let trouble = client.trouble(start);
            let may_retry = matches!(&error, KafkaError::Transaction(error) if error.is_retriable());
            if !may_retry || start.elapsed() >= within || trouble.is_some_and(|trouble| is_refusal(trouble.code)) {
                return Err(client.failed(&error, start));
            }
        }
    }

    fn trouble(&self, since: Instant) -> Option<super::context::Trouble> {
        self.producer.context().troubles.after(since)
    }

    /// The error for the caller, with what the connections suffered since then.
    pub(super) fn failed(&self, error: &KafkaError, since: Instant) -> LogError {
        let what = format!("write as `{}`", self.name);
        Attempt { settings: self.kafka.settings(), what, trouble: self.trouble(since) }.failed(error)
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        self.undelivered().take();
        self.producer.begin_transaction().map_err(failure)
    }

    fn undelivered(&self) -> std::sync::MutexGuard<'_, Option<Undelivered>> {
        self.producer.context().undelivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a record to librdkafka, waiting while its queue is full.
    pub(super) fn send(&self, to: &TopicPartition, record: &Record, deadline: Instant) -> Result<(), Failure> {
        let mut message = BaseRecord::<[u8], [u8]>::to(&to.topic)
            .partition(to.partition)
            // Zero would mean now.
            .timestamp(record.timestamp.div_euclid(1_000).max(1));
        if let Some(key) = &record.key {
            message = message.key(key);
        }
        // In a compacted topic a record without a value removes its key, one with an empty value does not.
        if !record.value.is_empty() {
            message = message.payload(&record.value);
        }
        if !record.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            message = message.headers(record.headers.iter().fold(headers, |headers, header| {
                headers.insert(Header { key: &header.name, value: Some(header.value.as_ref()) })
            }));
        }
        loop {
            let Err((error, back)) = self.producer.send(message) else { return Ok(()) };
            if matches!(error.rdkafka_error_code(), Some(Code::UnknownPartition | Code::UnknownTopic)) {
                let detail = format!(
                    "there is no {to} on Kafka at {} ({error}); create the topic with `tradewind topics create`, with as many \
                     partitions as are needed",
                    self.kafka.settings().place()
                );
                return Err(Failure::Record(LogError::Topics { detail }));
            }
            let failure = failure(error);
            if !matches!(failure, Failure::Again(_)) || Instant::now() >= deadline {
                return Err(failure);
            }
            message = back;
            self.producer.poll(Duration::from_millis(10));
        }
    }

    /// Waits until all records are with the brokers.
    pub(super) fn flush(&self, deadline: Instant) -> Result<(), Failure> {
        let (start, deadline) = (Instant::now(), deadline.max(Instant::now() + STEP));
        // Short steps, since a poll of the base producer lasts as long as it is told, also where all is delivered after a
        // millisecond; longer ones where it takes long, as while the brokers are away.
        let mut flushed = self.producer.flush(Duration::ZERO);
        while matches!(flushed, Err(KafkaError::Flush(Code::OperationTimedOut))) && Instant::now() < deadline {
            self.producer.poll((start.elapsed() / 8).clamp(FLUSH_POLL_MIN, FLUSH_POLL_MAX));
            flushed = self.producer.flush(Duration::ZERO);
        }
        match self.undelivered().take() {
            Some(Undelivered { error, to }) => Err(undelivered(error, to)),
            None => flushed.map_err(Failure::Abort),
        }
    }

    /// Adds what the records were made of.
    pub(super) fn add_offsets(
        &self,
        offsets: &rdkafka::TopicPartitionList,
        member: &rdkafka::consumer::ConsumerGroupMetadata,
        deadline: Instant,
    ) -> Result<(), Failure> {
        self.repeat(deadline, |producer| producer.send_offsets_to_transaction(offsets, member, STEP))
    }

    /// Commits. [`Failure::Again`]: the answer did not come in time, so nobody knows.
    pub(super) fn commit(&self, deadline: Instant) -> Result<(), Failure> {
        self.repeat(deadline, |producer| producer.commit_transaction(STEP))
    }

    /// Undoes the transaction. librdkafka throws away what was not sent and waits for the reports of what was, which only a poll
    /// takes in; hence the short steps. What is under way must not be purged: the numbers of its batches would be skipped.
    pub(super) fn abort(&self, deadline: Instant) -> Result<(), Failure> {
        self.repeat(deadline, |producer| producer.abort_transaction(STEP / 10))
    }

    fn repeat(
        &self,
        deadline: Instant,
        step: impl Fn(&BaseProducer<WriterContext>) -> Result<(), KafkaError>,
    ) -> Result<(), Failure> {
        loop {
            let Err(error) = step(&self.producer) else { return Ok(()) };
            self.producer.poll(Duration::ZERO);
            let failure = failure(error);
            if !matches!(failure, Failure::Again(_)) || Instant::now() >= deadline {
                return Err(failure);
            }
        }
    }
}

/// What it means that a record was not delivered.
fn undelivered(error: KafkaError, to: TopicPartition) -> Failure {
    match error.rdkafka_error_code() {
        Some(Code::InvalidRecord) => {
            let detail = format!("{error}; in a compacted topic each record needs a key");
            Failure::Record(LogError::Record { to, detail })
        }
        Some(Code::InvalidTimestamp) => {
            let detail = format!(
                "{error}; the clocks of this machine and of the brokers differ by more than the topic's \
                 `message.timestamp.before.max.ms` or `message.timestamp.after.max.ms` allow"
            );
            Failure::Record(LogError::Record { to, detail })
        }
        _ => failure(error),
    }
}

//! Writes to topics of others: idempotent, acknowledged by all replicas, without transactions, with an answer for each record. It
//! is no [`crate::Producer`]: records travel whole or not at all, and what was not acknowledged may be there all the same.

use super::context::{Trouble, Troubles, log};
use super::fault::Attempt;
use super::{Kafka, KafkaSettings, admin};
use crate::error::LogError;
use crate::record::{Record, TopicPartition};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a batch takes beside its records (Kafka protocol, record batch v2: 61 bytes), and room for that to grow.
const BATCH_BYTES: usize = 256;
/// The largest batch that is worth making; the brokers' default limit is 1,048,588.
const BATCH_BYTES_MAX: usize = 1_000_000;
/// How long reports are waited for at a time.
const POLL_MIN: Duration = Duration::from_millis(1);
const POLL_MAX: Duration = Duration::from_millis(50);
/// Reports come this much later than the time after which librdkafka gives a record up: it looks once a second.
const REPORT_WITHIN: Duration = Duration::from_millis(1_500);
/// Events that are served before a write begins, so that what was wrong earlier is not told as the cause of what is now.
const EVENTS_SERVED: usize = 64;

/// Where a record lies: partition and offset.
pub type Placed = (i32, i64);
type Report = Result<Placed, KafkaError>;

/// What librdkafka calls back.
#[derive(Debug, Default)]
struct Reports {
    troubles: Troubles,
    /// By the number that a record was handed over with.
    by_number: Mutex<HashMap<usize, Report>>,
}

impl Reports {
    fn by_number(&self) -> MutexGuard<'_, HashMap<usize, Report>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let report = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        self.by_number().insert(number, report);
    }
}

/// Writes to topics of others. Calls block the caller.
pub struct Outlet {
    kafka: Kafka,
    within: Duration,
    client: Option<BaseProducer<Reports>>,
    /// Bytes of a batch of each topic; none where it may not be asked.
    limits: HashMap<String, Option<usize>>,
    next: usize,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outlet").field("kafka", &self.kafka).finish_non_exhaustive()
    }
}

impl Outlet {
    /// Makes a client. No broker is asked yet. `within` is how long the brokers may take to acknowledge a record.
    ///
    /// # Errors
    /// Settings that cannot work, each with what to do.
    pub fn open(settings: &KafkaSettings, within: Duration) -> Result<Self, LogError> {
        let kafka = Kafka::connect(settings)?;
        let mut outlet = Self { kafka, within, client: None, limits: HashMap::new(), next: 0 };
        outlet.client = Some(outlet.connect()?);
        Ok(outlet)
    }

    fn connect(&self) -> Result<BaseProducer<Reports>, LogError> {
        let config = self.kafka.settings().outlet(self.within, BATCH_BYTES_MAX)?;
        config
            .create_with_context(Reports::default())
            .map_err(|error| LogError::Settings(format!("the settings for Kafka cannot work: {error}")))
    }

    /// Bytes that a record of this topic may have, key and headers included; none where the brokers do not say.
    ///
    /// # Errors
    /// There is no such topic, or the brokers cannot be reached.
    pub fn record_bytes_max(&mut self, topic: &str) -> Result<Option<usize>, LogError> {
        if let Some(known) = self.limits.get(topic) {
            return Ok(*known);
        }
        let known = admin::topics(&self.kafka, &[topic])?.into_iter().next();
        let Some(known) = known else { return Err(self.missing(topic, "it is not among the topics")) };
        let limit = known.message_bytes_max.map(|bytes| bytes.saturating_sub(BATCH_BYTES));
        self.limits.insert(topic.to_owned(), limit);
        Ok(limit)
    }

    /// Writes records. One answer for each, in their order: where it lies, once all replicas that are in sync have it, or why it is
    /// not acknowledged. [`LogError::Record`]: it cannot be written, however often it is tried. After any other error it may be
    /// there all the same.
    pub fn write(&mut self, topic: &str, records: &[Record]) -> Vec<Result<Placed, LogError>> {
        let start = Instant::now();
        let deadline = start + self.within + REPORT_WITHIN;
        let together: Vec<&Record> = records.iter().collect();
        let mut reports = self.send(topic, &together, deadline);
        // That a batch is too large says nothing of each of its records.
        let is_too_large = |report: &Report| report.as_ref().err().is_some_and(is_too_large);
        if records.len() > 1 && reports.iter().any(is_too_large) {
            for (record, report) in records.iter().zip(&mut reports).filter(|(_, report)| is_too_large(report)) {
                *report = self.send(topic, &[record], deadline).pop().unwrap_or_else(|| Err(timed_out()));
            }
        }
        let trouble = self.client.as_ref().and_then(|client| client.context().troubles.after(start));
        if reports.iter().any(Result::is_err) {
            // What was known of the topic may be what was wrong.
            self.limits.clear();
        }
        let has_failed = self.client.as_ref().is_some_and(|client| client.client().fatal_error().is_some());
        if has_failed || reports.iter().flat_map(|report| report.as_ref().err()).any(is_lost) {
            self.client = None;
        }
        let told = |report: Report| report.map_err(|error| self.told(topic, &error, trouble.clone()));
        reports.into_iter().map(told).collect()
    }

    /// Hands records over and waits for the reports.
    fn send(&mut self, topic: &str, records: &[&Record], deadline: Instant) -> Vec<Report> {
        let client = match self.client.take().map_or_else(|| self.connect(), Ok) {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!(%error, "no client for Kafka");
                return records.iter().map(|_| Err(timed_out())).collect();
            }
        };
        client.context().by_number().clear();
        for _ in 0..EVENTS_SERVED {
            client.poll(Duration::ZERO);
        }
        let first = self.next;
        self.next = first.wrapping_add(records.len());
        for (place, record) in records.iter().enumerate() {
            let number = first.wrapping_add(place);
            if let Err(error) = hand_over(&client, topic, number, record, deadline) {
                client.context().by_number().insert(number, Err(error));
            }
        }
        let start = Instant::now();
        while client.context().by_number().len() < records.len() && Instant::now() < deadline {
            client.poll((start.elapsed() / 8).clamp(POLL_MIN, POLL_MAX));
        }
        let mut reports = std::mem::take(&mut *client.context().by_number());
        let mut report = |place| reports.remove(&first.wrapping_add(place)).unwrap_or_else(|| Err(timed_out()));
        let reports = (0..records.len()).map(&mut report).collect();
        self.client = Some(client);
        reports
    }

    fn told(&self, topic: &str, error: &KafkaError, trouble: Option<Trouble>) -> LogError {
        let refused = |detail: String| LogError::Record { to: TopicPartition::new(topic, -1), detail };
        match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) => {
                refused(format!("{error}: raise the topic's `max.message.bytes`"))
            }
            Some(Code::InvalidRecord) => refused(format!("{error}; in a compacted topic each record needs a key")),
            Some(Code::InvalidTimestamp) => refused(format!(
                "{error}; it is older or newer than the topic's `message.timestamp.before.max.ms` or \
                 `message.timestamp.after.max.ms` allow"
            )),
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                self.missing(topic, &error.to_string())
            }
            _ => {
                let what = format!("write to topic `{topic}`");
                Attempt { settings: self.kafka.settings(), what, trouble }.failed(error)
            }
        }
    }

    fn missing(&self, topic: &str, said: &str) -> LogError {
        let place = self.kafka.settings().place();
        let detail = format!(
            "there is no topic `{topic}` on Kafka at {place} ({said}): create it, or allow this client to see it and write to it"
        );
        LogError::Topics { detail }
    }
}

fn hand_over(
    client: &BaseProducer<Reports>,
    topic: &str,
    number: usize,
    record: &Record,
    deadline: Instant,
) -> Result<(), KafkaError> {
    let mut message = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, number)
        // Zero would mean now.
        .timestamp(record.timestamp.div_euclid(1_000).max(1))
        .payload(&record.value);
    if let Some(key) = &record.key {
        message = message.key(key);
    }
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    message = message.headers(record.headers.iter().fold(headers, |headers, header| {
        headers.insert(Header { key: &header.name, value: Some(header.value.as_ref()) })
    }));
    loop {
        let Err((error, back)) = client.send(message) else { return Ok(()) };
        if error.rdkafka_error_code() != Some(Code::QueueFull) || Instant::now() >= deadline {
            return Err(error);
        }
        message = back;
        client.poll(POLL_MAX);
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge))
}

/// Records may still be on their way: only a new client surely sends none of them any more.
fn is_lost(error: &KafkaError) -> bool {
    !is_too_large(error)
}

const fn timed_out() -> KafkaError {
    KafkaError::MessageProduction(Code::MessageTimedOut)
}

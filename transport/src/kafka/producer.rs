//! Writes to Kafka: one write is one transaction, all of it visible at once or never.
//!
//! What a write answers:
//! - `Ok`: committed.
//! - `Aborted` or `Unreachable` (kind `Retry`): not committed. The one exception says so: the answer to a commit did not come, and
//!   neither did the brokers come back within twice the time of a transaction. Whether it was committed is then decided by the
//!   next client of this name, when it takes its place; a stage that begins again from what is committed is right either way.
//! - `Fenced`: another producer of this name has the place, or another member that of the inputs' one.

use super::client::{Client, STEP};
use super::transaction::{Failure, noted_offsets};
use super::{Asks, Compression, Kafka, KafkaMember, offsets};
use crate::error::LogError;
use crate::log::{Membership, MembershipToken, Producer};
use crate::parts;
use crate::record::{Inputs, Outgoing, Record, TopicPartition};
use crate::topic::Cleanup;
use rdkafka::consumer::{Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What a batch takes beside its records: its header (Kafka protocol, record batch v2: 61 bytes), and room for that to grow.
const BATCH_BYTES: usize = 256;
/// The largest batch that is worth making; the brokers' default limit is 1,048,588.
const BATCH_BYTES_MAX: usize = 1_000_000;
/// The limit where a topic does not tell its own.
const LIMIT_UNKNOWN: usize = 1_000_000;

/// How long a consumer may take to find out that another one has its name: it asks every three seconds.
const REPLACED_WITHIN: Duration = Duration::from_secs(7);

/// What a topic takes.
#[derive(Clone, Copy, Debug)]
struct TopicLimit {
    /// Bytes of a batch.
    bytes: usize,
    /// Only the newest record of a key stays, so parts cannot travel in it.
    is_compacted: bool,
}

/// What one transaction is recognised by afterwards.
struct Mark<'a> {
    group: &'a str,
    inputs: Inputs,
    member: KafkaMember,
    metadata: Arc<ConsumerGroupMetadata>,
    note: String,
}

/// A write did not succeed.
enum Outcome {
    /// For the caller.
    Told(LogError),
    /// Try once more, with limits read anew.
    TooLarge(KafkaError),
    /// The answer to the commit did not come.
    Unknown(KafkaError),
}

/// Writes to Kafka in transactions.
pub(super) struct KafkaProducer {
    kafka: Kafka,
    name: String,
    compression: Compression,
    client: Option<Client>,
    limits: HashMap<Arc<str>, TopicLimit>,
    fenced: Option<String>,
}

impl fmt::Debug for KafkaProducer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaProducer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl KafkaProducer {
    pub(super) fn open(kafka: &Kafka, name: &str, compression: Compression) -> Result<Self, LogError> {
        let within = kafka.settings().request_timeout();
        let client = Client::open(kafka, name, compression, BATCH_BYTES_MAX, within)?;
        Ok(Self {
            kafka: kafka.clone(),
            name: name.to_owned(),
            compression,
            client: Some(client),
            limits: HashMap::new(),
            fenced: None,
        })
    }

    fn aborted(&self, detail: impl fmt::Display) -> LogError {
        LogError::Aborted { producer: self.name.clone(), detail: detail.to_string() }
    }

    fn fenced(&self, detail: impl fmt::Display) -> LogError {
        LogError::Fenced { who: self.name.clone(), detail: detail.to_string() }
    }

    /// Learns what the topics of these records take.
    fn learn_limits(&mut self, records: &[Outgoing]) -> Result<(), LogError> {
        let mut unknown: Vec<&str> = records
            .iter()
            .map(|outgoing| &*outgoing.to.topic)
            .filter(|topic| !self.limits.contains_key(*topic))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let known = super::admin::topics(&self.kafka, &unknown)?;
        let missing: Vec<&str> =
            unknown.iter().filter(|name| !known.iter().any(|topic| topic.name == **name)).copied().collect();
        if !missing.is_empty() {
            return Err(LogError::Topics {
                detail: format!(
                    "there is no topic {} on Kafka at {}; create it with `tradewind topics create`",
                    missing.join(", "),
                    self.kafka.settings().place()
                ),
            });
        }
        for topic in known {
            let limit = TopicLimit {
                bytes: topic.message_bytes_max.unwrap_or(LIMIT_UNKNOWN),
                is_compacted: topic.cleanup == Some(Cleanup::Compact),
            };
            self.limits.insert(topic.name.into(), limit);
        }
        Ok(())
    }

    /// The client, made anew where there is none or where its batches would be too large for a topic.
    fn client(&mut self) -> Result<&Client, LogError> {
        let smallest = self.limits.values().map(|limit| limit.bytes.saturating_sub(BATCH_BYTES)).min();
        let batch_bytes = smallest.unwrap_or(BATCH_BYTES_MAX).clamp(1, BATCH_BYTES_MAX);
        if self.client.as_ref().is_some_and(|client| client.batch_bytes > batch_bytes) {
            self.client = None;
        }
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let within = self.kafka.settings().transaction_timeout();
                Client::open(&self.kafka, &self.name, self.compression, batch_bytes, within)?
            }
        };
        Ok(self.client.insert(client))
    }

    /// What the transaction commits beside its records. One without inputs commits a note of itself for a group of its own, since
    /// nothing else tells afterwards whether it was committed.
    fn mark<'a>(
        &self,
        records: &[Outgoing],
        inputs: Option<(&Inputs, &'a Membership)>,
        own_group: &'a str,
    ) -> Result<Option<Mark<'a>>, LogError> {
        let note = format!("tradewind:{}", Uuid::now_v7());
        if let Some((inputs, membership)) = inputs {
            let MembershipToken::Kafka(member) = &membership.token else {
                return Err(LogError::Settings("the inputs are of another log than the producer".to_owned()));
            };
            let Some(metadata) = member.metadata.clone() else {
                return Err(self.aborted("the consumer of the inputs has no partitions yet"));
            };
            let (group, member) = (membership.group.as_str(), member.clone());
            return Ok(Some(Mark { group, inputs: inputs.clone(), member, metadata, note }));
        }
        let Some(first) = records.first().filter(|_| self.kafka.settings().note_writes) else { return Ok(None) };
        let asks = self.kafka.inner.client(&Asks::Group(own_group.to_owned()))?;
        let Some(metadata) = asks.group_metadata().map(Arc::new) else { return Ok(None) };
        let member = KafkaMember { metadata: None, fate: Weak::new(), assignment: 0 };
        let inputs = Inputs { next: vec![(first.to.clone(), 0)] };
        Ok(Some(Mark { group: own_group, inputs, member, metadata, note }))
    }

    /// One transaction.
    fn transact(&mut self, records: &[Outgoing], mark: Option<&Mark<'_>>) -> Result<(), Outcome> {
        let start = Instant::now();
        let deadline = start + self.kafka.settings().transaction_timeout();
        self.client().map_err(Outcome::Told)?;
        let limits = &self.limits;
        let Some(client) = &self.client else { return Err(Outcome::Told(self.aborted("there is no client"))) };
        let written = client.begin().and_then(|()| {
            for Outgoing { to, record } in records {
                let limit =
                    limits.get(&to.topic).copied().unwrap_or(TopicLimit { bytes: LIMIT_UNKNOWN, is_compacted: false });
                send(client, to, record, limit, deadline)?;
            }
            client.flush(deadline)?;
            if let Some(mark) = mark {
                let offsets = noted_offsets(&mark.inputs, &mark.note).map_err(Failure::Abort)?;
                client.add_offsets(&offsets, &mark.metadata, deadline)?;
            }
            Ok(())
        });
        let committed = match written {
            // An answer that does not come before the commit leaves the transaction open, to be undone.
            Err(Failure::Again(error)) => Err(Failure::Abort(error)),
            Err(failure) => Err(failure),
            Ok(()) => match client.commit(deadline) {
                Err(Failure::Again(error)) => return Err(Outcome::Unknown(error)),
                // Whatever else renews the client after the commit was sent leaves open what became of it.
                Err(Failure::Renew(error)) => return Err(Outcome::Unknown(error)),
                result => result,
            },
        };
        let Err(failure) = committed else { return Ok(()) };
        let is_replaced = match (&failure, mark) {
            (Failure::MemberFenced(_), Some(mark)) => mark.member.is_replaced(REPLACED_WITHIN),
            _ => false,
        };
        Err(self.give_up(failure, is_replaced, start))
    }

    /// Undoes the transaction, so that the next one can begin.
    fn give_up(&mut self, failure: Failure, is_replaced: bool, start: Instant) -> Outcome {
        let Some(client) = &self.client else { return Outcome::Told(self.aborted("there is no client")) };
        let (outcome, keeps_client) = match failure {
            Failure::Fenced(error) => {
                self.fenced = Some(error.to_string());
                self.client = None;
                return Outcome::Told(self.fenced(error));
            }
            Failure::MemberFenced(error) if is_replaced => (Outcome::Told(self.fenced(error)), true),
            Failure::MemberFenced(error) | Failure::GenerationOver(error) => (Outcome::Told(self.aborted(error)), true),
            Failure::Record(error) => (Outcome::Told(error), true),
            Failure::TooLarge(error) => (Outcome::TooLarge(error), true),
            Failure::Renew(error) => (Outcome::Told(self.told(client, &error, start)), false),
            Failure::Abort(error) | Failure::Again(error) => (Outcome::Told(self.told(client, &error, start)), true),
        };
        // What was known of the topics may be what was wrong.
        self.limits.clear();
        let deadline = Instant::now() + self.kafka.settings().request_timeout().max(STEP);
        if !keeps_client || client.abort(deadline).is_err() {
            // The next client of this name undoes what this one leaves behind.
            self.client = None;
        }
        outcome
    }

    /// Errors that a person has to do something about are told as they are; the others are a transaction that was given up.
    fn told(&self, client: &Client, error: &KafkaError, start: Instant) -> LogError {
        match client.failed(error, start) {
            error @ (LogError::Refused { .. } | LogError::Topics { .. }) => error,
            LogError::Unreachable { what, detail } => self.aborted(format!("{what}: {detail}")),
            error => self.aborted(error),
        }
    }

    /// Finds out what became of a transaction whose commit was not answered. A new client of this name finishes it, whichever way
    /// it went; then its note is among what is committed, or it is not.
    fn decide(&mut self, mark: Option<&Mark<'_>>, error: &KafkaError) -> Result<(), LogError> {
        tracing::warn!(producer = self.name, %error, "the answer to a commit did not come; finding out what became of it");
        self.client = None;
        let name = self.name.clone();
        let unknown = |detail: String| LogError::Unreachable {
            what: format!("the commit of a transaction of `{name}`"),
            detail: format!(
                "{error}; {detail}; whether it was committed is decided when the brokers can be reached again"
            ),
        };
        let Some(mark) = mark else { return Err(unknown("there is no note of it".to_owned())) };
        if let Err(error) = self.client() {
            return match error {
                LogError::Fenced { .. } => Err(error),
                error => Err(unknown(error.to_string())),
            };
        }
        let partitions: Vec<TopicPartition> = mark.inputs.next.iter().map(|(partition, _)| partition.clone()).collect();
        let notes = offsets::notes(&self.kafka, mark.group, &partitions).map_err(|error| unknown(error.to_string()))?;
        if notes.contains(&mark.note) {
            return Ok(());
        }
        Err(self.aborted(format!("{error}; it was undone")))
    }
}

/// Hands a record to the client, in parts where it is too large for its topic.
fn send(
    client: &Client,
    to: &TopicPartition,
    record: &Record,
    limit: TopicLimit,
    deadline: Instant,
) -> Result<(), Failure> {
    let refused = |detail: String| Failure::Record(LogError::Record { to: to.clone(), detail });
    if limit.is_compacted && record.key.is_none() {
        return Err(refused("it has no key, and its topic is compacted".to_owned()));
    }
    let (bytes, room) = (parts::record_bytes(record), limit.bytes.saturating_sub(BATCH_BYTES));
    if bytes <= room {
        return client.send(to, record, deadline);
    }
    if limit.is_compacted {
        let detail = "parts cannot travel in a compacted topic";
        return Err(refused(format!(
            "it has {bytes} bytes, its topic takes {room} (`max.message.bytes`), and {detail}"
        )));
    }
    let parts = parts::cut(record.clone(), room).map_err(|error| {
        refused(format!("{error}: raise the topic's `max.message.bytes`, which is {}", limit.bytes))
    })?;
    parts.iter().try_for_each(|part| client.send(to, part, deadline))
}

impl Producer for KafkaProducer {
    fn write(&mut self, records: Vec<Outgoing>, inputs: Option<(&Inputs, &Membership)>) -> Result<(), LogError> {
        if let Some(detail) = &self.fenced {
            return Err(self.fenced(detail));
        }
        let inputs = inputs.filter(|(inputs, _)| !inputs.next.is_empty());
        if records.is_empty() && inputs.is_none() {
            return Ok(());
        }
        let own_group = format!("{}.writes", self.name);
        let mut is_second = false;
        loop {
            self.learn_limits(&records)?;
            let mark = self.mark(&records, inputs, &own_group)?;
            match self.transact(&records, mark.as_ref()) {
                Ok(()) => return Ok(()),
                Err(Outcome::Told(error)) => return Err(error),
                Err(Outcome::Unknown(error)) => return self.decide(mark.as_ref(), &error),
                Err(Outcome::TooLarge(error)) if is_second => {
                    let to = records.first().map_or_else(|| TopicPartition::new("", 0), |first| first.to.clone());
                    let detail = format!("{error}, though the topic's `max.message.bytes` allows it");
                    return Err(LogError::Record { to, detail });
                }
                Err(Outcome::TooLarge(_)) => {
                    is_second = true;
                    self.limits.clear();
                    self.client = None;
                }
            }
        }
    }
}

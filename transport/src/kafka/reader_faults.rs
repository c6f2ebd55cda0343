//! What librdkafka tells a reader of what is wrong: what the stage hears of it, and whether the reading goes on.

use super::reader::{Ended, Reader};
use super::{AGAIN_AFTER, fault, offsets};
use crate::error::{ErrorKind, LogError};
use crate::log::{Log, Subscription};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::thread;
use std::time::{Duration, Instant};

/// How long after a connection was lost the brokers are looked for, and how often after that.
const LOOK_FOR_BROKERS: Duration = Duration::from_secs(2);
/// How long a topic that was just made may be unknown to some brokers.
const UNKNOWN_TOPIC_GRACE: Duration = Duration::from_secs(10);

impl Reader {
    pub(super) fn fault(&mut self, error: &KafkaError) -> Result<(), Ended> {
        let Some(code) = error.rdkafka_error_code() else {
            tracing::warn!(consumer = self.who, %error, "kafka consumer error");
            return Ok(());
        };
        let what = format!("read as `{}`", self.who);
        match code {
            // Single connections come and go; whether any broker answers is another question.
            Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve | Code::OperationTimedOut => {
                tracing::debug!(consumer = self.who, %error, "kafka connection lost");
                self.look_for_brokers_at.get_or_insert_with(|| Instant::now() + LOOK_FOR_BROKERS);
            }
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => self.missing_topics()?,
            Code::AutoOffsetReset | Code::OffsetOutOfRange => self.lost_offset()?,
            code if fault::is_fenced(code) || matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                let detail = error.to_string();
                return Err(self.end(LogError::Fenced { who: self.who.clone(), detail }));
            }
            _ => match self.attempt(what).failed(error) {
                error if error.kind() == ErrorKind::Retry => {
                    tracing::warn!(consumer = self.who, %error, "kafka consumer error");
                }
                error => return Err(self.end(error)),
            },
        }
        Ok(())
    }

    /// Tells the stage when no broker can be reached: librdkafka does not, as long as it does not know where its group is.
    pub(super) fn look_for_brokers(&mut self) {
        let Some(at) = self.look_for_brokers_at.filter(|at| Instant::now() >= *at) else { return };
        let topic = match &self.subscription {
            Subscription::Group { topics, .. } => topics.first().map(String::as_str),
            Subscription::Assigned { partitions, .. } => partitions.first().map(|(partition, _)| &*partition.topic),
        };
        // By its own client: told of a cluster without brokers, as a single broker does while it starts, that one drops all that it
        // knows and never finds one again, nor says so (librdkafka issue 5301). The stage has to begin anew then.
        let found = self.consumer.fetch_metadata(topic, LOOK_FOR_BROKERS);
        let has_brokers = found.as_ref().is_ok_and(|found| !found.brokers().is_empty());
        self.look_for_brokers_at = (!has_brokers).then(|| at.max(Instant::now()) + LOOK_FOR_BROKERS);
        if let Err(error) = found {
            self.inbox.fail(self.attempt(format!("read as `{}`", self.who)).failed(&error));
        }
    }

    /// Topics that were just made are unknown to some brokers for a while.
    fn missing_topics(&self) -> Result<(), Ended> {
        let names: Vec<&str> = match &self.subscription {
            Subscription::Group { topics, .. } => topics.iter().map(String::as_str).collect(),
            Subscription::Assigned { partitions, .. } => partitions.iter().map(|(part, _)| &*part.topic).collect(),
        };
        let deadline = Instant::now() + UNKNOWN_TOPIC_GRACE;
        loop {
            let Ok(known) = self.kafka.topics(&names) else { return Ok(()) };
            let is_missing = |name: &&&str| !known.iter().any(|topic| topic.name == **name);
            let missing: Vec<&str> = names.iter().filter(is_missing).copied().collect();
            if missing.is_empty() || self.inbox.is_stopped() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let detail = format!(
                    "there is no topic {} on Kafka at {}; create it with `tradewind topics create`",
                    missing.join(", "),
                    self.kafka.settings().place()
                );
                return Err(self.end(LogError::Topics { detail }));
            }
            thread::sleep(AGAIN_AFTER * 5);
        }
    }

    /// An offset was forgotten before it was read. librdkafka does not say which; what the partitions hold does.
    fn lost_offset(&self) -> Result<(), Ended> {
        for (partition, next) in &self.next {
            match offsets::range(&self.kafka, partition) {
                Ok(range) if *next < range.0 || *next > range.1 => {
                    return Err(self.end(fault::out_of_range(partition, range, *next)));
                }
                Ok(_) => {}
                Err(error) => self.inbox.fail(error),
            }
        }
        Ok(())
    }
}

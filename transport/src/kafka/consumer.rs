//! The consumer as a stage sees it. The work is done by a thread of its own (`reader.rs`), behind the inbox.

use super::inbox::{Command, Inbox, SeekBy};
use super::member::MemberContext;
use super::reader::Reader;
use super::{Kafka, KafkaMember, offsets};
use crate::error::LogError;
use crate::log::{Consumer, Event, Membership, MembershipToken, Start, Subscription};
use crate::record::{Inputs, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How much longer than a request the stage waits for its thread.
const GRACE: Duration = Duration::from_secs(10);

/// Reads partitions of Kafka.
pub(super) struct KafkaConsumer {
    kafka: Kafka,
    group: String,
    /// Group and member, for messages.
    who: String,
    inbox: Arc<Inbox>,
    /// What commits are made for where there is no generation: partitions that are assigned by hand.
    unmanaged: Option<KafkaMember>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the stage that the thread died, which it could not tell from a log without news.
struct Ending {
    inbox: Arc<Inbox>,
    who: String,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if thread::panicking() {
            let detail = "its thread panicked".to_owned();
            self.inbox.end(LogError::Fenced { who: self.who.clone(), detail });
        }
    }
}

impl fmt::Debug for KafkaConsumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaConsumer").field("who", &self.who).finish_non_exhaustive()
    }
}

impl KafkaConsumer {
    pub(super) fn open(kafka: &Kafka, subscription: &Subscription) -> Result<Self, LogError> {
        let (group, member) = match subscription {
            Subscription::Group { group, member, .. } => (group, Some(member.as_str())),
            Subscription::Assigned { group, .. } => (group, None),
        };
        let who = member.map_or_else(|| group.clone(), |member| format!("{group}/{member}"));
        let consumer: BaseConsumer<MemberContext> = kafka
            .settings()
            .consumer(group, member)?
            .create_with_context(MemberContext::default())
            .map_err(|error| LogError::Settings(format!("the settings for Kafka cannot work: {error}")))?;
        let inbox = Arc::new(Inbox::default());
        let unmanaged = member.is_none().then(|| KafkaMember {
            metadata: consumer.group_metadata().map(Arc::new),
            fate: Arc::downgrade(&inbox),
            assignment: 0,
        });
        let reader = Reader::new(kafka.clone(), subscription.clone(), who.clone(), consumer, Arc::clone(&inbox));
        let thread = thread::Builder::new()
            .name("kafka consumer".to_owned())
            .spawn({
                let ending = Ending { inbox: Arc::clone(&inbox), who: who.clone() };
                move || {
                    let _ending = ending;
                    reader.run();
                }
            })
            .map_err(|error| LogError::Settings(format!("no thread for a consumer can be started: {error}")))?;
        Ok(Self { kafka: kafka.clone(), group: group.clone(), who, inbox, unmanaged, thread: Some(thread) })
    }

    fn ended(&self, detail: String) -> LogError {
        LogError::Fenced { who: self.who.clone(), detail: format!("this consumer has ended: {detail}") }
    }

    /// Has the thread do something, and waits for its answer.
    fn ask(&self, command: impl FnOnce(SyncSender<Result<(), LogError>>) -> Command) -> Result<(), LogError> {
        if let Some(detail) = self.inbox.ended() {
            return Err(self.ended(detail));
        }
        let (answer, answered) = mpsc::sync_channel(1);
        self.inbox.command(command(answer));
        let longest = self.kafka.settings().request_timeout() * 2 + GRACE;
        answered.recv_timeout(longest).unwrap_or_else(|error| match self.inbox.ended() {
            Some(detail) => Err(self.ended(detail)),
            None => Err(LogError::Unreachable {
                what: format!("the consumer `{}` on Kafka at {}", self.who, self.kafka.settings().place()),
                detail: format!("its thread does not answer: {error}"),
            }),
        })
    }

    fn not_held(&self, partition: &TopicPartition) -> LogError {
        LogError::Aborted {
            producer: self.who.clone(),
            detail: format!("{partition} is not this consumer's, or not any more"),
        }
    }
}

impl Consumer for KafkaConsumer {
    fn poll(&mut self, wait: Duration) -> Result<Event, LogError> {
        self.inbox
            .next(wait)
            .map_err(|error| error.unwrap_or_else(|| self.ended(self.inbox.ended().unwrap_or_default())))
    }

    fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<(), LogError> {
        let start = match start {
            Start::First | Start::Committed => start,
            // The end is that of now, not of when the reading begins.
            Start::End => Start::At(offsets::settled_range(&self.kafka, partition)?.1),
            Start::At(wanted) => {
                offsets::check(&self.kafka, partition, wanted)?;
                start
            }
        };
        match self.inbox.seek(partition, start) {
            SeekBy::Noted => Ok(()),
            SeekBy::Nobody => Err(self.not_held(partition)),
            SeekBy::Thread => self.ask(|answer| Command::Seek { partition: partition.clone(), start, answer }),
        }
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        self.inbox.pause(partitions);
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        self.inbox.resume(partitions);
    }

    fn commit(&mut self, inputs: &Inputs) -> Result<(), LogError> {
        if inputs.next.is_empty() {
            return Ok(());
        }
        if let Some((partition, _)) = inputs.next.iter().find(|_| !self.inbox.holds(inputs)) {
            return Err(self.not_held(partition));
        }
        self.ask(|answer| Command::Commit { inputs: inputs.clone(), answer })
    }

    fn membership(&self) -> Membership {
        let member = self.unmanaged.clone().or_else(|| self.inbox.member());
        let member =
            member.unwrap_or_else(|| KafkaMember { metadata: None, fate: Arc::downgrade(&self.inbox), assignment: 0 });
        Membership { group: self.group.clone(), token: MembershipToken::Kafka(member) }
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.inbox.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(consumer = self.who, "the consumer's thread panicked");
        }
    }
}

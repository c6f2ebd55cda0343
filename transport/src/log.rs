//! The log: what a stage can do with it, whichever it is.
//!
//! Calls block the caller, who has a thread of its own. Records become visible when they are durable and committed, and all
//! of one [`Producer::write`] at once; nobody reads what was not committed.

use crate::error::LogError;
use crate::record::{Batch, Inputs, Outgoing, TopicPartition};
use crate::topic::{TopicSpec, TopicState};
use std::fmt::Debug;
use std::time::Duration;

/// A log of partitions with offsets. Cheap to share.
pub trait Log: Debug + Send + Sync {
    /// The topics of these names that exist, in the order of the names.
    ///
    /// # Errors
    /// The log cannot be reached, or refuses.
    fn topics(&self, names: &[&str]) -> Result<Vec<TopicState>, LogError>;

    /// Creates a topic. One that is there stays as it is: false.
    ///
    /// # Errors
    /// The log cannot be reached, or refuses.
    fn create(&self, topic: &TopicSpec) -> Result<bool, LogError>;

    /// The first offset of a partition that can be read, and the one after the last committed record.
    ///
    /// # Errors
    /// The log cannot be reached, or there is no such partition.
    fn range(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError>;

    /// The first offset whose record has this timestamp (microseconds UTC) or a later one; the end where there is none.
    ///
    /// # Errors
    /// As [`Log::range`].
    fn offset_at(&self, partition: &TopicPartition, timestamp: i64) -> Result<i64, LogError>;

    /// Offsets that a group committed, in the order of the partitions; none where it committed none.
    ///
    /// # Errors
    /// The log cannot be reached.
    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError>;

    /// A consumer. It begins when it is first polled.
    ///
    /// # Errors
    /// Settings that cannot work; a log that is not reachable is told by [`Consumer::poll`].
    fn consumer(&self, subscription: &Subscription) -> Result<Box<dyn Consumer>, LogError>;

    /// A producer. Of two with one name the later fences the earlier: what the earlier writes afterwards fails with
    /// [`LogError::Fenced`], and what it had begun is undone.
    ///
    /// # Errors
    /// The log cannot be reached, or refuses.
    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError>;

    /// A producer of what is compressed already for the most part, so that the log spares itself doing it once more. Otherwise
    /// as [`Log::producer`].
    ///
    /// # Errors
    /// As [`Log::producer`].
    fn producer_of_compressed(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        self.producer(name)
    }
}

/// What a consumer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// A share of the partitions of some topics, divided among the members of a group. Begins where the group committed, else
    /// at the first record, until [`Consumer::seek`] says otherwise.
    Group {
        /// Name of the group.
        group: String,
        /// Name of this member: the same after a restart, so that it gets back what it had (static membership).
        member: String,
        /// The topics.
        topics: Vec<String>,
    },
    /// These partitions, with nobody else. The group is what [`Inputs`] are committed for.
    Assigned {
        /// Name of the group.
        group: String,
        /// Partitions and where to begin.
        partitions: Vec<(TopicPartition, Start)>,
    },
}

/// Where to begin reading a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record there is.
    First,
    /// After the last record there is when the reading begins.
    End,
    /// Where the group committed, else at the first record.
    Committed,
    /// At this offset; one that is not there any more is an error.
    At(i64),
}

/// What a consumer got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing within the time.
    Idle,
    /// Records of one partition.
    Batch(Batch),
    /// These partitions are this member's from now on, beside those it has. Comes once for [`Subscription::Assigned`].
    Assigned(Vec<TopicPartition>),
    /// These are not any more. Batches of them will not come, and what was taken in of them but not committed is another's.
    Revoked(Vec<TopicPartition>),
}

/// Reads partitions.
pub trait Consumer: Debug + Send {
    /// Waits for the next event, at most so long.
    ///
    /// # Errors
    /// An error of kind `Retry` means that the log cannot be reached at present: poll again. After any other the consumer is
    /// of no more use.
    fn poll(&mut self, wait: Duration) -> Result<Event, LogError>;

    /// Goes on from elsewhere in an assigned partition. No batch from before comes afterwards.
    ///
    /// # Errors
    /// An offset that is not there, a partition that is not assigned.
    fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<(), LogError>;

    /// Batches of these partitions do not come until [`Consumer::resume`]; the consumer stays in its group.
    fn pause(&mut self, partitions: &[TopicPartition]);

    /// Batches of these partitions come again.
    fn resume(&mut self, partitions: &[TopicPartition]);

    /// Commits how far the group is, outside of a transaction: for displays of lag, and for stages whose outputs say
    /// themselves what they cover.
    ///
    /// # Errors
    /// The log cannot be reached, or the partitions are another's by now.
    fn commit(&mut self, inputs: &Inputs) -> Result<(), LogError>;

    /// Who this consumer is in its group: lets a transaction be refused when its partitions are another's by now.
    fn membership(&self) -> Membership;
}

/// Names a consumer to the log it is of.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The group.
    pub group: String,
    /// What the log needs to know of the member.
    pub(crate) token: MembershipToken,
}

/// What each log knows a member by.
#[derive(Clone, Debug)]
pub(crate) enum MembershipToken {
    /// Kafka: metadata of the group, behind the consumer that it belongs to.
    Kafka(crate::kafka::KafkaMember),
    /// Embedded: number of the member and of the assignment.
    Embedded(crate::embedded::EmbeddedMember),
}

/// Writes records.
pub trait Producer: Debug + Send {
    /// Writes all of these or none, and, where they were made of inputs, commits those together with them. Returns when they
    /// are durable. An empty list with inputs commits the inputs. Records that are longer than the topic takes travel in parts.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Retry`]: nothing was written, nothing committed; the inputs may be another's by now, so begin again
    /// from what is committed. After [`crate::ErrorKind::Fenced`] the producer is of no more use.
    fn write(&mut self, records: Vec<Outgoing>, inputs: Option<(&Inputs, &Membership)>) -> Result<(), LogError>;
}

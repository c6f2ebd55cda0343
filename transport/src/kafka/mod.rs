//! The log on Apache Kafka, by librdkafka.
//!
//! - A write is one transaction; readers read what is committed. A name of a producer is its `transactional.id`.
//! - A member of a group is static (`group.instance.id`) and gets its share by the range assignor, which is eager: librdkafka's
//!   cooperative one loses offsets that are committed by hand.
//! - Commits carry the generation of the assignment that the stage has *seen*, so that a stage that did not notice yet that its
//!   partitions are another's cannot commit them.
//! - The end of [`Log::range`] is the last stable offset. Markers of transactions and records of undone ones take offsets of their
//!   own, so a reader that has read everything stands before that end: by one after a write, by more after one that was undone.
//!
//! What is absent: the format of what travels, and what stages do with it.

mod admin;
mod beginning;
mod client;
mod consumer;
mod context;
mod fault;
mod inbox;
mod member;
mod message;
mod offsets;
mod outlet;
mod producer;
mod properties;
mod reader;
mod reader_faults;
mod settings;
mod times;
mod transaction;

pub use outlet::{Outlet, Placed};
pub use settings::{Compression, KafkaSettings, SaslMechanism, SaslSettings, Secret, SecurityProtocol};

use crate::error::LogError;
use crate::log::{Consumer, Log, Producer, Subscription};
use crate::record::TopicPartition;
use crate::topic::{TopicSpec, TopicState};
use context::QueryContext;
use fault::Attempt;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long partitions may be unknown that are there: a broker that the controller took for dead while it stood still has no
/// leader for any partition until it is taken back, and metadata of that moment lack them.
const UNKNOWN_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait before a question is asked again that the brokers could not answer yet.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What a Kafka transaction needs to know of the consumer whose offsets it commits.
#[derive(Clone)]
pub(crate) struct KafkaMember {
    /// Group, member and generation, as of the assignment that the stage has seen; none before there was one.
    metadata: Option<Arc<ConsumerGroupMetadata>>,
    /// What became of the consumer since.
    fate: Weak<inbox::Inbox>,
    /// How many assignments there had been, this one among them.
    assignment: u64,
}

impl KafkaMember {
    /// Whether this member was replaced by another one of its name. A broker that was killed may have noted a member under a new
    /// number and died before it said so; then it says the same of a member that has replaced itself. The consumer finds out: it
    /// ends, or gets its partitions anew. Where it does not within `wait`, it was not replaced so far as it knows.
    fn is_replaced(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        loop {
            let Some(inbox) = self.fate.upgrade() else { return true };
            if inbox.ended().is_some() {
                return true;
            }
            if inbox.assignment() != self.assignment || Instant::now() >= deadline {
                return false;
            }
            drop(inbox);
            thread::sleep(AGAIN_AFTER / 4);
        }
    }
}

impl fmt::Debug for KafkaMember {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaMember").field("is_assigned", &self.metadata.is_some()).finish()
    }
}

/// A client that asks about offsets and topics.
type QueryClient = BaseConsumer<QueryContext>;

/// The log on Apache Kafka. Cheap to share.
#[derive(Clone)]
pub struct Kafka {
    inner: Arc<Inner>,
}

struct Inner {
    settings: KafkaSettings,
    clients: Mutex<HashMap<Asks, Arc<QueryClient>>>,
}

/// What a client asks for; each has a client of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Asks {
    /// Topics, and what is in them and committed.
    Committed,
    /// How much there is, committed or not.
    Uncommitted,
    /// What this group has committed.
    Group(String),
}

impl fmt::Debug for Kafka {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kafka").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Kafka {
    /// Makes a client. No broker is asked yet: one that cannot be reached is told by the first operation.
    ///
    /// # Errors
    /// Settings that cannot work, each with what to do.
    pub fn connect(settings: &KafkaSettings) -> Result<Self, LogError> {
        let kafka = Self { inner: Arc::new(Inner { settings: settings.clone(), clients: Mutex::default() }) };
        kafka.inner.client(&Asks::Committed)?;
        Ok(kafka)
    }

    fn settings(&self) -> &KafkaSettings {
        &self.inner.settings
    }

    /// Asks until there is an answer or the request's time is over. `what` is in words, for messages.
    fn ask<T>(
        &self,
        asks: &Asks,
        what: &str,
        question: impl Fn(&QueryClient, Duration) -> KafkaResult<T>,
    ) -> Result<T, LogError> {
        let mut client = self.inner.client(asks)?;
        let start = Instant::now();
        let deadline = start + self.settings().request_timeout();
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(AGAIN_AFTER);
            let result = question(&client, left.min(Duration::from_secs(2)));
            // Serves what the client has to say of its connections, which says more than a time-out. A line for the log comes as
            // nothing, so nothing does not mean that there is no more.
            for _ in 0..64 {
                client.poll(Duration::ZERO);
            }
            let error = match result {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let trouble = client.context().troubles.after(start);
            let is_refused = trouble.as_ref().is_some_and(|trouble| is_refusal(trouble.code));
            let may_appear = is_unknown(&error) && start.elapsed() < UNKNOWN_WITHIN;
            if is_refused || !(may_be_asked_again(&error) || may_appear) || Instant::now() >= deadline {
                self.inner.forget(asks);
                let attempt = Attempt { settings: self.settings(), what: what.to_owned(), trouble };
                return Err(attempt.failed(&error));
            }
            thread::sleep(AGAIN_AFTER);
            if may_appear {
                // A client keeps what it once learnt of a topic, also that it has no partitions.
                self.inner.forget(asks);
                client = self.inner.client(asks)?;
            }
        }
    }
}

/// Asking again does not help.
fn is_refusal(code: Code) -> bool {
    fault::is_not_allowed(code) || matches!(code, Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL)
}

/// The brokers know no such topic or partition.
fn is_unknown(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition))
}

/// The brokers are moving something, or cannot be reached for now.
fn may_be_asked_again(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        fault::is_unreachable(code)
            || matches!(
                code,
                Code::LeaderNotAvailable
                    | Code::NotLeaderForPartition
                    | Code::CoordinatorLoadInProgress
                    | Code::CoordinatorNotAvailable
                    | Code::NotCoordinator
                    | Code::WaitingForCoordinator
                    | Code::UnstableOffsetCommit
                    | Code::OffsetNotAvailable
                    | Code::WaitCache
                    | Code::KafkaStorageError
            )
    })
}

impl Log for Kafka {
    fn topics(&self, names: &[&str]) -> Result<Vec<TopicState>, LogError> {
        admin::topics(self, names)
    }

    fn create(&self, topic: &TopicSpec) -> Result<bool, LogError> {
        admin::create(self, topic)
    }

    fn range(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
        offsets::settled_range(self, partition)
    }

    fn offset_at(&self, partition: &TopicPartition, timestamp: i64) -> Result<i64, LogError> {
        times::offset_at(self, partition, timestamp)
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError> {
        offsets::committed(self, group, partitions)
    }

    fn consumer(&self, subscription: &Subscription) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(consumer::KafkaConsumer::open(self, subscription)?))
    }

    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(producer::KafkaProducer::open(self, name, self.settings().compression)?))
    }

    fn producer_of_compressed(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        // What cannot be made smaller costs lz4 next to nothing, and the few other records gain by it.
        let compression = self.settings().compression.min(Compression::Lz4);
        Ok(Box::new(producer::KafkaProducer::open(self, name, compression)?))
    }
}

impl Inner {
    /// The client that asks for this.
    fn client(&self, asks: &Asks) -> Result<Arc<QueryClient>, LogError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(asks) {
            return Ok(Arc::clone(client));
        }
        let (mut config, isolation) = match asks {
            Asks::Committed => (self.settings.client()?, Some("read_committed")),
            Asks::Uncommitted => (self.settings.client()?, Some("read_uncommitted")),
            Asks::Group(group) => (self.settings.consumer(group, None)?, None),
        };
        if let Some(isolation) = isolation {
            config.set("isolation.level", isolation);
        }
        let client: QueryClient = config
            .create_with_context(QueryContext::default())
            .map_err(|error| LogError::Settings(format!("the settings for Kafka cannot work: {error}")))?;
        let client = Arc::new(client);
        clients.insert(asks.clone(), Arc::clone(&client));
        Ok(client)
    }

    /// Has the next question asked by a new client. One that was told of a cluster without brokers, as a single broker does while
    /// it starts, drops all that it knows, those of `brokers` too, and never finds one again (librdkafka issue 5301).
    fn forget(&self, asks: &Asks) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(asks);
    }
}

//! Topics: what there is, and making them.

use super::context::QueryContext;
use super::fault::Attempt;
use super::{AGAIN_AFTER, Asks, Kafka};
use crate::error::LogError;
use crate::topic::{Cleanup, TopicSpec, TopicState};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Wakes the thread that waits for an answer.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an answer of the admin client, whose own thread brings it; it comes within the request's time.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut answer = pin!(answer);
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Such clients are made anew for each question: nobody would take what they say of themselves in between.
fn client(kafka: &Kafka) -> Result<AdminClient<QueryContext>, LogError> {
    kafka
        .settings()
        .client()?
        .create_with_context(QueryContext::default())
        .map_err(|error| LogError::Settings(format!("the settings for Kafka cannot work: {error}")))
}

fn options(kafka: &Kafka) -> AdminOptions {
    let timeout = kafka.settings().request_timeout();
    AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout))
}

/// The topics of these names that exist.
pub(super) fn topics(kafka: &Kafka, names: &[&str]) -> Result<Vec<TopicState>, LogError> {
    let counts = partitions(kafka)?;
    let names: Vec<&str> = names.iter().copied().filter(|name| counts.contains_key(*name)).collect();
    let configs = configs(kafka, &names)?;
    let state = |(name, config): (&&str, Option<ConfigResource>)| TopicState {
        name: (*name).to_owned(),
        partitions: counts[*name],
        cleanup: config.as_ref().and_then(cleanup),
        message_bytes_max: config.as_ref().and_then(|config| value(config, "max.message.bytes")),
    };
    Ok(names.iter().zip(configs).map(state).collect())
}

/// Number of partitions of every topic.
fn partitions(kafka: &Kafka) -> Result<HashMap<String, i32>, LogError> {
    let metadata =
        kafka.ask(&Asks::Committed, "list the topics", |client, timeout| client.fetch_metadata(None, timeout))?;
    let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
    let counts = metadata.topics().iter().filter(|topic| topic.error().is_none());
    Ok(counts.map(|topic| (topic.name().to_owned(), count(topic.partitions().len()))).collect())
}

/// The configuration of these topics; none where it may not be read.
fn configs(kafka: &Kafka, names: &[&str]) -> Result<Vec<Option<ConfigResource>>, LogError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let resources: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let what = "read the configuration of topics";
    let client = client(kafka)?;
    let answer = attempt(kafka, what, || wait(client.describe_configs(&resources, &options(kafka))))?;
    Ok(answer.into_iter().map(Result::ok).collect())
}

/// Admin requests fail while the controller moves; they are asked again within the request's time.
fn attempt<T>(kafka: &Kafka, what: &str, question: impl Fn() -> KafkaResult<T>) -> Result<T, LogError> {
    let deadline = Instant::now() + kafka.settings().request_timeout();
    loop {
        match question() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => {
                let attempt = Attempt { settings: kafka.settings(), what: what.to_owned(), trouble: None };
                return Err(match &error {
                    rdkafka::error::KafkaError::AdminOp(code) => attempt.failed_with(*code, &error.to_string()),
                    error => attempt.failed(error),
                });
            }
            Err(_) => thread::sleep(AGAIN_AFTER),
        }
    }
}

fn value<T: std::str::FromStr>(config: &ConfigResource, name: &str) -> Option<T> {
    config.get(name)?.value.as_ref()?.parse().ok()
}

/// What a topic's configuration says is forgotten (Kafka documentation, topic configs: `cleanup.policy`, `retention.ms`,
/// `retention.bytes`; -1 is no limit).
fn cleanup(config: &ConfigResource) -> Option<Cleanup> {
    let policy: String = value(config, "cleanup.policy")?;
    if policy.split(',').any(|part| part.trim() == "compact") {
        return Some(Cleanup::Compact);
    }
    let age = value::<i64>(config, "retention.ms").and_then(|age| u64::try_from(age).ok()).map(Duration::from_millis);
    let bytes = value::<i64>(config, "retention.bytes").and_then(|bytes| u64::try_from(bytes).ok());
    Some(Cleanup::Delete { age, bytes })
}

/// Makes a topic; false where there is one.
pub(super) fn create(kafka: &Kafka, topic: &TopicSpec) -> Result<bool, LogError> {
    if partitions(kafka)?.contains_key(&topic.name) {
        return Ok(false);
    }
    let what = format!("create the topic `{}`", topic.name);
    let client = client(kafka)?;
    let mut settings = configuration(topic);
    let mut is_old_broker = false;
    loop {
        let mut wanted = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication));
        for (name, value) in &settings {
            wanted = wanted.set(name, value);
        }
        let answer = attempt(kafka, &what, || wait(client.create_topics([&wanted], &options(kafka))))?;
        match answer.into_iter().next() {
            None | Some(Ok(_)) => break,
            Some(Err((_, Code::TopicAlreadyExists))) => return Ok(false),
            Some(Err((_, Code::InvalidConfig))) if !is_old_broker => {
                is_old_broker = true;
                settings.retain(|(name, _)| *name != FUTURE_TIMESTAMPS);
            }
            Some(Err((_, code))) => return Err(not_created(kafka, topic, what, code)),
        }
    }
    wait_until_known(kafka, topic)?;
    Ok(true)
}

/// Since Kafka 3.6; from 4.0 on its default refuses timestamps an hour ahead of the broker's clock, which a clock that is set
/// back would make of good ones.
const FUTURE_TIMESTAMPS: &str = "message.timestamp.after.max.ms";

fn configuration(topic: &TopicSpec) -> Vec<(&'static str, String)> {
    let mut settings =
        vec![("max.message.bytes", topic.message_bytes_max.to_string()), (FUTURE_TIMESTAMPS, i64::MAX.to_string())];
    let limit =
        |value: Option<u64>| value.map_or("-1".to_owned(), |value| value.min(i64::MAX.unsigned_abs()).to_string());
    match topic.cleanup {
        Cleanup::Compact => settings.push(("cleanup.policy", "compact".to_owned())),
        Cleanup::Delete { age, bytes } => {
            let age = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            settings.push(("cleanup.policy", "delete".to_owned()));
            settings.push(("retention.ms", limit(age)));
            settings.push(("retention.bytes", limit(bytes)));
        }
    }
    if topic.replication >= 3 {
        settings.push(("min.insync.replicas", "2".to_owned()));
    }
    settings
}

fn not_created(kafka: &Kafka, topic: &TopicSpec, what: String, code: Code) -> LogError {
    let why = match code {
        Code::InvalidReplicationFactor => {
            format!("there are fewer than {} brokers; ask for fewer copies", topic.replication)
        }
        Code::InvalidPartitions => format!("{} partitions; at least 1 is needed", topic.partitions),
        Code::InvalidTopic => "a name has 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`".to_owned(),
        Code::PolicyViolation | Code::InvalidConfig => "the brokers' policy refuses these settings".to_owned(),
        code => {
            let attempt = Attempt { settings: kafka.settings(), what, trouble: None };
            return attempt.failed_with(code, &code.to_string());
        }
    };
    LogError::Topics { detail: format!("the topic `{}` cannot be created ({code}): {why}", topic.name) }
}

/// The broker that made a topic knows it before the others do.
fn wait_until_known(kafka: &Kafka, topic: &TopicSpec) -> Result<(), LogError> {
    let deadline = Instant::now() + kafka.settings().request_timeout();
    loop {
        let metadata =
            kafka.ask(&Asks::Committed, "list the topics", |client, timeout| client.fetch_metadata(None, timeout))?;
        let known = metadata.topics().iter().find(|known| known.name() == topic.name);
        let leaders = known.map_or(0, |known| known.partitions().iter().filter(|part| part.leader() >= 0).count());
        if i32::try_from(leaders).is_ok_and(|leaders| leaders >= topic.partitions) || Instant::now() >= deadline {
            return Ok(());
        }
        thread::sleep(AGAIN_AFTER);
    }
}

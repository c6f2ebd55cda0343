//! How far groups are behind the end of their topics: looked at now and then, on a thread of its own.

use crate::stages::{Runtime, Stop};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tradewind_transport::TopicPartition;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// How far a group is behind in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) records: u64,
}

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Lags(Mutex<Vec<Lag>>);

impl Lags {
    pub(crate) fn all(&self) -> Vec<Lag> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks now and then until it is told to stop.
    pub(crate) fn watch(self: &Arc<Self>, runtime: &Arc<Runtime>, stop: &Stop) -> Option<std::thread::JoinHandle<()>> {
        let (lags, runtime, stop) = (Arc::clone(self), Arc::clone(runtime), stop.clone());
        let work = move || {
            while !stop.is_set() {
                match look(&runtime) {
                    Ok(seen) => *lags.0.lock().unwrap_or_else(PoisonError::into_inner) = seen,
                    Err(error) => tracing::debug!(error = format!("{error:#}"), "lag is not known"),
                }
                stop.wait(INTERVAL);
            }
        };
        std::thread::Builder::new().name("lag".to_owned()).spawn(work).ok()
    }
}

fn look(runtime: &Runtime) -> anyhow::Result<Vec<Lag>> {
    let mut seen = Vec::new();
    for (group, topics) in runtime.groups() {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        for topic in runtime.log.topics(&names)? {
            let partitions: Vec<_> =
                (0..topic.partitions).map(|number| TopicPartition::new(topic.name.as_str(), number)).collect();
            let committed = runtime.log.committed(&group, &partitions)?;
            for (partition, committed) in partitions.iter().zip(committed) {
                let (first, end) = runtime.log.range(partition)?;
                let behind = end - committed.unwrap_or(first).clamp(first, end);
                seen.push(Lag {
                    group: group.clone(),
                    topic: topic.name.clone(),
                    partition: partition.partition,
                    records: u64::try_from(behind).unwrap_or_default(),
                });
            }
        }
    }
    Ok(seen)
}

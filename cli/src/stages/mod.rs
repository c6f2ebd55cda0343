//! The stages of the streaming service: each reads partitions of a log and writes to a log or the lake. Wired together
//! here; what each does to a record is in the crates below.
//!
//! A stage is a thread that begins from what is committed, works until an error or the end, and is begun anew after an
//! error that may pass. It holds nothing that is not committed or can be made again.

mod collect;
mod controls;
mod correlate;
mod counters;
mod detect;
mod framing;
mod health;
mod messages;
mod normalise;
mod notify;
mod progress;
mod raw;
pub(crate) mod replay;
mod snapshots;
mod store;
mod supervise;
mod tell;
pub(crate) mod topics;
mod watched;

pub(crate) use counters::Counters;
pub(crate) use health::Health;
pub(crate) use supervise::{Stage, run};

use crate::config::Settings;
use crate::context::Context;
use crate::feedback::FileSuppression;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use topics::Topics;
use tradewind_model::Clock;
use tradewind_normalise::Normaliser;
use tradewind_policy::PolicySet;
use tradewind_storage::LakeLocation;
use tradewind_transport::Log;
use tradewind_transport::envelope::RawEnvelope;

/// What all stages of a process share.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) settings: Settings,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) topics: Topics,
    pub(crate) lake: LakeLocation,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) handle: Handle,
    pub(crate) normaliser: Normaliser,
    pub(crate) policy: Option<PolicySet>,
    /// The file of suppressions, where there is one.
    pub(crate) suppressions: Option<Vec<FileSuppression>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) health: Arc<Health>,
    /// Name of this process among those that run the same stages.
    pub(crate) instance: String,
}

impl Runtime {
    /// Makes what stages need, and touches neither the log nor the lake.
    ///
    /// # Errors
    /// An inventory, a policy or suppressions that cannot be read.
    pub(crate) fn new(context: &Context, log: Arc<dyn Log>) -> anyhow::Result<Self> {
        let settings = context.settings.clone();
        Ok(Self {
            topics: Topics::new(&settings.transport.topic_prefix),
            lake: context.lake_location()?,
            clock: Arc::clone(&context.clock),
            handle: context.runtime.handle().clone(),
            normaliser: crate::normaliser::from_settings(&settings)?,
            policy: crate::policy::from_settings(&settings)?,
            suppressions: crate::feedback::from_settings(&settings)?,
            counters: Arc::default(),
            health: Arc::default(),
            instance: settings.run.instance.clone(),
            log,
            settings,
        })
    }

    /// Raw topics with what the configuration says of their records.
    fn raw_topics(&self) -> BTreeMap<String, RawEnvelope> {
        let own = (self.topics.raw.clone(), RawEnvelope::default());
        let others = self.settings.topics.iter().map(|topic| (topic.name.clone(), topic.envelope()));
        std::iter::once(own).chain(others).collect()
    }

    fn group(&self, stage: &str) -> String {
        format!("{}.{stage}", self.settings.transport.topic_prefix)
    }

    /// Groups whose lag can be looked at, with the topics of each.
    pub(crate) fn groups(&self) -> Vec<(String, Vec<String>)> {
        let topics = &self.topics;
        vec![
            (self.group("normalise"), self.raw_topics().into_keys().collect()),
            (
                self.group("store"),
                vec![
                    topics.flows.clone(),
                    topics.dead_letters.clone(),
                    topics.coverage.clone(),
                    topics.findings.clone(),
                    topics.incidents.clone(),
                ],
            ),
            (self.group("detect"), vec![topics.flows.clone()]),
            (self.group("correlate"), vec![topics.signals.clone()]),
            (self.group("notify"), vec![topics.findings.clone(), topics.incidents.clone()]),
        ]
    }

    fn producer(&self, stage: &str, member: &str) -> String {
        format!("{}.{stage}.{member}", self.settings.transport.topic_prefix)
    }

    fn idle(&self) -> Duration {
        Duration::from_secs(self.settings.run.idle_s)
    }

    /// How many partitions the topic of flows has.
    fn flow_partitions(&self) -> anyhow::Result<i32> {
        let name = self.topics.flows.as_str();
        let found = self.log.topics(&[name])?;
        found.first().map(|topic| topic.partitions).ok_or_else(|| {
            tradewind_transport::LogError::Topics {
                detail: format!("topic `{name}` is missing: create it with `tradewind topics create`"),
            }
            .into()
        })
    }

    fn outputs(&self) -> anyhow::Result<normalise::Outputs> {
        Ok(normalise::Outputs { flows: self.flow_partitions()? })
    }
}

/// Tells stages to end: in order, after what they have taken is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    is_set: Arc<AtomicBool>,
}

impl Stop {
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// Waits so long, or until it is set.
    pub(crate) fn wait(&self, time: Duration) {
        const STEP: Duration = Duration::from_millis(50);
        let mut left = time;
        while !left.is_zero() && !self.is_set() {
            let step = left.min(STEP);
            std::thread::sleep(step);
            left -= step;
        }
    }
}

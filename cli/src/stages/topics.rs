//! The topics of Tradewind: their names, what each is to be like, and whether those that exist are.

use crate::config::TransportSettings;
use anyhow::Context as _;
use std::time::Duration;
use tradewind_transport::{Cleanup, Log, LogError, TopicSpec};

/// Names of the topics of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    /// Raw records of our own collectors.
    pub(crate) raw: String,
    /// Normalised flows, by the unordered pair of entities.
    pub(crate) flows: String,
    /// Rejected records.
    pub(crate) dead_letters: String,
    /// What observers sent and lost.
    pub(crate) coverage: String,
    /// What the edge level of detection says.
    pub(crate) signals: String,
    /// What the entity level answers.
    pub(crate) rounds: String,
    /// Findings.
    pub(crate) findings: String,
    /// Incidents.
    pub(crate) incidents: String,
    /// How far collectors are; compacted.
    pub(crate) checkpoints: String,
}

impl Topics {
    pub(crate) fn new(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}.{name}");
        Self {
            raw: name("raw"),
            flows: name("flows"),
            dead_letters: name("dead-letters"),
            coverage: name("coverage"),
            signals: name("signals"),
            rounds: name("rounds"),
            findings: name("findings"),
            incidents: name("incidents"),
            checkpoints: name("checkpoints"),
        }
    }

    /// All of them, as the settings want them.
    pub(crate) fn specs(&self, settings: &TransportSettings) -> Vec<TopicSpec> {
        let hours = |hours: u64| Some(Duration::from_secs(hours.saturating_mul(3600)));
        let data = Cleanup::Delete { age: hours(settings.retention_h), bytes: settings.retention_bytes };
        // Signals and rounds are read again from the last snapshot only.
        let short = Cleanup::Delete { age: hours(settings.retention_h), bytes: None };
        let spec = |name: &String, partitions, cleanup| TopicSpec {
            name: name.clone(),
            partitions,
            replication: settings.replication,
            cleanup,
            message_bytes_max: settings.message_bytes_max,
        };
        vec![
            spec(&self.raw, settings.raw_partitions, data),
            spec(&self.flows, settings.flow_partitions, data),
            spec(&self.dead_letters, 1, data),
            spec(&self.coverage, 1, data),
            spec(&self.signals, 1, short),
            spec(&self.rounds, 1, short),
            spec(&self.findings, 1, data),
            spec(&self.incidents, 1, data),
            spec(&self.checkpoints, 1, Cleanup::Compact),
        ]
    }
}

/// What is wrong with the topics that exist.
///
/// # Errors
/// Topics that are missing or cannot work, each with what to do; a log that cannot be reached.
pub(crate) fn check(log: &dyn Log, wanted: &[TopicSpec], others: &[String]) -> anyhow::Result<()> {
    let names: Vec<&str> =
        wanted.iter().map(|topic| topic.name.as_str()).chain(others.iter().map(String::as_str)).collect();
    let found = log.topics(&names).context("failed to look at the topics")?;
    let mut faults = Vec::new();
    for name in &names {
        let Some(topic) = found.iter().find(|topic| topic.name == **name) else {
            let is_ours = wanted.iter().any(|wanted| wanted.name == **name);
            let advice = if is_ours {
                "create it with `tradewind topics create`"
            } else {
                "create it, or take it out of the configuration ([[topic]])"
            };
            faults.push(format!("topic `{name}` is missing: {advice}"));
            continue;
        };
        let Some(wanted) = wanted.iter().find(|wanted| wanted.name == **name) else { continue };
        let is_single = wanted.partitions == 1 && topic.partitions != 1;
        if is_single {
            let has = topic.partitions;
            faults.push(format!("topic `{name}` has {has} partitions and must have one: delete and create it again"));
        }
        match (wanted.cleanup, topic.cleanup) {
            (Cleanup::Compact, Some(Cleanup::Delete { .. })) => faults.push(format!(
                "topic `{name}` forgets records by age (cleanup.policy=delete) and must keep the newest of each key: set \
                 cleanup.policy=compact"
            )),
            (Cleanup::Delete { .. }, Some(Cleanup::Compact)) => faults.push(format!(
                "topic `{name}` is compacted and would lose records: set cleanup.policy=delete"
            )),
            (Cleanup::Delete { .. }, Some(Cleanup::Delete { age: Some(age), .. })) if age < Duration::from_secs(3600) => {
                faults.push(format!(
                    "topic `{name}` keeps records for {} s only; a stage that is away longer would lose some: set \
                     retention.ms to an hour at least",
                    age.as_secs()
                ));
            }
            _ => {}
        }
        if let Some(bytes) = topic.message_bytes_max.filter(|&bytes| bytes < 64 * 1024) {
            faults.push(format!(
                "topic `{name}` takes no more than {bytes} bytes at once: set max.message.bytes to 65536 or more"
            ));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(LogError::Topics { detail: faults.join("\n") }.into()) }
}

//! Settings of the embedded log. What the topics keep is not here: each [`crate::TopicSpec`] says it.

use crate::error::LogError;
use serde::{Deserialize, Serialize};

/// When an acknowledged write is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncPolicy {
    /// Before it is acknowledged (`fdatasync`): it survives the loss of power. Writers that wait at the same time share one.
    #[default]
    Always,
    /// Every `sync_interval_ms`: what was acknowledged survives the death of the process, and the loss of power takes at most the
    /// last interval.
    Interval,
}

/// Settings of the embedded log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedSettings {
    /// When an acknowledged write is on the disk: `always` (default) or `interval`.
    pub sync: SyncPolicy,
    /// Milliseconds between two syncs where `sync` is `interval`; from 1. Default 200.
    pub sync_interval_ms: u64,
    /// Milliseconds that a group waits for a member to give partitions back before it takes them; the member's commits of them are
    /// refused from then on. Longer than one stage needs for one commit. Default 30,000.
    pub handover_timeout_ms: u64,
    /// Bytes of memory for blocks and payloads that were read. Default 32 MiB.
    pub cache_bytes: u64,
    /// Bytes of memory for each topic's newest records, which are in the journal on disk as well; from 1 MiB. Default 16 MiB.
    pub memtable_bytes: u64,
    /// Milliseconds that the record which removes a key stays in a compacted topic, so that a reader who is behind sees it.
    /// Default 86,400,000: a day.
    pub tombstone_retention_ms: u64,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            sync: SyncPolicy::Always,
            sync_interval_ms: 200,
            handover_timeout_ms: 30_000,
            cache_bytes: 32 << 20,
            memtable_bytes: 16 << 20,
            tombstone_retention_ms: 86_400_000,
        }
    }
}

impl EmbeddedSettings {
    /// Looks for settings that cannot work.
    pub(super) fn check(&self) -> Result<(), LogError> {
        if self.sync_interval_ms == 0 {
            return Err(LogError::Settings(
                "`sync_interval_ms` is 0: give 1 or more, or `sync = \"always\"`".to_owned(),
            ));
        }
        if self.memtable_bytes < 1 << 20 {
            return Err(LogError::Settings(format!(
                "`memtable_bytes` is {}: give 1048576 (1 MiB) or more",
                self.memtable_bytes
            )));
        }
        Ok(())
    }
}

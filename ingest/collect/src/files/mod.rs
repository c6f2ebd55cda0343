//! Files that grow, are rotated by rename or by copy, are emptied, replaced, deleted, packed.
//!
//! A file is known by its inode while it lives, and by its content when it was copied or packed (`identity`, `relation`).
//! `catalogue` says which file is which, `reader` and `packed` read, and `run` writes lines together with checkpoints.

mod catalogue;
mod identity;
mod packed;
mod reader;
mod relation;
mod run;
mod scan;
mod settings;
mod state;
mod tracked;

pub use settings::{FileSettings, StartSetting};

use crate::collector::Wiring;
use crate::counters::CollectCounters;
use crate::error::CollectError;
use crate::files::run::Run;
use crate::files::state::{FileState, KEY};
use crate::shutdown::Shutdown;
use crate::writer::Writer;
use std::sync::Arc;

/// Collects from files.
#[derive(Debug)]
pub(crate) struct FileCollector {
    settings: FileSettings,
    wiring: Wiring,
    counters: Arc<CollectCounters>,
}

impl FileCollector {
    pub(crate) const fn new(settings: FileSettings, wiring: Wiring, counters: Arc<CollectCounters>) -> Self {
        Self { settings, wiring, counters }
    }

    /// Follows until asked to end. What was not written by then stays in the files, and is written after the next start.
    pub(crate) fn run(self, shutdown: &Shutdown) -> Result<(), CollectError> {
        let Self { settings, wiring, counters } = self;
        let opened = Writer::open(&wiring, &settings.name, settings.topic.as_deref(), &counters, shutdown);
        let result = opened.and_then(|opened| {
            let prefix = opened.writer.prefix() + KEY;
            let states = opened.checkpoints.iter().filter_map(|(key, record)| {
                let key = std::str::from_utf8(key).ok().filter(|key| key.starts_with(&prefix))?;
                FileState::parse(key, &record.value)
            });
            let states = states.collect();
            Run::new(settings, wiring, counters, opened.writer, states, opened.is_first).run(shutdown)
        });
        match result {
            Err(CollectError::Away { .. }) if shutdown.is_requested() => Ok(()),
            other => other,
        }
    }
}

//! Snapshots of the state of detection: where they are, which one is gone on from, and what is said when one cannot be written.
//! They are written beside the stage, which a store that is slow or away does not hold up. What is in one is the stage's
//! business.

use super::Health;
use super::tell::said;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};
use tradewind_detect::Settings;
use tradewind_detect::stream::MESSAGES_VERSION;
use tradewind_storage::Lake;
use tradewind_storage::state::{StateStore, Written};

/// A snapshot that is not written within this time is given up; the next one is tried.
const WRITE_MAX: Duration = Duration::from_secs(120);
/// How often it is said that snapshots cannot be written.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What the messages of detection depend on beside their input: those of another generation are not read.
pub(super) fn generation(settings: &Settings, partitions: i32) -> String {
    let text = format!("messages {MESSAGES_VERSION}, {partitions} partitions, windows of {} s", settings.window_s);
    blake3::hash(text.as_bytes()).to_hex().as_str()[..16].to_owned()
}

/// The snapshots of detection, apart for each generation of messages. From one of another generation a stage goes on with what
/// it learnt, and joins the others anew.
#[derive(Debug)]
pub(super) struct Snapshots {
    store: StateStore,
    handle: Handle,
    generation: String,
    writing: BTreeMap<String, Writing>,
    /// When it was said last that one could not be written.
    said: Option<Instant>,
}

#[derive(Debug)]
struct Writing {
    position: i64,
    task: JoinHandle<anyhow::Result<Written>>,
}

/// A snapshot that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) bytes: Vec<u8>,
    /// Whether the messages since it was written are of this generation.
    pub(super) is_own: bool,
}

/// A snapshot that was written, or could not be.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) of: String,
    pub(super) position: i64,
    /// None: it could not, and the next one is to be tried.
    pub(super) written: Option<Written>,
}

impl Snapshots {
    pub(super) fn open(lake: &Lake, handle: &Handle, generation: String) -> anyhow::Result<Self> {
        Ok(Self {
            store: lake.state_store()?,
            handle: handle.clone(),
            generation,
            writing: BTreeMap::new(),
            said: None,
        })
    }

    fn name(&self, of: &str) -> String {
        format!("{}/{of}", self.generation)
    }

    /// Whether one is being written.
    pub(super) fn is_writing(&self) -> bool {
        !self.writing.is_empty()
    }

    /// Begins to write the state of `of` as it is at `position`; none of it is being written.
    pub(super) fn begin(&mut self, of: &str, position: i64, bytes: Vec<u8>, span: Span) {
        let (store, name) = (self.store.clone(), self.name(of));
        let write = async move {
            let put = store.put(&name, position, &bytes);
            let written = tokio::time::timeout(WRITE_MAX, put).await;
            Ok(written.with_context(|| format!("it took longer than {} s", WRITE_MAX.as_secs()))??)
        };
        let task = self.handle.spawn(write.instrument(span));
        self.writing.insert(of.to_owned(), Writing { position, task });
    }

    /// Those that ended since it was last asked. What failed is said to whoever reads the log, and to whoever asks how the stage is.
    pub(super) fn ended(&mut self, health: &Health, stage: &str) -> Vec<Ended> {
        let names: Vec<String> =
            self.writing.iter().filter(|(_, writing)| writing.task.is_finished()).map(|(of, _)| of.clone()).collect();
        names.into_iter().filter_map(|of| self.end(of, health, stage)).collect()
    }

    /// Waits for all that are being written, no longer than this.
    pub(super) fn wait(&mut self, within: Duration, health: &Health, stage: &str) -> Vec<Ended> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline && self.writing.values().any(|writing| !writing.task.is_finished()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.ended(health, stage)
    }

    fn end(&mut self, of: String, health: &Health, stage: &str) -> Option<Ended> {
        let Writing { position, task } = self.writing.remove(&of)?;
        let written = match self.handle.block_on(task).context("it was stopped by a bug").flatten() {
            Ok(written) => Some(written),
            Err(error) => {
                self.say(&of, &error, health, stage);
                None
            }
        };
        // Where one could be written, others can: their place is the same.
        if written.is_some() {
            health.restore(stage);
            if self.said.take().is_some() {
                tracing::info!(stage, "the state of detection is written again");
            }
        }
        Some(Ended { of, position, written })
    }

    fn say(&mut self, of: &str, error: &anyhow::Error, health: &Health, stage: &str) {
        let what = format!(
            "the state of detection cannot be written ({}); it is tried again, and detection goes on: after a restart it \
             reads again what came since the last state that was written",
            said(error.as_ref())
        );
        if self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            self.said = Some(Instant::now());
            tracing::warn!(stage, of, "{what}");
        }
        health.degrade(stage, what);
    }

    /// The newest state of `of`, of whatever generation, if there is one.
    pub(super) fn get(&self, of: &str) -> anyhow::Result<Option<Found>> {
        let got = self.handle.block_on(self.store.newest(&self.generation, of));
        let found = got.with_context(|| format!("failed to read the snapshot of {of}"))?;
        Ok(found.map(|(group, snapshot)| Found { bytes: snapshot.bytes, is_own: group == self.generation }))
    }
}

/// What is said where a state was read, but not all of it as it was written.
pub(super) fn say_notes(of: &str, notes: Vec<String>) {
    for note in notes {
        tracing::warn!(of, "the state of another version: {note}");
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        // Whoever goes on writes its own; what these leave is tidied away by it.
        for writing in self.writing.values() {
            writing.task.abort();
        }
    }
}

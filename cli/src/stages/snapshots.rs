//! Snapshots of the state of detection: how it becomes bytes, and which ones belong to which settings.

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tradewind_detect::{DETECTOR_VERSION, Settings};
use tradewind_storage::Lake;
use tradewind_storage::state::{StateStore, Written};

/// The snapshots of one generation of detection: states that were made with the same settings, by the same version of the
/// detectors, over the same partitions. With others, everything is learnt anew from the log.
#[derive(Clone, Debug)]
pub(super) struct Snapshots {
    store: StateStore,
    handle: Handle,
    generation: String,
}

/// What the messages and states of detection depend on beside their input.
pub(super) fn generation(settings: &Settings, partitions: i32) -> String {
    let text = format!("{DETECTOR_VERSION} {partitions} {settings:?}");
    blake3::hash(text.as_bytes()).to_hex().as_str()[..16].to_owned()
}

impl Snapshots {
    pub(super) fn open(lake: &Lake, handle: &Handle, generation: String) -> anyhow::Result<Self> {
        Ok(Self { store: lake.state_store()?, handle: handle.clone(), generation })
    }

    fn name(&self, of: &str) -> String {
        format!("{}/{of}", self.generation)
    }

    /// Writes the state of `of` as it is at `position`.
    pub(super) fn put<T: Serialize>(&self, of: &str, position: i64, state: &T) -> anyhow::Result<Written> {
        let bytes = postcard::to_stdvec(state).context("failed to encode a snapshot")?;
        let name = self.name(of);
        let put = self.store.put(&name, position, &bytes);
        self.handle.block_on(put).with_context(|| format!("failed to write the snapshot of {of}"))
    }

    /// The newest state of `of`, if there is one.
    pub(super) fn get<T: DeserializeOwned>(&self, of: &str) -> anyhow::Result<Option<T>> {
        let got = self.handle.block_on(self.store.get(&self.name(of)));
        let Some(snapshot) = got.with_context(|| format!("failed to read the snapshot of {of}"))? else {
            return Ok(None);
        };
        match postcard::from_bytes(&snapshot.bytes) {
            Ok(state) => Ok(Some(state)),
            Err(error) => {
                tracing::warn!(of, %error, "a snapshot cannot be read; everything is learnt anew from the log");
                Ok(None)
            }
        }
    }
}

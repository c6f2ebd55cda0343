//! What every command gets: the settings, the clock, the runtime and where results go.

use crate::config::Settings;
use crate::failure::usage;
use crate::output::OutputFormat;
use anyhow::Context as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tradewind_model::{Clock, SystemClock};
use tradewind_storage::{LakeLocation, LocationError};

/// Passed to every command; nothing of it is global.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// All settings, merged and checked.
    pub(crate) settings: Settings,
    /// How results are written, where the user said so.
    pub(crate) output: Option<OutputFormat>,
    /// Tells the time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Runs what is asynchronous. Commands themselves run outside it and may block on it.
    pub(crate) runtime: Arc<Runtime>,
}

impl Context {
    pub(crate) fn new(settings: Settings, output: Option<OutputFormat>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            // One worker alone could wait for what it is itself to send (OTLP over gRPC).
            .worker_threads(std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2))
            .thread_name("tradewind")
            .build()
            .context("failed to start the runtime")?;
        Ok(Self { settings, output, clock: Arc::new(SystemClock), runtime: Arc::new(runtime) })
    }

    /// Folder of the lake, or its URL as it was given.
    pub(crate) fn lake(&self) -> &Path {
        &self.settings.lake.path
    }

    /// Where the lake is.
    ///
    /// # Errors
    /// A URL that names none.
    pub(crate) fn lake_location(&self) -> anyhow::Result<LakeLocation> {
        let path = &self.settings.lake.path;
        let location = match path.to_str() {
            Some(text) if text.contains("://") => {
                text.parse().map_err(|error: LocationError| usage(error.to_string()))?
            }
            _ => LakeLocation::from(path),
        };
        Ok(location.with_options(self.settings.lake.options.clone()))
    }

    /// Whether somebody watches standard error: then progress may be drawn there.
    pub(crate) fn shows_progress(&self) -> bool {
        std::io::stderr().is_terminal()
    }
}

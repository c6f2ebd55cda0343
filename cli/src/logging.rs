//! Log messages: where they go and how they look. Results of commands are no log messages; see `output`.

use crate::config::{LogFormat, LogSettings};
use anyhow::{Context as _, anyhow};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Sends log messages of the wanted levels to standard error.
pub(crate) fn set_up(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.level).context("failed to read the log level")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow!(error).context("failed to set up logging"))
}

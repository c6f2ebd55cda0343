//! Log messages: where they go and how they look. Results of commands are no log messages; see `output`.

use crate::config::{LogFormat, LogSettings};
use anyhow::{Context as _, anyhow};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// These log as errors what they also return as errors, and what we mend: a commit that another import overtook, a table
/// that a crash left half made. Who wants to see it names them, as in `warn,deltalake_core=info`.
const SILENT: &str = "deltalake_core=off,buoyant_kernel=off";

/// Sends log messages of the wanted levels to standard error.
pub(crate) fn set_up(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{SILENT},{}", settings.level)).context("failed to read the log level")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow!(error).context("failed to set up logging"))
}

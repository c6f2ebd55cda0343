//! Log messages: where they go and how they look. Results of commands are no log messages; see `output`.

use crate::config::{LogFormat, LogSettings};
use crate::telemetry::{Exporters, Subscribed};
use anyhow::{Context as _, anyhow};
use std::io::IsTerminal as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

/// These log as errors what they also return as errors, and what we mend: a commit that another import overtook, a table
/// that a crash left half made, a disk that is full. Who wants to see it names them, as in `warn,deltalake_core=info`.
const SILENT: &str = "deltalake_core=off,buoyant_kernel=off,fjall=warn,fjall::batch=off,lsm_tree=warn";

/// Sends log messages of the wanted levels to standard error, and with spans to a collector where there is one.
pub(crate) fn set_up(settings: &LogSettings, exporters: Option<&Exporters>) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{SILENT},{}", settings.level)).context("failed to read the log level")?;
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let format: Box<dyn Layer<Subscribed> + Send + Sync> = match settings.format {
        LogFormat::Text => format.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => format.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let mut layers = vec![format];
    layers.extend(exporters.into_iter().flat_map(|exporters| exporters.layers(&settings.level)));
    tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .map_err(|error| anyhow!(error).context("failed to set up logging"))
}

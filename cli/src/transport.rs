//! Opens the log that the settings name: the one place that knows which logs there are.

use crate::config::{LogKind, Settings};
use std::sync::Arc;
use tradewind_transport::Log;
use tradewind_transport::embedded::Embedded;
use tradewind_transport::kafka::Kafka;

/// A log, opened.
#[derive(Clone, Debug)]
pub(crate) struct OpenedLog {
    pub(crate) log: Arc<dyn Log>,
    /// The embedded one, whose disk this process looks after.
    pub(crate) embedded: Option<Embedded>,
}

/// Opens the log. Brokers are not asked yet.
///
/// # Errors
/// Settings that cannot work; a folder that another process has, or that cannot be written.
pub(crate) fn open(settings: &Settings) -> anyhow::Result<OpenedLog> {
    let transport = &settings.transport;
    Ok(match transport.log {
        LogKind::Embedded => {
            let embedded = Embedded::open(&transport.path, &transport.embedded)?;
            OpenedLog { log: Arc::new(embedded.clone()), embedded: Some(embedded) }
        }
        LogKind::Kafka => OpenedLog { log: Arc::new(Kafka::connect(&transport.kafka)?), embedded: None },
    })
}

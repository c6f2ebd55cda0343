//! The section `[notify]`: where its outbox is, and a notifier as the settings want it.

use crate::config::Settings;
use crate::stages::Runtime;
use std::path::PathBuf;
use std::sync::Arc;
use tradewind_notify::{Notifier, NotifyError, Secrets};

/// Folder of what people ask of a running service: an empty file for each sink whose refused messages are to go out again.
const REQUESTS: &str = "replay";

/// Folder of the outbox: one for each tenant.
pub(crate) fn outbox(settings: &Settings) -> PathBuf {
    settings.notify.outbox.join(&settings.transport.topic_prefix)
}

/// Folder of requests to replay.
pub(crate) fn requests(settings: &Settings) -> PathBuf {
    outbox(settings).join(REQUESTS)
}

/// Calls with what finds secrets.
pub(crate) fn with_secrets<T>(settings: &Settings, work: impl FnOnce(&Secrets<'_>) -> T) -> T {
    let environment = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
    work(&Secrets { environment: &environment, folder: &settings.folder })
}

/// Begins to deliver.
///
/// # Errors
/// Settings that cannot work, an outbox that cannot be opened.
pub(crate) fn start(runtime: &Runtime) -> Result<Notifier, NotifyError> {
    let settings = &runtime.settings;
    with_secrets(settings, |secrets| {
        Notifier::start(&settings.notify, &outbox(settings), secrets, Arc::clone(&runtime.clock), &runtime.handle)
    })
}

//! Ending early, on the user's word.

use crate::context::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Set at the first interrupt or termination signal, so that an import can end in order. The second signal, or one that
/// comes when no import is under way, ends the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    is_set: Arc<AtomicBool>,
}

impl Stop {
    /// Listens for signals from now on.
    pub(super) fn on_signals(context: &Context) -> Self {
        let stop = Self::default();
        let told = stop.clone();
        context.runtime.spawn(async move {
            let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
            loop {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
                if told.is_set.swap(true, Ordering::Relaxed) {
                    // A signal handler cannot be taken back, so the process must be ended here.
                    #[allow(clippy::disallowed_methods)]
                    std::process::exit(1);
                }
            }
        });
        stop
    }

    /// Whether the import is to end.
    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// The import is over: the next signal ends the process.
    pub(super) fn disarm(&self) {
        self.is_set.store(true, Ordering::Relaxed);
    }
}

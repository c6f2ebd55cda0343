//! How a collector is told to end: first to drain within a grace period, then at once. It knows no signals.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct State {
    /// When the grace period ends. None: nobody asked yet.
    deadline: Mutex<Option<Instant>>,
    changed: Condvar,
    notify: Notify,
}

impl State {
    fn deadline(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells collectors to end. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ShutdownHandle {
    state: Arc<State>,
}

impl ShutdownHandle {
    /// A handle that asked for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The end that collectors hold.
    #[must_use]
    pub fn listener(&self) -> Shutdown {
        Shutdown { state: Arc::clone(&self.state) }
    }

    /// Asks to stop taking in, to write what was taken in, and to end within `grace`. A second call can only shorten it:
    /// zero ends at once, and loses nothing that was acknowledged.
    pub fn request(&self, grace: Duration) {
        let wanted = Instant::now() + grace;
        let mut deadline = self.state.deadline();
        *deadline = Some(deadline.map_or(wanted, |earlier| earlier.min(wanted)));
        drop(deadline);
        self.state.changed.notify_all();
        self.state.notify.notify_waiters();
    }
}

/// What a collector asks whether to go on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown {
    state: Arc<State>,
}

impl Shutdown {
    /// Whether it is to end.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.state.deadline().is_some()
    }

    /// Whether the grace period is over too.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.state.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// What is left of the grace period. None: nobody asked yet.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.state.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits so long, or until asked to end. Whether it was asked.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        let deadline = self.state.deadline();
        let (deadline, _) = self
            .state
            .changed
            .wait_timeout_while(deadline, time, |deadline| deadline.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        deadline.is_some()
    }

    /// Waits so long during a drain too, but not beyond the grace period. Whether that is over.
    #[must_use]
    pub(crate) fn pause(&self, time: Duration) -> bool {
        if self.wait(time) {
            let left = self.remaining().unwrap_or_default();
            std::thread::sleep(time.min(left));
        }
        self.is_expired()
    }

    /// Comes when it is asked to end.
    pub async fn requested(&self) {
        loop {
            let notified = self.state.notify.notified();
            let mut notified = std::pin::pin!(notified);
            // Invariant: registered before the state is read, so that no request falls between the two.
            notified.as_mut().enable();
            if self.is_requested() {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_only_shortens() {
        let handle = ShutdownHandle::new();
        let shutdown = handle.listener();
        assert!(!shutdown.is_requested() && !shutdown.wait(Duration::ZERO));
        handle.request(Duration::from_secs(60));
        assert!(shutdown.is_requested() && !shutdown.is_expired());
        handle.request(Duration::from_secs(600));
        assert!(shutdown.remaining().is_some_and(|left| left <= Duration::from_secs(60)));
        handle.request(Duration::ZERO);
        assert!(shutdown.is_expired() && shutdown.wait(Duration::from_secs(60)));
    }
}

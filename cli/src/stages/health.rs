//! Whether the stages of this process work, and if not, why.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Under this name is what keeps all stages from beginning.
pub(crate) const LOG: &str = "log";
/// A stage that had failed, and has had nothing to write for so long, works again.
const QUIET: Duration = Duration::from_secs(3);

/// What is wrong with each stage; a stage that works is not in it.
#[derive(Debug, Default)]
pub(crate) struct Health {
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    causes: BTreeMap<String, String>,
    degraded: BTreeMap<String, String>,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stage waits or failed.
    pub(crate) fn set(&self, stage: &str, cause: String) {
        self.lock().causes.insert(stage.to_owned(), cause);
    }

    /// A stage works.
    pub(crate) fn clear(&self, stage: &str) {
        self.lock().causes.remove(stage);
    }

    /// Stages that do not work, with the cause of each.
    pub(crate) fn causes(&self) -> BTreeMap<String, String> {
        self.lock().causes.clone()
    }

    /// A stage works, but something that it does beside its work fails.
    pub(crate) fn degrade(&self, stage: &str, what: String) {
        self.lock().degraded.insert(stage.to_owned(), what);
    }

    /// All that a stage does goes well.
    pub(crate) fn restore(&self, stage: &str) {
        self.lock().degraded.remove(stage);
    }

    /// Stages that work, but not in all they do, with what fails.
    pub(crate) fn degraded(&self) -> BTreeMap<String, String> {
        self.lock().degraded.clone()
    }

    /// How a stage is, in words; copies of it have its name and a number.
    pub(crate) fn words(&self, stage: &str) -> String {
        let told = self.lock();
        if let Some(cause) = told.causes.get(LOG) {
            return format!("waits for the log: {cause}");
        }
        let of = |all: &BTreeMap<String, String>| {
            all.iter().find(|(name, _)| name.starts_with(stage)).map(|(_, said)| said.clone())
        };
        match (of(&told.causes), of(&told.degraded)) {
            (Some(cause), _) => cause,
            (None, Some(what)) => format!("works, but {what}"),
            (None, None) => "works".to_owned(),
        }
    }
}

/// Tells when a stage that had failed works again. That it was begun again says nothing: it may fail at the same place.
#[derive(Debug)]
pub(super) struct Working<'a> {
    health: &'a Health,
    stage: &'a str,
    was_pending: bool,
    quiet_since: Option<Instant>,
    is_told: bool,
}

impl<'a> Working<'a> {
    /// A stage is begun.
    pub(super) const fn new(health: &'a Health, stage: &'a str) -> Self {
        Self { health, stage, was_pending: false, quiet_since: None, is_told: false }
    }

    /// A step went well; whether the stage holds anything that it is yet to write.
    pub(super) fn step(&mut self, is_pending: bool) {
        let has_written = self.was_pending && !is_pending;
        self.was_pending = is_pending;
        if is_pending {
            self.quiet_since = None;
            return;
        }
        let is_quiet = self.quiet_since.get_or_insert_with(Instant::now).elapsed() >= QUIET;
        if (has_written || is_quiet) && !self.is_told {
            self.health.clear(self.stage);
            self.is_told = true;
        }
    }

    /// The stage waits inside of itself.
    pub(super) fn wait(&mut self, cause: String) {
        self.health.set(self.stage, cause);
        self.is_told = false;
        self.was_pending = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_failed_works_again_when_it_has_written() {
        let health = Health::default();
        health.set("store", "the disk is full".to_owned());
        let mut working = Working::new(&health, "store");
        for (is_pending, words) in [(false, "the disk is full"), (true, "the disk is full"), (false, "works")] {
            working.step(is_pending);
            assert_eq!(health.words("store"), words);
        }
        working.wait("the log is away".to_owned());
        assert_eq!(health.words("store"), "the log is away");
        working.step(false);
        assert_eq!(health.words("store"), "works");
    }

    #[test]
    fn what_fails_beside_the_work_is_no_cause() {
        let health = Health::default();
        health.degrade("detect", "its state cannot be written".to_owned());
        assert_eq!(health.words("detect"), "works, but its state cannot be written");
        assert!(health.causes().is_empty());
        health.set(LOG, "no broker".to_owned());
        assert_eq!(health.words("detect"), "waits for the log: no broker");
        health.clear(LOG);
        health.restore("detect");
        assert_eq!(health.words("detect"), "works");
    }
}

//! Whether the stages of this process work, and if not, why.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What is wrong with each stage; a stage that works is not in it.
#[derive(Debug, Default)]
pub(crate) struct Health {
    causes: Mutex<BTreeMap<String, String>>,
}

impl Health {
    /// A stage waits or failed.
    pub(crate) fn set(&self, stage: &str, cause: String) {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner).insert(stage.to_owned(), cause);
    }

    /// A stage works.
    pub(crate) fn clear(&self, stage: &str) {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner).remove(stage);
    }

    /// Stages that do not work, with the cause of each.
    pub(crate) fn causes(&self) -> BTreeMap<String, String> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

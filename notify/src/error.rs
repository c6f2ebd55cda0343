//! What can go wrong in this crate. What a sink answers is no error: see [`crate::sinks::Answer`].

use std::path::PathBuf;

/// An error of routes, sinks or the outbox.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A setting that cannot work: a person has to mend it.
    #[error("{message}")]
    Settings {
        /// What, and what to do.
        message: String,
    },
    /// The outbox cannot be read or written: a full disk, a damaged file. What was not written is read again from the log.
    #[error("the outbox {} cannot be used: {source}", path.display())]
    Outbox {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// The disk of the outbox has too little room to take anything in; what is there can still be delivered and noted.
    #[error(
        "the disk of the outbox {} is full: {free_mb} MB are free, and it keeps {wanted_mb} free to note what is delivered; free \
         some space",
        path.display()
    )]
    Full {
        /// Its file.
        path: PathBuf,
        /// Megabytes that are free.
        free_mb: u64,
        /// Megabytes that have to be.
        wanted_mb: u64,
    },
    /// Another process has the outbox.
    #[error("the outbox {} is in use by another process", path.display())]
    InUse {
        /// Its file.
        path: PathBuf,
    },
    /// What is in the outbox is not what this version writes there.
    #[error("the outbox {} holds what this version cannot read: {message}", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What.
        message: String,
    },
}

impl NotifyError {
    /// Whether a person has to do something before trying again is of use.
    #[must_use]
    pub const fn needs_person(&self) -> bool {
        matches!(self, Self::Settings { .. } | Self::Damaged { .. })
    }
}

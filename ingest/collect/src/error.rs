//! What ends a collector. Bad input does not: it is counted and answered.

use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;
use tradewind_transport::LogError;

/// A collector ended before it was asked to.
#[derive(Debug, Error)]
pub enum CollectError {
    /// Settings that cannot work; a line each.
    #[error("source `{name}`: {}", faults.join("; "))]
    Settings {
        /// Name of the source.
        name: String,
        /// What is wrong, and what to do.
        faults: Vec<String>,
    },
    /// The log refuses for good, or another collector of the same name took the place.
    #[error("collector of source `{name}` cannot {what}")]
    Log {
        /// Name of the source.
        name: String,
        /// What was tried.
        what: &'static str,
        /// What the log said.
        #[source]
        source: LogError,
    },
    /// Topics that are needed are not there.
    #[error("source `{name}`: topic `{topic}` does not exist; create it with `tradewind topics create`")]
    TopicMissing {
        /// Name of the source.
        name: String,
        /// Name of the topic.
        topic: String,
    },
    /// The log could not be reached until the grace period ended. What was not written stays with its source.
    #[error(
        "collector of source `{name}` stopped while the log could not be reached; what was not written stays where it is"
    )]
    Away {
        /// Name of the source.
        name: String,
        /// The last failure.
        #[source]
        source: Option<LogError>,
    },
    /// The address cannot be listened at.
    #[error("source `{name}` cannot listen at {address}")]
    Bind {
        /// Name of the source.
        name: String,
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file that the settings name cannot be read.
    #[error("source `{name}` cannot read {path}: {advice}")]
    File {
        /// Name of the source.
        name: String,
        /// The file.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The machine refuses a thread or an event loop.
    #[error("source `{name}` cannot start {what}")]
    Start {
        /// Name of the source.
        name: String,
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Standard input failed.
    #[error("source `{name}` cannot read standard input")]
    Stdin {
        /// Name of the source.
        name: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

//! What can go wrong with a server of a test: it cannot be had at all, or it can and does not do what it should.

use std::path::PathBuf;
use std::time::Duration;

/// Why a server is not there, or did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServerError {
    /// The machine lacks what the server is made with or runs on (Java, Maven, Go, a registry): the one case in which a test skips.
    #[error("{part} cannot be had here: {reason}")]
    Unavailable { part: &'static str, reason: String },
    #[error("cannot {action} {path}: {reason}")]
    File { action: &'static str, path: PathBuf, reason: String },
    #[error("cannot start {program}: {reason}")]
    Spawn { program: String, reason: String },
    #[error("{server} ended ({status}) before it was ready; its log ends with:\n{log}")]
    Ended { server: String, status: String, log: String },
    #[error("{server} was not {state} within {limit:?}; its log ends with:\n{log}")]
    TimedOut { server: String, state: &'static str, limit: Duration, log: String },
    #[error("cannot send {signal} to {server}: {reason}")]
    Signal { server: String, signal: &'static str, reason: String },
    #[error("no free port between {from} and {to}")]
    NoPort { from: u16, to: u16 },
    /// An administrative request, over HTTP or by one of Kafka's tools.
    #[error("{request} failed: {reason}")]
    Request { request: String, reason: String },
}

impl ServerError {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self::File { action, path: path.into(), reason: error.to_string() }
    }

    pub(crate) fn request(request: impl Into<String>, reason: &impl ToString) -> Self {
        Self::Request { request: request.into(), reason: reason.to_string() }
    }

    /// Whether another process had taken a port between its choice and its use.
    pub(crate) fn is_port_clash(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("ddress already in use"))
    }
}

//! Findings and incidents to people and other systems. What was told by the stage `correlate` is routed, put into a durable
//! outbox, and delivered from there to sinks until each has it.
//!
//! This crate does not read the log, and does not know what a finding means.

#![warn(missing_docs)]

pub mod alert;
mod attack;
mod courier;
pub mod error;
mod fit;
mod http;
mod notifier;
mod ocsf;
mod outbox;
mod quiet;
mod record;
mod route;
mod secret;
pub mod settings;
pub mod sinks;
mod status;
#[cfg(test)]
mod testing;
mod trouble;
mod words;

pub use alert::{Action, Alert, Heartbeat, Message, Origin};
pub use error::NotifyError;
pub use notifier::{Input, Notifier, Position, make, status_of};
pub use quiet::QuietSettings;
pub use record::RecordFormat;
pub use route::RouteSettings;
pub use secret::{SecretSource, Secrets};
pub use settings::{NotifySettings, SinkSettings};
pub use status::{DeadLetter, SinkStatus, Status};

//! Collectors: they read bytes from files that grow, from standard input and from HTTP requests, and write them to raw
//! topics together with their own checkpoint, in one transaction.
//!
//! [`collector`] makes a [`Collector`] of settings; [`Collector::run`] runs it until its [`Shutdown`] says otherwise. A
//! collector passes on what the settings say of a format; what bytes mean is decided where they are decoded. Decoding,
//! metrics and health endpoints are deliberately absent.

#![warn(missing_docs)]

mod collector;
mod compacted;
mod counters;
mod error;
pub mod files;
pub mod http;
mod lines;
mod origin;
mod settings;
mod shutdown;
mod stdin;
mod writer;

pub use collector::{Collector, Wiring, collector, stream_collector};
pub use compacted::{Compacted, read_compacted};
pub use counters::{CollectCounters, RejectReason};
pub use error::CollectError;
pub use origin::{FramingSetting, Origin};
pub use settings::{SourceSettings, check_sources};
pub use shutdown::{Shutdown, ShutdownHandle};
pub use stdin::StdinSettings;

//! Logs of partitions with offsets, which every stage reads from and writes to without knowing which one it is.
//!
//! [`Log`] is the trait; [`kafka`] and [`embedded`] are the two that there are, and both pass one conformance suite
//! (`tests/it/conformance`). Beside it are the two things that travel: the raw envelope and batches of flows.
//! What is deliberately absent: what a stage does with what it reads, formats, the lake.

#![warn(missing_docs)]

pub mod embedded;
pub mod envelope;
pub mod error;
pub mod flows;
pub mod kafka;
pub mod log;
pub mod parts;
pub mod record;
pub mod topic;

pub use error::{ErrorKind, LogError};
pub use log::{Consumer, Event, Log, Membership, Producer, Start, Subscription};
pub use record::{Batch, Header, Inputs, Outgoing, Received, Record, TopicPartition};
pub use topic::{Cleanup, TopicSpec, TopicState};

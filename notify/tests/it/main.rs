//! Sinks against stand-ins that hold them to what their vendors document, and the outbox against whatever breaks.
#![allow(clippy::unwrap_used)]

mod alertmanager;
mod collector;
mod elastic;
mod email;
mod faults;
mod full_disk;
#[cfg(feature = "kafka")]
mod kafka;
mod late;
#[cfg(feature = "object-store")]
mod object_store;
mod ocsf;
mod otlp;
mod outbox;
mod pagerduty;
mod python;
mod sentinel;
mod siem;
mod slack;
mod splunk;
mod stand_in;
mod syslog;
mod webhook;
mod world;

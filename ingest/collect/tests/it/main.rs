//! Collectors against real files and real sockets, with a log that fails on demand.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod files;
mod files_faults;
mod http;
mod http_faults;
mod memory_log;
mod soak;
mod stdin;
mod world;

//! The servers themselves: they start, answer, fail on demand, come back with their data, and do not outlive the test.

#![allow(clippy::unwrap_used, clippy::panic)]

mod faulty_http;
mod kafka;
mod processes;
mod raw;
mod s3;
mod toxiproxy;

//! Tests of whole logs: one conformance suite for all of them, and what each has to do beside it.

#![allow(clippy::unwrap_used)]

mod conformance;
mod embedded;
mod kafka;

//! Whole batches through the public interface.
#![allow(clippy::unwrap_used)]

mod cost;
mod replay;
mod traffic;

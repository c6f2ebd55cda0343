//! Whole batches through the public interface.
#![allow(clippy::unwrap_used)]

mod connect_cost;
mod connect_rows;
mod connect_truth;
mod cost;
mod replay;
mod traffic;

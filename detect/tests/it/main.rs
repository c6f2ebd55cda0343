//! Tests of the engine as a whole: streams in, findings out; p-values when nothing happens; quality on labelled flows.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod calibration;
mod conversations;
mod decision;
mod evaluation;
mod feedback;
mod hostile;
mod kept;
mod long_view;
mod mediated;
mod peers;
mod policy;
mod season;
mod sharding;
mod silence;
mod simulation;
mod stream;
mod stream_cost;
mod stream_network;
mod stream_protocol;
mod stream_stages;
mod upgrade;
mod wording;

//! Detectors: flows in, signals and findings out.
//!
//! Everything here is pure: no file, no clock, no random seed. Time is event time; the same flows in any order inside a
//! window give the same findings with the same ids; the state serialises at any point and goes on from there.
//! What is deliberately absent: reading the lake, writing findings, deciding what is a flow's entity.

#![warn(missing_docs)]

pub mod combine;
pub mod contract;
pub mod destination;
pub mod distributions;
pub mod engine;
pub mod event;
pub mod network;
pub mod settings;
pub mod volume;
pub mod window;

mod births;
mod evidence;
mod exact;
mod finding;
mod hazard;
mod popularity;
mod wording;

pub use engine::{Engine, Statistics, UnitScore};
pub use event::FlowEvent;
pub use settings::{DestinationSettings, Settings, SettingsError, VolumeSettings};

/// Version of settings and code that a finding names. Raised whenever a detector's numbers change.
pub const DETECTOR_VERSION: i32 = 1;

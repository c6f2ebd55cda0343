//! Detectors: flows in, signals and findings out.
//!
//! Everything here is pure: no file, no clock, no random seed. Time is event time; the same flows in any order inside a
//! window give the same scores, and findings with the same ids; the state serialises at any point and goes on from there.
//!
//! There are two levels. [`edges`] keeps what each edge did before and is spread over shards by the pair of entities;
//! [`entities`] puts the shards' reports together, combines and decides. [`report`] is what they tell each other, and
//! [`Engine`] runs both in one process, [`stream`] as two stages over a log. Results do not depend on the number of shards.
//! What is deliberately absent: reading the lake, writing findings, deciding what is a flow's entity.

#![warn(missing_docs)]

pub mod combine;
pub mod decision;
pub mod distributions;
pub mod edges;
pub mod engine;
pub mod entities;
pub mod event;
pub mod network;
mod numbered;
pub mod report;
pub mod settings;
pub mod snapshot;
pub mod stream;

mod access;
mod breach;
mod evidence;
mod exact;
mod explain;
mod finding;
mod identity;
mod message;
mod particulars;
mod severity;
mod sorted;
mod texts;
mod usage;
mod wording;

pub use decision::{Control, Decided, DecisionMode, DecisionSettings, Incident, IncidentState, Suppression};
pub use engine::{Engine, Statistics};
pub use entities::{EdgeScore, UnitScore, UnusualSize};
pub use event::{Conversation, FlowEvent};
pub use settings::{
    BeaconSettings, BreachSettings, DarkSettings, DestinationSettings, DriftSettings, ExfiltrationSettings,
    IdentitySettings, MediatedSettings, ProtocolSettings, RolloutSettings, ScanSettings, Settings, SettingsError,
    SilenceSettings, SlowScanSettings, VolumeSettings,
};

/// Version of settings and code that a finding names. Raised whenever a detector's numbers change.
pub const DETECTOR_VERSION: i32 = 5;

//! What every other crate agrees on: the flow record and its field table, entities, findings, what is said of them, and the clock.
//!
//! This crate does no I/O. Nothing here knows a log format, a table format or a detector.

#![warn(missing_docs)]

pub mod batch;
mod cells;
pub mod clock;
pub mod community_id;
pub mod control;
pub mod dictionary;
pub mod entity;
pub mod field;
pub mod finding;
pub mod flow;
pub mod incident;
pub mod outcome;
pub mod protocol;
pub mod provenance;
pub mod reference;
pub mod table;
pub mod time;

pub use batch::{FlowBatch, NULL_CODE, NULL_NUM, NumColumn, TextColumn};
pub use clock::{Clock, FixedClock, SystemClock};
pub use community_id::{ConnectionTuple, community_id, connection_uid};
pub use control::{ControlAction, ControlOrigin, RecordedControl, Scope};
pub use dictionary::Dictionary;
pub use field::{Field, FieldType, NumCol, TextCol};
pub use finding::{Finding, Severity};
pub use incident::{Incident, IncidentState};
pub use outcome::{Outcome, Verdict, outcome};
pub use provenance::Provenance;

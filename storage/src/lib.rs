//! The lake: Delta tables that anybody can read, the ledger that keeps the same bytes from being imported twice, and SQL.
//!
//! The only crate that knows Delta and DataFusion. It knows no log format and no detector.

mod columns;
pub mod compact;
pub mod controls;
mod discard;
mod durable;
mod encode;
pub mod error;
pub mod expire;
mod files;
pub mod findings;
mod handlers;
pub mod import;
mod import_rows;
pub mod lake;
mod ledger;
mod location;
mod log;
mod logs;
mod probe;
mod reader;
pub mod replace;
pub mod replay;
pub mod rows;
pub mod schema;
pub mod sink;
pub mod sql;
mod stage;
pub mod state;
pub mod status;
mod upkeep;
pub mod verify;
mod versions;
pub mod write;

pub use compact::{CompactOptions, CompactReport, TableCompacted};
pub use error::{CommitError, LakeError, QueryError};
pub use expire::{ExpireOptions, ExpireReport, TableExpired};
pub use import::{Committed, Coverage, DeadLetter, Import, ImportedObject};
pub use lake::Lake;
pub use ledger::Imported;
pub use location::{LakeLocation, LocationError};
pub use replace::{PositionRange, Replaced, Replacement};
pub use sink::{OffsetRange, StreamCommit, StreamCommitted, StreamSink, TxnKey};
pub use sql::QueryStream;
pub use status::{LakeStatus, TableStatus};
pub use verify::{Problem, VerifyOptions, VerifyReport};
pub use write::{StagedFile, Stager};

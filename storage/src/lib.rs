//! The lake: Delta tables that anybody can read, the ledger that keeps the same bytes from being imported twice, and SQL.
//!
//! The only crate that knows Delta and DataFusion. It knows no log format and no detector.

mod discard;
mod durable;
mod encode;
pub mod error;
pub mod findings;
pub mod import;
mod import_rows;
pub mod lake;
mod ledger;
pub mod replay;
pub mod rows;
pub mod schema;
pub mod sql;
pub mod write;

pub use error::{CommitError, LakeError, QueryError};
pub use import::{Committed, Coverage, DeadLetter, Import, ImportedObject};
pub use lake::Lake;
pub use ledger::Imported;
pub use sql::QueryStream;
pub use write::{StagedFile, Stager};

//! Input formats, one module each: bytes of one file, object or message to flow columns or rejects.
//!
//! Nothing here opens a file, reads a clock or knows the lake.

pub mod contract;

pub use contract::{Counts, Decoded, Format, Gaps, Reason, Reject};

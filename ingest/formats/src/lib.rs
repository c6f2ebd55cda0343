//! Input formats, one module each: bytes of one file, object or message to flow columns or rejects.
//!
//! Nothing here opens a file, reads a clock or knows the lake.

pub mod address;
mod address_codes;
pub mod aws_vpc;
pub mod contract;
pub mod detect;
pub mod envoy;
pub mod framing;
mod json_objects;
pub mod number;
mod separators;
pub mod unpack;
mod word;
pub mod zeek;

pub use contract::{Counts, Decoded, Format, Gaps, Reason, Reject};
pub use detect::{Chosen, FormatChoice, Framing, UnknownFormat, choose, names};

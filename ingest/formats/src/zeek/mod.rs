//! Zeek's conn.log: as its ASCII writer prints it, below a `#` header, and as JSON. Not Zeek's other logs, whose records are
//! rejected as such, and no logs of connections that are still open.
//!
//! Fields and what they mean: Zeek, "conn.log" and "base/protocols/conn/main.zeek". A record counts both ways of a whole
//! connection; for UDP and ICMP a connection is a sequence of packets between two ends.

mod ascii;
mod family;
mod field;
mod header;
mod json;
mod json_scan;
mod layout;
mod record;
mod row;
mod sniff;
mod state;
mod unmapped;

pub use ascii::Ascii;
pub(crate) use family::FAMILY;
pub use json::Json;
pub use layout::{FIELDS_MAX, LayoutError};
pub use sniff::{Sniffed, sniff};

/// The word in the column `source`.
pub const NAME: &str = "zeek";

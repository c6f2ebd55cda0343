//! Input formats, one module each: bytes of one file, object or message to flow columns or rejects.
//!
//! A format is one file or folder and one line in `registry`; no format knows another. `docs/add-a-format.md` shows how one is
//! added. Nothing here opens a file, reads a clock or knows the lake.

pub mod address;
mod address_codes;
mod aws_elb;
mod aws_network_firewall;
pub mod aws_vpc;
mod azure;
mod caddy;
pub mod contract;
mod decimal;
pub mod detect;
mod ecs;
mod endpoint;
mod envelope;
pub mod envoy;
pub mod framing;
mod gcp;
mod haproxy;
mod http;
mod json;
mod json_objects;
mod lines;
mod linkerd;
mod mapping;
mod nginx;
pub mod number;
mod ocsf;
mod otlp;
pub mod page;
mod record_ends;
mod redact;
mod registry;
mod rows;
mod separators;
#[cfg(test)]
mod testing;
mod text;
mod traefik;
mod unmapped;
pub mod unpack;
mod word;
pub mod zeek;
mod ztunnel;

pub use contract::{Counts, Decoded, Format, Gaps, Reason, Reject};
pub use detect::{Chosen, FormatChoice, Framing, UnknownFormat, choose, names};
pub use registry::{Decoder, Family, families, family};

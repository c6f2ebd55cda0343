//! The streaming service: records in at one end, rows and findings out at the other, once, whatever is done to it.

mod embedded;
mod kafka;
mod running;
mod told;

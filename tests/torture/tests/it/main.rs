//! A short run on each log. They need the built program and, for Kafka, the servers; without them they skip and say so.

mod notify;
mod short;

//! Real servers for tests, as child processes that end with the test: Apache Kafka ([`Kafka`]), an S3 gateway ([`S3`]), and what stands
//! between them and a client to make faults ([`Toxiproxy`] for TCP, [`FaultyHttp`] for HTTP).
//!
//! They are fetched and built once by `scripts/servers`, outside the checkout. Where that cannot be done, a test skips through
//! [`available`]; with `TRADEWIND_REQUIRE_SERVERS=1`, as `scripts/test` sets it, it fails instead. It is no client: a test brings the
//! client that it tests.
//!
//! ```no_run
//! use tradewind_kafka_testkit::{Kafka, available};
//!
//! let Some(kafka) = available(Kafka::shared()) else { return };
//! println!("{}", kafka.bootstrap());
//! ```

mod error;
mod faulty_http;
mod folder;
mod http;
mod kafka;
mod managed;
mod parts;
mod ports;
mod process;
mod s3;
mod skip;
mod toxiproxy;

pub use error::ServerError;
pub use faulty_http::{Fault, FaultPlan, FaultyHttp};
pub use kafka::{Feed, Kafka, KafkaOptions, User};
pub use s3::S3;
pub use skip::available;
pub use toxiproxy::Toxiproxy;

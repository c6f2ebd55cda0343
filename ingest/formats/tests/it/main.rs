//! Formats seen from outside: samples against their expected parse, hostile input, streams and detection.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#![allow(clippy::print_stdout, reason = "tests say how many records they compared")]

mod cookbook;
mod corpus;
mod corpus_checks;
mod detection;
mod envoy;
mod expected;
mod expected_table;
mod reference;
mod samples;
mod streams;
mod vpc;
mod vpc_mapping;
mod vpc_parquet;
mod vpc_parquet_limits;
mod vpc_properties;
mod vpc_samples;
mod zeek;
mod zeek_properties;
mod zeek_samples;

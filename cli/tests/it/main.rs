//! The program as a user runs it: arguments in, output and exit code out.
#![allow(clippy::unwrap_used)]

mod arguments;
mod configuration;
mod connect;
mod demo;
mod evidence;
mod feedback;
mod guide;
mod import;
mod parse;
mod program;
mod service;
mod sql;
mod verify;

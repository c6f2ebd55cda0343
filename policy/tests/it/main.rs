//! Tests of the policy from outside: documents in, verdicts, messages and reports out.
#![allow(clippy::unwrap_used, reason = "tests")]

mod check;
mod documents;
mod flow_text;
mod limits;
mod meaning;
mod oracle;
mod report;

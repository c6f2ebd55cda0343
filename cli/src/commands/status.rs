//! `tradewind status`: how the service of this configuration is.

use crate::context::Context;
use crate::output::{check_summary, summary};
use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Say how a running service is: its stages, what they counted, how far they are behind.
///
/// Asks the service at `[run] listen` of the configuration. Exit code 1 where a stage does not work.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {}

/// Runs the command.
///
/// # Errors
/// No service at the address; a stage that does not work.
pub(crate) fn run(_args: &StatusArgs, context: &Context) -> anyhow::Result<()> {
    check_summary(context.output)?;
    let status = ask(context, "/status")?;
    summary(&status, || lines(&status), context.output)?;
    match status["causes"].as_object() {
        Some(causes) if !causes.is_empty() => bail!("a stage does not work"),
        _ => Ok(()),
    }
}

/// Asks the running service for one of its pages.
///
/// # Errors
/// No service at the address, or none that knows the page.
pub(super) fn ask(context: &Context, page: &str) -> anyhow::Result<Value> {
    let address = context.settings.run.listen;
    let failed = || format!("no service answers at {address} ([run] listen); is `tradewind run` running?");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).with_context(failed)?;
    let request = format!("GET {page} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(failed)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).with_context(failed)?;
    let split = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").with_context(failed)?;
    serde_json::from_slice(&answer[split + 4..]).with_context(|| format!("what answers at {address} is no tradewind"))
}

fn lines(status: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines = Vec::new();
    for (stage, cause) in status["stages"].as_object().into_iter().flatten() {
        lines.push(format!("{stage}: {}", text(cause)));
    }
    for lag in status["lag"].as_array().into_iter().flatten().filter(|lag| lag["records"] != 0) {
        let (group, topic, partition) = (text(&lag["group"]), text(&lag["topic"]), text(&lag["partition"]));
        lines.push(format!("  {group} is {} records behind in {topic}/{partition}", lag["records"]));
    }
    for (name, value) in status["metrics"].as_object().into_iter().flatten() {
        lines.push(format!("  {name} {value}"));
    }
    lines
}

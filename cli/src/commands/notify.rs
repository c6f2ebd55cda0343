//! `tradewind notify`: sinks tried out, how deliveries stand, and what was refused sent once more.

use super::status::ask;
use crate::context::Context;
use crate::failure::usage;
use crate::notify;
use crate::output::{check_summary, summary};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::sync::Arc;
use tradewind_model::time::rfc3339;
use tradewind_notify::sinks::Answer;
use tradewind_notify::{Alert, Message, NotifyError, Status};

/// Try sinks, see how deliveries stand, send once more what was refused.
///
/// Sinks and routes are sections [[notify.sink]] and [[notify.route]] of the configuration.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct NotifyArgs {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    /// Send a finding that is marked as a test to a sink, and say what the other side answered
    ///
    /// Where the other side keeps incidents, the test is taken back at once.
    Test {
        /// Name of the sink
        #[arg(value_name = "SINK")]
        sink: String,
    },
    /// Say for each sink what waits, since when, and what went wrong last
    ///
    /// Asks the running service, or looks into the outbox where none runs. Exit code 1 where something waits for over an
    /// hour.
    Status {},
    /// Send what a sink refused for good once more
    ///
    /// A running service does it within a second; else the next one that is started does.
    Replay {
        /// Name of the sink
        #[arg(value_name = "SINK")]
        sink: String,
    },
}

/// What waits for longer is a matter for a person, microseconds.
const LATE: i64 = tradewind_model::time::HOUR;

/// Runs the command.
///
/// # Errors
/// A sink that does not exist or does not take the test; an outbox that cannot be read.
pub(crate) fn run(args: &NotifyArgs, context: &Context) -> anyhow::Result<()> {
    check_summary(context.output)?;
    match &args.command {
        NotifyCommand::Test { sink } => test(sink, context),
        NotifyCommand::Status {} => status(context),
        NotifyCommand::Replay { sink } => replay(sink, context),
    }
}

fn known<'a>(name: &str, context: &'a Context) -> anyhow::Result<&'a tradewind_notify::SinkSettings> {
    let sinks = &context.settings.notify.sinks;
    sinks.iter().find(|sink| sink.name == name).ok_or_else(|| {
        let names: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
        let known = if names.is_empty() { "the configuration has none".to_owned() } else { names.join(", ") };
        usage(format!("there is no sink `{name}` ([[notify.sink]]); known are: {known}"))
    })
}

fn test(name: &str, context: &Context) -> anyhow::Result<()> {
    let settings = known(name, context)?;
    let made = notify::with_secrets(&context.settings, |secrets| {
        tradewind_notify::make(settings, &context.settings.notify, secrets, &context.clock)
    });
    let sink = made.map_err(|error| match error {
        NotifyError::Settings { message } => usage(message),
        other => other.into(),
    })?;
    let alert = Alert::test(context.clock.now());
    let over = alert.clone().resolved(context.clock.now().saturating_add(1));
    let deliver = |alert: Alert| {
        let sink = Arc::clone(&sink);
        let answers = context.runtime.block_on(async move { sink.deliver(&[Message::Alert(Box::new(alert))]).await });
        answers.into_iter().next().context("the sink gave no answer: this is a bug")
    };
    let first = deliver(alert)?;
    let is_there = matches!(first, Answer::Delivered(_));
    let second = if is_there { Some(deliver(over)?) } else { None };
    let said = |answer: &Answer| match answer {
        Answer::Delivered(said) => ("delivered", said.clone()),
        Answer::Refused(said) => ("refused", said.clone()),
        Answer::Later { reason, .. } => ("failed", reason.clone()),
    };
    let ((result, words), end) = (said(&first), second.as_ref().map(said));
    let told = json!({
        "sink": name, "type": settings.kind.as_str(), "result": result, "answer": words,
        "end": end.as_ref().map(|(result, words)| json!({ "result": result, "answer": words })),
    });
    let lines = || {
        let mut lines = vec![format!("{name} ({}): {result}: {words}", settings.kind.as_str())];
        lines.extend(end.as_ref().map(|(result, words)| format!("  its end: {result}: {words}")));
        lines
    };
    summary(&told, lines, context.output)?;
    let is_whole = is_there && second.is_none_or(|answer| matches!(answer, Answer::Delivered(_)));
    if is_whole { Ok(()) } else { bail!("sink `{name}` did not take the test") }
}

fn status(context: &Context) -> anyhow::Result<()> {
    let now = context.clock.now();
    let status: Status = match ask(context, "/notify") {
        Ok(answer) => serde_json::from_value(answer).context("the service's answer cannot be read")?,
        Err(_) => {
            let folder = notify::outbox(&context.settings);
            match tradewind_notify::status_of(&folder, now) {
                Ok(status) => with_configured(status, context),
                Err(NotifyError::InUse { path }) => {
                    bail!("the outbox {} is in use, but no service answers at [run] listen", path.display())
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    summary(&serde_json::to_value(&status)?, || lines(&status, now), context.output)?;
    let is_late = |since: i64| now.saturating_sub(since) > LATE;
    match status.sinks.iter().find(|(_, sink)| sink.oldest.is_some_and(is_late)) {
        Some((name, _)) => bail!("messages wait for sink `{name}` for over an hour"),
        None => Ok(()),
    }
}

/// What no stage knows while none runs: which sinks the configuration has.
fn with_configured(mut status: Status, context: &Context) -> Status {
    for sink in &context.settings.notify.sinks {
        status.sinks.entry(sink.name.clone()).or_default().kind = Some(sink.kind.as_str().to_owned());
    }
    status
}

fn lines(status: &Status, now: i64) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, sink) in &status.sinks {
        let kind = sink.kind.as_deref().unwrap_or("not in the configuration");
        lines.push(format!(
            "{name} ({kind}): {} delivered, {} waiting, {} refused",
            sink.delivered, sink.waiting, sink.refused
        ));
        if let Some(oldest) = sink.oldest {
            lines.push(format!("  the oldest waits for {} s", now.saturating_sub(oldest).max(0) / 1_000_000));
        }
        if sink.dead > 0 {
            lines.push(format!("  {} refused can be sent again: `tradewind notify replay {name}`", sink.dead));
        }
        if let Some(time) = sink.last_delivered {
            lines.push(format!("  last delivered at {}", rfc3339(time)));
        }
        if let (Some(error), Some(time)) = (&sink.last_error, sink.last_error_time) {
            lines.push(format!("  last failed at {}: {error}", rfc3339(time)));
        }
    }
    if lines.is_empty() {
        lines.push("there is no sink: add [[notify.sink]] to the configuration".to_owned());
    }
    lines
}

fn replay(name: &str, context: &Context) -> anyhow::Result<()> {
    known(name, context)?;
    let folder = notify::requests(&context.settings);
    let failed = || format!("failed to write {}", folder.display());
    std::fs::create_dir_all(&folder).with_context(failed)?;
    std::fs::write(folder.join(name), "").with_context(failed)?;
    let told: Value = json!({ "sink": name, "asked": true });
    let lines = || vec![format!("what {name} refused goes out once more: see `tradewind notify status`")];
    summary(&told, lines, context.output)
}

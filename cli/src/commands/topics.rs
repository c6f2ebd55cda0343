//! `tradewind topics`: makes and checks the topics that stages need.

use crate::config::LogKind;
use crate::context::Context;
use crate::output::line;
use crate::stages::topics::{self, Topics};
use crate::transport;
use clap::{Args, Subcommand};

/// Create and check the topics of the log between stages.
///
/// The embedded log makes its topics by itself. On Kafka they are made by this command alone, with the partitions and the
/// retention that section [transport] of the configuration says; topics that exist stay as they are.
#[derive(Args, Debug)]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create the topics that are missing
    Create,
    /// Say what is wrong with the topics; exit code 1 if anything is
    Check,
}

/// Runs the command.
///
/// # Errors
/// A log that cannot be reached or refuses; topics that are wrong.
pub(crate) fn run(args: &TopicsArgs, context: &Context) -> anyhow::Result<()> {
    let settings = &context.settings;
    let log = transport::open(settings)?.log;
    let specs = Topics::new(&settings.transport.topic_prefix).specs(&settings.transport);
    let others: Vec<String> = settings.topics.iter().map(|topic| topic.name.clone()).collect();
    match args.action {
        Action::Create => {
            for spec in &specs {
                let word = if log.create(spec)? { "created" } else { "exists" };
                line(&format!("{word} {} ({} partitions)", spec.name, spec.partitions))?;
            }
            // What is there from before may not fit.
            topics::check(&*log, &specs, &[])?;
        }
        Action::Check => {
            topics::check(&*log, &specs, &others)?;
            line(&format!("{} topics are as they should be", specs.len() + others.len()))?;
        }
    }
    if settings.transport.log == LogKind::Embedded {
        line("the embedded log makes its topics by itself")?;
    }
    Ok(())
}

//! `tradewind run`: the streaming service.

use crate::context::Context;
use crate::serve;
use crate::stages::{self, Runtime, Stage, Stop, topics};
use crate::telemetry::lag::Lags;
use crate::telemetry::metrics::{self, Numbers};
use crate::telemetry::{self, Exporters};
use crate::transport::{self, OpenedLog};
use clap::Args;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tradewind_transport::{ErrorKind, LogError, TopicSpec};

/// How long to wait before a log that cannot be reached is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often the embedded log forgets what it is to forget.
const MAINTENANCE: Duration = Duration::from_secs(30);

/// Run the service: collect, normalise, store and detect until it is told to stop.
///
/// Without a configuration all stages run in this process, on a log of its own in the folder `log`. With Kafka as the log
/// ([transport] in the configuration) the stages can run in several processes, on several machines.
///
/// SIGTERM or Ctrl-C ends in order: what was taken in is written, within the grace period. A second signal ends at once.
/// Nothing is lost either way.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Stages that this process runs [default: all, or those of the configuration]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STAGE,...")]
    stages: Vec<Stage>,
}

/// Runs the service.
///
/// # Errors
/// What needs a person: each with where it was and what to do.
pub(crate) fn run(args: &RunArgs, context: &Context, exporters: Option<&Exporters>) -> anyhow::Result<()> {
    let ended = serve_stages(args, context, exporters);
    if let Some(exporters) = exporters {
        exporters.end();
    }
    ended
}

fn serve_stages(args: &RunArgs, context: &Context, exporters: Option<&Exporters>) -> anyhow::Result<()> {
    let mut wanted = if args.stages.is_empty() { context.settings.run.stages.clone() } else { args.stages.clone() };
    wanted.sort_unstable();
    wanted.dedup();
    let stop = Stop::default();
    end_on_signals(context, &stop);
    let opened = transport::open(&context.settings)?;
    let runtime = Arc::new(Runtime::new(context, Arc::clone(&opened.log))?);
    let registry = prometheus::Registry::new();
    let meters = telemetry::meters(&registry, &runtime.instance, exporters)?;
    let lags = Arc::new(Lags::default());
    let numbers = Numbers {
        counters: Arc::clone(&runtime.counters),
        health: Arc::clone(&runtime.health),
        lags: Arc::clone(&lags),
        stages: wanted.clone(),
    };
    metrics::observe(&meters, &numbers);
    let server = serve::start(context, &runtime, registry, numbers)?;
    tracing::info!(address = %server.address(), "health and metrics");
    if !prepare(&runtime, &opened, &stop)? {
        return Ok(());
    }
    let beside = [maintain(context, &opened, &stop), lags.watch(&runtime, &stop)];
    tracing::info!(stages = ?wanted.iter().map(|stage| stage.as_str()).collect::<Vec<_>>(), "running");
    let failed = stages::run(&runtime, &wanted, &stop);
    stop.set();
    for worker in beside.into_iter().flatten() {
        worker.join().ok();
    }
    if let Err(error) = meters.shutdown() {
        tracing::debug!(%error, "the last metrics were not sent");
    }
    match failed.into_iter().next() {
        None => Ok(()),
        Some(failed) => Err(failed.error.context(format!("stage {} cannot go on", failed.stage))),
    }
}

/// Waits until the log can be reached and its topics are there. False: it was told to stop.
fn prepare(runtime: &Runtime, opened: &OpenedLog, stop: &Stop) -> anyhow::Result<bool> {
    let specs = runtime.topics.specs(&runtime.settings.transport);
    let others: Vec<String> = runtime.settings.topics.iter().map(|topic| topic.name.clone()).collect();
    while !stop.is_set() {
        let ready = || -> anyhow::Result<()> {
            if opened.embedded.is_some() {
                // Raw topics of the configuration ([[topic]]) as well: nobody else could make them.
                let raw = specs.iter().find(|spec| spec.name == runtime.topics.raw);
                let named = others.iter().filter_map(|name| Some(TopicSpec { name: name.clone(), ..raw?.clone() }));
                for spec in specs.iter().cloned().chain(named) {
                    runtime.log.create(&spec)?;
                }
            }
            topics::check(&*runtime.log, &specs, &others)
        };
        let Err(error) = ready() else {
            runtime.health.clear("log");
            return Ok(true);
        };
        let may_pass = error.chain().filter_map(|cause| cause.downcast_ref::<LogError>());
        if may_pass.last().is_none_or(|error| error.kind() != ErrorKind::Retry) {
            return Err(error);
        }
        tracing::warn!(error = format!("{error:#}"), "waiting for the log");
        runtime.health.set("log", format!("{error:#}"));
        stop.wait(AGAIN);
    }
    Ok(false)
}

/// Lets the embedded log forget what is old.
fn maintain(context: &Context, opened: &OpenedLog, stop: &Stop) -> Option<std::thread::JoinHandle<()>> {
    let embedded = opened.embedded.clone()?;
    let (clock, stop) = (Arc::clone(&context.clock), stop.clone());
    let work = move || {
        while !stop.is_set() {
            if let Err(error) = embedded.maintain(clock.now()) {
                tracing::warn!(error = format!("{:#}", anyhow::Error::from(error)), "the log was not tidied");
            }
            stop.wait(MAINTENANCE);
        }
    };
    std::thread::Builder::new().name("maintenance".to_owned()).spawn(work).ok()
}

/// The first signal ends in order, within the grace period; the second at once.
fn end_on_signals(context: &Context, stop: &Stop) {
    let (stop, grace) = (stop.clone(), Duration::from_secs(context.settings.run.grace_s));
    context.runtime.spawn(async move {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        let one = async |terminate: &mut tokio::signal::unix::Signal| {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        one(&mut terminate).await;
        tracing::info!(grace_s = grace.as_secs(), "ending");
        stop.set();
        tokio::select! {
            () = one(&mut terminate) => tracing::warn!("ended at once: what was not written is read again"),
            () = tokio::time::sleep(grace) => {
                tracing::warn!("the grace period ([run] grace_s) is over: what was not written is read again");
            }
        }
        // Stages that hang cannot be waited for; what they have not committed is read again.
        #[allow(clippy::disallowed_methods)]
        std::process::exit(1);
    });
}

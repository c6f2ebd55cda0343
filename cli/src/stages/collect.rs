//! Stage `collect`: the sources of the configuration, each on a thread of its own.

use super::health::Working;
use super::tell::needs_person;
use super::watched::Watched;
use super::{Runtime, Stop};
use std::sync::Arc;
use std::time::Duration;
use tradewind_collect::{CollectError, ShutdownHandle, Wiring, collector};

/// How often the wish to end is looked at.
const STEP: Duration = Duration::from_millis(50);

/// Runs all sources until they have ended or are told to stop.
///
/// # Errors
/// The first failure of a source; then the others are stopped as well.
pub(super) fn run(runtime: &Arc<Runtime>, stop: &Stop, working: &mut Working<'_>) -> anyhow::Result<()> {
    let mut wiring = Wiring {
        log: Arc::clone(&runtime.log),
        clock: Arc::clone(&runtime.clock),
        collector: runtime.instance.clone(),
        topic: runtime.topics.raw.as_str().into(),
        checkpoint_topic: runtime.topics.checkpoints.as_str().into(),
    };
    let (mut collectors, mut troubles) = (Vec::new(), Vec::new());
    for settings in &runtime.settings.sources {
        let (log, trouble) = Watched::new(&runtime.log);
        wiring.log = Arc::new(log);
        troubles.push((settings.name().to_owned(), trouble));
        collectors.push(collector(settings.clone(), &wiring).map_err(failed)?);
    }
    if collectors.is_empty() {
        tracing::info!("there is no [[source]] in the configuration: nothing is collected here");
    }
    let handle = ShutdownHandle::new();
    let shutdown = handle.listener();
    let grace = Duration::from_secs(runtime.settings.run.grace_s);
    let mut first = None;
    std::thread::scope(|scope| {
        let mut workers: Vec<_> = collectors
            .into_iter()
            .map(|collector| {
                let name = collector.name().to_owned();
                if let Some(address) = collector.address() {
                    tracing::info!(source = name, %address, "listening");
                }
                runtime.counters.collect.add(&name, collector.counters());
                let shutdown = shutdown.clone();
                (name, scope.spawn(move || collector.run(&shutdown)))
            })
            .collect();
        while !workers.is_empty() {
            if stop.is_set() || first.is_some() {
                handle.request(grace);
            }
            let (done, running): (Vec<_>, Vec<_>) = workers.into_iter().partition(|(_, worker)| worker.is_finished());
            workers = running;
            for (name, worker) in done {
                match worker.join() {
                    Ok(Ok(())) => tracing::info!(source = name, "ended"),
                    Ok(Err(error)) => first = first.take().or_else(|| Some(failed(error))),
                    Err(_) => {
                        first = first.take().or_else(|| Some(anyhow::anyhow!("source `{name}` stopped by a bug")))
                    }
                }
            }
            let waiting: Vec<String> = troubles
                .iter()
                .filter_map(|(name, trouble)| Some(format!("source `{name}` waits: {}", trouble.get()?)))
                .collect();
            if waiting.is_empty() {
                working.step(false);
            } else {
                working.wait(waiting.join("; "));
            }
            std::thread::sleep(STEP);
        }
    });
    match first {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn failed(error: CollectError) -> anyhow::Error {
    if matches!(error, CollectError::Settings { .. }) { needs_person(error.to_string()) } else { error.into() }
}

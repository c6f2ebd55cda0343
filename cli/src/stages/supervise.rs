//! Begins stages, begins them anew after what may pass, and ends the process after what needs a person.

use super::health::Working;
use super::tell::{NeedsPerson, said};
use super::{Runtime, Stop, collect, correlate, detect, normalise, notify, store};
use clap::ValueEnum;
use serde::Deserialize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tradewind_storage::LakeError;
use tradewind_transport::{ErrorKind, LogError};

/// The wait after the first failure; it doubles with each, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A stage that worked so long is not failing again and again.
const SOUND: Duration = Duration::from_secs(60);

/// A stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Sources into the raw topic
    Collect,
    /// Raw records into flows
    Normalise,
    /// Flows, dead letters, coverage and findings into the lake
    Store,
    /// Baselines of edges
    Detect,
    /// Baselines of entities, findings
    Correlate,
    /// Findings and incidents to people and other systems
    Notify,
}

impl Stage {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Normalise => "normalise",
            Self::Store => "store",
            Self::Detect => "detect",
            Self::Correlate => "correlate",
            Self::Notify => "notify",
        }
    }
}

/// A stage failed in a way that only a person can mend.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) stage: String,
    pub(crate) error: anyhow::Error,
}

/// Runs stages until all have ended, or one has failed for good: then all are told to end.
pub(crate) fn run(runtime: &Arc<Runtime>, stages: &[Stage], stop: &Stop) -> Vec<Failed> {
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for &stage in stages {
            let copies = match stage {
                Stage::Normalise => runtime.settings.run.normalisers.max(1),
                _ => 1,
            };
            for copy in 0..copies {
                let name = if copies == 1 { stage.as_str().to_owned() } else { format!("{}-{copy}", stage.as_str()) };
                let member = if copy == 0 { runtime.instance.clone() } else { format!("{}-{copy}", runtime.instance) };
                let (runtime, stop) = (Arc::clone(runtime), stop.clone());
                let worker = std::thread::Builder::new().name(name.clone());
                let work = move || supervise(&name, stage, &member, &runtime, &stop);
                workers.push(worker.spawn_scoped(scope, work));
            }
        }
        workers
            .into_iter()
            .filter_map(|worker| match worker {
                Ok(worker) => worker.join().unwrap_or(None),
                Err(error) => {
                    stop.set();
                    Some(Failed { stage: "a stage".to_owned(), error: error.into() })
                }
            })
            .collect()
    })
}

fn supervise(name: &str, stage: Stage, member: &str, runtime: &Arc<Runtime>, stop: &Stop) -> Option<Failed> {
    let mut pause = PAUSE_MIN;
    loop {
        let begun = Instant::now();
        let mut working = Working::new(&runtime.health, name);
        let working = &mut working;
        let ended = catch_unwind(AssertUnwindSafe(|| match stage {
            Stage::Collect => collect::run(runtime, stop, working),
            Stage::Normalise => normalise::run(runtime, member, stop, working),
            Stage::Store => store::run(runtime, member, stop, working),
            Stage::Detect => detect::run(runtime, member, stop, working),
            Stage::Correlate => correlate::run(runtime, member, stop, working),
            Stage::Notify => notify::run(runtime, member, stop, working),
        }))
        .unwrap_or_else(|_| Err(anyhow::anyhow!("it stopped by a fault of the program: this is a bug")));
        let error = match ended {
            Ok(()) => {
                tracing::info!(stage = name, "ended");
                return None;
            }
            Err(error) => error,
        };
        if stop.is_set() {
            // What was not committed is read again after the next start.
            tracing::warn!(stage = name, error = said(error.as_ref()), "ended before all was written");
            return None;
        }
        if kind(&error) == ErrorKind::Fatal {
            runtime.health.set(name, said(error.as_ref()));
            stop.set();
            return Some(Failed { stage: name.to_owned(), error });
        }
        if begun.elapsed() >= SOUND {
            pause = PAUSE_MIN;
        }
        runtime.health.set(name, said(error.as_ref()));
        tracing::warn!(stage = name, error = said(error.as_ref()), "begins again in {} ms", pause.as_millis());
        stop.wait(pause);
        if stop.is_set() {
            return None;
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// What is to be done about an error of a stage. What nobody knows may pass.
fn kind(error: &anyhow::Error) -> ErrorKind {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<LogError>() {
            return error.kind();
        }
        if let Some(LakeError::Schema { .. } | LakeError::NoConditionalPut { .. }) = cause.downcast_ref::<LakeError>() {
            return ErrorKind::Fatal;
        }
        if cause.is::<NeedsPerson>() {
            return ErrorKind::Fatal;
        }
    }
    ErrorKind::Retry
}

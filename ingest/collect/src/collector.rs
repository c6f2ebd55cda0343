//! From settings to something that runs. What a collector does is in its own folder.

use crate::counters::CollectCounters;
use crate::error::CollectError;
use crate::files::FileCollector;
use crate::http::HttpCollector;
use crate::settings::{SourceSettings, check_name};
use crate::shutdown::Shutdown;
use crate::stdin::{StdinCollector, StdinSettings};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use tradewind_model::Clock;
use tradewind_transport::Log;

/// What all collectors of a process share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// The log that is written to.
    pub log: Arc<dyn Log>,
    /// The time that records are stamped with.
    pub clock: Arc<dyn Clock>,
    /// Name of this collector among all that write to the log. It stays the same over restarts: checkpoints are kept by it.
    pub collector: String,
    /// The raw topic of sources that name none.
    pub topic: Arc<str>,
    /// The compacted topic of checkpoints.
    pub checkpoint_topic: Arc<str>,
}

/// One collector, ready to run.
#[derive(Debug)]
pub struct Collector {
    name: String,
    counters: Arc<CollectCounters>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File(Box<FileCollector>),
    Stdin(Box<StdinCollector>),
    Http(Box<HttpCollector>),
}

/// Makes a collector of settings. Files that the settings name are read, and an HTTP address is bound; the log is not
/// touched yet.
///
/// # Errors
/// All faults of the settings; files that cannot be read; an address that is taken.
pub fn collector(settings: SourceSettings, wiring: &Wiring) -> Result<Collector, CollectError> {
    let name = settings.name().to_owned();
    let mut faults = settings.faults();
    check_name("collector", &wiring.collector, &mut faults);
    if !faults.is_empty() {
        return Err(CollectError::Settings { name, faults });
    }
    let counters = Arc::new(CollectCounters::default());
    let shared = Arc::clone(&counters);
    let wiring = wiring.clone();
    let kind = match settings {
        SourceSettings::File(settings) => Kind::File(Box::new(FileCollector::new(settings, wiring, shared))),
        SourceSettings::Stdin(settings) => Kind::Stdin(Box::new(StdinCollector::new(settings, wiring, shared))),
        SourceSettings::Http(settings) => Kind::Http(Box::new(HttpCollector::new(settings, wiring, shared)?)),
    };
    Ok(Collector { name, counters, kind })
}

/// Makes a collector that reads `input` as another one reads standard input.
///
/// # Errors
/// All faults of the settings.
pub fn stream_collector(
    settings: StdinSettings,
    wiring: &Wiring,
    input: Box<dyn Read + Send>,
) -> Result<Collector, CollectError> {
    let faults = SourceSettings::Stdin(settings.clone()).faults();
    let name = settings.name.clone();
    if !faults.is_empty() {
        return Err(CollectError::Settings { name, faults });
    }
    let counters = Arc::new(CollectCounters::default());
    let stdin = StdinCollector::reading(settings, wiring.clone(), Arc::clone(&counters), input);
    Ok(Collector { name, counters, kind: Kind::Stdin(Box::new(stdin)) })
}

impl Collector {
    /// Name of the source.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> Arc<CollectCounters> {
        Arc::clone(&self.counters)
    }

    /// Where it listens, if it does: with the real port where the settings say 0.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Http(http) => Some(http.address()),
            Kind::File(_) | Kind::Stdin(_) => None,
        }
    }

    /// Collects until asked to end, on the caller's thread, which is to be no thread of an event loop. Standard input ends
    /// by itself when there is no more of it.
    ///
    /// # Errors
    /// What cannot be waited out; see [`CollectError`].
    pub fn run(self, shutdown: &Shutdown) -> Result<(), CollectError> {
        match self.kind {
            Kind::File(files) => files.run(shutdown),
            Kind::Stdin(stdin) => stdin.run(shutdown),
            Kind::Http(http) => http.run(shutdown),
        }
    }
}

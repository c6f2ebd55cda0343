//! A log, a folder and collectors on threads of their own, with waits that end.

use crate::memory_log::MemoryLog;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tradewind_collect::{CollectCounters, CollectError, Collector, ShutdownHandle, SourceSettings, Wiring, collector};
use tradewind_model::SystemClock;
use tradewind_transport::envelope::RawEnvelope;

pub(crate) const TOPIC: &str = "raw";

/// A collector that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) counters: Arc<CollectCounters>,
    pub(crate) address: Option<std::net::SocketAddr>,
    handle: ShutdownHandle,
    thread: Option<JoinHandle<Result<(), CollectError>>>,
}

impl Running {
    pub(crate) fn start(collector: Collector) -> Self {
        let (counters, address) = (collector.counters(), collector.address());
        let handle = ShutdownHandle::new();
        let shutdown = handle.listener();
        let thread = std::thread::spawn(move || collector.run(&shutdown));
        Self { counters, address, handle, thread: Some(thread) }
    }

    /// Asks it to end, and how it ended.
    pub(crate) fn stop(self) -> Result<(), CollectError> {
        self.stop_within(Duration::from_secs(10))
    }

    pub(crate) fn stop_within(mut self, grace: Duration) -> Result<(), CollectError> {
        self.handle.request(grace);
        self.thread.take().unwrap().join().unwrap()
    }

    pub(crate) fn ask_to_stop(&self, grace: Duration) {
        self.handle.request(grace);
    }

    /// How it ends by itself.
    pub(crate) fn ended(mut self) -> Result<(), CollectError> {
        until("the collector ends", || self.thread.as_ref().unwrap().is_finished());
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.request(Duration::ZERO);
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) log: MemoryLog,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let log = MemoryLog::new(&[(TOPIC, 2), ("checkpoints", 3)]);
        Self { log, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn append(&self, name: &str, content: &str) {
        append(&self.path(name), content);
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn wiring(&self) -> Wiring {
        Wiring {
            log: Arc::new(self.log.clone()),
            clock: Arc::new(SystemClock),
            collector: "edge-1".to_owned(),
            topic: Arc::from(TOPIC),
            checkpoint_topic: Arc::from("checkpoints"),
        }
    }

    /// A collector of these settings, which are TOML without its table. `DIR` stands for the folder.
    pub(crate) fn collector(&self, settings: &str) -> Result<Collector, CollectError> {
        let folder = self.folder.path().display().to_string();
        collector(settings_of(&settings.replace("DIR", &folder)), &self.wiring())
    }

    pub(crate) fn start(&self, settings: &str) -> Running {
        Running::start(self.collector(settings).unwrap())
    }

    /// Values of raw records with what is said of them.
    pub(crate) fn raw(&self) -> Vec<(RawEnvelope, String)> {
        let records = self.log.records(TOPIC);
        let read = |record: &tradewind_transport::Record| {
            let envelope = RawEnvelope::of(record, &RawEnvelope::default()).unwrap();
            (envelope, String::from_utf8(record.value.to_vec()).unwrap())
        };
        records.iter().map(read).collect()
    }

    /// All lines in the raw topic, sorted, so that partitions do not matter.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.raw().iter().flat_map(|(_, value)| value.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.sort();
        lines
    }

    /// Waits until exactly these lines are there.
    pub(crate) fn expect(&self, expected: &[&str]) {
        let mut expected: Vec<String> = expected.iter().map(|&line| line.to_owned()).collect();
        expected.sort();
        let limit = Instant::now() + Duration::from_secs(20);
        while self.lines() != expected {
            assert!(Instant::now() < limit, "{:?} instead of {expected:?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(crate) fn settings_of(text: &str) -> SourceSettings {
    toml::from_str(text).unwrap()
}

pub(crate) fn append(path: &Path, content: &str) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

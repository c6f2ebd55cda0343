//! One attempt at a group of inputs: readers and workers as threads, and what they made.

use super::inputs::Input;
use super::object::{Failure, Object};
use super::progress::Progress;
use super::reader::{self, Run};
use super::stop::Stop;
use super::turns::Turns;
use super::worker::{Made, Worker};
use crate::memory::Memory;
use anyhow::Context as _;
use crossbeam_channel::{Receiver, bounded};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tradewind_formats::FormatChoice;
use tradewind_normalise::Normaliser;
use tradewind_policy::PolicySet;
use tradewind_storage::{Import, Imported, Stager};

/// Buffers that are kept at most: those of a few runs.
const BUFFERS_MAX: usize = 512;
/// Largest buffer that is kept for the next chunk.
const BUFFER_BYTES_MAX: usize = 2 << 20;

/// What all groups of one import share.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) stager: Stager,
    pub(super) normaliser: Normaliser,
    pub(super) memory: Memory,
    /// What traffic is allowed by declaration, if it is declared.
    pub(super) policy: Option<PolicySet>,
    pub(super) wanted: FormatChoice,
    pub(super) threads: usize,
    /// When the import began. Microseconds UTC.
    pub(super) ingest_time: i64,
    pub(super) progress: Progress,
    /// Set when the user wants it to end.
    pub(super) stop: Stop,
}

/// What the threads of one attempt share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) pipeline: &'a Pipeline,
    inputs: &'a [Input],
    next: AtomicUsize,
    known: &'a Imported,
    /// Hashes of objects that fail, and why.
    condemned: &'a HashMap<String, String>,
    /// Set when a worker failed: there is no use in reading on.
    is_broken: AtomicBool,
    state: Mutex<State>,
    /// Runs take effect on connections in their order.
    turns: Turns,
    /// Emptied buffers of chunks: new memory is dear, the kernel clears it first.
    buffers: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct State {
    claimed: HashSet<String>,
    objects: Vec<Arc<Object>>,
    failures: Vec<Failure>,
    skipped: usize,
}

impl<'a> Shared<'a> {
    /// The next input and its place in the group.
    pub(super) fn next_input(&self) -> Option<(usize, &'a Input)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.inputs.get(index).map(|input| (index, input))
    }

    /// Why objects with this hash fail, where one did.
    pub(super) fn condemned(&self, content_hash: &str) -> Option<&'a str> {
        self.condemned.get(content_hash).map(String::as_str)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed) || self.pipeline.stop.is_set()
    }

    /// Whether these bytes are to be imported by the caller: not in the lake, and not taken by another thread.
    pub(super) fn claim(&self, content_hash: &str) -> bool {
        !self.known.contains(content_hash) && self.state().claimed.insert(content_hash.to_owned())
    }

    /// Whether the lake knows of these bytes only that they had no known format.
    pub(super) fn is_unrecognised(&self, content_hash: &str) -> bool {
        self.known.is_unrecognised(content_hash)
    }

    /// Sizes and hashes of what was imported from the same path before.
    pub(super) fn earlier(&self, path: &str) -> &'a [(i64, String)] {
        self.known.of_path(path)
    }

    pub(super) fn finished(&self, object: Arc<Object>) {
        self.state().objects.push(object);
    }

    pub(super) fn skipped(&self) {
        self.state().skipped += 1;
    }

    pub(super) fn failed(&self, failure: Failure) {
        self.state().failures.push(failure);
    }

    /// A buffer for a chunk.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a buffer back. As many are kept as can be in use at once; one that grew for a long record is not.
    fn give_back(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            buffer.clear();
            buffers.push(buffer);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one attempt made, not committed yet.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    pub(super) import: Import,
    pub(super) objects: Vec<Arc<Object>>,
    pub(super) failures: Vec<Failure>,
    pub(super) skipped: usize,
    /// Rejects by reason.
    pub(super) reasons: BTreeMap<&'static str, u64>,
}

impl Attempt {
    /// Whether rows of an input that failed are among the files.
    pub(super) fn is_tainted(&self) -> bool {
        self.failures.iter().any(|failure| failure.is_partial)
    }

    /// Removes the files that will not be committed.
    pub(super) fn discard(&self, stager: &Stager) {
        stager.discard(&self.import.files);
        stager.discard_dead_letters(&self.import.dead_letter_files);
    }
}

impl Pipeline {
    /// Reads and writes a group of inputs, leaving out what is `known`; the `condemned` ones fail again.
    ///
    /// # Errors
    /// When data files cannot be written; those that were are removed.
    pub(super) fn run(
        &self,
        inputs: &[Input],
        known: &Imported,
        condemned: &HashMap<String, String>,
    ) -> anyhow::Result<Attempt> {
        let shared = Shared {
            pipeline: self,
            inputs,
            next: AtomicUsize::new(0),
            known,
            condemned,
            is_broken: AtomicBool::new(false),
            state: Mutex::default(),
            turns: Turns::default(),
            buffers: Mutex::default(),
        };
        // A run is handed over when a thread is free, so that one more than there are threads is in memory.
        let (sender, receiver) = bounded(0);
        let results: Vec<(Made, anyhow::Result<()>)> = std::thread::scope(|scope| {
            // One reader: what follows each other in a file, and from file to file, stays in order.
            let reading = &shared;
            scope.spawn(move || reader::read(reading, &sender));
            let workers: Vec<_> = (0..self.threads).map(|_| scope.spawn(|| work(&shared, &receiver))).collect();
            workers
                .into_iter()
                .map(|worker| {
                    worker.join().unwrap_or_else(|_| (Made::default(), Err(anyhow::anyhow!("a thread panicked"))))
                })
                .collect()
        });
        let mut attempt = Attempt::default();
        let mut broken = None;
        let mut coverage = super::coverage::Minutes::default();
        for (made, result) in results {
            attempt.import.files.extend(made.files);
            attempt.import.dead_letters.extend(made.dead_letters);
            attempt.import.dead_letter_files.extend(made.dead_letter_files);
            for (reason, count) in made.reasons {
                *attempt.reasons.entry(reason).or_default() += count;
            }
            coverage.merge(&made.coverage);
            if let Err(error) = result {
                broken.get_or_insert(error);
            }
        }
        if let Some(error) = broken {
            attempt.discard(&self.stager);
            return Err(error).context(
                "the import ended early; what was committed before stays, and running it again goes on from there",
            );
        }
        let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        attempt.import.coverage = coverage.rows();
        attempt.import.objects = state.objects.iter().map(|object| object.imported(self.ingest_time)).collect();
        attempt.import.objects.sort_by(|left, right| left.path.cmp(&right.path));
        attempt.objects = state.objects;
        attempt.failures = state.failures;
        attempt.failures.extend(attempt.objects.iter().filter_map(|object| object.failure()));
        attempt.skipped = state.skipped;
        Ok(attempt)
    }
}

/// Takes runs until there are no more. After a failure it goes on taking them, undone, so that no reader waits for ever.
fn work(shared: &Shared<'_>, runs: &Receiver<Run>) -> (Made, anyhow::Result<()>) {
    let mut worker = Worker::new(shared.pipeline, &shared.turns);
    let mut result = Ok(());
    while let Ok(run) = runs.recv() {
        let number = run.number;
        if result.is_ok() && !shared.is_stopped() {
            // A bug in a decoder must not leave the readers waiting for a thread that is gone.
            result = catch_unwind(AssertUnwindSafe(|| worker.take(run, &|buffer| shared.give_back(buffer))))
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a thread that decodes records failed: this is a bug")));
            if result.is_err() {
                shared.is_broken.store(true, Ordering::Relaxed);
            }
        }
        shared.turns.end(number);
    }
    (worker.made, result)
}

//! How far an import is: a bar on a terminal, a line every ten seconds otherwise.

use super::inputs::Input;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts bytes read, from many threads.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    lines: Option<Arc<Lines>>,
}

#[derive(Debug)]
struct Lines {
    started: Instant,
    total: u64,
    done: AtomicU64,
    last: Mutex<Instant>,
}

impl Progress {
    pub(super) fn start(inputs: &[Input], is_terminal: bool, is_quiet: bool) -> Self {
        let total = inputs.iter().map(|input| input.bytes).sum();
        let target = if is_terminal && !is_quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style);
        let now = Instant::now();
        let lines = Lines { started: now, total, done: AtomicU64::new(0), last: Mutex::new(now) };
        Self { bar, lines: (!is_terminal && !is_quiet).then(|| Arc::new(lines)) }
    }

    /// Adds bytes that were read or skipped.
    pub(super) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
        if let Some(lines) = &self.lines {
            lines.add(bytes);
        }
    }

    /// As a function that can be given away.
    pub(super) fn adder(&self) -> impl Fn(u64) + Send + 'static {
        let progress = self.clone();
        move |bytes| progress.add(bytes)
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Lines {
    fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < LINE_EVERY {
            return;
        }
        *last = Instant::now();
        let seconds = self.started.elapsed().as_secs();
        // Progress is a courtesy: if nobody reads it, the import goes on.
        writeln!(std::io::stderr(), "imported {} of {} in {seconds} s", HumanBytes(done), HumanBytes(self.total)).ok();
    }
}

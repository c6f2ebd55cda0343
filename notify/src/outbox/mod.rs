//! The outbox: what was told and is not delivered yet, in one file that survives anything. What is taken in and how far the log
//! was read are one transaction, so nothing is taken in twice or not at all.
//!
//! ```text
//!  findings, incidents ─ take ─► queue of each sink ─ next ─► courier ─ settle ─► gone, or dead
//! ```

mod carry;
mod file;
mod index;
mod rows;
mod rules;
mod settle;
mod take;
mod upkeep;

pub(crate) use rows::Content;
pub(crate) use rules::{Rules, SinkRules};
pub(crate) use settle::{Outcome, Settled};

use crate::error::NotifyError;
use crate::status::{DeadLetter, SinkStatus, Status};
use file::{DEAD, FINDINGS, Fault, File, INCIDENTS, POSITIONS, QUEUE, SINKS, row};
use index::{Queue, Waiting};
use redb::{ReadableTable as _, ReadableTableMetadata as _};
use rows::{DeadRow, EntryRow, IncidentRow, SinkRow};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Dead letters that are read at once.
const DEAD_AT_ONCE: usize = 100;

/// An entry that is to be delivered now.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) content: Content,
    pub(crate) is_bundled: bool,
}

/// The outbox.
#[derive(Debug)]
pub(crate) struct Outbox {
    file: File,
    state: Mutex<State>,
}

/// What is known without reading the file.
#[derive(Debug, Default)]
struct State {
    queues: BTreeMap<String, Queue>,
    /// Incidents that wait for findings.
    waiting: BTreeSet<String>,
    /// Findings that are named and did not come so far, with the incidents that name them.
    missing: HashMap<String, BTreeSet<String>>,
    /// Number of the next entry.
    next: u64,
    dead: u64,
    /// Dead letters that are not among those of the log, as far as is known.
    may_have_untold: bool,
    last_pruned: i64,
    /// When anything was done first: while no process ran, no finding could come.
    begun: Option<i64>,
}

impl State {
    fn len(&self) -> u64 {
        self.queues.values().map(|queue| queue.len() as u64).sum()
    }

    fn queue(&mut self, sink: &str) -> &mut Queue {
        self.queues.entry(sink.to_owned()).or_default()
    }
}

impl Outbox {
    /// Opens the outbox of a folder, or makes it.
    ///
    /// # Errors
    /// A file that cannot be read or written, is another process's, or is of another version.
    pub(crate) fn open(folder: &Path) -> Result<Self, NotifyError> {
        let file = File::open(folder)?;
        let state = file.read(|transaction| {
            let mut state = State { may_have_untold: true, ..State::default() };
            for entry in transaction.open_table(QUEUE)?.iter()? {
                let (key, value) = entry?;
                let (sink, number) = key.value();
                let entry: EntryRow = row(value.value())?;
                state.next = state.next.max(number + 1);
                state.queue(sink).insert(number, waiting(&entry));
            }
            let dead = transaction.open_table(DEAD)?;
            state.dead = dead.len()?;
            for entry in dead.iter()? {
                state.next = state.next.max(entry?.0.value().1 + 1);
            }
            let findings = transaction.open_table(FINDINGS)?;
            for entry in transaction.open_table(INCIDENTS)?.iter()? {
                let (key, value) = entry?;
                let incident: IncidentRow = row(value.value())?;
                if incident.waits_since.is_some() {
                    state.waiting.insert(key.value().to_owned());
                }
                for finding in incident.pending {
                    if findings.get(finding.as_str())?.is_none() {
                        state.missing.entry(finding).or_default().insert(key.value().to_owned());
                    }
                }
            }
            Ok(state)
        })?;
        Ok(Self { file, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far each place of the log was read: the offset to go on from.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn positions(&self) -> Result<BTreeMap<String, i64>, NotifyError> {
        self.file.read(|transaction| {
            let mut positions = BTreeMap::new();
            for entry in transaction.open_table(POSITIONS)?.iter()? {
                let (key, value) = entry?;
                positions.insert(key.value().to_owned(), value.value());
            }
            Ok(positions)
        })
    }

    /// # Errors
    /// There is too little room on the disk to take anything in.
    pub(crate) fn check_room(&self) -> Result<(), NotifyError> {
        self.file.check_room()
    }

    /// Alerts that wait, of all sinks together.
    pub(crate) fn len(&self) -> u64 {
        self.state().len()
    }

    /// What a sink is to deliver next, without what is of an incident that is busy. Either several that go out in one message, or
    /// at most `single_max` that go out each by itself.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn next(
        &self,
        sink: &str,
        now: i64,
        busy: &HashSet<String>,
        (single_max, bundle_max): (usize, usize),
    ) -> Result<Vec<Job>, NotifyError> {
        let numbers = {
            let state = self.state();
            state.queues.get(sink).map(|queue| queue.next(now, busy, single_max, bundle_max)).unwrap_or_default()
        };
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        self.file.read(|transaction| {
            let queue = transaction.open_table(QUEUE)?;
            let mut jobs = Vec::with_capacity(numbers.len());
            for number in numbers {
                if let Some(value) = queue.get((sink, number))? {
                    let entry: EntryRow = row(value.value())?;
                    jobs.push(Job { number, content: entry.content, is_bundled: entry.is_bundled });
                }
            }
            Ok(jobs)
        })
    }

    /// When a sink's next entry that is not due yet will be.
    pub(crate) fn next_due(&self, sink: &str, now: i64) -> Option<i64> {
        self.state().queues.get(sink).and_then(|queue| queue.next_due(now))
    }

    /// How it stands, for each of these sinks and for those that have left something behind.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn status(&self, now: i64) -> Result<Status, NotifyError> {
        let mut status = Status { time: now, ..Status::default() };
        let mut sinks: BTreeMap<String, SinkStatus> = BTreeMap::new();
        for (name, queue) in &self.state().queues {
            let sink = sinks.entry(name.clone()).or_default();
            (sink.waiting, sink.oldest) = (queue.len() as u64, queue.oldest());
        }
        self.file.read(|transaction| {
            for entry in transaction.open_table(SINKS)?.iter()? {
                let (name, value) = entry?;
                let stored: SinkRow = row(value.value())?;
                let sink = sinks.entry(name.value().to_owned()).or_default();
                (sink.delivered, sink.refused) = (stored.delivered, stored.refused);
                (sink.last_delivered, sink.last_error) = (stored.last_delivered, stored.last_error);
                sink.last_error_time = stored.last_error_time;
            }
            for entry in transaction.open_table(DEAD)?.iter()? {
                sinks.entry(entry?.0.value().0.to_owned()).or_default().dead += 1;
            }
            status.findings = transaction.open_table(FINDINGS)?.len()?;
            status.incidents = transaction.open_table(INCIDENTS)?.len()?;
            Ok(())
        })?;
        status.sinks = sinks;
        Ok(status)
    }

    /// What sinks refused and the log does not have yet, the oldest first.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn untold(&self) -> Result<Vec<DeadLetter>, NotifyError> {
        if !self.state().may_have_untold {
            return Ok(Vec::new());
        }
        let letters = self.file.read(|transaction| {
            let mut letters = Vec::new();
            for entry in transaction.open_table(DEAD)?.iter()? {
                let (key, value) = entry?;
                let dead: DeadRow = row(value.value())?;
                if !dead.is_told {
                    letters.push(letter(key.value(), &dead)?);
                }
                if letters.len() >= DEAD_AT_ONCE {
                    break;
                }
            }
            Ok(letters)
        })?;
        if letters.is_empty() {
            self.state().may_have_untold = false;
        }
        Ok(letters)
    }
}

fn waiting(entry: &EntryRow) -> Waiting {
    Waiting {
        key: entry.content.key().map(str::to_owned),
        queued: entry.queued,
        due: entry.due,
        is_bundled: entry.is_bundled,
    }
}

fn letter((sink, number): (&str, u64), dead: &DeadRow) -> Result<DeadLetter, Fault> {
    Ok(DeadLetter {
        sink: sink.to_owned(),
        number,
        time: dead.time,
        answer: dead.answer.clone(),
        content: serde_json::to_string(&dead.content)?,
    })
}

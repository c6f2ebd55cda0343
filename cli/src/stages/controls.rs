//! What people say of findings, on its way from table `controls` into the log of signals, where it gets its place among
//! them. The table is asked beside the stage, which a store that is slow or away does not hold up.

use crate::feedback;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tradewind_model::RecordedControl;
use tradewind_storage::controls::Controls;
use tradewind_storage::{Lake, QueryError};
use tradewind_transport::Record;

/// Header of a control among signals. They belong to no generation: what was said stays true with other settings.
const HEADER_CONTROL: &str = "tw-control";
/// How often the table is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is said that it cannot be read.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// Controls that are known to have been taken in; older ones than these count as taken in.
const APPLIED_MAX: usize = 65_536;

/// A message of the topic of signals.
pub(super) fn record(control: &RecordedControl, timestamp: i64) -> anyhow::Result<Record> {
    let mut record = Record { value: serde_json::to_vec(control)?.into(), timestamp, ..Record::default() };
    record.add_header(HEADER_CONTROL, bytes::Bytes::from_static(b"1"));
    Ok(record)
}

/// Whether a message of the topic of signals is a control.
pub(super) fn is_control(record: &Record) -> bool {
    record.header(HEADER_CONTROL).is_some()
}

/// The controls that were taken in, so that one that is in the log twice counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Applied {
    known: BTreeSet<(i64, String)>,
    /// All that was recorded at this time or before is taken in.
    until: Option<i64>,
}

impl Applied {
    pub(super) fn contains(&self, control: &RecordedControl) -> bool {
        self.until.is_some_and(|until| control.recorded_time <= until)
            || self.known.contains(&(control.recorded_time, control.control_id.clone()))
    }

    /// Notes a control. False: it was taken in before.
    pub(super) fn insert(&mut self, control: &RecordedControl) -> bool {
        if self.contains(control) {
            return false;
        }
        self.known.insert((control.recorded_time, control.control_id.clone()));
        if self.known.len() > APPLIED_MAX
            && let Some((time, _)) = self.known.pop_first()
        {
            self.until = Some(time);
        }
        true
    }
}

/// Brings rows of the table.
#[derive(Debug)]
pub(super) struct Mailbox {
    lake: Lake,
    handle: Handle,
    /// Version of the table whose rows were brought.
    version: Option<u64>,
    looked: Option<Instant>,
    looking: Option<JoinHandle<Result<Option<Controls>, QueryError>>>,
    sent: BTreeSet<String>,
    /// Rows of the table that cannot be read, and ids of those that say nothing that can be taken in.
    unreadable: usize,
    unsound: BTreeSet<String>,
    rejected: u64,
    said: Option<Instant>,
}

impl Mailbox {
    pub(super) fn new(lake: &Lake, handle: &Handle) -> Self {
        Self {
            lake: lake.clone(),
            handle: handle.clone(),
            version: None,
            looked: None,
            looking: None,
            sent: BTreeSet::new(),
            unreadable: 0,
            unsound: BTreeSet::new(),
            rejected: 0,
            said: None,
        }
    }

    /// Rows that were not brought before and are not taken in, in the order in which they were said. Looks anew from time to
    /// time, and never waits.
    pub(super) fn take(&mut self, applied: &Applied) -> Vec<RecordedControl> {
        let Some(looking) = self.looking.take_if(|looking| looking.is_finished()) else {
            if self.looking.is_none() && self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                let (lake, version) = (self.lake.clone(), self.version);
                self.looking = Some(self.handle.spawn(async move { lake.controls_after(version).await }));
                self.looked = Some(Instant::now());
            }
            return Vec::new();
        };
        let controls = match self.handle.block_on(looking) {
            Ok(Ok(Some(controls))) => controls,
            Ok(Ok(None)) => return Vec::new(),
            Ok(Err(error)) => {
                self.say(&anyhow::Error::from(error));
                return Vec::new();
            }
            Err(error) => {
                self.say(&anyhow::Error::from(error));
                return Vec::new();
            }
        };
        self.version = controls.version;
        // A table that was made anew may have fewer.
        self.rejected += controls.unreadable.saturating_sub(self.unreadable) as u64;
        self.unreadable = controls.unreadable;
        let mut fresh = Vec::new();
        for row in controls.rows {
            if feedback::control_of(&row).is_none() {
                self.rejected += u64::from(self.unsound.insert(row.control_id));
            } else if !applied.contains(&row) && self.sent.insert(row.control_id.clone()) {
                fresh.push(row);
            }
        }
        fresh
    }

    /// Rows that were met since the last call and cannot be taken in: such a row must not keep others from being heard.
    pub(super) const fn take_rejected(&mut self) -> u64 {
        std::mem::replace(&mut self.rejected, 0)
    }

    fn say(&mut self, error: &anyhow::Error) {
        if self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            self.said = Some(Instant::now());
            tracing::warn!(error = format!("{error:#}"), "what was said of findings cannot be read; it is tried again");
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        if let Some(looking) = &self.looking {
            looking.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::Said;
    use tradewind_model::{ControlAction, ControlOrigin, Scope};

    fn lift(name: usize, now: usize) -> RecordedControl {
        let said = Said {
            action: ControlAction::Lift,
            finding_id: None,
            name: Some(name.to_string()),
            scope: Scope::default(),
            until: None,
            time: 0,
            author: String::new(),
            reason: None,
            origin: ControlOrigin::Command,
        };
        said.record(i64::try_from(now).unwrap_or(i64::MAX))
    }

    #[test]
    fn what_comes_twice_counts_once() {
        let mut applied = Applied::default();
        assert!(applied.insert(&lift(1, 5)) && applied.insert(&lift(2, 5)) && applied.insert(&lift(1, 4)));
        assert!(!applied.insert(&lift(1, 5)) && applied.contains(&lift(2, 5)));
        assert!(!applied.contains(&lift(1, 6)));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_stay_taken_in() {
        let mut applied = Applied::default();
        assert!((0..APPLIED_MAX + 10).all(|now| applied.insert(&lift(now, now))));
        assert_eq!(applied.known.len(), APPLIED_MAX);
        assert!(applied.contains(&lift(0, 0)) && applied.contains(&lift(9, 9)));
        assert!(!applied.insert(&lift(3, 3)));
    }

    #[test]
    fn a_message_is_known_by_its_header() {
        let made = record(&lift(1, 2), 3).unwrap_or_default();
        assert!(is_control(&made) && !is_control(&Record::default()));
        assert_eq!(serde_json::from_slice::<RecordedControl>(&made.value).ok(), Some(lift(1, 2)));
    }
}

//! What time alone does to the outbox: incidents that have waited long enough go out, alerts that other sides forget are repeated,
//! signs of life are due, and what is over long ago is forgotten.

use super::Outbox;
use super::file::{DEAD, FINDINGS, Fault, INCIDENTS, KNOWN, SINKS, bytes, find, row};
use super::rows::{Content, DeadRow, EntryRow, FindingRow, IncidentRow, KnownRow};
use super::rules::Rules;
use super::settle::sink_row;
use super::take::Taking;
use crate::alert::{Action, Heartbeat};
use crate::error::NotifyError;
use redb::ReadableTable as _;
use tradewind_model::time::HOUR;

impl Outbox {
    /// Does what is due. `causes` is what does not work, for signs of life.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn tick(&self, rules: &Rules, causes: &[String], now: i64) -> Result<(), NotifyError> {
        let is_needed = {
            let state = self.state();
            let has_timers = rules.sinks.iter().any(|sink| sink.repeat.is_some() || sink.heartbeat > 0);
            !state.waiting.is_empty() || has_timers || now.saturating_sub(state.last_pruned) >= HOUR
        };
        // What time makes due can wait until there is room again.
        if !is_needed || self.file.check_room().is_err() {
            return Ok(());
        }
        self.release_waiting(rules, now)?;
        self.repeat(rules, now)?;
        self.heartbeat(rules, causes, now)?;
        self.prune(rules, now)
    }

    fn release_waiting(&self, rules: &Rules, now: i64) -> Result<(), NotifyError> {
        let (waiting, begun): (Vec<String>, i64) = {
            let mut state = self.state();
            let begun = *state.begun.get_or_insert(now);
            (state.waiting.iter().cloned().collect(), begun)
        };
        if waiting.is_empty() {
            return Ok(());
        }
        let due: Vec<String> = self.file.read(|transaction| {
            let incidents = transaction.open_table(INCIDENTS)?;
            let mut due = Vec::new();
            for id in waiting {
                let stored = find::<_, IncidentRow>(&incidents, id.as_str())?;
                let until = stored.and_then(|stored| {
                    let since = stored.waits_since?.max(begun);
                    Some(since.saturating_add(rules.wait_of(&stored.incident)))
                });
                if until.is_none_or(|until| until <= now) {
                    due.push(id);
                }
            }
            Ok(due)
        })?;
        if due.is_empty() {
            return Ok(());
        }
        self.change(rules, now, |taking| {
            for id in &due {
                taking.release(id, true)?;
            }
            Ok(())
        })
    }

    /// Alerts that go on, at sinks that forget them.
    fn repeat(&self, rules: &Rules, now: i64) -> Result<(), NotifyError> {
        for sink in &rules.sinks {
            let Some(every) = sink.repeat else { continue };
            let due: Vec<KnownRow> = self.file.read(|transaction| {
                let mut due = Vec::new();
                for entry in transaction.open_table(KNOWN)?.range((sink.name.as_str(), "")..)? {
                    let (key, value) = entry?;
                    if key.value().0 != sink.name {
                        break;
                    }
                    let known: KnownRow = row(value.value())?;
                    if !known.is_over && known.queued.saturating_add(every) <= now {
                        due.push(known);
                    }
                }
                Ok(due)
            })?;
            if due.is_empty() {
                continue;
            }
            self.change(rules, now, |taking| {
                for mut known in due {
                    // One that still waits is repeated by being delivered.
                    let queue = taking.state.queues.get(&sink.name);
                    if queue.is_some_and(|queue| queue.last_of(known.alert.key()).is_some()) {
                        continue;
                    }
                    known.alert.action = Action::Update;
                    taking.enqueue(sink, known.alert, Vec::new())?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn heartbeat(&self, rules: &Rules, causes: &[String], now: i64) -> Result<(), NotifyError> {
        for sink in rules.sinks.iter().filter(|sink| sink.heartbeat > 0) {
            if self.state().queues.get(&sink.name).is_some_and(super::Queue::has_heartbeat) {
                continue;
            }
            let last = self.file.read(|transaction| {
                let table = transaction.open_table(SINKS)?;
                let stored = find::<_, super::SinkRow>(&table, sink.name.as_str())?;
                Ok(stored.and_then(|stored| stored.last_heartbeat))
            })?;
            if last.is_some_and(|last| last.saturating_add(sink.heartbeat) > now) {
                continue;
            }
            self.change(rules, now, |taking| {
                let heartbeat =
                    Heartbeat { time: now, causes: causes.to_vec(), open_incidents: taking.known(&sink.name)? };
                let mut stored = sink_row(taking.transaction, &sink.name)?;
                stored.last_heartbeat = Some(now);
                taking.transaction.open_table(SINKS)?.insert(sink.name.as_str(), bytes(&stored)?.as_slice())?;
                let content = Content::Heartbeat(heartbeat);
                taking.write(
                    &sink.name,
                    None,
                    EntryRow { content, queued: now, due: now, is_bundled: false, owed: Vec::new() },
                )
            })?;
        }
        Ok(())
    }

    /// Forgets what is over long ago.
    fn prune(&self, rules: &Rules, now: i64) -> Result<(), NotifyError> {
        if now.saturating_sub(self.state().last_pruned) < HOUR {
            return Ok(());
        }
        let before = now.saturating_sub(rules.memory);
        // Held meanwhile: what a courier buries between the count and its note would be lost from the count.
        let mut state = self.state();
        let dead = self.file.write(|transaction| {
            let mut failed = None;
            let mut is_kept = |kept: Result<bool, Fault>| {
                kept.unwrap_or_else(|fault| {
                    failed = Some(fault);
                    true
                })
            };
            transaction
                .open_table(FINDINGS)?
                .retain(|_, value| is_kept(row::<FindingRow>(value).map(|row| row.recorded_time >= before)))?;
            transaction
                .open_table(INCIDENTS)?
                .retain(|_, value| is_kept(row::<IncidentRow>(value).map(|row| row.recorded_time >= before)))?;
            transaction
                .open_table(KNOWN)?
                .retain(|_, value| is_kept(row::<KnownRow>(value).map(|row| row.queued >= before)))?;
            let mut table = transaction.open_table(DEAD)?;
            table.retain(|_, value| is_kept(row::<DeadRow>(value).map(|row| row.time >= before)))?;
            let dead = redb::ReadableTableMetadata::len(&table)?;
            failed.map_or(Ok(dead), Err)
        })?;
        (state.dead, state.last_pruned) = (dead, now);
        Ok(())
    }

    /// Puts what a sink refused back into its queue, for `tradewind notify replay`. How much that was.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn revive(&self, sink: &str, rules: &Rules, now: i64) -> Result<u64, NotifyError> {
        let revived = self.change(rules, now, |taking| {
            let mut rows = Vec::new();
            {
                let mut dead = taking.transaction.open_table(DEAD)?;
                for entry in dead.range((sink, 0)..=(sink, u64::MAX))? {
                    let (key, value) = entry?;
                    rows.push((key.value().1, row::<DeadRow>(value.value())?));
                }
                for (number, _) in &rows {
                    dead.remove((sink, *number))?;
                }
            }
            let count = rows.len() as u64;
            for (_, dead) in rows {
                let entry =
                    EntryRow { content: dead.content, queued: now, due: now, is_bundled: false, owed: Vec::new() };
                taking.write(sink, None, entry)?;
            }
            Ok(count)
        })?;
        let mut state = self.state();
        // What is over long ago may have been counted anew since.
        state.dead = state.dead.saturating_sub(revived);
        Ok(revived)
    }
}

impl Taking<'_> {
    /// Incidents that a sink knows and that go on.
    fn known(&self, sink: &str) -> Result<u64, Fault> {
        let mut count = 0;
        for entry in self.transaction.open_table(KNOWN)?.range((sink, "")..)? {
            let (key, value) = entry?;
            if key.value().0 != sink {
                break;
            }
            count += u64::from(!row::<KnownRow>(value.value())?.is_over);
        }
        Ok(count)
    }
}

//! Into the outbox: what was told becomes entries of the queues of the sinks that it goes to.

use super::file::{FINDINGS, Fault, INCIDENTS, KNOWN, POSITIONS, QUEUE, bytes, find};
use super::rows::{Content, EntryRow, FindingRow, IncidentRow, KnownRow};
use super::rules::{Rules, SinkRules};
use super::{Outbox, State, Waiting, carry};
use crate::alert::{Action, Alert, FINDINGS_MAX, Origin};
use crate::error::NotifyError;
use crate::notifier::{Input, Position};
use redb::{ReadableTable as _, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use tradewind_model::{Finding, Incident, IncidentState};

/// What changes in memory once a transaction is durable.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Entries that were written, by sink and number.
    entries: BTreeMap<(String, u64), Waiting>,
    /// Incidents that began or ended to wait for findings.
    waiting: BTreeMap<String, bool>,
    /// Findings that are named and not here, with the incidents that name them.
    missing: HashMap<String, BTreeSet<String>>,
    /// Findings that came.
    came: HashSet<String>,
}

impl Changes {
    pub(super) fn apply(self, state: &mut State) {
        for ((sink, number), waiting) in self.entries {
            state.next = state.next.max(number + 1);
            state.queue(&sink).insert(number, waiting);
        }
        for (incident, is_waiting) in self.waiting {
            if is_waiting {
                state.waiting.insert(incident);
            } else {
                state.waiting.remove(&incident);
            }
        }
        for finding in &self.came {
            state.missing.remove(finding);
        }
        for (finding, incidents) in self.missing {
            if !self.came.contains(&finding) {
                state.missing.entry(finding).or_default().extend(incidents);
            }
        }
    }
}

/// A transaction with the state before it and the changes it makes.
pub(super) struct Taking<'a> {
    pub(super) transaction: &'a WriteTransaction,
    pub(super) rules: &'a Rules,
    pub(super) state: &'a State,
    pub(super) changes: Changes,
    pub(super) now: i64,
    pub(super) next: u64,
}

impl Outbox {
    /// Takes in what was told, and that the log was read so far, in one transaction.
    ///
    /// # Errors
    /// A file that cannot be written; nothing was taken in then.
    pub(crate) fn take(
        &self,
        inputs: Vec<Input>,
        position: Option<&Position>,
        rules: &Rules,
        now: i64,
    ) -> Result<(), NotifyError> {
        self.file.check_room()?;
        self.change(rules, now, |taking| {
            if let Some(position) = position {
                taking.transaction.open_table(POSITIONS)?.insert(position.place.as_str(), position.next)?;
            }
            for input in inputs {
                match input {
                    Input::Finding { recorded_time, finding } => taking.finding(recorded_time, *finding)?,
                    Input::Incident { recorded_time, incident } => taking.incident(recorded_time, incident)?,
                }
            }
            Ok(())
        })
    }

    /// Runs one transaction, and what it changes in memory when it is durable. There is one at a time.
    pub(super) fn change<T>(
        &self,
        rules: &Rules,
        now: i64,
        work: impl FnOnce(&mut Taking<'_>) -> Result<T, Fault>,
    ) -> Result<T, NotifyError> {
        let mut state = self.state();
        state.begun.get_or_insert(now);
        let (made, changes) = self.file.write(|transaction| {
            let next = state.next;
            let mut taking = Taking { transaction, rules, state: &state, changes: Changes::default(), now, next };
            let made = work(&mut taking)?;
            Ok((made, taking.changes))
        })?;
        changes.apply(&mut state);
        Ok(made)
    }
}

impl Taking<'_> {
    fn finding(&mut self, recorded_time: i64, finding: Finding) -> Result<(), Fault> {
        let id = finding.finding_id.clone();
        {
            let mut findings = self.transaction.open_table(FINDINGS)?;
            let known = find::<_, FindingRow>(&findings, id.as_str())?;
            if known.is_some_and(|known| known.recorded_time >= recorded_time) {
                return Ok(());
            }
            findings.insert(id.as_str(), bytes(&FindingRow { recorded_time, finding })?.as_slice())?;
        }
        let of = |missing: &HashMap<String, BTreeSet<String>>| missing.get(&id).cloned().unwrap_or_default();
        if !self.changes.came.insert(id.clone()) {
            return Ok(());
        }
        let mut incidents = of(&self.changes.missing);
        incidents.extend(of(&self.state.missing));
        for incident in incidents {
            self.release(&incident, false)?;
        }
        Ok(())
    }

    fn incident(&mut self, recorded_time: i64, incident: Incident) -> Result<(), Fault> {
        let id = incident.incident_id.clone();
        {
            let mut incidents = self.transaction.open_table(INCIDENTS)?;
            let known = find::<_, IncidentRow>(&incidents, id.as_str())?;
            if known.as_ref().is_some_and(|known| known.recorded_time >= recorded_time) {
                return Ok(());
            }
            let stored = IncidentRow::after(known, recorded_time, incident, self.now);
            incidents.insert(id.as_str(), bytes(&stored)?.as_slice())?;
            let findings = self.transaction.open_table(FINDINGS)?;
            for finding in stored.pending {
                if findings.get(finding.as_str())?.is_none() {
                    self.changes.missing.entry(finding).or_default().insert(id.clone());
                }
            }
        }
        self.changes.waiting.insert(id.clone(), true);
        self.release(&id, false)
    }

    /// Puts an incident into the queues once all of its findings are here; when it is forced, with those that are, and again when
    /// one of the others comes.
    pub(super) fn release(&mut self, id: &str, is_forced: bool) -> Result<(), Fault> {
        let (mut alert, fresh, is_unopened) = {
            let mut incidents = self.transaction.open_table(INCIDENTS)?;
            let Some(mut stored) = find::<_, IncidentRow>(&incidents, id)? else {
                self.changes.waiting.insert(id.to_owned(), false);
                return Ok(());
            };
            let (fresh, missing) = self.findings(&stored.pending)?;
            let is_news = stored.waits_since.is_some() || !fresh.is_empty();
            if !is_news || (!missing.is_empty() && !is_forced && stored.waits_since.is_some()) {
                return Ok(());
            }
            let (mut findings, _) = self.findings(&stored.gravest)?;
            findings.extend(fresh.iter().cloned());
            carry::sort(&mut findings);
            findings.truncate(FINDINGS_MAX);
            stored.gravest = findings.iter().map(|finding| finding.finding_id.clone()).collect();
            (stored.pending, stored.waits_since) = (missing, None);
            let is_unopened = std::mem::take(&mut stored.is_unopened) && stored.incident.state.is_over();
            // What is told once more is another message, with a key of its own.
            let part = stored.part;
            stored.part += carry::parts_max(&stored.incident.findings);
            incidents.insert(id, bytes(&stored)?.as_slice())?;
            let fresh: Vec<String> = fresh.into_iter().map(|finding| finding.finding_id).collect();
            (alert(stored.recorded_time, part, stored.incident, findings), fresh, is_unopened)
        };
        self.changes.waiting.insert(id.to_owned(), false);
        if self.rules.is_retrospective(&alert, self.now) {
            alert.origin = Origin::Retrospective;
        }
        self.route(&alert, &fresh, is_unopened)
    }

    /// Those of them that are here, and the ids of those that are not.
    pub(super) fn findings(&self, ids: &[String]) -> Result<(Vec<Finding>, Vec<String>), Fault> {
        let table = self.transaction.open_table(FINDINGS)?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in ids {
            match find::<_, FindingRow>(&table, id.as_str())? {
                Some(stored) => found.push(stored.finding),
                None => missing.push(id.clone()),
            }
        }
        Ok((found, missing))
    }

    fn route(&mut self, alert: &Alert, fresh: &[String], is_unopened: bool) -> Result<(), Fault> {
        let rules = self.rules;
        let targets = rules.targets(alert);
        for sink in &rules.sinks {
            let is_wanted = targets.contains(sink.name.as_str())
                && (sink.takes_retrospective || alert.origin != Origin::Retrospective);
            self.offer(sink, alert, fresh, is_wanted, is_unopened)?;
        }
        Ok(())
    }

    /// To one sink: the first alert if it is wanted there, all that follow, and the end.
    fn offer(
        &mut self,
        sink: &SinkRules,
        alert: &Alert,
        fresh: &[String],
        is_wanted: bool,
        is_unopened: bool,
    ) -> Result<(), Fault> {
        let known = {
            let table = self.transaction.open_table(KNOWN)?;
            find::<_, KnownRow>(&table, (sink.name.as_str(), alert.key()))?
        };
        let is_over = alert.incident.state.is_over();
        let is_news = known.as_ref().is_some_and(|known| alert.is_acknowledged() && !known.alert.is_acknowledged());
        let action = match (known.map(|known| known.is_over), is_over) {
            (None, false) if is_wanted => Action::Open,
            (Some(false), false) if is_news => Action::Acknowledge,
            (Some(false), false) => Action::Update,
            (Some(false), true) => Action::Resolve,
            // What nobody here heard of while it went on: findings that came with its end are told all the same.
            (None, true) if is_wanted && (is_unopened || !fresh.is_empty()) => {
                let mut open = alert.clone();
                (open.incident.state, open.incident.resolved) = (IncidentState::Open, None);
                self.tell(sink, &open, Action::Open, fresh)?;
                return self.tell(sink, alert, Action::Resolve, &[]);
            }
            // What is over stays over, so that nobody is woken twice; only who keeps findings gets those that come after the end.
            (Some(true), is_over) if sink.carries_all && !fresh.is_empty() => {
                if is_over {
                    Action::Resolve
                } else {
                    Action::Update
                }
            }
            _ => return Ok(()),
        };
        self.tell(sink, alert, action, fresh)
    }

    fn tell(&mut self, sink: &SinkRules, alert: &Alert, action: Action, fresh: &[String]) -> Result<(), Fault> {
        // Who hears of it for the first time has heard of none of its findings.
        let owed = if action == Action::Open { &alert.incident.findings } else { fresh };
        let parts = carry::parts(sink.carries_all, action, owed);
        for (number, (action, owed)) in (0..).zip(parts) {
            self.enqueue(sink, Alert { action, part: alert.part + number, ..alert.clone() }, owed)?;
        }
        Ok(())
    }

    /// Writes an entry. An update takes the place of what its incident has in the queue, which then says all of it, unless that
    /// would be more findings than an alert carries; but not of an acknowledgement, of which some sinks say nothing but that.
    pub(super) fn enqueue(&mut self, sink: &SinkRules, mut alert: Alert, mut owed: Vec<String>) -> Result<(), Fault> {
        let known = KnownRow { is_over: alert.action == Action::Resolve, queued: self.now, alert: alert.clone() };
        self.transaction.open_table(KNOWN)?.insert((sink.name.as_str(), alert.key()), bytes(&known)?.as_slice())?;
        let mut queued = self.now;
        let mut number = None;
        if alert.action == Action::Update
            && let Some((last, entry)) = self.last_of(&sink.name, alert.key())?
            && let Content::Alert(before) = entry.content
            && before.action != Action::Acknowledge
            && let Some(both) = carry::both(&entry.owed, &owed)
        {
            (alert.action, queued, number, owed) = (before.action, entry.queued, Some(last), both);
        }
        if !owed.is_empty() {
            let (findings, _) = self.findings(&owed)?;
            carry::load(&mut alert.findings, findings);
        }
        let (due, is_bundled) = sink.due(&alert, self.now, self.group_due(&sink.name));
        let content = Content::Alert(Box::new(alert));
        self.write(&sink.name, number, EntryRow { content, queued, due, is_bundled, owed })
    }

    /// What of an incident was put into a sink's queue last and waits there.
    fn last_of(&self, sink: &str, key: &str) -> Result<Option<(u64, EntryRow)>, Fault> {
        let fresh = self.changes.entries.iter().rev().find_map(|((name, number), waiting)| {
            (name == sink && waiting.key.as_deref() == Some(key)).then_some(*number)
        });
        let Some(last) = fresh.or_else(|| self.state.queues.get(sink)?.last_of(key)) else { return Ok(None) };
        let table = self.transaction.open_table(QUEUE)?;
        Ok(find::<_, EntryRow>(&table, (sink, last))?.map(|entry| (last, entry)))
    }

    /// When the group of a sink that is open goes out.
    fn group_due(&self, sink: &str) -> Option<i64> {
        let of_sink = self.changes.entries.iter().filter(|((name, _), _)| name == sink).map(|(_, waiting)| waiting);
        let fresh = of_sink.filter(|waiting| waiting.is_bundled && waiting.due > self.now).map(|waiting| waiting.due);
        fresh.min().or_else(|| self.state.queues.get(sink)?.group_due(self.now))
    }

    /// Writes an entry, with the next number where it has none.
    pub(super) fn write(&mut self, sink: &str, number: Option<u64>, entry: EntryRow) -> Result<(), Fault> {
        let number = number.unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.transaction.open_table(QUEUE)?.insert((sink, number), bytes(&entry)?.as_slice())?;
        self.changes.entries.insert((sink.to_owned(), number), super::waiting(&entry));
        Ok(())
    }
}

fn alert(recorded_time: i64, part: u32, incident: Incident, findings: Vec<Finding>) -> Alert {
    Alert { action: Action::Open, origin: Origin::Live, recorded_time, part, incident, findings }
}

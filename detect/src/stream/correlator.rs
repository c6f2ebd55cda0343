//! The entity level over the signals of all partitions: decides which window opens and closes, gathers the answers, judges,
//! and says what was found. Knows no formula of a detector.

mod stored;

use super::messages::{Output, Round, Signal, StreamError};
use crate::decision::{Control, Decided, Incident, Schedule, Suppression};
use crate::entities::{EntityLevel, WindowAt};
use crate::report::{Common, Exchange, Report};
use crate::settings::{Settings, SettingsError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::time::SECOND;

pub use stored::Correlator4;

/// The entity level of one network. [Save](Self::save) it at any point and go on later from there.
#[derive(Clone, Debug)]
pub struct Correlator {
    length: i64,
    warm_up_windows: u64,
    train_until: i64,
    entities: EntityLevel,
    /// Per partition what it said last: all events of windows before this one are in.
    complete_before: Vec<i64>,
    /// Windows with events that are not closed yet.
    windows: BTreeSet<i64>,
    phase: Phase,
    /// Answers per window, by partition. After a restart they may come before the round is sent again.
    exchanges: BTreeMap<i64, BTreeMap<u32, Exchange>>,
    reports: BTreeMap<i64, BTreeMap<u32, Report>>,
    first_window: Option<i64>,
    opened: Option<i64>,
    closed: Option<i64>,
    hurried: i64,
    statistics: CorrelatorStatistics,
    controls: Schedule,
    /// Incidents that were not taken yet.
    incidents: Vec<Incident>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
enum Phase {
    /// A window that is complete.
    Gathering,
    /// Every partition's exchange.
    Closing(i64),
    /// Every partition's report.
    Judging(i64, Common),
}

/// What a correlator has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelatorStatistics {
    /// Windows that closed.
    pub windows: u64,
    /// Entities met.
    pub entities: u64,
    /// Findings that were told early and not borne out.
    pub withdrawn: u64,
    /// Windows still to come until every detector judges.
    pub warm_up_windows_left: u64,
}

impl Correlator {
    /// A correlator that knows nothing yet, of so many partitions. `train_until` is as in
    /// [`Engine::train_until`](crate::Engine::train_until); the least number for no training.
    ///
    /// # Errors
    /// A setting out of range.
    pub fn new(settings: Settings, partitions: u32, train_until: i64) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            length: settings.window_s * SECOND,
            warm_up_windows: settings.warm_up_windows,
            train_until,
            entities: EntityLevel::new(settings),
            complete_before: vec![i64::MIN; partitions as usize],
            windows: BTreeSet::new(),
            phase: Phase::Gathering,
            exchanges: BTreeMap::new(),
            reports: BTreeMap::new(),
            first_window: None,
            opened: None,
            closed: None,
            hurried: i64::MIN,
            statistics: CorrelatorStatistics::default(),
            controls: Schedule::default(),
            incidents: Vec::new(),
        })
    }

    /// Takes a signal of a partition in. One that was taken in before changes nothing.
    ///
    /// # Errors
    /// A signal of the partition before this one is missing, or there is no such partition; the state is as before.
    pub fn signal(&mut self, partition: u32, signal: Signal) -> Result<Vec<Output>, StreamError> {
        let partitions = u32::try_from(self.complete_before.len()).expect("made from such a number");
        if partition >= partitions {
            return Err(StreamError::Partition { partition, partitions });
        }
        let mut out = Vec::new();
        match signal {
            Signal::Notice { window, notice } => {
                if self.is_due(window) {
                    let findings = self.entities.notice(notice, &self.at(window));
                    for finding in &findings {
                        let incident = self.entities.told_early(finding);
                        self.incidents.push(incident);
                    }
                    out.extend(findings.into_iter().map(|finding| Output::Finding(Box::new(finding))));
                }
                return Ok(out);
            }
            Signal::Progress { since, complete_before, windows } => {
                let known = self.complete_before[partition as usize];
                if since > known {
                    let known = format!("windows before {known} of partition {partition}");
                    return Err(StreamError::Gap { known, message: format!("those from {since} on") });
                }
                if complete_before > known {
                    self.complete_before[partition as usize] = complete_before;
                    // Where partitions joined anew, one may be behind what is closed.
                    let closed = self.closed;
                    let is_fresh = |window: &i64| *window >= known && closed.is_none_or(|closed| *window > closed);
                    self.windows.extend(windows.into_iter().filter(is_fresh));
                }
            }
            Signal::Exchange { window, exchange } => {
                if self.is_due(window) {
                    self.exchanges.entry(window).or_default().entry(partition).or_insert(exchange);
                }
            }
            Signal::Report { window, report } => {
                if self.is_due(window) {
                    let has_exchange = self.exchanges.get(&window).is_some_and(|known| known.contains_key(&partition));
                    if !has_exchange {
                        let known = format!("what partition {partition} said before its exchange of window {window}");
                        return Err(StreamError::Gap { known, message: String::from("its report") });
                    }
                    self.reports.entry(window).or_default().entry(partition).or_insert(*report);
                }
            }
            Signal::Overflow { complete_before } => {
                let is_needed = self.complete_before.iter().any(|&known| known < complete_before);
                if is_needed && complete_before > self.hurried {
                    self.hurried = complete_before;
                    out.push(Output::Round(Round::Hurry { complete_before }));
                }
            }
        }
        while self.proceed(&mut out) {}
        Ok(out)
    }

    /// Takes in what a person says of findings. It holds from the first window that begins at this event time (microseconds
    /// UTC) or later, and has to come at the same place among the signals again after a restart: it belongs into their log.
    /// False: too many wait for their time, and this one was not taken in.
    pub fn control(&mut self, control: Control, time: i64) -> bool {
        let is_taken = self.controls.add(control, time);
        if let Some(closed) = self.closed {
            self.take_controls(closed.saturating_add(1));
        }
        is_taken
    }

    /// Takes in the controls whose time has come when this window begins.
    fn take_controls(&mut self, window: i64) {
        let start = window.saturating_mul(self.length);
        for control in self.controls.take_due(start) {
            let ended = self.entities.control(control, start);
            self.incidents.extend(ended);
        }
    }

    /// Incidents that were opened, changed or ended since the last call, in that order; of one that is here more than once the
    /// last counts. Until they are taken they are part of the state.
    pub fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.incidents)
    }

    /// How many findings were decided about, and how.
    #[must_use]
    pub const fn decided(&self) -> Decided {
        self.entities.decided()
    }

    /// Suppressions that hold.
    #[must_use]
    pub fn suppressions(&self) -> &[Suppression] {
        self.entities.suppressions()
    }

    /// What it has seen so far.
    #[must_use]
    pub fn statistics(&self) -> CorrelatorStatistics {
        CorrelatorStatistics { entities: self.entities.entity_count() as u64, ..self.statistics }
    }

    /// Start of the first window that was judged, microseconds UTC; none before the first is complete.
    #[must_use]
    pub fn since(&self) -> Option<i64> {
        self.first_window.map(|window| window.saturating_mul(self.length))
    }

    fn is_due(&self, window: i64) -> bool {
        self.closed.is_none_or(|closed| window > closed)
    }

    fn at(&self, index: i64) -> WindowAt {
        WindowAt {
            index,
            age: index.abs_diff(self.first_window.unwrap_or(index)),
            is_partial: false,
            is_training: index.saturating_mul(self.length) < self.train_until,
        }
    }

    /// One step, where all that it needs is in.
    fn proceed(&mut self, out: &mut Vec<Output>) -> bool {
        let partitions = self.complete_before.len();
        match self.phase {
            Phase::Gathering => self.gather(out),
            Phase::Closing(window) => {
                let Some(exchanges) = self.exchanges.get(&window).filter(|known| known.len() == partitions) else {
                    return false;
                };
                let mut all = Exchange::default();
                for (&step, count) in exchanges.values().flat_map(|exchange| &exchange.residuals) {
                    *all.residuals.entry(step).or_default() += count;
                }
                let common = self.entities.common(&all, self.at(window).is_training);
                self.phase = Phase::Judging(window, common);
                out.push(Output::Round(Round::Judge { window, common }));
                true
            }
            Phase::Judging(window, common) => {
                if self.reports.get(&window).is_none_or(|known| known.len() < partitions) {
                    return false;
                }
                self.close(window, &common, out);
                true
            }
        }
    }

    /// Closes the next window that is complete, or opens the first that is not.
    fn gather(&mut self, out: &mut Vec<Output>) -> bool {
        let Some(&complete) = self.complete_before.iter().min() else { return false };
        let previous = self.closed;
        let next = self.windows.first().copied().filter(|&next| next < complete);
        let window = next.unwrap_or(complete);
        let common = self.entities.common(&Exchange::default(), self.at(window).is_training);
        if next.is_some() {
            self.windows.pop_first();
            self.first_window.get_or_insert(window);
            self.phase = Phase::Closing(window);
            out.push(Output::Round(Round::Close { window, previous, common }));
            return true;
        }
        // Neither before everybody said something nor after everybody said the last word.
        let is_within = complete > i64::MIN && complete < i64::MAX;
        if is_within && self.is_due(complete) && self.opened.is_none_or(|opened| opened < complete) {
            self.opened = Some(complete);
            out.push(Output::Round(Round::Open { window, previous, common }));
        }
        false
    }

    fn close(&mut self, window: i64, common: &Common, out: &mut Vec<Output>) {
        let reports: Vec<Report> = self.reports.remove(&window).unwrap_or_default().into_values().collect();
        let at = self.at(window);
        // Windows without events between the last one and this one have none to take them in.
        self.take_controls(window);
        let settled = self.entities.settle(&at, &reports);
        let closed = self.entities.close(&at, common, reports);
        self.incidents.extend(closed.incidents);
        self.statistics.windows += 1;
        self.statistics.warm_up_windows_left = self.warm_up_windows.saturating_sub(at.age).saturating_sub(1);
        let known: BTreeSet<&str> = closed.findings.iter().map(|finding| finding.finding_id.as_str()).collect();
        // The close says most of them again; those that it thinks less of stay as they were told.
        let mut findings = settled.findings;
        findings.retain(|finding| !known.contains(finding.finding_id.as_str()));
        findings.extend(closed.findings);
        let known: BTreeSet<&str> = findings.iter().map(|finding| finding.finding_id.as_str()).collect();
        let withdrawn: Vec<String> =
            settled.told.into_iter().filter(|finding_id| !known.contains(finding_id.as_str())).collect();
        self.statistics.withdrawn += withdrawn.len() as u64;
        let end = window.saturating_add(1).saturating_mul(self.length);
        for finding_id in &withdrawn {
            self.incidents.extend(self.entities.withdraw(finding_id, end));
        }
        out.extend(findings.into_iter().map(|finding| Output::Finding(Box::new(finding))));
        out.extend(withdrawn.into_iter().map(|finding_id| Output::Withdrawn { finding_id }));
        let mut feedback = closed.feedback;
        feedback.sort_by(|one, other| {
            let key = |feedback: &crate::report::Feedback| (feedback.port, feedback.watch_until, feedback.is_accepted);
            let names = (&one.source, &one.destination).cmp(&(&other.source, &other.destination));
            names.then_with(|| key(one).cmp(&key(other)))
        });
        out.push(Output::Round(Round::Closed { window, feedback }));
        self.closed = Some(window);
        self.take_controls(window.saturating_add(1));
        self.phase = Phase::Gathering;
        self.exchanges = self.exchanges.split_off(&window.saturating_add(1));
        self.reports = self.reports.split_off(&window.saturating_add(1));
    }
}

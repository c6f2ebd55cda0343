//! Flows in event-time order in, findings out: closes windows and carries what the two levels tell each other. Knows no
//! formula of a detector and no words of a finding.

use crate::decision::{Control, Decided, Incident, Schedule, Suppression};
use crate::edges::{Bounds, EdgeLevel};
use crate::entities::{EdgeScore, EntityLevel, UnitScore, WindowAt};
use crate::event::FlowEvent;
use crate::report::{Common, Exchange};
use crate::settings::{Settings, SettingsError};
use serde::{Deserialize, Serialize};
use tradewind_model::Finding;
use tradewind_model::time::SECOND;

/// The detection of one network. Serialise it at any point and go on later: the findings are the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    length: i64,
    warm_up_windows: u64,
    edges: EdgeLevel,
    entities: EntityLevel,
    open_window: Option<i64>,
    first_window: Option<i64>,
    train_until: i64,
    statistics: Statistics,
    controls: Schedule,
    /// What the open window's flows are taken in by: that of the last window's end.
    #[serde(skip)]
    common: Option<Common>,
    #[serde(skip)]
    scores: Option<Scores>,
    #[serde(skip)]
    incidents: Vec<Incident>,
}

/// Scores that are kept until they are taken.
#[derive(Clone, Debug, Default)]
struct Scores {
    units: Vec<UnitScore>,
    destinations: Vec<UnitScore>,
    edges: Vec<EdgeScore>,
}

/// What an engine has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Flow events, late ones included.
    pub events: u64,
    /// Events that came after their window had closed, and were not judged.
    pub late: u64,
    /// Windows that closed.
    pub windows: u64,
    /// Edges met.
    pub edges: u64,
    /// Entities met.
    pub entities: u64,
    /// Windows still to come until every detector judges.
    pub warm_up_windows_left: u64,
    /// Edges that were forgotten but for a sketch, because there were too many.
    pub aged_out: u64,
    /// Events that were not judged, because there were too many new edges.
    pub unjudged: u64,
}

impl Engine {
    /// An engine that knows nothing yet, with one shard.
    ///
    /// # Errors
    /// A setting out of range.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Self::with_shards(settings, 1)
    }

    /// An engine whose edges are spread over so many shards; at least one. What it finds does not depend on their number.
    ///
    /// # Errors
    /// A setting out of range.
    pub fn with_shards(settings: Settings, shards: usize) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            length: settings.window_s * SECOND,
            warm_up_windows: settings.warm_up_windows,
            edges: EdgeLevel::new(&settings, shards),
            open_window: None,
            first_window: None,
            train_until: i64::MIN,
            statistics: Statistics::default(),
            controls: Schedule::default(),
            common: None,
            scores: None,
            incidents: Vec::new(),
            entities: EntityLevel::new(settings),
        })
    }

    /// Until this event time (microseconds UTC) everything is learnt and no finding is raised but breaches of the declared
    /// policy, which need no baseline. A window that began before it is learnt as a whole.
    pub fn train_until(&mut self, time: i64) {
        self.train_until = time;
    }

    /// Keeps the score of every unit from now on, for [`Self::take_scores`]. For evaluation: they take memory until taken.
    pub fn keep_scores(&mut self) {
        self.scores.get_or_insert_default();
    }

    /// Keeps the score of every edge and window from now on, for [`Self::take_edge_scores`]. For evaluation, as above.
    pub fn keep_edge_scores(&mut self) {
        self.keep_scores();
        self.edges.keep_scores();
    }

    /// Scores of the units of windows that closed since the last call, by window and name.
    pub fn take_scores(&mut self) -> Vec<UnitScore> {
        self.scores.as_mut().map(|scores| std::mem::take(&mut scores.units)).unwrap_or_default()
    }

    /// Scores of what reached each destination in windows that closed since the last call, by window and name.
    pub fn take_destination_scores(&mut self) -> Vec<UnitScore> {
        self.scores.as_mut().map(|scores| std::mem::take(&mut scores.destinations)).unwrap_or_default()
    }

    /// Incidents that were opened, changed or ended since the last call, in that order; of one that is here more than once the
    /// last counts.
    pub fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.incidents)
    }

    /// Takes in what a person says of findings. It holds from the first window that begins at this event time (microseconds
    /// UTC) or later: an earlier time than that of the open window for at once, and then from the window's close on. False:
    /// too many wait for their time, and this one was not taken in.
    pub fn control(&mut self, control: Control, time: i64) -> bool {
        let is_taken = self.controls.add(control, time);
        self.take_controls();
        is_taken
    }

    /// Takes in the controls whose time has come.
    fn take_controls(&mut self) {
        let Some(open) = self.open_window else { return };
        let start = open.saturating_mul(self.length);
        for control in self.controls.take_due(start) {
            let ended = self.entities.control(control, start);
            self.incidents.extend(ended);
        }
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

    /// Scores of the edges of windows that closed since the last call, by window, names and port.
    pub fn take_edge_scores(&mut self) -> Vec<EdgeScore> {
        self.scores.as_mut().map(|scores| std::mem::take(&mut scores.edges)).unwrap_or_default()
    }

    /// Takes a flow in. Events come in order of event time; inside a window order decides only when something is raised,
    /// not what. One whose window has closed is counted as late and not judged. Returns the findings that this flow
    /// raises at once, and those of the window that closed by it: new ones, and known ones (same `finding_id`) whose
    /// behaviour went on or of which more is known.
    pub fn observe(&mut self, event: &FlowEvent<'_>) -> Vec<Finding> {
        self.statistics.events += 1;
        let index = event.time.div_euclid(self.length);
        let mut findings = match self.open_window {
            Some(open) if index < open => {
                self.statistics.late += 1;
                return Vec::new();
            }
            Some(open) if index > open => self.close(open, false),
            _ => Vec::new(),
        };
        if self.open_window.replace(index) != Some(index) {
            self.take_controls();
        }
        self.first_window.get_or_insert(index);
        let at = self.at(index, false);
        let entities = &self.entities;
        let common = self.common.get_or_insert_with(|| entities.common(&Exchange::default(), at.is_training));
        let mut notices = Vec::new();
        self.edges.observe(event, index, common, &mut notices);
        for notice in notices {
            findings.extend(self.entities.notice(notice, &at));
        }
        findings
    }

    /// Closes the last window, which may be partial: it is judged, but volumes are not learnt from it. Events of it that
    /// come later are late.
    pub fn finish(&mut self) -> Vec<Finding> {
        let Some(open) = self.open_window else { return Vec::new() };
        let findings = self.close(open, true);
        self.open_window = Some(open.saturating_add(1));
        findings
    }

    /// Closes the last window as one of which nothing is to come, as a later flow would.
    pub fn complete(&mut self) -> Vec<Finding> {
        let Some(open) = self.open_window else { return Vec::new() };
        let findings = self.close(open, false);
        self.open_window = Some(open.saturating_add(1));
        findings
    }

    /// What it has seen so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let Bounds { aged_out, unjudged } = self.edges.bounds();
        let (edges, entities) = (self.edges.edge_count(), self.entities.entity_count() as u64);
        Statistics { edges, entities, aged_out, unjudged, ..self.statistics }
    }

    fn at(&self, index: i64, is_partial: bool) -> WindowAt {
        WindowAt {
            index,
            age: index.abs_diff(self.first_window.unwrap_or(index)),
            is_partial,
            is_training: index.saturating_mul(self.length) < self.train_until,
        }
    }

    fn close(&mut self, index: i64, is_partial: bool) -> Vec<Finding> {
        self.common = None;
        let exchange = self.edges.exchange();
        let at = self.at(index, is_partial);
        let common = self.entities.common(&exchange, at.is_training);
        let reports = self.edges.close(index, is_partial, &common);
        if reports.iter().all(|report| report.sources.is_empty()) {
            return Vec::new();
        }
        self.statistics.windows += 1;
        self.statistics.warm_up_windows_left = self.warm_up_windows.saturating_sub(at.age).saturating_sub(1);
        let closed = self.entities.close(&at, &common, reports);
        self.edges.feed_back(&closed.feedback);
        self.incidents.extend(closed.incidents);
        if let Some(scores) = &mut self.scores {
            scores.units.extend(closed.units);
            scores.destinations.extend(closed.destinations);
            scores.edges.extend(closed.edges);
        }
        closed.findings
    }
}

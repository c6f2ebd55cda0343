//! Flows in event-time order in, findings out: closes windows, asks every detector, combines what they say and decides.
//! Knows no formula of a detector and no words of a finding.

use crate::combine;
use crate::contract::{Detector, EdgeSignal, Signal, WarmUp};
use crate::destination::Destination;
use crate::event::FlowEvent;
use crate::finding::{Line, OpenFindings, Unusual};
use crate::network::Network;
use crate::settings::{Settings, SettingsError};
use crate::volume::Volume;
use crate::window::{Tallies, Window};
use crate::wording;
use serde::{Deserialize, Serialize};
use tradewind_model::Finding;
use tradewind_model::time::SECOND;

/// A signal below this p-value speaks beside the leading one.
const SPEAKS_BELOW: f64 = 1e-3;

/// The detection of one network. Serialise it at any point and go on later: the findings are the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    settings: Settings,
    network: Network,
    tallies: Tallies,
    open_window: Option<i64>,
    first_window: Option<i64>,
    train_until: i64,
    destination: Option<Destination>,
    volume: Option<Volume>,
    findings: OpenFindings,
    statistics: Statistics,
    #[serde(skip)]
    scores: Option<Vec<UnitScore>>,
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
}

/// What the detectors said of one entity in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitScore {
    /// The entity.
    pub entity: String,
    /// Start of the window, microseconds UTC.
    pub window_start: i64,
    /// Combined p-value.
    pub p_value: f64,
    /// Sum of -log10 p, capped per signal.
    pub risk_score: f64,
    /// p-value of each detector that tested it.
    pub signals: Vec<(&'static str, f64)>,
}

impl Engine {
    /// An engine that knows nothing yet.
    ///
    /// # Errors
    /// A setting out of range.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let destination = settings.destination.clone();
        let volume = settings.volume.clone();
        Ok(Self {
            network: Network::default(),
            tallies: Tallies::default(),
            open_window: None,
            first_window: None,
            train_until: i64::MIN,
            destination: destination.is_enabled.then(|| Destination::new(destination, settings.warm_up_windows)),
            volume: volume.is_enabled.then(|| Volume::new(volume)),
            findings: OpenFindings::default(),
            statistics: Statistics::default(),
            scores: None,
            settings,
        })
    }

    /// Until this event time (microseconds UTC) everything is learnt and no finding is raised. A window that began before
    /// it is learnt as a whole.
    pub fn train_until(&mut self, time: i64) {
        self.train_until = time;
    }

    /// Keeps the score of every unit from now on, for [`Self::take_scores`]. For evaluation: they take memory until taken.
    pub fn keep_scores(&mut self) {
        self.scores.get_or_insert_default();
    }

    /// Scores of the units of windows that closed since the last call, by window and name.
    pub fn take_scores(&mut self) -> Vec<UnitScore> {
        self.scores.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes a flow in. Events come in order of event time; inside a window order does not matter. One whose window has
    /// closed is counted as late and not judged. Returns the findings of the window that closed by it: new ones, and known
    /// ones (same `finding_id`) whose behaviour went on.
    pub fn observe(&mut self, event: &FlowEvent<'_>) -> Vec<Finding> {
        self.statistics.events += 1;
        let index = event.time.div_euclid(self.length());
        let findings = match self.open_window {
            Some(open) if index < open => {
                self.statistics.late += 1;
                return Vec::new();
            }
            Some(open) if index > open => self.close(open, false),
            _ => Vec::new(),
        };
        self.open_window = Some(index);
        self.first_window.get_or_insert(index);
        self.tallies.add(&mut self.network, event);
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

    /// What it has seen so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            edges: self.network.edge_count() as u64,
            entities: self.network.entity_count() as u64,
            ..self.statistics
        }
    }

    fn length(&self) -> i64 {
        self.settings.window_s * SECOND
    }

    fn close(&mut self, index: i64, is_partial: bool) -> Vec<Finding> {
        let length = self.length();
        let (edges, sources) = self.tallies.close(&self.network);
        if edges.is_empty() {
            return Vec::new();
        }
        let window = Window {
            index,
            start: index.saturating_mul(length),
            length,
            age: index.abs_diff(self.first_window.unwrap_or(index)),
            is_partial,
            is_training: index.saturating_mul(length) < self.train_until,
            network: &self.network,
            edges: &edges,
            sources: &sources,
        };
        let said = [asked(self.destination.as_mut(), &window), asked(self.volume.as_mut(), &window)];
        self.statistics.windows += 1;
        self.statistics.warm_up_windows_left = said.iter().map(|said| said.windows_left).max().unwrap_or(0);
        let is_silent = window.is_training || window.age < self.settings.warm_up_windows;
        self.findings.expire(&window);
        let mut raised = Vec::new();
        let mut signals = said.map(|said| said.signals.into_iter().peekable());
        for (position, source) in window.sources.iter().enumerate() {
            let [destination, volume] = signals.each_mut().map(|iter| iter.next_if(|signal| signal.source == position));
            let unit = Unit { destination, volume };
            let p_values = || unit.signals().map(|(_, signal)| signal.p_value);
            let tests = usize::from(self.destination.is_some()) + usize::from(self.volume.is_some());
            let p_value = combine::cauchy(p_values(), tests);
            let risk_score = combine::risk_score(p_values(), self.settings.risk_cap);
            if let Some(scores) = &mut self.scores {
                scores.push(UnitScore {
                    entity: window.network.name(source.source).to_owned(),
                    window_start: window.start,
                    p_value,
                    risk_score,
                    signals: unit.signals().map(|(name, signal)| (name, signal.p_value)).collect(),
                });
            }
            if is_silent {
                continue;
            }
            let is_unusual = p_value < self.settings.p_value_max;
            let unusual = is_unusual.then(|| {
                let detectors = (self.destination.as_ref(), self.volume.as_ref());
                unit.unusual(&window, detectors, p_value, risk_score, self.settings.observations_max)
            });
            raised.extend(self.findings.update(&window, source, unusual, &self.settings));
        }
        if let Some(destination) = &mut self.destination {
            destination.learn(&window);
        }
        if let Some(volume) = &mut self.volume {
            volume.learn(&window);
        }
        raised
    }
}

/// What a detector said of a window.
#[derive(Default)]
struct Said {
    signals: Vec<Signal>,
    windows_left: u64,
}

fn asked<D: Detector>(detector: Option<&mut D>, window: &Window<'_>) -> Said {
    detector.map_or_else(Said::default, |detector| Said {
        windows_left: match detector.warm_up(window) {
            WarmUp::Ready => 0,
            // The window being closed is one of them.
            WarmUp::Learning { windows_left } => windows_left - 1,
        },
        signals: detector.score(window),
    })
}

/// The signals of one entity in one window.
struct Unit {
    destination: Option<Signal>,
    volume: Option<Signal>,
}

impl Unit {
    fn signals(&self) -> impl Iterator<Item = (&'static str, &Signal)> {
        let destination = self.destination.iter().map(|signal| (Destination::NAME, signal));
        destination.chain(self.volume.iter().map(|signal| (Volume::NAME, signal)))
    }

    fn unusual(
        &self,
        window: &Window<'_>,
        (destination, volume): (Option<&Destination>, Option<&Volume>),
        p_value: f64,
        risk_score: f64,
        observations_max: usize,
    ) -> Unusual {
        let mut speaking: Vec<(&'static str, &Signal)> = self.signals().collect();
        speaking.sort_by(|(_, one), (_, other)| one.p_value.total_cmp(&other.p_value));
        let behaviour = speaking.first().map_or(Destination::NAME, |(name, _)| name);
        speaking.retain(|&(name, signal)| name == behaviour || signal.p_value < SPEAKS_BELOW);
        let mut lines = Vec::new();
        for &(name, signal) in &speaking {
            for edge in signal.edges.iter().take(observations_max.saturating_sub(lines.len())) {
                lines.extend(match name {
                    Volume::NAME => volume.map(|detector| line(detector, window, edge)),
                    _ => destination.map(|detector| line(detector, window, edge)),
                });
            }
        }
        let leading = speaking.first().map(|(_, signal)| signal.edges.as_slice()).unwrap_or_default();
        let edges = leading.iter().map(|edge| edge.position).collect();
        Unusual { behaviour, p_value, risk_score, signals: speaking.len(), edges, lines }
    }
}

fn line<D: Detector>(detector: &D, window: &Window<'_>, signal: &EdgeSignal) -> Line {
    let edge = &window.edges[signal.position];
    Line {
        detector: D::NAME.to_owned(),
        number: edge.number,
        edge: edge.edge,
        port_words: wording::port(edge),
        is_answered: edge.answered > 0,
        p_value: signal.p_value,
        explanation: detector.explain(window, signal),
    }
}

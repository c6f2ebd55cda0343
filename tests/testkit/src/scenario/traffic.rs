//! The flows of a scenario, window by window in the order of time: calls by their rhythm, with what happens to them. Not
//! what happens: that was planned before.

use super::events::{Effect, Event};
use super::flow::{BenignKind, Flow, Label};
use super::random::Random;
use super::topology::{Call, Rhythm};
use super::{Scenario, WINDOW, WINDOWS_PER_DAY, is_weekend};
use tradewind_model::Outcome;

/// Rows of one call in a window at most: what is more is told by rows that stand for several connections.
const ROWS_MAX: i64 = 3;
/// How much of a service's load is left from the window before.
const MEMORY: f64 = 0.9;
/// Spread of the logarithm of a service's load.
const LOAD_SPREAD: f64 = 0.2;

/// All windows of a scenario, one after another.
#[derive(Debug)]
pub struct Windows<'a> {
    scenario: &'a Scenario,
    random: Random,
    next: i64,
    /// Place in the flows beside the calls.
    planned: usize,
    attacking: usize,
    /// How much each entity has to do, as a normal deviate.
    loads: Vec<f64>,
}

impl<'a> Windows<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        // Attackers from outside make no calls, and must not change those of others.
        let loads = vec![0.0; scenario.harmless];
        Self { scenario, random: Random::of(scenario.seed, 3), next: 0, planned: 0, attacking: 0, loads }
    }

    fn call(&mut self, window: i64, call: &Call, level: f64, active: &[&Event], flows: &mut Vec<Flow>) {
        // What is rare is not ordinary before a week is over.
        let fresh = if call.mean < 0.1 { 7 * WINDOWS_PER_DAY } else { WINDOWS_PER_DAY };
        let mut label = if window < call.since + fresh { call.label } else { Label::Ordinary };
        let (mut mean, mut failing, mut size) = (call.mean * level, call.failing, 1.0);
        for event in active {
            let mut is_concerned = true;
            match event.effect {
                Effect::Failing { entity, share, retries } if entity == call.destination => {
                    failing = share;
                    mean *= retries;
                }
                Effect::Peak { factor } if call.rhythm == Rhythm::Customers => mean *= factor,
                Effect::Resized { source, destination, factor }
                    if (source, destination) == (call.source, call.destination) =>
                {
                    size *= factor;
                    is_concerned = window < event.from + WINDOWS_PER_DAY;
                }
                _ => is_concerned = false,
            }
            if is_concerned {
                label = Label::Benign(event.kind);
            }
        }
        let load = (LOAD_SPREAD * self.loads[usize::from(call.source)]).exp();
        let noise = (0.25 * self.random.normal()).exp();
        let total = self.random.poisson(mean * load * noise);
        let rows = total.min(ROWS_MAX);
        for row in 0..rows {
            let connections = total / rows + i64::from(row < total % rows);
            // A row of several connections tells of those that failed only by another row; here the whole row does.
            let is_failed = self.random.happens(failing);
            flows.push(self.row(window, call, connections, is_failed, size, label));
        }
    }

    #[allow(clippy::cast_possible_truncation)] // Within one window.
    fn row(&mut self, window: i64, call: &Call, connections: i64, is_failed: bool, size: f64, label: Label) -> Flow {
        let time = self.scenario.start + window * WINDOW + (self.random.uniform() * WINDOW as f64) as i64;
        // The sum of several sizes spreads less than one.
        let spread = call.spread / (connections as f64).sqrt();
        let many = connections as f64;
        let bytes_out = self.random.log_normal(call.bytes_out * many, spread);
        let bytes_in = self.random.log_normal(call.bytes_in * many * size, spread);
        let (outcome, bytes_in) = if is_failed { (Outcome::Failed, 0) } else { (Outcome::Allowed, bytes_in) };
        Flow {
            time,
            source: call.source,
            destination: call.destination,
            port: call.port,
            protocol: if call.port == 53 { 17 } else { 6 },
            outcome,
            connections,
            bytes_out,
            bytes_in,
            label,
        }
    }

    /// Flows of a list in the order of time that are before the end of a window.
    fn due(list: &[Flow], place: &mut usize, end: i64, flows: &mut Vec<Flow>) {
        let count = list[*place..].partition_point(|flow| flow.time < end);
        flows.extend_from_slice(&list[*place..*place + count]);
        *place += count;
    }
}

impl Iterator for Windows<'_> {
    type Item = Vec<Flow>;

    fn next(&mut self) -> Option<Vec<Flow>> {
        let scenario = self.scenario;
        let window = self.next;
        if window >= scenario.days * WINDOWS_PER_DAY {
            return None;
        }
        self.next += 1;
        for load in &mut self.loads {
            *load = MEMORY * *load + (1.0 - MEMORY * MEMORY).sqrt() * self.random.normal();
        }
        let is_holiday = window / WINDOWS_PER_DAY == scenario.plan.holiday;
        let levels =
            [Rhythm::Customers, Rhythm::Office, Rhythm::Steady].map(|rhythm| level(rhythm, window, is_holiday));
        let events = scenario.plan.events.iter();
        let active: Vec<&Event> = events.filter(|event| (event.from..event.until).contains(&window)).collect();
        let mut flows = Vec::new();
        for call in scenario.topology.calls.iter().filter(|call| call.since <= window) {
            self.call(window, call, levels[call.rhythm as usize], &active, &mut flows);
        }
        let end = scenario.start + (window + 1) * WINDOW;
        Self::due(&scenario.plan.flows, &mut self.planned, end, &mut flows);
        Self::due(&scenario.attacks, &mut self.attacking, end, &mut flows);
        flows.sort_by_key(|flow| flow.time);
        Some(flows)
    }
}

/// Load of a window against an ordinary one.
fn level(rhythm: Rhythm, window: i64, is_holiday: bool) -> f64 {
    let day = window / WINDOWS_PER_DAY;
    let hour = (window % WINDOWS_PER_DAY) as f64 * 24.0 / WINDOWS_PER_DAY as f64;
    // Least at three in the night, most at three in the afternoon.
    let swing = 0.5 - 0.5 * ((hour - 3.0) / 24.0 * std::f64::consts::TAU).cos();
    let is_off = is_holiday || is_weekend(day);
    match rhythm {
        Rhythm::Customers => (0.25 + 1.25 * swing) * if is_off { 0.7 } else { 1.0 },
        Rhythm::Office => (0.05 + 1.6 * swing * swing) * if is_off { 0.25 } else { 1.0 },
        Rhythm::Steady => 1.0,
    }
}

impl Label {
    /// The word of what is harmless but not everyday.
    #[must_use]
    pub const fn benign_kind(self) -> Option<BenignKind> {
        match self {
            Self::Benign(kind) => Some(kind),
            Self::Ordinary | Self::Attack { .. } => None,
        }
    }
}

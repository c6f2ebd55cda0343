//! A made-up network over weeks, with its truth: for what budgets, false alarms and calibration are judged by, which no
//! labelled capture is long enough for. Seeded and deterministic.
//!
//! It is made without looking at any detector: rates, sizes and events are those of ordinary networks of services, and an
//! attack is what its technique (attack.mitre.org) leaves in connection logs. It streams: a day of sixty services is about
//! 200,000 rows and takes some tens of milliseconds.

mod attacks;
mod events;
mod flow;
mod random;
mod requests;
mod topology;
mod traffic;

pub use attacks::{AttackKind, Episode};
pub use flow::{BenignKind, Entity, Flow, Label};
pub use random::Random;
pub use requests::Request;
pub use topology::Role;
pub use traffic::Windows;

use events::Plan;
use topology::Topology;
use tradewind_model::time::MINUTE;

/// Length of a window, microseconds.
pub const WINDOW: i64 = 5 * MINUTE;
/// Windows of a day.
pub const WINDOWS_PER_DAY: i64 = 288;
/// 2026-01-05T00:00:00Z, a Monday.
const START: i64 = 1_767_571_200_000_000;

/// What is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Everything hangs on it.
    pub seed: u64,
    /// Length, days.
    pub days: i64,
    /// Entities at the start, from 40 to 100.
    pub services: usize,
    /// From which day on there are attacks: two a day, of thirty kinds drawn by lot; none: no attacks.
    pub attacks_from_day: Option<i64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 1, days: 14, services: 60, attacks_from_day: None }
    }
}

/// A network with all that will happen in it.
#[derive(Debug)]
pub struct Scenario {
    seed: u64,
    start: i64,
    days: i64,
    topology: Topology,
    plan: Plan,
    /// How many entities there are without attacks.
    harmless: usize,
    attacks: Vec<Flow>,
    episodes: Vec<Episode>,
}

impl Scenario {
    /// Plans everything; flows are made as they are asked for.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut topology = Topology::new(settings.seed, settings.services);
        let plan = Plan::new(settings.seed, START, settings.days, &mut topology);
        let mut scenario = Self {
            seed: settings.seed,
            start: START,
            days: settings.days,
            harmless: topology.entities.len(),
            topology,
            plan,
            attacks: Vec::new(),
            episodes: Vec::new(),
        };
        if let Some(day) = settings.attacks_from_day {
            attacks::plan(&mut scenario, day);
        }
        scenario
    }

    /// Everyone who takes part. Flows speak of them by index.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        &self.topology.entities
    }

    /// What each of them does.
    #[must_use]
    pub fn role(&self, entity: u16) -> Role {
        self.topology.roles[usize::from(entity)]
    }

    /// Attacks, in the order of time.
    #[must_use]
    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    /// Start of the first window, microseconds UTC.
    #[must_use]
    pub const fn start(&self) -> i64 {
        self.start
    }

    /// The day, from 0, on which nobody works although it is no weekend.
    #[must_use]
    pub fn holiday(&self) -> Option<i64> {
        Some(self.plan.holiday).filter(|&day| day >= 0)
    }

    /// The flows, a window at a time, each in the order of time.
    #[must_use]
    pub fn windows(&self) -> Windows<'_> {
        Windows::new(self)
    }
}

/// Whether a day since the start is a Saturday or Sunday.
const fn is_weekend(day: i64) -> bool {
    day.rem_euclid(7) >= 5
}

#[cfg(test)]
mod tests;

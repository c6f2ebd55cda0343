//! The decision: which of the units that detectors think unusual a person is told, and what belongs together.
//!
//! ```text
//!   signals ─▶ recalibrate each, combine, ─▶ below the bar? ─▶ suppressed? a habit? ─▶ budget, strongest first ─▶ told
//!              recalibrate by class          (budget's share,   (feedback, habit)       (budget)                  │
//!              (calibration, pareto)          or lord)                                                 incidents ◀┘
//! ```
//!
//! Everything is event time, pure, bounded and serialisable, and depends on the closes of windows alone: what is told at
//! once is judged by the state of the last close and by what was told since.
//!
//! The rules:
//! - **Worth.** A detector that often has something to say and is louder here than its p-values claim is weakened to the
//!   share of all units in which it spoke as loudly, so that it drowns no other. What they then come to together is held
//!   against what is usual for the kind of entity.
//! - **Bar.** Until that is known (a day and `calibration_units_min` units), the settings' `p_value_max` on the combined
//!   p-value as it is. Then the recalibrated p-value at which harmless traffic alone would use up `harmless_share` of the
//!   budget.
//! - **Budget.** At most `findings_per_day` for each hundred services begun within any 24 hours. Only in the first day after a
//!   time of training, which is a look back, may findings of far stronger evidence go beyond it, up to `burst_days` days'
//!   budget. What is told at once leaves one to the closes; after the first day
//!   the bar rises as the budget is spent, up to a hundredfold, so that something is left for what is strong. In a window those that were told at
//!   once come first, then the strongest. What is not told is counted, and told later if it becomes stronger or the budget
//!   is free again.
//!   Neither one entity nor all strangers together spend more than two fifths: noise must not hide what comes with it.
//! - **Facts.** A breach of the declared policy is no statistics: it is told, and does not count.
//! - **Learning.** A unit is not learnt while a finding about its entity is open.

mod budget;
mod calibration;
mod feedback;
mod habit;
mod incidents;
mod lord;
mod pairs;
mod pareto;
mod schedule;
mod settings;
mod worth;

pub use feedback::{Control, Suppression};
pub use settings::{DecisionMode, DecisionSettings};

use crate::numbered::Numbered;
use crate::report::DetectorName;
pub(crate) use budget::Spender;
use budget::{Allowance, Budget};
use calibration::Calibration;
pub(crate) use feedback::{About, is_grave};
pub(crate) use habit::Habit;
use habit::Habits;
use incidents::Incidents;
use lord::Lord;
pub(crate) use schedule::Schedule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tradewind_model::finding::Finding;
pub use tradewind_model::incident::{Incident, IncidentState};
use tradewind_model::time::{DAY, SECOND};
use worth::{ALIKE, CLASSES, DETECTORS};

/// Findings that are remembered at most, for what people say of them.
const REMEMBERED_MAX: usize = 8192;
const SUPPRESSIONS_MAX: usize = 4096;
/// The test of the false discovery rate is made at so large a share of the target: it works where one unit in a million is, and there
/// p-values of a tail that was fitted to some weeks are too low, and come in bursts (measured by `tradewind-eval budget --fdr`).
const CAUTION: f64 = 0.1;

/// A p-value held against the bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weighed {
    /// What its signals come to, the loud ones weakened; none until that is known.
    pub(crate) combined: Option<f64>,
    /// Recalibrated.
    pub(crate) p_value: f64,
    /// Over the bar: below one is unusual.
    pub(crate) ratio: f64,
}

/// What is decided about a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// Nothing yet.
    Candidate,
    /// A person was told.
    Told,
    /// The budget was spent on stronger ones.
    HeldBack,
    /// The entity does it often.
    Habit,
    /// Somebody did not want to hear of it.
    Suppressed,
    /// Somebody looked at it.
    Dismissed,
    /// Somebody said that it is as it should be, of what never is a habit: this finding alone is told no more.
    Accepted,
}

impl Standing {
    /// Whether it is not decided about again: it was told, or somebody spoke of it.
    pub(crate) const fn is_settled(&self) -> bool {
        matches!(self, Self::Told | Self::Dismissed | Self::Accepted)
    }
}

/// What is to be decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) about: About<'a>,
    pub(crate) spender: Spender,
    pub(crate) behaviour: DetectorName,
    pub(crate) habit: Option<Habit>,
    pub(crate) ratio: f64,
    pub(crate) risk_score: f64,
    pub(crate) is_severe: bool,
    pub(crate) time: i64,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) standing: Standing,
    /// The suppression that would hide it, were it not what must not be hidden.
    pub(crate) overruled: Option<String>,
}

/// How many findings were decided about, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Told.
    pub told: u64,
    /// Held back, because the budget was spent.
    pub held_back: u64,
    /// Not told, because the entity does it often.
    pub habits: u64,
    /// Not told, because somebody did not want to hear of it.
    pub suppressed: u64,
}

/// Whose finding it is and what tells it from others, with what it would be the habit of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) entity: u32,
    pub(crate) behaviour: DetectorName,
    pub(crate) subject: String,
    pub(crate) habit: Option<Habit>,
    #[serde(with = "crate::exact")]
    pub(crate) risk_score: f64,
}

/// How much there is to test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Load {
    day: Option<i64>,
    units_today: u64,
    /// Of the last day that ended. The first may have begun late.
    units_a_day: Option<u64>,
}

impl Load {
    fn close(&mut self, day: i64) {
        if self.day.is_some_and(|known| day > known) {
            self.units_a_day = Some(self.units_today.max(self.units_a_day.unwrap_or(0) / 2));
            self.units_today = 0;
        }
        self.day = Some(self.day.map_or(day, |known| known.max(day)));
    }
}

/// The state of the decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// By entities alike and detector: what each detector's p-values are worth.
    detectors: Calibration,
    /// By class: what combined p-values are worth.
    units: Calibration,
    load: Load,
    budget: Budget,
    lord: Option<Lord>,
    habits: Habits,
    incidents: Incidents,
    suppressions: Vec<Suppression>,
    /// Findings that people may speak of, by id, with their times.
    remembered: BTreeMap<String, (i64, Topic)>,
    /// Services, agents and hosts at the last close.
    entities: usize,
    /// Whether there was a time of training.
    is_trained: bool,
    decided: Decided,
}

impl Numbered for Decision {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.habits.visit(number);
        self.budget.visit(number);
        for (_, topic) in self.remembered.values_mut() {
            number(&mut topic.entity);
            topic.habit.visit(number);
        }
    }
}

impl Decision {
    /// A state that knows nothing yet.
    pub(crate) fn new(settings: &DecisionSettings) -> Self {
        Self {
            detectors: Calibration::new(ALIKE * DETECTORS),
            units: Calibration::new(CLASSES),
            load: Load::default(),
            budget: Budget::default(),
            lord: (settings.mode == DecisionMode::FalseDiscoveryRate)
                .then(|| Lord::new(CAUTION * settings.false_discovery_rate)),
            habits: Habits::default(),
            incidents: Incidents::default(),
            suppressions: Vec::new(),
            remembered: BTreeMap::new(),
            entities: 0,
            is_trained: false,
            decided: Decided::default(),
        }
    }

    /// Findings that may be told within 24 hours.
    pub(crate) fn per_day(&self, settings: &DecisionSettings) -> usize {
        self.entities.div_ceil(100).max(1).saturating_mul(settings.findings_per_day as usize)
    }

    fn hidden_by(&self, case: Case<'_>) -> Option<&Suppression> {
        self.suppressions.iter().find(|suppression| suppression.covers(case.about, case.time))
    }

    /// The suppression that would hide it, were it not what must not be hidden.
    pub(crate) fn overruled(&self, case: Case<'_>) -> Option<String> {
        self.hidden_by(case).filter(|_| is_grave(case.behaviour)).map(|suppression| suppression.name.clone())
    }

    /// What would be decided at the close, or at once, where these others that are told already are not taken in yet.
    pub(crate) fn consider(&self, case: Case<'_>, at_once: Option<&[Spender]>, settings: &DecisionSettings) -> Verdict {
        let hidden = self.hidden_by(case);
        let told = |overruled| Verdict { standing: Standing::Told, overruled };
        let silent = |standing| Verdict { standing, overruled: None };
        let is_grave = is_grave(case.behaviour);
        let overruled = self.overruled(case);
        if case.behaviour == DetectorName::Policy {
            return told(overruled);
        }
        if hidden.is_some() && !is_grave {
            return silent(Standing::Suppressed);
        }
        let day = case.time.div_euclid(DAY);
        let is_habit =
            |habit: &Habit| self.habits.is_one(habit, day, case.risk_score, settings.habit_days) && !is_grave;
        if case.habit.as_ref().is_some_and(is_habit) {
            return silent(Standing::Habit);
        }
        let is_retrospect = self.is_trained && self.detectors.days() == 0;
        let burst_days = if is_retrospect { settings.burst_days as usize } else { 1 };
        let per_day = self.per_day(settings);
        // The last of a day is kept for what only a close can show: the strongest of a window, what many do together.
        let whole = per_day;
        let per_day = if at_once.is_some() { per_day.saturating_sub(1).max(1) } else { per_day };
        let allowance = Allowance { per_day, whole, burst_days, is_rising: self.detectors.days() > 0 };
        let is_allowed = self.lord.is_some()
            || self.budget.allows(
                allowance,
                (case.time, case.spender),
                at_once.unwrap_or_default(),
                case.ratio,
                case.is_severe,
            );
        if is_allowed { told(overruled) } else { silent(Standing::HeldBack) }
    }

    /// Decides, at the close of a window. `before` is what was decided before.
    pub(crate) fn decide(&mut self, case: Case<'_>, before: &Standing, settings: &DecisionSettings) -> Verdict {
        let verdict = self.consider(case, None, settings);
        if let Some(habit) = case.habit {
            self.habits.learn(habit, case.time.div_euclid(DAY), case.risk_score);
        }
        if verdict.standing == *before {
            return verdict;
        }
        match verdict.standing {
            Standing::Told => {
                self.decided.told += 1;
                if case.behaviour != DetectorName::Policy {
                    self.budget.spend((case.time, case.spender));
                }
            }
            Standing::HeldBack => self.decided.held_back += 1,
            Standing::Habit => self.decided.habits += 1,
            Standing::Suppressed => self.decided.suppressed += 1,
            Standing::Candidate | Standing::Dismissed | Standing::Accepted => (),
        }
        verdict
    }

    /// Something unusual was not even looked at closer, because too much is.
    pub(crate) const fn hold_back(&mut self) {
        self.decided.held_back += 1;
    }

    /// A finding is told, or has changed, in a window with this end.
    pub(crate) fn told(&mut self, finding: &Finding, topic: Topic, time: i64, settings: &DecisionSettings) -> Incident {
        if self.remembered.len() >= REMEMBERED_MAX && !self.remembered.contains_key(&finding.finding_id) {
            let oldest = self.remembered.iter().min_by_key(|(_, (time, _))| *time).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| self.remembered.remove(&oldest));
        }
        self.remembered.insert(finding.finding_id.clone(), (time, topic));
        self.incidents.take(finding, time, quiet(settings))
    }

    /// The incident of a finding that is told before its window ends. The end of the window tells it again.
    pub(crate) fn told_early(&mut self, finding: &Finding, settings: &DecisionSettings) -> Incident {
        self.incidents.take(finding, finding.time, quiet(settings))
    }

    /// A finding that was told early is none after all.
    pub(crate) fn withdraw(&mut self, finding_id: &str, time: i64) -> Option<Incident> {
        self.incidents.withdraw(finding_id, time)
    }

    /// After all of a window, with this end and so many services, agents and hosts.
    pub(crate) fn close(&mut self, time: i64, entities: usize, settings: &DecisionSettings) -> Vec<Incident> {
        self.entities = entities;
        let day = (time - 1).div_euclid(DAY);
        self.load.close(day);
        self.detectors.close(day, settings.calibration_units_min, settings.memory_days);
        self.units.close(day, settings.calibration_units_min, settings.memory_days);
        self.budget.expire(time);
        self.suppressions.retain(|suppression| suppression.until > time);
        self.incidents.resolve(time, quiet(settings))
    }

    /// After a state was read back: fits it to these settings, and to the detectors that there are now.
    pub(crate) fn adopt(&mut self, settings: &DecisionSettings) {
        self.detectors.regroup(ALIKE, DETECTORS);
        self.units.regroup(1, CLASSES);
        let new = Self::new(settings);
        let is_as_before = match (&self.lord, &new.lord) {
            (Some(one), Some(other)) => one.has_rate_of(other),
            (one, other) => one.is_none() == other.is_none(),
        };
        if !is_as_before {
            self.lord = new.lord;
        }
    }

    /// A window was for training.
    pub(crate) const fn trained(&mut self) {
        self.is_trained = true;
    }

    /// After a state was read back: makes ready to judge.
    pub(crate) fn prepare(&mut self, settings: &DecisionSettings) {
        for calibration in [&mut self.detectors, &mut self.units] {
            if calibration.is_unprepared() {
                calibration.prepare(settings.calibration_units_min);
            }
        }
    }

    /// Takes in what a person says, at this time: which finding it is about, and its incident where that ends by it. None
    /// where no such finding is remembered, or it is about none.
    pub(crate) fn control(&mut self, control: Control, time: i64) -> Option<(Topic, Option<Incident>)> {
        let (finding_id, is_accepted) = match control {
            Control::Suppress(suppression) => {
                self.suppressions.retain(|known| known.name != suppression.name);
                if self.suppressions.len() < SUPPRESSIONS_MAX {
                    self.suppressions.push(suppression);
                }
                return None;
            }
            Control::Lift { name } => {
                self.suppressions.retain(|known| known.name != name);
                return None;
            }
            Control::Revoke { finding_id } => {
                let (_, topic) = self.remembered.get(&finding_id)?.clone();
                if let Some(habit) = &topic.habit {
                    self.habits.revoke(habit);
                }
                self.incidents.revoke(&finding_id);
                return Some((topic, None));
            }
            Control::Accept { finding_id } => (finding_id, true),
            Control::Dismiss { finding_id } => (finding_id, false),
            // See `acknowledge`.
            Control::Acknowledge { .. } => return None,
        };
        let (_, topic) = self.remembered.get(&finding_id)?.clone();
        if is_accepted && let Some(habit) = topic.habit {
            self.habits.accept(habit, time.div_euclid(DAY), topic.risk_score);
        }
        Some((topic, self.incidents.dismiss(&finding_id, time)))
    }

    /// A person says that somebody looks after a finding: its incident, where that is news.
    pub(crate) fn acknowledge(&mut self, finding_id: &str) -> Option<Incident> {
        self.incidents.acknowledge(finding_id)
    }

    /// Suppressions that hold.
    pub(crate) fn suppressions(&self) -> &[Suppression] {
        &self.suppressions
    }

    /// How many findings were decided about, and how.
    pub(crate) const fn decided(&self) -> Decided {
        self.decided
    }
}

/// How long an incident waits for more, microseconds.
const fn quiet(settings: &DecisionSettings) -> i64 {
    settings.incident_quiet_s.saturating_mul(SECOND)
}

//! What an entity does again and again: a scanner's nightly round, a person's bastion host. After some days it is no news,
//! unless it becomes far stronger than it ever was. Chains and breaches of policy never are habits.

use crate::exact;
use crate::network::Edge;
use crate::numbered::Numbered;
use crate::report::DetectorName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Habits that are remembered at most; the one that is longest ago goes first.
const HABITS_MAX: usize = 16_384;
/// Days that a habit is looked for in.
const DAYS: u32 = 15;
/// What adds so much to the risk score is news again: three signals of a chance of one in ten.
const NEWS: f64 = 3.0;

/// Who does what, where. What is about new edges is told apart by their port alone, since its destinations are never the
/// same; anything else also by its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Habit {
    entity: u32,
    behaviour: DetectorName,
    destination: Option<u32>,
    port: Option<u16>,
}

impl Habit {
    pub(crate) const fn new(entity: u32, behaviour: DetectorName, lead: Edge, is_about_new_edges: bool) -> Self {
        let destination = if is_about_new_edges { None } else { Some(lead.destination) };
        Self { entity, behaviour, destination, port: lead.port.number() }
    }
}

impl Numbered for Habit {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        number(&mut self.entity);
        self.destination.iter_mut().for_each(number);
    }
}

/// The past of one habit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Past {
    /// The last day, and the days before it as bits.
    day: i64,
    days: u32,
    #[serde(with = "exact")]
    strongest: f64,
    /// Whether a person said that it is as it should be.
    is_accepted: bool,
}

/// All habits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Habits {
    #[serde(with = "crate::decision::pairs")]
    past: BTreeMap<Habit, Past>,
}

impl Numbered for Habits {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        let renumber = |(mut habit, past): (Habit, Past)| {
            habit.visit(number);
            (habit, past)
        };
        self.past = std::mem::take(&mut self.past).into_iter().map(renumber).collect();
    }
}

impl Habits {
    /// Whether it was done on so many days before this one, as strongly.
    pub(crate) fn is_one(&self, habit: &Habit, day: i64, risk_score: f64, days_min: u32) -> bool {
        let Some(past) = self.past.get(habit) else { return false };
        let shift = u32::try_from((day - past.day).max(0)).unwrap_or(DAYS);
        let days = if shift >= DAYS { 0 } else { (past.days << shift) & ((1 << DAYS) - 1) & !1 };
        let is_usual = past.is_accepted || days.count_ones() >= days_min;
        is_usual && risk_score <= past.strongest + NEWS
    }

    /// It was done on a day.
    pub(crate) fn learn(&mut self, habit: Habit, day: i64, risk_score: f64) {
        let past = self.past.entry(habit).or_insert(Past { day, days: 1, strongest: risk_score, is_accepted: false });
        if day > past.day {
            let shift = u32::try_from(day - past.day).unwrap_or(DAYS);
            past.days = if shift >= DAYS { 1 } else { (past.days << shift) & ((1 << DAYS) - 1) | 1 };
            past.day = day;
        }
        past.strongest = past.strongest.max(risk_score);
        if self.past.len() > HABITS_MAX {
            let oldest = self.past.iter().filter(|(_, past)| !past.is_accepted).min_by_key(|(_, past)| past.day);
            let oldest = oldest.or_else(|| self.past.iter().min_by_key(|(_, past)| past.day)).map(|(habit, _)| *habit);
            oldest.and_then(|oldest| self.past.remove(&oldest));
        }
    }

    /// A person says that it is as it should be.
    pub(crate) fn accept(&mut self, habit: Habit, day: i64, risk_score: f64) {
        self.learn(habit, day, risk_score);
        if let Some(past) = self.past.get_mut(&habit) {
            past.is_accepted = true;
        }
    }

    /// A person takes that back. The days on which it was done still count.
    pub(crate) fn revoke(&mut self, habit: &Habit) {
        if let Some(past) = self.past.get_mut(habit) {
            past.is_accepted = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Port;

    fn check(done: &[(i64, f64)], asked: (i64, f64), expected: bool) {
        let edge = Edge { source: 1, destination: 2, port: Port::Number(22) };
        let habit = Habit::new(1, DetectorName::Destination, edge, true);
        let mut habits = Habits::default();
        done.iter().for_each(|&(day, risk)| habits.learn(habit, day, risk));
        assert_eq!(habits.is_one(&habit, asked.0, asked.1, 3), expected, "{done:?}, {asked:?}");
    }

    #[test]
    fn three_days_make_a_habit() {
        check(&[], (0, 5.0), false);
        check(&[(0, 5.0), (0, 5.0), (0, 5.0), (1, 5.0)], (2, 5.0), false);
        check(&[(0, 5.0), (1, 5.0), (2, 5.0)], (2, 5.0), false);
        check(&[(0, 5.0), (1, 5.0), (2, 5.0)], (3, 7.9), true);
        check(&[(0, 5.0), (1, 5.0), (2, 5.0)], (3, 8.1), false);
        check(&[(0, 5.0), (5, 5.0), (9, 5.0)], (12, 5.0), true);
        check(&[(0, 5.0), (5, 5.0), (9, 5.0)], (15, 5.0), false);
        check(&[(0, 5.0), (1, 5.0), (2, 5.0)], (400, 5.0), false);
    }

    #[test]
    fn what_is_accepted_stays() {
        let edge = Edge { source: 1, destination: 2, port: Port::Absent };
        let habit = Habit::new(1, DetectorName::Transfer, edge, false);
        let mut habits = Habits::default();
        habits.accept(habit, 0, 6.0);
        assert!(habits.is_one(&habit, 300, 6.0, 3));
        assert!(!habits.is_one(&habit, 300, 12.0, 3));
        let other = Habit::new(1, DetectorName::Transfer, Edge { destination: 3, ..edge }, false);
        assert!(!habits.is_one(&other, 0, 6.0, 3));
        habits.revoke(&habit);
        assert!(!habits.is_one(&habit, 1, 6.0, 3));
        (1..4).for_each(|day| habits.learn(habit, day, 6.0));
        assert!(habits.is_one(&habit, 4, 6.0, 3), "it is done so often that it is a habit by itself");
    }
}

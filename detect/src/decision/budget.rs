//! The budget that a user states: so many findings within 24 hours, and what may be spent beyond it where that is granted. Not which
//! evidence is strong enough: it is given the bar.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tradewind_model::time::DAY;

/// Times that are remembered at most. A budget above that many findings in seven days is no budget.
const TOLD_MAX: usize = 16_384;
/// Powers of ten by which the bar would have risen when all is spent.
const RISE: f64 = 2.0;
/// Share of the day's budget up to which it does not rise.
const LEVEL: f64 = 0.4;
/// What comes beyond the day's budget has evidence so many times stronger than the day's bar,
const BURST_FACTOR: f64 = 0.01;
/// or, if it is severe, so many times.
const BURST_FACTOR_SEVERE: f64 = 0.1;

/// Findings that were told, by their times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Budget {
    told: VecDeque<i64>,
}

/// What may be spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowance {
    /// Findings within 24 hours.
    pub(crate) per_day: usize,
    /// Days' budgets within seven days.
    pub(crate) burst_days: usize,
    /// Whether the bar rises as the day's budget is spent, so that something is left for what is strong.
    pub(crate) is_rising: bool,
}

impl Budget {
    /// Whether something may be told at this time, where so many others that are not spent yet go before it. `ratio` is its
    /// p-value over the bar.
    pub(crate) fn allows(&self, allowance: Allowance, time: i64, others: usize, ratio: f64, is_severe: bool) -> bool {
        if ratio >= 1.0 {
            return false;
        }
        let since = |span: i64| {
            let from = time.saturating_sub(span);
            others + self.told.iter().rev().take_while(|&&told| told > from).count()
        };
        let spent = since(DAY);
        if spent < allowance.per_day {
            let beyond = (spent as f64 / allowance.per_day as f64 - LEVEL) / (1.0 - LEVEL);
            let raised = 10_f64.powf(-RISE * beyond.max(0.0));
            return !allowance.is_rising || ratio <= raised;
        }
        let factor = if is_severe { BURST_FACTOR_SEVERE } else { BURST_FACTOR };
        allowance.burst_days > 1 && since(7 * DAY) < allowance.per_day * allowance.burst_days && ratio <= factor
    }

    /// Spends.
    pub(crate) fn spend(&mut self, time: i64) {
        let place = self.told.partition_point(|&told| told <= time);
        self.told.insert(place, time);
        if self.told.len() > TOLD_MAX {
            self.told.pop_front();
        }
    }

    /// Forgets what is older than seven days.
    pub(crate) fn expire(&mut self, time: i64) {
        while self.told.front().is_some_and(|&told| told <= time.saturating_sub(7 * DAY)) {
            self.told.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_model::time::HOUR;

    /// Hours, p-values over the bar, severity: which are told.
    fn check(burst_days: usize, wanted: &[(i64, f64, bool)], expected: &[bool]) {
        let allowance = Allowance { per_day: 2, burst_days, is_rising: false };
        let mut budget = Budget::default();
        let told: Vec<bool> = wanted
            .iter()
            .map(|&(hour, ratio, is_severe)| {
                let time = hour * HOUR;
                budget.expire(time);
                let is_told = budget.allows(allowance, time, 0, ratio, is_severe);
                if is_told {
                    budget.spend(time);
                }
                is_told
            })
            .collect();
        assert_eq!(told, expected, "{wanted:?}");
    }

    #[test]
    fn a_day_has_its_budget() {
        check(1, &[(0, 1.0, true), (0, 0.9, false)], &[false, true]);
        check(1, &[(0, 0.1, false); 4], &[true, true, false, false]);
        check(1, &[(0, 1e-9, true), (23, 1e-9, true), (23, 1e-9, true), (24, 1e-9, true)], &[true, true, false, true]);
    }

    #[test]
    fn a_rising_bar_leaves_something_for_the_strong() {
        let allowance = Allowance { per_day: 5, burst_days: 1, is_rising: true };
        let mut budget = Budget::default();
        let wanted = [0.9, 0.9, 0.9, 0.9, 0.2, 0.2, 0.04, 0.0];
        let told = [true, true, true, false, true, false, true, false];
        for (ratio, expected) in wanted.into_iter().zip(told) {
            assert_eq!(budget.allows(allowance, HOUR, 0, ratio, true), expected, "{ratio}");
            if expected {
                budget.spend(HOUR);
            }
        }
    }

    #[test]
    fn what_is_granted_is_spent_on_the_strongest_and_ends() {
        let weak = [(0, 0.1, false), (1, 0.1, false), (2, 0.1, false), (2, 0.1, true), (3, 0.01, false)];
        check(7, &weak, &[true, true, false, true, true]);
        let mut expected = vec![true; 14];
        expected.extend([false; 6]);
        check(7, &[(5, 1e-12, true); 20], &expected);
        check(2, &[(5, 1e-12, true); 6], &[true, true, true, true, false, false]);
        // A week later all is there again.
        check(2, &[(0, 1e-12, true), (0, 1e-12, true), (168, 1e-12, true)], &[true; 3]);
    }
}

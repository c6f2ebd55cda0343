//! The budget that a user states: so many findings within 24 hours, and what may be spent beyond it where that is granted. Not which
//! evidence is strong enough: it is given the bar.

use crate::numbered::Numbered;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tradewind_model::entity::EntityKind;
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

/// Share of the budget that one entity may spend, or all strangers together: two fifths, at least one finding.
const SHARE: (usize, usize) = (2, 5);

/// Whose finding spends of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spender {
    pub(crate) entity: u32,
    /// Whether it is an address that no inventory explains, of which an opponent has as many as wanted, or about what many
    /// do to one.
    pub(crate) is_stranger: bool,
}

impl Spender {
    pub(crate) const fn new(entity: u32, kind: EntityKind) -> Self {
        Self { entity, is_stranger: matches!(kind, EntityKind::Unknown | EntityKind::External) }
    }
}

/// Findings that were told, by their times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Budget {
    told: VecDeque<(i64, Spender)>,
}

impl Numbered for Budget {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.told.iter_mut().for_each(|(_, spender)| number(&mut spender.entity));
    }
}

/// What may be spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowance {
    /// Findings within 24 hours.
    pub(crate) per_day: usize,
    /// What shares are taken of, which may be more.
    pub(crate) whole: usize,
    /// Days' budgets within seven days.
    pub(crate) burst_days: usize,
    /// Whether the bar rises as the day's budget is spent, so that something is left for what is strong.
    pub(crate) is_rising: bool,
}

impl Budget {
    /// Whether something may be told at this time, where others that are not spent yet go before it. `ratio` is its p-value
    /// over the bar. Neither one entity nor all strangers together spend more than their share: who is noisy must leave
    /// something for what the noise is to hide.
    pub(crate) fn allows(
        &self,
        allowance: Allowance,
        (time, spender): (i64, Spender),
        others: &[Spender],
        ratio: f64,
        is_severe: bool,
    ) -> bool {
        if ratio >= 1.0 {
            return false;
        }
        let is_left = |span: i64, days: usize| {
            let limit = allowance.per_day * days;
            let from = time.saturating_sub(span);
            let told = self.told.iter().rev().take_while(|&&(told, _)| told > from).map(|(_, spender)| spender);
            let (mut all, mut own, mut strangers) = (0, 0, 0);
            for known in told.chain(others) {
                all += 1;
                own += usize::from(known.entity == spender.entity);
                strangers += usize::from(known.is_stranger);
            }
            let share = (allowance.whole * days * SHARE.0 / SHARE.1).max(1);
            let is_shared = own < share && (!spender.is_stranger || strangers < share);
            (all < limit && is_shared).then_some(all)
        };
        if let Some(spent) = is_left(DAY, 1) {
            let beyond = (spent as f64 / allowance.per_day as f64 - LEVEL) / (1.0 - LEVEL);
            let raised = 10_f64.powf(-RISE * beyond.max(0.0));
            return !allowance.is_rising || ratio <= raised;
        }
        let factor = if is_severe { BURST_FACTOR_SEVERE } else { BURST_FACTOR };
        let is_granted = allowance.burst_days > 1 && ratio <= factor;
        is_granted && is_left(7 * DAY, allowance.burst_days).is_some()
    }

    /// Spends.
    pub(crate) fn spend(&mut self, (time, spender): (i64, Spender)) {
        let place = self.told.partition_point(|&(told, _)| told <= time);
        self.told.insert(place, (time, spender));
        if self.told.len() > TOLD_MAX {
            self.told.pop_front();
        }
    }

    /// Forgets what is older than seven days.
    pub(crate) fn expire(&mut self, time: i64) {
        while self.told.front().is_some_and(|&(told, _)| told <= time.saturating_sub(7 * DAY)) {
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
        let allowance = Allowance { per_day: 2, whole: 2, burst_days, is_rising: false };
        let mut budget = Budget::default();
        let mut entity = 0;
        let told: Vec<bool> = wanted
            .iter()
            .map(|&(hour, ratio, is_severe)| {
                let time = hour * HOUR;
                entity += 1;
                let whose = (time, Spender { entity, is_stranger: false });
                budget.expire(time);
                let is_told = budget.allows(allowance, whose, &[], ratio, is_severe);
                if is_told {
                    budget.spend(whose);
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
        let allowance = Allowance { per_day: 5, whole: 5, burst_days: 1, is_rising: true };
        let mut budget = Budget::default();
        let wanted = [0.9, 0.9, 0.9, 0.9, 0.2, 0.2, 0.04, 0.0];
        let told = [true, true, true, false, true, false, true, false];
        for (entity, (ratio, expected)) in (0..).zip(wanted.into_iter().zip(told)) {
            let whose = (HOUR, Spender { entity, is_stranger: false });
            assert_eq!(budget.allows(allowance, whose, &[], ratio, true), expected, "{ratio}");
            if expected {
                budget.spend(whose);
            }
        }
    }

    /// Who was told of, as entity and whether a stranger; and whether each was within its share of five.
    fn check_shares(spenders: &[(u32, bool, bool)]) {
        let allowance = Allowance { per_day: 5, whole: 5, burst_days: 1, is_rising: false };
        let mut budget = Budget::default();
        for &(entity, is_stranger, expected) in spenders {
            let whose = (HOUR, Spender { entity, is_stranger });
            assert_eq!(budget.allows(allowance, whose, &[], 0.5, false), expected, "{entity} of {spenders:?}");
            if expected {
                budget.spend(whose);
            }
        }
    }

    #[test]
    fn nobody_spends_it_alone() {
        check_shares(&[(1, false, true), (1, false, true), (1, false, false), (2, false, true)]);
        check_shares(&[(1, true, true), (2, true, true), (3, true, false), (4, false, true), (4, false, true)]);
        let others = [Spender { entity: 1, is_stranger: true }, Spender { entity: 2, is_stranger: true }];
        let allowance = Allowance { per_day: 5, whole: 5, burst_days: 1, is_rising: false };
        for (is_stranger, expected) in [(true, false), (false, true)] {
            let whose = (HOUR, Spender { entity: 3, is_stranger });
            assert_eq!(Budget::default().allows(allowance, whose, &others, 0.5, false), expected);
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

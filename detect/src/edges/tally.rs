//! Flows of the open window, added up per edge in whole numbers, so that their order does not matter. Knows no detector.

use crate::event::FlowEvent;
use crate::report::EdgeCounts;
use serde::{Deserialize, Serialize};
use tradewind_model::Outcome;

/// Logarithms of sizes are counted in steps of 2^-14: six in a hundred thousand of a size.
const STEPS: f64 = 16_384.0;
/// Squared residuals enter the pools up to this, so that one outlier does not blind every young edge.
pub(super) const SQUARED_RESIDUAL_MAX: f64 = 9.0;

/// What the window's notices of an edge still wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Awaited {
    /// It is new: its first flow.
    First,
    /// It is new and nothing answered yet: the first answer.
    Answer,
    /// It was never answered: this window's first refusal.
    Refusal,
    /// Nothing.
    Nothing,
}

/// What one edge did so far in the open window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) number: u32,
    pub(super) is_birth: bool,
    /// Whether the times of its contacts are looked at.
    pub(super) is_watched: bool,
    pub(super) awaited: Awaited,
    /// Place of the edge's first flows plus one; zero where nothing of it is worth telling at once.
    pub(super) contacts: u32,
    pub(super) counts: EdgeCounts,
    pub(super) size_out: SizeTally,
    pub(super) size_in: SizeTally,
}

/// Logarithms of sizes in one direction. Those that are too unusual to be learnt only count.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct SizeTally {
    /// Location of the edge's baseline, in steps.
    reference: i64,
    /// Farther from it than this is too unusual.
    bound: i64,
    pub(super) count: u64,
    pub(super) held: u64,
    sum: i64,
    squares: u64,
    /// Squared residuals from the reference, each bounded, in steps².
    residuals: u64,
    min: i64,
    max: i64,
}

/// TCP's protocol number.
const TCP: i16 = 6;

/// Whether a flow whose log does not say how it ended had no answer: over TCP something was sent and nothing came back, not
/// even what accepts the connection. What was not seen is no such evidence, and other protocols may well be one-way.
fn is_vain(event: &FlowEvent<'_>) -> bool {
    let has_no_answer = event.bytes_in == Some(0) && event.bytes_out.is_some_and(|bytes| bytes > 0);
    event.outcome == Outcome::Unknown && event.protocol_num == Some(TCP) && has_no_answer
}

impl EdgeCounts {
    /// No flow yet, at this time.
    pub(crate) const fn nothing(time: i64) -> Self {
        Self {
            flows: 0,
            opened: 0,
            answered: 0,
            denied: 0,
            failed: 0,
            bytes_out: None,
            bytes_in: None,
            protocol_num: None,
            first: time,
            last: time,
        }
    }

    /// What one row counts for.
    pub(crate) fn of(event: &FlowEvent<'_>) -> Self {
        let flows = event.flow_count.max(1);
        let only = |holds: bool| if holds { flows } else { 0 };
        let is_vain = is_vain(event);
        Self {
            flows,
            opened: only(event.opens != Some(false)),
            answered: only(matches!(event.outcome, Outcome::Allowed | Outcome::Unknown) && !is_vain),
            denied: only(event.outcome == Outcome::Denied),
            failed: only(event.outcome == Outcome::Failed || is_vain),
            bytes_out: event.bytes_out,
            bytes_in: event.bytes_in,
            protocol_num: event.protocol_num,
            first: event.time,
            last: event.time,
        }
    }

    /// Whether one of its flows was denied or failed.
    pub(crate) const fn is_refused(&self) -> bool {
        self.denied > 0 || self.failed > 0
    }

    /// Adds another's.
    pub(crate) fn merge(&mut self, other: &Self) {
        let sums = [
            (&mut self.flows, other.flows),
            (&mut self.opened, other.opened),
            (&mut self.answered, other.answered),
            (&mut self.denied, other.denied),
            (&mut self.failed, other.failed),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in [(&mut self.bytes_out, other.bytes_out), (&mut self.bytes_in, other.bytes_in)] {
            *sum = match (*sum, more) {
                (Some(one), Some(other)) => Some(one.saturating_add(other)),
                (one, other) => one.or(other),
            };
        }
        self.protocol_num = match (self.protocol_num, other.protocol_num) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl Tally {
    /// Adds one row's sizes, where it was answered. A row that stands for several connections speaks of their mean.
    pub(super) fn add_sizes(&mut self, row: &EdgeCounts) {
        if row.answered == 0 {
            return;
        }
        let flows = row.flows as f64;
        let steps = |bytes: Option<i64>| bytes.map(|bytes| steps((bytes.max(0) as f64 / flows).ln_1p()));
        let (out, back) = (steps(row.bytes_out), steps(row.bytes_in));
        let is_held = out.is_some_and(|size| self.size_out.is_beyond(size))
            || back.is_some_and(|size| self.size_in.is_beyond(size));
        if let Some(size) = out {
            self.size_out.add(size, is_held);
        }
        if let Some(size) = back {
            self.size_in.add(size, is_held);
        }
    }
}

/// A logarithm in steps.
#[allow(clippy::cast_possible_truncation)] // Logarithms of sizes are below 44.
pub(super) fn steps(logarithm: f64) -> i64 {
    (logarithm * STEPS).round() as i64
}

impl SizeTally {
    /// Nothing yet. `bound`, in logarithms, says from where on a size is too unusual to be learnt.
    pub(super) fn new(reference: f64, bound: f64) -> Self {
        Self {
            reference: steps(reference),
            bound: if bound < 64.0 { steps(bound) } else { i64::MAX },
            count: 0,
            held: 0,
            sum: 0,
            squares: 0,
            residuals: 0,
            min: i64::MAX,
            max: i64::MIN,
        }
    }

    fn is_beyond(&self, size: i64) -> bool {
        (size - self.reference).abs() > self.bound
    }

    fn add(&mut self, size: i64, is_held: bool) {
        self.min = self.min.min(size);
        self.max = self.max.max(size);
        if is_held {
            self.held += 1;
            return;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 9 · 2^28.
        const RESIDUAL_MAX: u64 = (SQUARED_RESIDUAL_MAX * STEPS * STEPS) as u64;
        let residual = (size - self.reference).unsigned_abs();
        self.count += 1;
        self.sum += size;
        self.squares = self.squares.saturating_add(size.unsigned_abs() * size.unsigned_abs());
        self.residuals = self.residuals.saturating_add((residual * residual).min(RESIDUAL_MAX));
    }

    /// The logarithm that lies farthest from `mean`, if there is one.
    pub(super) fn farthest(&self, mean: f64) -> Option<f64> {
        if self.min > self.max {
            return None;
        }
        let (low, high) = (self.min as f64 / STEPS, self.max as f64 / STEPS);
        Some(if mean - low > high - mean { low } else { high })
    }

    /// Mean of what may be learnt and its squared differences from that mean.
    pub(super) fn moments(&self) -> (f64, f64) {
        if self.count == 0 {
            return (0.0, 0.0);
        }
        let (count, sum) = (i128::from(self.count), i128::from(self.sum));
        let scaled = count * i128::from(self.squares) - sum * sum;
        let squares = scaled.max(0) as f64 / count as f64 / (STEPS * STEPS);
        (self.sum as f64 / self.count as f64 / STEPS, squares)
    }

    /// Squared residuals from the baseline, each bounded, in units of 2^-28.
    pub(super) const fn residuals(&self) -> u64 {
        self.residuals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Conversation;

    fn check(sizes: &[f64], mean: f64, squares: f64, farthest: f64) {
        let mut tally = SizeTally::new(2.0, f64::INFINITY);
        sizes.iter().for_each(|&size| tally.add(steps(size), false));
        let (found_mean, found_squares) = tally.moments();
        assert!((found_mean - mean).abs() < 1e-4, "{sizes:?}: mean {found_mean}");
        assert!((found_squares - squares).abs() < 1e-3, "{sizes:?}: squares {found_squares}");
        assert!((tally.farthest(2.0).unwrap_or(f64::NAN) - farthest).abs() < 1e-4, "{sizes:?}");
    }

    /// Protocol, outcome and bytes of a flow: answered and failed flows.
    fn check_answer(flow: (i16, Outcome, Option<i64>, Option<i64>), expected: (i64, i64)) {
        let (protocol, outcome, bytes_out, bytes_in) = flow;
        let event = FlowEvent {
            time: 0,
            src_entity: "a",
            src_kind: "service",
            dst_entity: "b",
            dst_kind: "service",
            dst_port: Some(443),
            protocol_num: Some(protocol),
            outcome,
            is_src_dst_assignment_known: true,
            opens: None,
            flow_count: 3,
            bytes_out,
            bytes_in,
            declared_verdict: None,
            declared_rule: None,
            conversation: Conversation::default(),
        };
        let counts = EdgeCounts::of(&event);
        assert_eq!((counts.answered, counts.failed), expected, "{flow:?}");
    }

    #[test]
    fn what_was_sent_in_vain_has_failed_where_the_log_does_not_say() {
        check_answer((6, Outcome::Unknown, Some(60), Some(0)), (0, 3));
        check_answer((6, Outcome::Unknown, Some(60), Some(40)), (3, 0));
        // Not seen is not zero; other protocols may be one-way; what the log says holds.
        check_answer((6, Outcome::Unknown, Some(60), None), (3, 0));
        check_answer((6, Outcome::Unknown, None, Some(0)), (3, 0));
        check_answer((17, Outcome::Unknown, Some(60), Some(0)), (3, 0));
        check_answer((6, Outcome::Allowed, Some(60), Some(0)), (3, 0));
    }

    #[test]
    fn sums_are_exact() {
        check(&[2.0], 2.0, 0.0, 2.0);
        check(&[1.0, 2.0, 6.0], 3.0, 14.0, 6.0);
        check(&[0.0, 2.0], 1.0, 2.0, 0.0);
        assert!(SizeTally::new(1.0, 1.0).farthest(1.0).is_none());
    }

    #[test]
    fn what_lies_beyond_the_bound_only_counts() {
        let mut tally = SizeTally::new(2.0, 0.5);
        for size in [2.1, 9.0] {
            let size = steps(size);
            tally.add(size, tally.is_beyond(size));
        }
        assert_eq!((tally.count, tally.held), (1, 1));
        assert!((tally.farthest(2.0).unwrap_or(0.0) - 9.0).abs() < 1e-4);
    }
}

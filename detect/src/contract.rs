//! The detector contract: a closed window in; p-values per entity out, with the edges that carry them, and words for
//! those that somebody will read.
//!
//! A detector is a pure state machine. For each window the engine calls `score` once, `explain` for what became a finding,
//! then `learn` once. Scoring comes first for all, so that a window is never judged by itself.

use crate::window::Window;
use serde::{Deserialize, Serialize};
use tradewind_model::entity::EntityKind;

/// How far a detector is from judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmUp {
    /// It learns only, for at least so many windows more.
    Learning {
        /// Windows still to come.
        windows_left: u64,
    },
    /// It judges whatever has a baseline of its own.
    Ready,
}

/// One edge's part in a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgeSignal {
    /// Position in [`Window::edges`].
    pub position: usize,
    /// p-value of this edge alone.
    pub p_value: f64,
}

/// One entity's p-value in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Position in [`Window::sources`].
    pub source: usize,
    /// Probability of something at least this unusual if nothing had changed, all of the entity's edges accounted for.
    pub p_value: f64,
    /// The edges behind it, strongest first.
    pub edges: Vec<EdgeSignal>,
}

/// What was seen on one edge and what would have been usual, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was seen, up to the number of flows.
    pub observed: String,
    /// What is to be said after the number of flows; may be empty.
    pub remark: String,
    /// What would have been usual.
    pub expected: String,
    /// Start of the baseline it was judged by, microseconds UTC.
    pub baseline_since: i64,
    /// Windows in that baseline.
    pub baseline_windows: u64,
    /// Kind of the destination.
    pub dst_kind: EntityKind,
    /// Whether not one peer ever did the same. False where there is no peer to compare with.
    pub is_alone: bool,
}

/// A detector.
pub trait Detector {
    /// Its name: the behaviour that a finding led by it has.
    const NAME: &'static str;

    /// Whether it can judge this window.
    fn warm_up(&self, window: &Window<'_>) -> WarmUp;

    /// p-values of the window's entities, in order of [`Window::sources`]; an entity without one was not tested.
    fn score(&mut self, window: &Window<'_>) -> Vec<Signal>;

    /// Words for one edge of a signal of the window just scored.
    fn explain(&self, window: &Window<'_>, edge: &EdgeSignal) -> Explanation;

    /// Takes the window just scored into the baselines.
    fn learn(&mut self, window: &Window<'_>);
}

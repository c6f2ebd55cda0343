//! What the two stages send each other and what comes out. Every message is a fact that stays true, so that one that is
//! delivered again, or made again after a crash while inputs came in another order, is known by what it says and dropped.

use crate::report::{Common, Exchange, Feedback, Notice, Report};
use serde::{Deserialize, Serialize};
use tradewind_model::Finding;

/// What a partition tells the correlator. Windows are numbers: start of the window divided by its length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Signal {
    /// All events of windows before `complete_before` are in.
    Progress {
        /// What the message before this one said; the least number at first.
        since: i64,
        /// The first window that may still get events.
        complete_before: i64,
        /// Windows from `since` on and before `complete_before` that have events here, ascending.
        windows: Vec<i64>,
    },
    /// What cannot wait. Of a window that is not open yet it is told early.
    Notice {
        /// The window of the flow.
        window: i64,
        /// What was seen.
        notice: Notice,
    },
    /// Answer to [`Round::Close`].
    Exchange {
        /// The window.
        window: i64,
        /// This partition's part; empty where it has no events.
        exchange: Exchange,
    },
    /// Answer to [`Round::Judge`].
    Report {
        /// The window.
        window: i64,
        /// This partition's part; empty where it has no events.
        report: Box<Report>,
    },
    /// More events are held than may be: windows before this one should not wait for their inputs any longer.
    Overflow {
        /// The first window that may go on waiting.
        complete_before: i64,
    },
}

/// What the correlator tells all partitions. Those of windows come in the order of windows, and of one window in the order
/// in which they stand here; `previous` is the last window that was closed before, so that a message that is missing shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Round {
    /// All windows before this one are closed: its flows may be observed as they come.
    Open {
        /// The window.
        window: i64,
        /// The last window that was closed.
        previous: Option<i64>,
        /// What its flows are observed by.
        common: Common,
    },
    /// All events of the window are in, everywhere: observe them and send the exchange.
    Close {
        /// The window.
        window: i64,
        /// The last window that was closed.
        previous: Option<i64>,
        /// What its flows are observed by.
        common: Common,
    },
    /// Every exchange is in: judge the window, learn it and send the report.
    Judge {
        /// The window.
        window: i64,
        /// What it is judged by.
        common: Common,
    },
    /// The window is closed.
    Closed {
        /// The window.
        window: i64,
        /// What the edges have to know, by source, destination and port. Each partition knows its own.
        feedback: Vec<Feedback>,
    },
    /// Some partition holds more events than it may: whatever comes of windows before this one from now on is late.
    Hurry {
        /// The first window that may go on waiting.
        complete_before: i64,
    },
}

/// Place of a round in the life of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Step {
    Open,
    Close,
    Judge,
    Closed,
}

impl Round {
    /// Place among all rounds that are about a window. No two differing ones have the same.
    pub(super) const fn order(&self) -> Option<(i64, Step)> {
        match self {
            Self::Open { window, .. } => Some((*window, Step::Open)),
            Self::Close { window, .. } => Some((*window, Step::Close)),
            Self::Judge { window, .. } => Some((*window, Step::Judge)),
            Self::Closed { window, .. } => Some((*window, Step::Closed)),
            Self::Hurry { .. } => None,
        }
    }
}

/// What the correlator puts out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there are three of it a window")]
pub enum Output {
    /// For all partitions.
    Round(Round),
    /// A finding that is new or changed: of the same `finding_id` the last one counts.
    Finding(Box<Finding>),
    /// A finding that was told early, before all that came before it was in, and that the window's close does not bear out:
    /// what it was about is part of an earlier finding, or not unusual in the light of the earlier flows.
    Withdrawn {
        /// Its `finding_id`.
        finding_id: String,
    },
}

/// A message that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A message between this one and those before is missing. The state is as before; reading on would lose something.
    #[error("a message is missing between what is known, {known}, and {message}")]
    Gap {
        /// What was taken in last.
        known: String,
        /// What came instead of what follows it.
        message: String,
    },
    /// A signal of a partition that there is not.
    #[error("a signal of partition {partition}, but there are {partitions}")]
    Partition {
        /// Its number.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
}

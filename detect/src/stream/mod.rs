//! The two levels of detection as two stages over a log.
//!
//! Flows travel in a topic with Q partitions: partition = [`virtual_shard`](crate::edges::virtual_shard) modulo Q, so that
//! an edge stays in one place. Stage `detect` runs one [`Partition`] per flows partition, in whatever process; stage
//! `correlate` runs one [`Correlator`]. They talk over two topics: `signals`, one log of all partitions, and `rounds`, one
//! log for all of them. [`Engine`](crate::Engine) is both in one process over sorted flows, and finds the same.
//!
//! ```text
//!   raw inputs           Partition (Q of them)                          Correlator
//!   event, watermark ──▶ hold, or observe in the open window
//!                        Notice{window}     ── at once, early too ──▶   judge, raise        ──▶ Finding
//!                        Progress{complete_before, windows} ────────▶   the least of all Q
//!                        observe as it comes          ◀── Open{w} ───   w: the first that may still get events
//!                        (waits for its own inputs)   ◀── Close{w} ──   w: the first with events that is complete
//!                        Exchange{w} ───────────────────────────────▶   Q of them
//!                        close the shard              ◀── Judge{w} ──
//!                        Report{w} ─────────────────────────────────▶   Q of them: settle, close
//!                        feed back, forget            ◀── Closed{w} ─                       ──▶ Finding, Withdrawn
//!                        Overflow ──────────────────────────────────▶
//!                        complete by force            ◀── Hurry ─────
//! ```
//!
//! # What holds
//!
//! - Windows close one after another, in the order of time; those without events cost nothing. At most one is tallied.
//! - An event is late if its partition had said before, in the order of its log, that its window is complete. That does not
//!   depend on rounds.
//! - What a window's close finds depends on the reports alone: on flows and their times, not on their order, nor on when
//!   rounds came. What is told early depends on the order of arrival. The close says it again as it is in the order of
//!   time, with the same id, and withdraws what it does not bear out.
//!
//! # Restarts
//!
//! Both states serialise at any point. A stage that goes on from a snapshot reads its inputs from there. Fed in the same
//! order it says the same, byte for byte. A partition has two inputs, flows and rounds, which after a restart meet in
//! another order; numbering its messages would then give one number to two messages. So no message has a number. Each is a
//! fact that stays true, known by what it is about: progress by the window it reaches, answers by their window, rounds by
//! their window and step. What a receiver has it drops; what is missing is a [`StreamError::Gap`]. A partition that is asked
//! to close a window before its own inputs are that far again waits for them.
//!
//! The correlator has one input, and so goes on as it was. If each partition had a signals log of its own the same would be
//! found, but what was told early before a restart, by an order that no log keeps, could not always be withdrawn.
//!
//! # Upgrades
//!
//! A state is stored as sections of a [`Snapshot`](crate::snapshot::Snapshot), each with a version. Settings are no part of it,
//! but for the length of windows and the number of partitions. Where the messages in the log are those of another version, what
//! was on its way is lost to both sides. They keep what they learnt and begin the protocol anew ([`Partition::join_anew`],
//! [`Correlator::join_anew`]): each partition says again which windows it has that are not closed, the correlator goes on after
//! the last one that it closed. States that were stored at different times then differ by some windows: what one side has and
//! the other closed already is learnt by the one and judged by neither.
//!
//! # Limits
//!
//! Flows that wait for their window take some 15 bytes each. More than `held_max` of them, of windows that wait for their inputs,
//! make the partition ask for the oldest of these windows to be complete by force ([`Signal::Overflow`], [`Round::Hurry`]);
//! what comes of it later is late and counted. This is the one way in which timing changes what is found. Who runs a
//! partition should read no flows while it holds far more than that.

mod clocks;
mod correlator;
mod ends;
mod held;
mod messages;
mod pages;
mod partition;

pub use correlator::{Correlator, Correlator4, CorrelatorStatistics};
pub use messages::{Output, Round, Signal, StreamError};
pub use partition::{Partition, Partition4, PartitionStatistics};

/// Version of the messages between the stages. Raised whenever what a message is made of changes; stages of another one join
/// anew.
pub const MESSAGES_VERSION: u32 = 1;

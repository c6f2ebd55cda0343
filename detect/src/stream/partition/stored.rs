//! A partition as sections of a snapshot, and back; and how it joins a correlator that speaks another version.

use super::{Held, Open, Partition, PartitionStatistics};
use crate::edges::EdgeShard;
use crate::edges::EdgeShard4;
use crate::report::{Exchange, Report};
use crate::settings::Settings;
use crate::snapshot::{Snapshot, SnapshotError, SnapshotWriter, decode};
use crate::stream::clocks::Clocks;
use crate::stream::messages::{Round, Signal, Step};
use serde::Deserialize;
use std::collections::VecDeque;
use tradewind_model::time::SECOND;

/// How far its inputs are: clocks, what was ever said and what to this correlator, what an overflow asked for, statistics.
type Inputs = (Clocks, i64, i64, i64, PartitionStatistics);
/// What the correlator asked for: the open window, rounds that wait, the last that was taken in, the last window closed, and
/// whether it is joining.
type Rounds = (Option<Open>, VecDeque<Round>, Option<(i64, Step)>, Option<i64>, bool);

/// A partition as version 4 stored it: all fields in one piece. Kept only to be read.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what is not used has to be read past")]
pub struct Partition4 {
    fingerprint: String,
    length: i64,
    held_max: usize,
    shard: EdgeShard4,
    clocks: Clocks,
    complete_before: i64,
    held: Held,
    open: Option<Open>,
    rounds: VecDeque<Round>,
    accepted: Option<(i64, Step)>,
    closed: Option<i64>,
    asked_before: i64,
    statistics: PartitionStatistics,
}

impl Partition4 {
    /// The partition, under these settings; it joins anew.
    ///
    /// # Errors
    /// It was made for windows of another length, or numbers in it do not fit together.
    pub fn restore(self, settings: &Settings, held_max: usize) -> Result<Partition, SnapshotError> {
        check_length(self.length, settings)?;
        let shard = self.shard.restore(settings)?;
        let inputs = (self.clocks, self.complete_before, i64::MIN, i64::MIN, self.statistics);
        let mut partition = Partition::of_stored(shard, inputs, self.held, self.length, held_max)?;
        partition.open = self.open;
        partition.join_anew();
        Ok(partition)
    }
}

fn check_length(stored: i64, settings: &Settings) -> Result<(), SnapshotError> {
    if stored == settings.window_s * SECOND {
        return Ok(());
    }
    let seconds = |length: i64| format!("windows of {length} s");
    Err(SnapshotError::Other { stored: seconds(stored / SECOND), current: seconds(settings.window_s) })
}

impl Partition {
    /// Adds the partition's sections to a snapshot.
    pub fn save(&self, writer: &mut SnapshotWriter) {
        let Self {
            length,
            held_max: _,
            shard,
            clocks,
            complete_before,
            said_before,
            is_joining,
            held,
            open,
            rounds,
            accepted,
            closed,
            asked_before,
            statistics,
            notices: _,
        } = self;
        writer.add("partition", 1, length);
        shard.save(writer);
        writer.add("partition.inputs", 1, &(clocks, complete_before, said_before, asked_before, statistics));
        writer.add("partition.held", 1, held);
        writer.add("partition.rounds", 1, &(open, rounds, accepted, closed, is_joining));
    }

    /// The partition of a snapshot, under these settings. They may differ from before in all but the length of windows: what a
    /// detector keeps that is switched on since begins empty.
    ///
    /// # Errors
    /// The snapshot is damaged, lacks what nothing can go on without, or is of other windows.
    pub fn restore(snapshot: &mut Snapshot<'_>, settings: &Settings, held_max: usize) -> Result<Self, SnapshotError> {
        let length = snapshot.need("partition", &[(1, decode)])?;
        check_length(length, settings)?;
        let shard = EdgeShard::restore(snapshot, settings)?;
        let inputs: Inputs = snapshot.need("partition.inputs", &[(1, decode)])?;
        let held = snapshot.take_or_default("partition.held", &[(1, decode)])?;
        let mut partition = Self::of_stored(shard, inputs, held, length, held_max)?;
        match snapshot.take::<Rounds>("partition.rounds", &[(1, decode)])? {
            Some((open, rounds, accepted, closed, is_joining)) => {
                partition = Self { open, rounds, accepted, closed, is_joining, ..partition };
            }
            None => partition.join_anew(),
        }
        Ok(partition)
    }

    fn of_stored(
        shard: EdgeShard,
        (clocks, complete_before, said_before, asked_before, statistics): Inputs,
        held: Held,
        length: i64,
        held_max: usize,
    ) -> Result<Self, SnapshotError> {
        if held.edges().into_iter().any(|edge| !shard.has_edge(edge)) {
            let what = String::from("flows are held of edges that it does not have");
            return Err(SnapshotError::Damaged { what });
        }
        Ok(Self {
            length,
            held_max,
            shard,
            clocks,
            complete_before,
            said_before,
            is_joining: false,
            held,
            open: None,
            rounds: VecDeque::new(),
            accepted: None,
            closed: None,
            asked_before,
            statistics,
            notices: Vec::new(),
        })
    }

    /// Begins the protocol anew, because the messages so far are not those of this version: what was learnt stays, and so do
    /// the flows of windows that are not closed.
    pub fn join_anew(&mut self) {
        self.said_before = i64::MIN;
        self.is_joining = true;
        self.rounds.clear();
        self.accepted = None;
        self.closed = None;
        self.asked_before = i64::MIN;
    }

    /// Whether a later window than this one is open here: the correlator went back behind it.
    pub(super) fn is_past(&self, window: i64) -> bool {
        self.open.is_some_and(|open| open.window > window)
    }

    /// Answers for a window that was closed here before the correlator went back behind it: nothing of it is left to judge.
    pub(super) fn answer_past(&self, round: &Round, out: &mut Vec<Signal>) {
        match *round {
            Round::Close { window, .. } => out.push(Signal::Exchange { window, exchange: Exchange::default() }),
            Round::Judge { window, .. } => out.push(Signal::Report { window, report: Box::new(Report::default()) }),
            Round::Open { .. } | Round::Closed { .. } | Round::Hurry { .. } => (),
        }
    }

    /// Learns what is left of the open window, where the correlator closed it before it went on with a later one.
    pub(super) fn end_before(&mut self, window: i64) {
        if let Some(open) = self.open.filter(|open| open.window < window)
            && self.shard.has_flows()
        {
            self.shard.close(open.window, false, &open.common);
        }
    }
}

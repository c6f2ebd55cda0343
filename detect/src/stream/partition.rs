//! The edge level over one partition of the flows topic: holds flows until their window opens, tells at once what cannot
//! wait, says how far it is, and answers the correlator's rounds. Knows no formula of a detector.

mod stored;

use super::clocks::Clocks;
use super::ends::Ends;
use super::held::Held;
use super::messages::{Round, Signal, Step, StreamError};
use crate::edges::{Bounds, EdgeShard, Spoken, broken_rule};
use crate::event::FlowEvent;
use crate::report::{Common, EdgeCounts, Exchange, Notice, Report};
use crate::settings::{Settings, SettingsError};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tradewind_model::FlowBatch;
use tradewind_model::entity::EntityKind;
use tradewind_model::time::SECOND;

pub use stored::Partition4;

/// The edge level of one flows partition. [Save](Self::save) it at any point and go on later from there.
#[derive(Clone, Debug)]
pub struct Partition {
    length: i64,
    held_max: usize,
    shard: EdgeShard,
    clocks: Clocks,
    /// What was ever said. What comes of an earlier window is late.
    complete_before: i64,
    /// What was said last to this correlator; less than the above only where it is joined anew.
    said_before: i64,
    /// Whether it still has to learn from the correlator which window was closed last.
    is_joining: bool,
    held: Held,
    open: Option<Open>,
    /// Rounds that wait: the first of them for events of its window.
    rounds: VecDeque<Round>,
    /// The last round that was taken in, waiting ones included.
    accepted: Option<(i64, Step)>,
    /// The last window closed by a round that was taken in.
    closed: Option<i64>,
    /// What an overflow asked for last.
    asked_before: i64,
    statistics: PartitionStatistics,
    notices: Vec<Notice>,
}

/// The window whose flows are observed as they come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Open {
    window: i64,
    common: Common,
}

/// What a partition has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionStatistics {
    /// Flow events, late ones included.
    pub events: u64,
    /// Events of windows that were said to be complete: not judged.
    pub late: u64,
    /// Events that are held because their window is not open yet.
    pub held: u64,
    /// How often windows were closed to events because some partition held too many.
    pub forced: u64,
    /// Edges met in windows that opened.
    pub edges: u64,
    /// Edges that were forgotten but for a sketch, because there were too many.
    pub aged_out: u64,
    /// Events that were not judged, because there were too many new edges.
    pub unjudged: u64,
}

impl Partition {
    /// A partition that knows nothing yet. More than `held_max` events of windows that wait for their inputs ask for the
    /// oldest to be closed without waiting.
    ///
    /// # Errors
    /// A setting out of range.
    pub fn new(settings: &Settings, held_max: usize) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            length: settings.window_s * SECOND,
            held_max,
            shard: EdgeShard::new(settings, settings.edges_max),
            clocks: Clocks::default(),
            complete_before: i64::MIN,
            said_before: i64::MIN,
            is_joining: false,
            held: Held::default(),
            open: None,
            rounds: VecDeque::new(),
            accepted: None,
            closed: None,
            asked_before: i64::MIN,
            statistics: PartitionStatistics::default(),
            notices: Vec::new(),
        })
    }

    /// Takes a flow of this partition in, in the order of the log. One of a window that was said to be complete is late:
    /// counted, not judged.
    pub fn event(&mut self, event: &FlowEvent<'_>, out: &mut Vec<Signal>) {
        if let Some(window) = self.due(event)
            && let Some(edge) = self.shard.foretell(event)
        {
            self.take(event, window, edge, out);
        }
    }

    /// Takes the flows of a batch in, one after another, as [`Self::event`] does; connect and the policy have completed them.
    pub fn flows(&mut self, flows: &FlowBatch, out: &mut Vec<Signal>) {
        let mut ends = Ends::new(flows);
        for row in 0..flows.len() {
            let event = ends.event(row);
            if let Some(window) = self.due(&event) {
                let (numbers, kinds) = ends.numbers(row, &mut self.shard);
                if let Some(edge) = self.shard.foretell_known(&event, numbers, kinds) {
                    self.take(&event, window, edge, out);
                }
            }
        }
    }

    /// The window of a flow that is not late.
    fn due(&mut self, event: &FlowEvent<'_>) -> Option<i64> {
        self.statistics.events += 1;
        let window = event.time.div_euclid(self.length);
        if window < self.complete_before {
            self.statistics.late += 1;
            return None;
        }
        Some(window)
    }

    fn take(&mut self, event: &FlowEvent<'_>, window: i64, edge: (u32, [EntityKind; 2]), out: &mut Vec<Signal>) {
        let counts = EdgeCounts::of(event);
        let spoken = self.shard.spoken(event);
        let rule = broken_rule(event);
        match &self.open {
            Some(open) if open.window == window => {
                self.shard.observe_foretold(edge, (counts, spoken), rule, window, &open.common, &mut self.notices);
                out.extend(self.notices.drain(..).map(|notice| Signal::Notice { window, notice }));
            }
            _ => self.hold((counts, spoken), rule, window, edge, out),
        }
    }

    /// All events of raw input partition `raw` up to this event time, it included, are in. The greatest time there is ends
    /// its last window too.
    pub fn watermark(&mut self, raw: &str, time: i64, out: &mut Vec<Signal>) {
        self.clocks.say(raw, time);
        self.progress(out);
    }

    /// Raw input partition `raw` has nothing: it holds nothing back until it says a time again.
    pub fn idle(&mut self, raw: &str, out: &mut Vec<Signal>) {
        self.clocks.idle(raw);
        self.progress(out);
    }

    /// Takes a round of the correlator in. One that was taken in before is dropped. A window is not closed before this
    /// partition's own inputs are that far, which may be later than the round after a restart.
    ///
    /// # Errors
    /// A round before this one is missing; the state is as before.
    pub fn round(&mut self, round: Round, out: &mut Vec<Signal>) -> Result<(), StreamError> {
        let Some(order) = round.order() else {
            if let Round::Hurry { complete_before } = round
                && complete_before > self.said_before
            {
                self.statistics.forced += 1;
                self.complete(complete_before, out);
            }
            return Ok(());
        };
        if self.accepted.is_some_and(|accepted| order <= accepted) {
            return Ok(());
        }
        let follows = match &round {
            Round::Open { previous, .. } | Round::Close { previous, .. } => self.is_joining || *previous == self.closed,
            Round::Judge { window, .. } => self.accepted == Some((*window, Step::Close)),
            Round::Closed { window, .. } => self.accepted == Some((*window, Step::Judge)),
            Round::Hurry { .. } => true,
        };
        if !follows {
            let known = format!("round {:?} after window {:?}", self.accepted, self.closed);
            return Err(StreamError::Gap { known, message: format!("round {order:?}") });
        }
        match &round {
            Round::Open { previous, .. } | Round::Close { previous, .. } if self.is_joining => {
                self.is_joining = false;
                self.closed = *previous;
            }
            Round::Closed { window, .. } => self.closed = Some(*window),
            _ => (),
        }
        self.accepted = Some(order);
        self.rounds.push_back(round);
        self.proceed(out);
        Ok(())
    }

    /// What it has seen so far.
    #[must_use]
    pub fn statistics(&self) -> PartitionStatistics {
        let Bounds { aged_out, unjudged } = self.shard.bounds();
        let (held, edges) = (self.held.count() as u64, self.shard.edge_count() as u64);
        PartitionStatistics { held, edges, aged_out, unjudged, ..self.statistics }
    }

    fn hold(
        &mut self,
        (counts, spoken): (EdgeCounts, Spoken),
        rule: Option<&str>,
        window: i64,
        (edge, kinds): (u32, [EntityKind; 2]),
        out: &mut Vec<Signal>,
    ) {
        let is_breach = self.held.hold(window, (edge, kinds), (&counts, spoken), rule);
        let is_new = self.held.foresee(edge, self.shard.standing(edge), window, counts.is_refused());
        if let Some(is_new) = is_new {
            let notice = Notice::Contact(self.shard.foretold(edge, is_new, counts));
            out.push(Signal::Notice { window, notice });
        }
        if is_breach {
            let contact = self.shard.foretold(edge, false, counts);
            let notice = Notice::Breach { contact, rule: rule.unwrap_or_default().to_owned() };
            out.push(Signal::Notice { window, notice });
        }
        if self.held.count() > self.held_max {
            self.overflow(out);
        }
    }

    /// Asks once for the oldest window that waits for its inputs, where those that wait are too many.
    fn overflow(&mut self, out: &mut Vec<Signal>) {
        let Some(oldest) = self.held.windows(self.complete_before..).next() else { return };
        let complete_before = oldest.saturating_add(1);
        if complete_before > self.asked_before && self.held.count_of(self.complete_before..) > self.held_max {
            self.asked_before = complete_before;
            out.push(Signal::Overflow { complete_before });
        }
    }

    fn progress(&mut self, out: &mut Vec<Signal>) {
        let Some(watermark) = self.clocks.watermark() else { return };
        let complete_before = match watermark {
            i64::MAX => i64::MAX,
            time => (time + 1).div_euclid(self.length),
        };
        if complete_before > self.said_before {
            self.complete(complete_before, out);
        }
    }

    fn complete(&mut self, complete_before: i64, out: &mut Vec<Signal>) {
        let since = self.said_before;
        let complete_before = complete_before.max(self.complete_before);
        let mut windows: Vec<i64> = self.held.windows(since..complete_before).collect();
        let open = self.open.map(|open| open.window).filter(|_| self.shard.has_flows());
        // The open window comes before all that are held.
        windows.splice(0..0, open.filter(|window| (since..complete_before).contains(window)));
        self.complete_before = complete_before;
        self.said_before = complete_before;
        out.push(Signal::Progress { since, complete_before, windows });
        self.proceed(out);
    }

    /// Does what the rounds ask for, as far as the inputs are.
    fn proceed(&mut self, out: &mut Vec<Signal>) {
        while let Some(round) = self.rounds.pop_front() {
            match round {
                Round::Close { window, .. } if window >= self.complete_before => {
                    self.rounds.push_front(round);
                    return;
                }
                Round::Open { window, .. } | Round::Close { window, .. } | Round::Judge { window, .. }
                    if self.is_past(window) =>
                {
                    self.answer_past(&round, out);
                }
                Round::Open { window, common, .. } => {
                    self.end_before(window);
                    self.observe_held(window, &common);
                    self.open = Some(Open { window, common });
                }
                Round::Close { window, common, .. } => {
                    self.end_before(window);
                    self.observe_held(window, &common);
                    self.open = None;
                    out.push(Signal::Exchange { window, exchange: self.exchange() });
                }
                Round::Judge { window, common } => {
                    let report = self.report(window, &common);
                    out.push(Signal::Report { window, report: Box::new(report) });
                }
                Round::Closed { window, feedback } => {
                    feedback.iter().for_each(|feedback| self.shard.feed_back(feedback));
                    self.statistics.late += self.held.forget(window) as u64;
                    if self.shard.is_over() && !self.shard.has_flows() {
                        let numbers = self.shard.age_out(&self.held.edges());
                        self.held.renumber(|number| numbers[number as usize].unwrap_or(number));
                    }
                    if self.shard.has_too_many_names() {
                        self.shard.forget_names(&self.held.accesses());
                    }
                }
                Round::Hurry { .. } => (),
            }
        }
        // Flows may be paused until fewer are held.
        if self.held.count() > self.held_max {
            self.overflow(out);
        }
    }

    fn observe_held(&mut self, window: i64, common: &Common) {
        for flow in self.held.take(window).iter() {
            let edge = (flow.edge, flow.kinds);
            // What could not wait was told before.
            let (flow_counts, rule) = ((flow.counts(), flow.spoken()), self.held.rule(&flow));
            self.shard.observe_foretold(edge, flow_counts, rule, window, common, &mut Vec::new());
        }
    }

    fn exchange(&self) -> Exchange {
        self.shard.exchange()
    }

    fn report(&mut self, window: i64, common: &Common) -> Report {
        if self.shard.has_flows() { self.shard.close(window, false, common) } else { Report::default() }
    }
}

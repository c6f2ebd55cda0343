//! How far a raw partition is in event time. What it says goes into the log, so that whoever reads it later knows the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tradewind_model::FlowBatch;
use tradewind_model::flow::{END_TIME, SOURCE, TIME_QUALITY};
use tradewind_model::time::SECOND;

/// Event time of one raw partition.
#[derive(Debug)]
pub(super) struct Progress {
    /// Latest end of a flow per format, and when such a flow last came.
    latest: BTreeMap<String, (i64, Instant)>,
    watermark: Option<i64>,
    /// Latest end of any flow.
    newest: Option<i64>,
    /// When flows came last, or the partition was taken over.
    active: Instant,
    /// When all partitions were told last.
    told: Option<Instant>,
    is_idle: bool,
    idle: Duration,
}

/// How long after its end a flow may still come, by format: what the vendor says, or how long a buffer is held.
fn lateness(source: &str) -> i64 {
    let seconds = match source {
        // "within 5 to 10 minutes" to S3, at most 10 min capture windows (AWS, "VPC Flow Logs").
        "aws_vpc" => 180,
        _ => 5,
    };
    seconds * SECOND
}

impl Progress {
    pub(super) fn new(now: Instant, idle: Duration) -> Self {
        Self { latest: BTreeMap::new(), watermark: None, newest: None, active: now, told: None, is_idle: false, idle }
    }

    /// Takes normalised flows in.
    pub(super) fn observe(&mut self, flows: &FlowBatch, now: Instant) {
        self.active = now;
        self.is_idle = false;
        let rows = flows.len();
        let (ends, qualities) = (flows.num(END_TIME).values(rows), flows.text(TIME_QUALITY).codes(rows));
        let sources = flows.text(SOURCE);
        let mut latest: BTreeMap<u32, i64> = BTreeMap::new();
        for (row, &end) in ends.iter().enumerate() {
            // A time that is not the log's own, or lies far off, says nothing of how far the log is.
            if qualities[row] == tradewind_model::NULL_CODE {
                let known = latest.entry(sources.code(row)).or_insert(end);
                *known = end.max(*known);
            }
        }
        self.newest = self.newest.max(latest.values().max().copied());
        for (code, end) in latest {
            let source = sources.dictionary().get(code).unwrap_or_default();
            match self.latest.get_mut(source) {
                Some(known) => *known = (known.0.max(end), now),
                None => {
                    self.latest.insert(source.to_owned(), (end, now));
                }
            }
        }
        // A format that went silent holds the others back no longer.
        let idle = self.idle;
        self.latest.retain(|_, (_, seen)| now.duration_since(*seen) < idle);
        let least = self.latest.iter().map(|(source, (end, _))| end.saturating_sub(lateness(source))).min();
        self.watermark = self.watermark.max(least);
    }

    /// All flows up to this event time are in.
    pub(super) fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// Whether all partitions are to be told again how far this one is.
    pub(super) fn is_due(&self, tick: Duration) -> bool {
        let interval = if self.is_idle { self.idle.max(tick) } else { tick };
        self.told.is_none_or(|told| told.elapsed() >= interval)
    }

    /// Notes that they are told now; whether the raw partition is idle. Where it is, event time goes on as fast as the clock, so
    /// that the last windows close.
    pub(super) fn tell(&mut self, now: Instant) -> bool {
        self.told = Some(now);
        let silence = now.duration_since(self.active);
        self.is_idle = silence >= self.idle;
        if self.is_idle {
            let silence = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
            self.watermark = self.watermark.max(self.newest.map(|newest| newest.saturating_add(silence)));
        }
        self.is_idle
    }
}

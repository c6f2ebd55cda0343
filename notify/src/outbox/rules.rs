//! What of an incident goes to which sink, and when. Decides; keeps nothing.

use crate::alert::Alert;
use crate::quiet::{Daily, Quiet};
use crate::route::{self, Route};
use std::collections::BTreeSet;
use tradewind_model::Incident;
use tradewind_model::time::SECOND;

/// The end of an incident waits so many times as long for findings.
const WAIT_AT_THE_END: i64 = 15;

/// What is asked of one sink's deliveries.
#[derive(Clone, Debug)]
pub(crate) struct SinkRules {
    pub(crate) name: String,
    pub(crate) takes_retrospective: bool,
    pub(crate) can_digest: bool,
    pub(crate) carries_all: bool,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) daily: Option<Daily>,
    /// Microseconds.
    pub(crate) group: i64,
    /// Microseconds; alerts that go on are repeated after it.
    pub(crate) repeat: Option<i64>,
    /// Microseconds; 0: none.
    pub(crate) heartbeat: i64,
}

impl SinkRules {
    /// When an alert goes out at the earliest, and whether with others. `group_due` is when the group that is open goes out.
    pub(crate) fn due(&self, alert: &Alert, now: i64, group_due: Option<i64>) -> (i64, bool) {
        let quiet = self.quiet.as_ref().and_then(|quiet| quiet.until(now, alert.severity()));
        let planned = match &self.daily {
            Some(daily) => daily.after(now),
            None if self.group > 0 => group_due.or(Some(now.saturating_add(self.group))),
            None => None,
        };
        match (quiet, planned) {
            (None, None) => (now, false),
            (quiet, planned) => (quiet.max(planned).unwrap_or(now), self.can_digest),
        }
    }
}

/// All rules.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) routes: Vec<Route>,
    pub(crate) names: Vec<String>,
    pub(crate) sinks: Vec<SinkRules>,
    /// Microseconds.
    pub(crate) retrospective: i64,
    /// How long an incident that goes on waits for its findings, microseconds.
    pub(crate) wait: i64,
    /// Microseconds.
    pub(crate) memory: i64,
}

impl Rules {
    pub(crate) fn targets(&self, alert: &Alert) -> BTreeSet<&str> {
        route::sinks(&self.routes, &self.names, alert)
    }

    /// How long an incident waits for its findings. Nobody is in a hurry for its end, after which no more can be told.
    pub(crate) fn wait_of(&self, incident: &Incident) -> i64 {
        if incident.state.is_over() { self.wait.saturating_mul(WAIT_AT_THE_END) } else { self.wait }
    }

    /// Whether it was seen long before it was told.
    pub(crate) fn is_retrospective(&self, alert: &Alert, now: i64) -> bool {
        let incident = &alert.incident;
        let last = incident.resolved.map_or(incident.updated, |resolved| resolved.max(incident.updated));
        now.saturating_sub(last) > self.retrospective.max(SECOND)
    }
}

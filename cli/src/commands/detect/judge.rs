//! One engine over replayed flows, and the last word on each finding it raised. Not where flows come from.

use crate::feedback;
use crate::output::note;
use anyhow::Context as _;
use std::collections::HashMap;
use tradewind_detect::{Engine, FlowEvent, Settings};
use tradewind_model::{Finding, Incident, RecordedControl};

/// The detectors with some settings, and what they found.
#[derive(Debug)]
pub(crate) struct Judge {
    engine: Engine,
    findings: HashMap<String, Finding>,
}

impl Judge {
    /// Detectors that know nothing yet. Until `trained_until` (microseconds UTC) they only learn.
    ///
    /// # Errors
    /// A setting out of range.
    pub(crate) fn new(settings: Settings, trained_until: Option<i64>) -> anyhow::Result<Self> {
        let mut engine = Engine::new(settings).context("the settings of section detect are wrong")?;
        if let Some(until) = trained_until {
            engine.train_until(until);
        }
        Ok(Self { engine, findings: HashMap::new() })
    }

    /// Takes in what people said, each from the time on from which it holds. To be called before the first flow.
    pub(crate) fn control(&mut self, rows: &[RecordedControl]) {
        for row in rows {
            if !feedback::control_of(row).is_some_and(|control| self.engine.control(control, row.time)) {
                note(&format!("control {} says too little, or too many wait: it was not taken in", row.control_id));
            }
        }
    }

    /// Incidents so far: of one that is there more than once the last counts.
    pub(crate) fn take_incidents(&mut self) -> Vec<Incident> {
        self.engine.take_incidents()
    }

    /// Takes a flow in; they come in the order of their time.
    pub(crate) fn observe(&mut self, event: &FlowEvent<'_>) {
        let raised = self.engine.observe(event);
        self.keep(raised);
    }

    /// Judges the last window, of which flows may be missing.
    pub(crate) fn finish(&mut self) {
        let raised = self.engine.finish();
        self.keep(raised);
    }

    /// Judges the last window, of which nothing is missing.
    pub(crate) fn complete(&mut self) {
        let raised = self.engine.complete();
        self.keep(raised);
    }

    /// What was found, in the order of time.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.findings.into_values().collect();
        findings.sort_by(|left, right| (left.time, &left.finding_id).cmp(&(right.time, &right.finding_id)));
        findings
    }

    fn keep(&mut self, raised: Vec<Finding>) {
        self.findings.extend(raised.into_iter().map(|finding| (finding.finding_id.clone(), finding)));
    }
}

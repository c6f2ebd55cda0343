//! `tradewind detect`: replays the flows of the lake through the detectors, in event time, and records what they find.

mod replay;
mod span;

use crate::context::Context;
use crate::feedback;
use crate::findings::{self, Filter};
use crate::output::{OutputFormat, counted, line, note};
use anyhow::Context as _;
use clap::Args;
use replay::Replayed;
use span::{Span, Training};
use std::collections::{BTreeMap, HashMap};
use tradewind_detect::Engine;
use tradewind_model::time::{self, SECOND, rfc3339};
use tradewind_model::{Finding, Incident, Severity};
use tradewind_storage::Lake;

/// Replay the lake through the detectors and record what is not normal
///
/// Flows are read in the order of their time. Those before --train-until only teach what is normal; findings come from
/// the later ones. Findings are written to the lake: replaying the same flows with the same settings adds nothing.
/// Times are RFC 3339 such as 2026-01-31T08:00:00Z, or a date.
#[derive(Args, Debug)]
pub(crate) struct DetectArgs {
    /// Raise no findings before this time, only learn [default: after a quarter of the time that is replayed, and at
    /// least three windows]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(crate) train_until: Option<i64>,

    /// Replay flows that end at this time or later [default: all]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(crate) from: Option<i64>,

    /// Replay flows that end before this time [default: all]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(crate) to: Option<i64>,
}

/// What a replay came to.
#[derive(Debug)]
pub(crate) struct Summary {
    /// The findings, in the order of their time.
    pub(crate) findings: Vec<Finding>,
    /// How many of them the lake did not have yet, or not so.
    pub(crate) recorded: usize,
    /// Flows that were replayed.
    pub(crate) flows: u64,
    /// Findings that are not told, because a person accepted or dismissed them.
    pub(crate) settled: usize,
}

pub(crate) fn run(args: &DetectArgs, context: &Context) -> anyhow::Result<()> {
    let summary = detect(args, context)?;
    let findings: Vec<&Finding> = summary.findings.iter().collect();
    match context.output {
        None | Some(OutputFormat::Table) => {
            for finding in findings {
                line(&findings::summarise(finding))?;
            }
        }
        Some(format) => findings::write(&findings, format)?,
    }
    note(&summary.text());
    Ok(())
}

impl Summary {
    /// One line of counts.
    pub(crate) fn text(&self) -> String {
        let count = |severity: Severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        let by_severity: Vec<String> = Severity::ALL
            .iter()
            .rev()
            .map(|&severity| (count(severity), severity.as_str()))
            .filter(|&(count, _)| count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let severities = if by_severity.is_empty() { String::new() } else { format!(" ({})", by_severity.join(", ")) };
        format!(
            "{}{severities}, {} new or changed{}; flows={}",
            counted(self.findings.len(), "finding", "findings"),
            self.recorded,
            match self.settled {
                0 => String::new(),
                settled => format!(", {settled} accepted or dismissed before"),
            },
            self.flows
        )
    }
}

/// Replays, records, and returns what was found.
pub(crate) fn detect(args: &DetectArgs, context: &Context) -> anyhow::Result<Summary> {
    let runtime = &context.runtime;
    let lake = runtime.block_on(Lake::open(context.lake_location()?))?;
    let span = Span { from: args.from, to: args.to };
    span.check()?;
    let Some(extent) = runtime.block_on(span.extent(&lake))? else {
        note("there are no flows in this time: nothing to replay");
        return Ok(Summary { findings: Vec::new(), recorded: 0, flows: 0, settled: 0 });
    };
    let window = context.settings.detect.window_s.saturating_mul(SECOND);
    let training = Training::of(args.train_until, &extent, window);
    note(&training.text(&extent));
    let mut engine =
        Engine::new(context.settings.detect.clone()).context("the settings of section detect are wrong")?;
    engine.train_until(training.until);
    if let Some(suppressions) = feedback::from_settings(&context.settings)? {
        runtime.block_on(feedback::sync(&lake, &suppressions, context.clock.now()))?;
    }
    let controls = runtime.block_on(lake.controls()).context("failed to read what was said of findings")?;
    for row in &controls.rows {
        if !feedback::control_of(row).is_some_and(|control| engine.control(control, row.time)) {
            note(&format!("control {} says too little, or too many wait: it was not taken in", row.control_id));
        }
    }
    let replayed = runtime.block_on(replay::run(&lake, &span, &extent, &mut engine, context.shows_progress()))?;
    let mut findings = newest(&replayed);
    let words = feedback::words_on_findings(&controls.rows);
    let found = findings.len();
    findings.retain(|finding| !words.contains_key(finding.finding_id.as_str()));
    let recorded = runtime.block_on(record(&lake, &findings, context.clock.now()))?;
    let incidents = newest_incidents(engine.take_incidents());
    runtime.block_on(record_incidents(&lake, incidents, context.clock.now()))?;
    let settled = found - findings.len();
    Ok(Summary { findings, recorded, flows: replayed.flows, settled })
}

/// The last word on each finding, in the order of their time.
fn newest(replayed: &Replayed) -> Vec<Finding> {
    let mut latest: HashMap<&str, &Finding> = HashMap::new();
    for finding in &replayed.findings {
        latest.insert(&finding.finding_id, finding);
    }
    let mut findings: Vec<Finding> = latest.into_values().cloned().collect();
    findings.sort_by(|left, right| (left.time, &left.finding_id).cmp(&(right.time, &right.finding_id)));
    findings
}

/// The last word on each incident.
fn newest_incidents(told: Vec<Incident>) -> BTreeMap<String, Incident> {
    told.into_iter().map(|incident| (incident.incident_id.clone(), incident)).collect()
}

/// Writes the incidents that the lake does not have yet, or not so.
async fn record_incidents(lake: &Lake, mut incidents: BTreeMap<String, Incident>, now: i64) -> anyhow::Result<()> {
    if incidents.is_empty() {
        return Ok(());
    }
    for stored in findings::incidents(lake).await? {
        if incidents.get(&stored.incident_id) == Some(&stored) {
            incidents.remove(&stored.incident_id);
        }
    }
    let fresh: Vec<Incident> = incidents.into_values().collect();
    lake.append_incidents(&fresh, now).await.context("failed to record the incidents")
}

/// Writes what the lake does not have yet. Returns how many.
async fn record(lake: &Lake, findings: &[Finding], now: i64) -> anyhow::Result<usize> {
    if findings.is_empty() {
        return Ok(0);
    }
    let stored = findings::load(lake, &Filter::default()).await?;
    let known: HashMap<&str, _> = stored.iter().map(|stored| (stored.finding.finding_id.as_str(), stored)).collect();
    let fresh: Vec<Finding> = findings
        .iter()
        .filter(|finding| known.get(finding.finding_id.as_str()).is_none_or(|stored| !stored.says_the_same_as(finding)))
        .cloned()
        .collect();
    lake.append_findings(&fresh, now).await.context("failed to record the findings")?;
    tracing::info!(findings = findings.len(), recorded = fresh.len(), time = %rfc3339(now), "findings recorded");
    Ok(fresh.len())
}

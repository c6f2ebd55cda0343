//! `tradewind detect`: replays the flows of the lake through the detectors, in event time, and records what they find.

pub(crate) mod judge;
pub(crate) mod replay;
pub(crate) mod span;

use crate::context::Context;
use crate::feedback;
use crate::findings::{self, Filter, origin};
use crate::output::{OutputFormat, counted, line, note};
use anyhow::Context as _;
use clap::Args;
use judge::Judge;
use span::{Extent, Span, Training};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use tradewind_detect::{FlowEvent, Settings};
use tradewind_model::provenance::MADE_BY_DETECT;
use tradewind_model::table::FLOWS;
use tradewind_model::time::{self, SECOND, rfc3339};
use tradewind_model::{Finding, Incident, Provenance, Severity};
use tradewind_storage::Lake;

/// Replay the lake through the detectors and record what is not normal
///
/// Flows are read in the order of their time. Those before --train-until only teach what is normal; findings come from
/// the later ones. Findings are written to the lake: replaying the same flows with the same settings adds nothing.
/// Times are RFC 3339 such as 2026-01-31T08:00:00Z, or a date.
#[derive(Args, Debug)]
pub(crate) struct DetectArgs {
    #[command(flatten)]
    pub(crate) span: SpanArgs,
}

/// What is replayed, and which part of it only teaches.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct SpanArgs {
    /// Only learn before this time: no findings but breaches of the declared policy [default: after a quarter of the time
    /// that is replayed, and at least three windows]
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
    /// What they were made of.
    provenance: Provenance,
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
        Some(format) => {
            let told: Vec<_> = findings.into_iter().map(|finding| (finding, &summary.provenance)).collect();
            findings::write(&told, format)?;
        }
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
    let span = args.span.span()?;
    // What comes in while it is replayed is left to the next time.
    let flows_version = runtime.block_on(lake.version(&FLOWS))?;
    let replayed = runtime.block_on(lake.as_of(&FLOWS, flows_version))?.context("table flows cannot be read")?;
    let Some(extent) = runtime.block_on(span.extent(&replayed))? else {
        note("there are no flows in this time: nothing to replay");
        let provenance = Provenance::default();
        return Ok(Summary { findings: Vec::new(), provenance, recorded: 0, flows: 0, settled: 0 });
    };
    let settings = &context.settings.detect;
    let training = args.span.training(&extent, settings);
    note(&training.text(&extent));
    let mut judge = Judge::new(settings.clone(), Some(training.until))?;
    if let Some(suppressions) = feedback::from_settings(&context.settings)? {
        runtime.block_on(feedback::sync(&lake, &suppressions, context.clock.now()))?;
    }
    let controls = runtime.block_on(feedback::all(&lake))?;
    judge.control(&controls);
    let mut observe = |event: &FlowEvent<'_>| {
        judge.observe(event);
        ControlFlow::Continue(())
    };
    let shows_progress = context.shows_progress();
    let flows = runtime.block_on(replay::run(&replayed, &span, &extent, shows_progress, &mut observe))?;
    judge.finish();
    let incidents = judge.take_incidents();
    let mut findings = judge.into_findings();
    let words = feedback::words_on_findings(&controls);
    let found = findings.len();
    findings.retain(|finding| !words.contains_key(finding.finding_id.as_str()));
    let provenance = Provenance {
        flows_version: Some(flows_version),
        trained_until: Some(training.until),
        replay_from: Some(extent.first),
        replay_to: Some(extent.last.saturating_add(1)),
        made_by: Some(MADE_BY_DETECT.to_owned()),
        ..origin::of_settings(settings)?
    };
    let recorded = runtime.block_on(record(&lake, &findings, &provenance, context.clock.now()))?;
    runtime.block_on(record_incidents(&lake, newest_incidents(incidents), context.clock.now()))?;
    let settled = found - findings.len();
    Ok(Summary { findings, provenance, recorded, flows, settled })
}

impl SpanArgs {
    /// The time that is replayed.
    ///
    /// # Errors
    /// It ends before it begins.
    pub(crate) fn span(&self) -> anyhow::Result<Span> {
        let span = Span { from: self.from, to: self.to, ingested_before: None };
        span.check()?;
        Ok(span)
    }

    /// Until when it only teaches.
    pub(crate) fn training(&self, extent: &Extent, settings: &Settings) -> Training {
        Training::of(self.train_until, extent, settings.window_s.saturating_mul(SECOND))
    }
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

/// Writes what the lake does not have yet, or not with what it is made of. Returns how many.
async fn record(lake: &Lake, findings: &[Finding], provenance: &Provenance, now: i64) -> anyhow::Result<usize> {
    if findings.is_empty() {
        return Ok(0);
    }
    let stored = findings::load(lake, &Filter::default()).await?;
    let known: HashMap<&str, _> = stored.iter().map(|stored| (stored.finding.finding_id.as_str(), stored)).collect();
    let is_fresh = |finding: &&Finding| {
        let stored = known.get(finding.finding_id.as_str());
        stored.is_none_or(|stored| stored.provenance.is_unknown() || !stored.says_the_same_as(finding))
    };
    let fresh: Vec<Finding> = findings.iter().filter(is_fresh).cloned().collect();
    lake.append_findings(&fresh, provenance, now).await.context("failed to record the findings")?;
    tracing::info!(findings = findings.len(), recorded = fresh.len(), time = %rfc3339(now), "findings recorded");
    Ok(fresh.len())
}

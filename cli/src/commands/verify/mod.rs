//! `tradewind verify`: makes a stored finding again from the flows it was made of, and says whether it is the same. What is
//! compared is in `compare`; whether the lake itself is whole, `tradewind lake verify` says.

mod compare;
mod told;

use crate::commands::detect::judge::Judge;
use crate::commands::detect::replay;
use crate::commands::detect::span::{Extent, Span};
use crate::context::Context;
use crate::failure::FindingDiffers;
use crate::feedback;
use crate::findings::{self, Stored, WITHDRAWN, origin, short_id};
use crate::output::{check_summary, counted};
use anyhow::bail;
use clap::Args;
use compare::{Difference, differences};
use serde::Serialize;
use std::ops::ControlFlow;
use tradewind_detect::{FlowEvent, Settings};
use tradewind_model::provenance::MADE_BY_RUN;
use tradewind_model::table::FLOWS;
use tradewind_model::time::{DAY, SECOND, rfc3339};
use tradewind_model::{Finding, RecordedControl};
use tradewind_storage::Lake;

/// Make a finding again from the stored flows, and say whether it is the same
///
/// The flows are read as they were when the finding was made, where the lake still has that version, and judged with the
/// settings that the finding names. Nothing is written. Exit codes: 0 it is identical, 3 it differs or is not found again,
/// 1 it cannot be made again, because its flows are gone or another version of the detectors made it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  tradewind verify 3f2a")]
pub(crate) struct VerifyArgs {
    /// Its id, or the first characters of it
    #[arg(value_name = "FINDING")]
    id: String,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    finding_id: String,
    result: Verified,
    /// The version of table `flows` that was read.
    flows_version: i64,
    /// Flows that were judged.
    flows: u64,
    /// Fields that are not the same.
    differences: Vec<Difference>,
    /// Where it is not found again: the finding of its entity that is nearest in time.
    nearest: Option<Finding>,
    /// What the reader should know of how it was made again.
    notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verified {
    Identical,
    Differs,
    NotFound,
}

pub(crate) fn run(args: &VerifyArgs, context: &Context) -> anyhow::Result<()> {
    check_summary(context.output)?;
    let report = context.runtime.block_on(verify(&args.id, context))?;
    told::write(&report, context.output)?;
    let id = short_id(&report.finding_id);
    match report.result {
        Verified::Identical => Ok(()),
        Verified::Differs => {
            let fields = counted(report.differences.len(), "field", "fields");
            Err(FindingDiffers(format!("finding {id} is not what the stored flows give: {fields} differ")).into())
        }
        Verified::NotFound => {
            Err(FindingDiffers(format!("finding {id} is not found again in the stored flows")).into())
        }
    }
}

async fn verify(id: &str, context: &Context) -> anyhow::Result<Report> {
    let lake = Lake::open(context.lake_location()?).await?;
    let stored = findings::find(&lake, id).await?;
    let settings = origin::settings(&stored.finding, &stored.provenance)?;
    let mut flows = Flows::of(&lake, &stored).await?;
    let extent = flows.extent(&stored).await?;
    let mut controls = feedback::all(&lake).await?;
    controls.retain(|row| row.recorded_time <= stored.recorded_time);
    let (findings, judged) = again(&flows, &extent, &stored, (settings, &controls), context.shows_progress()).await?;
    let mut report = Report {
        finding_id: stored.finding.finding_id.clone(),
        result: Verified::NotFound,
        flows_version: flows.version,
        flows: judged,
        differences: Vec::new(),
        nearest: None,
        notes: flows.notes,
    };
    conclude(&mut report, &stored, findings)?;
    Ok(report)
}

/// Compares what is stored with what was found.
fn conclude(report: &mut Report, stored: &Stored, findings: Vec<Finding>) -> anyhow::Result<()> {
    let finding = &stored.finding;
    let is_withdrawn = finding.title.starts_with(WITHDRAWN);
    match findings.iter().find(|found| found.finding_id == finding.finding_id) {
        Some(found) => {
            report.differences = differences(stored, found)?;
            report.result = if report.differences.is_empty() { Verified::Identical } else { Verified::Differs };
        }
        None if is_withdrawn => {
            report.result = Verified::Identical;
            report.notes.push("it was withdrawn, and is rightly not found again".to_owned());
        }
        None => {
            let of_entity = findings.into_iter().filter(|found| found.entity == finding.entity);
            report.nearest =
                of_entity.min_by_key(|found| (found.time.abs_diff(finding.time), found.finding_id.clone()));
        }
    }
    Ok(())
}

/// The flows that a finding is made again from.
struct Flows {
    lake: Lake,
    version: i64,
    span: Span,
    notes: Vec<String>,
}

impl Flows {
    /// Those it was made of, or what is nearest to them.
    async fn of(lake: &Lake, stored: &Stored) -> anyhow::Result<Self> {
        let provenance = &stored.provenance;
        let span = Span { from: provenance.replay_from, to: provenance.replay_to, ingested_before: None };
        let mut notes = Vec::new();
        if let Some(version) = provenance.flows_version {
            if let Some(lake) = lake.as_of(&FLOWS, version).await? {
                return Ok(Self { lake, version, span, notes });
            }
            notes.push(format!(
                "version {version} of table flows is gone: the newest is read, without what came in after the finding"
            ));
        } else {
            notes.push(
                "the service made it before its flows were stored: the newest version of table flows is read, without what \
                 came in after the finding"
                    .to_owned(),
            );
        }
        let version = lake.version(&FLOWS).await?;
        let span = Span { ingested_before: Some(stored.recorded_time), ..span };
        Ok(Self { lake: lake.clone(), version, span, notes })
    }

    /// What the lake has of them.
    ///
    /// # Errors
    /// The finding's own flows are gone, so that nothing can be said of it; a lake that cannot be read.
    async fn extent(&mut self, stored: &Stored) -> anyhow::Result<Extent> {
        let finding = &stored.finding;
        let id = short_id(&finding.finding_id);
        let found = self.span.extent(&self.lake).await?;
        let Some(extent) = found.filter(|found| found.first <= finding.last_seen && found.last >= finding.first_seen)
        else {
            bail!("the flows of finding {id} are no longer in the lake: it cannot be made again");
        };
        if stored.provenance.replay_from.is_some_and(|from| extent.first.saturating_sub(from) > DAY) {
            self.notes
                .push(format!("flows before {} are gone, from which was learnt what is normal", rfc3339(extent.first)));
        }
        Ok(extent)
    }
}

/// What the detectors find up to the last window of the stored finding, and how many flows they judged.
async fn again(
    flows: &Flows,
    extent: &Extent,
    stored: &Stored,
    (settings, controls): (Settings, &[RecordedControl]),
    shows_progress: bool,
) -> anyhow::Result<(Vec<Finding>, u64)> {
    let window = settings.window_s.saturating_mul(SECOND);
    let end = stored.finding.last_seen.div_euclid(window).saturating_add(1).saturating_mul(window);
    let mut judge = Judge::new(settings, stored.provenance.trained_until)?;
    // What was said of findings later was not known then.
    judge.control(controls);
    let mut is_past = false;
    // The flow that follows the window closes it; what later ones add is not part of the stored finding.
    let mut observe = |event: &FlowEvent<'_>| {
        judge.observe(event);
        is_past = event.time >= end;
        if is_past { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let judged = replay::run(&flows.lake, &flows.span, extent, shows_progress, &mut observe).await?;
    if !is_past {
        // A replay ends with a part of a window, the service waits for all of it.
        match stored.provenance.made_by.as_deref() {
            Some(MADE_BY_RUN) => judge.complete(),
            _ => judge.finish(),
        }
    }
    Ok((judge.into_findings(), judged))
}

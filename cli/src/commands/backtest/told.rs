//! What `tradewind backtest` writes: counts and changes for a person or as JSON, and the changes alone as rows.

use super::compare::{Becomes, Change, Counts};
use crate::findings::short_id;
use crate::output::{self, OutputFormat, counted, json_pretty, line, printable};
use anyhow::Context as _;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use tradewind_model::time::rfc3339;
use tradewind_model::{Finding, Severity};

/// What came of it. Times are microseconds UTC.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) trained_until: i64,
    pub(super) flows: u64,
    /// The settings that were changed, with their new values.
    pub(super) changed: Value,
    pub(super) before: Counts,
    pub(super) after: Counts,
    /// Findings that are the same.
    pub(super) unchanged: usize,
    pub(super) changes: Vec<Change<'a>>,
}

/// Writes the report.
pub(super) fn write(report: &Report<'_>, format: Option<OutputFormat>) -> anyhow::Result<()> {
    match format {
        None | Some(OutputFormat::Table) => {
            line(text(report).trim_end())?;
            if report.changes.is_empty() {
                return Ok(());
            }
            line("")?;
            let batch = short(&report.changes)?;
            output::write_batches(OutputFormat::Table, &batch.schema(), &[batch])
        }
        Some(OutputFormat::Json) => line(&json_pretty(&document(report)?)?),
        Some(format) => {
            let batch = rows(&report.changes)?;
            output::write_batches(format, &batch.schema(), &[batch])
        }
    }
}

fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    let settings = if report.changed == json!({}) { "nothing".to_owned() } else { report.changed.to_string() };
    push(&mut text, "changed", &printable(&settings));
    push(&mut text, "", "");
    row(&mut text, "", "now", "changed");
    row(&mut text, "findings", report.before.findings, report.after.findings);
    let a_day = |counts: &Counts| format!("{:.1}", counts.findings_per_day);
    row(&mut text, "a day", a_day(&report.before), a_day(&report.after));
    for severity in Severity::ALL.iter().rev().map(|severity| severity.as_str()) {
        let count = |counts: &Counts| counts.by_severity.get(severity).copied().unwrap_or_default();
        counts(&mut text, severity, count(&report.before), count(&report.after));
    }
    let mut behaviours: Vec<&String> =
        report.before.by_behaviour.keys().chain(report.after.by_behaviour.keys()).collect();
    behaviours.sort_unstable();
    behaviours.dedup();
    for behaviour in behaviours {
        let count = |counts: &Counts| counts.by_behaviour.get(behaviour).copied().unwrap_or_default();
        counts(&mut text, behaviour, count(&report.before), count(&report.after));
    }
    let becoming = |wanted| report.changes.iter().filter(|change| change.becomes == wanted).count();
    let changes = [Becomes::Appears, Becomes::Vanishes, Becomes::Moves]
        .map(|becomes| format!("{} {}", becoming(becomes), word(becomes)));
    writeln!(text, "\n{}, {} unchanged", changes.join(", "), counted(report.unchanged, "finding is", "findings are"))
        .expect("writing to a string cannot fail");
    text
}

const fn word(becomes: Becomes) -> &'static str {
    match becomes {
        Becomes::Appears => "appear",
        Becomes::Vanishes => "vanish",
        Becomes::Moves => "move",
    }
}

fn push(text: &mut String, name: &str, value: &str) {
    writeln!(text, "{}", format!("{name} {value}").trim_end()).expect("writing to a string cannot fail");
}

fn row(text: &mut String, name: &str, before: impl ToString, after: impl ToString) {
    let (before, after) = (before.to_string(), after.to_string());
    writeln!(text, "{name:<16}{before:>8}{after:>10}").expect("writing to a string cannot fail");
}

/// A line where there is something to count.
fn counts(text: &mut String, name: &str, before: usize, after: usize) {
    if before + after > 0 {
        row(text, &format!("  {}", printable(name)), before, after);
    }
}

/// The report as one JSON object.
fn document(report: &Report<'_>) -> anyhow::Result<Value> {
    let counts = |counts: &Counts| serde_json::to_value(counts).context("failed to write counts as JSON");
    Ok(json!({
        "from": rfc3339(report.from),
        "to": rfc3339(report.to),
        "trained_until": rfc3339(report.trained_until),
        "flows": report.flows,
        "changed": report.changed,
        "before": counts(&report.before)?,
        "after": counts(&report.after)?,
        "unchanged": report.unchanged,
        "changes": report.changes.iter().map(change).collect::<Vec<_>>(),
    }))
}

fn change(change: &Change<'_>) -> Value {
    let side = |finding: Option<&Finding>| {
        finding.map(|finding| {
            json!({
                "finding_id": finding.finding_id,
                "time": rfc3339(finding.time),
                "severity": finding.severity,
                "risk_score": finding.risk_score,
                "title": finding.title,
            })
        })
    };
    let finding = change.finding();
    json!({
        "change": change.becomes,
        "entity": finding.map(|finding| &finding.entity),
        "behaviour": finding.map(|finding| &finding.behaviour),
        "before": side(change.before),
        "after": side(change.after),
    })
}

/// The changes with all that is known of them.
fn rows(changes: &[Change<'_>]) -> anyhow::Result<RecordBatch> {
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("change", words(changes, |change| Some(change.becomes.as_str().to_owned()))),
        ("entity", words(changes, |change| Some(change.finding()?.entity.clone()))),
        ("behaviour", words(changes, |change| Some(change.finding()?.behaviour.clone()))),
        ("title", words(changes, |change| Some(change.finding()?.title.clone()))),
    ];
    let id = |finding: &Finding| finding.finding_id.clone();
    columns.push(("finding_id_before", words(changes, |change| change.before.map(id))));
    columns.push(("finding_id_after", words(changes, |change| change.after.map(id))));
    columns.push(("time_before", times(changes, |change| change.before)));
    columns.push(("time_after", times(changes, |change| change.after)));
    let severity = |finding: &Finding| finding.severity.as_str().to_owned();
    columns.push(("severity_before", words(changes, |change| change.before.map(severity))));
    columns.push(("severity_after", words(changes, |change| change.after.map(severity))));
    columns.push(("risk_score_before", scores(changes, |change| change.before)));
    columns.push(("risk_score_after", scores(changes, |change| change.after)));
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))?)
}

/// What fits on a terminal: `low -> high` where it moved.
fn short(changes: &[Change<'_>]) -> anyhow::Result<RecordBatch> {
    let both = |change: &Change<'_>, value: fn(&Finding) -> String| {
        let (before, after) = (change.before.map(value), change.after.map(value));
        match (before, after) {
            (Some(before), Some(after)) if before != after => Some(format!("{before} -> {after}")),
            (before, after) => after.or(before),
        }
    };
    Ok(RecordBatch::try_from_iter([
        ("change", words(changes, |change| Some(change.becomes.as_str().to_owned()))),
        ("id", words(changes, |change| Some(short_id(&change.finding()?.finding_id).to_owned()))),
        ("severity", words(changes, |change| both(change, |finding| finding.severity.as_str().to_owned()))),
        ("risk", words(changes, |change| both(change, |finding| format!("{:.1}", finding.risk_score)))),
        ("time", words(changes, |change| both(change, |finding| rfc3339(finding.time)))),
        ("behaviour", words(changes, |change| Some(change.finding()?.behaviour.clone()))),
        ("title", words(changes, |change| Some(change.finding()?.title.clone()))),
    ])?)
}

fn words(changes: &[Change<'_>], value: impl Fn(&Change<'_>) -> Option<String>) -> ArrayRef {
    Arc::new(changes.iter().map(value).collect::<StringArray>())
}

fn times<'a>(changes: &[Change<'a>], side: impl Fn(&Change<'a>) -> Option<&'a Finding>) -> ArrayRef {
    let times = changes.iter().map(|change| side(change).map(|finding| finding.time));
    Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn scores<'a>(changes: &[Change<'a>], side: impl Fn(&Change<'a>) -> Option<&'a Finding>) -> ArrayRef {
    Arc::new(changes.iter().map(|change| side(change).map(|finding| finding.risk_score)).collect::<Float64Array>())
}

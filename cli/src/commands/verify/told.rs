//! What `tradewind verify` writes.

use super::{Report, Verified};
use crate::findings::short_id;
use crate::output::{self, OutputFormat, counted, line, note, printable};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use serde_json::Value;
use std::sync::Arc;
use tradewind_model::time::rfc3339;

/// Writes the report: as text with a table of what differs, or as JSON.
pub(super) fn write(report: &Report, format: Option<OutputFormat>) -> anyhow::Result<()> {
    if let Some(OutputFormat::Json | OutputFormat::Ndjson) = format {
        return output::summary(report, Vec::new, format);
    }
    report.notes.iter().for_each(|text| note(text));
    let id = short_id(&report.finding_id);
    let flows = counted(usize::try_from(report.flows).unwrap_or(usize::MAX), "flow", "flows");
    let of = format!("{flows} of version {} of table flows", report.flows_version);
    match report.result {
        Verified::Identical => line(&format!("identical: finding {id}, made again from {of}")),
        Verified::Differs => {
            line(&format!("different: finding {id}, made again from {of}"))?;
            differences(report)
        }
        Verified::NotFound => {
            line(&format!("not found again: finding {id}, in {of}"))?;
            match &report.nearest {
                None => line("its entity has no finding in this time"),
                Some(nearest) => {
                    let (id, time) = (short_id(&nearest.finding_id), rfc3339(nearest.time));
                    let text =
                        format!("nearest of its entity: {id} at {time}, {}: {}", nearest.behaviour, nearest.title);
                    line(&printable(&text))
                }
            }
        }
    }
}

fn differences(report: &Report) -> anyhow::Result<()> {
    let texts = |value: fn(&super::Difference) -> String| -> ArrayRef {
        Arc::new(report.differences.iter().map(|difference| Some(value(difference))).collect::<StringArray>())
    };
    let batch = RecordBatch::try_from_iter([
        ("field", texts(|difference| difference.field.clone())),
        ("stored", texts(|difference| shown(&difference.stored))),
        ("recomputed", texts(|difference| shown(&difference.recomputed))),
    ])?;
    output::write_batches(OutputFormat::Table, &batch.schema(), &[batch])
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

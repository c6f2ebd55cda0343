//! Findings as data, in every format of `-o`.

use super::beside::{Beside, BesideRecord};
use super::explanation::short_id;
use crate::output::{self, OutputFormat, Record, json, json_pretty, line};
use anyhow::Context as _;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::json::ReaderBuilder;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use tradewind_model::table::FINDINGS;
use tradewind_model::time::rfc3339;
use tradewind_model::{Finding, Incident, Provenance};

/// Columns of table `findings` that hold times.
const TIMES: [&str; 7] =
    ["time", "first_seen", "last_seen", "baseline_since", "trained_until", "replay_from", "replay_to"];

/// A finding and what it was made of.
pub(crate) type Told<'a> = (&'a Finding, &'a Provenance);

/// Writes findings to standard output. In a table they are short; otherwise they have the columns of table `findings`,
/// and in JSON their observations and settings are objects.
pub(crate) fn write(findings: &[Told<'_>], format: OutputFormat) -> anyhow::Result<()> {
    match format {
        OutputFormat::Table => write_short(findings, &[]),
        OutputFormat::Ndjson => {
            findings.iter().try_for_each(|told| line(&json(&Record::new(FINDINGS.fields, whole(told)?))?))
        }
        OutputFormat::Json => {
            let records = findings.iter().map(|told| Ok(Record::new(FINDINGS.fields, whole(told)?)));
            line(&json_pretty(&records.collect::<anyhow::Result<Vec<_>>>()?)?)
        }
        OutputFormat::Csv | OutputFormat::Parquet => {
            let batch = full(findings)?;
            output::write_batches(format, &batch.schema(), &[batch])
        }
    }
}

/// Writes one finding with its incident and what was said of it; that of these two is JSON alone.
pub(crate) fn write_shown(told: Told<'_>, beside: &Beside<'_>, format: OutputFormat) -> anyhow::Result<()> {
    if !matches!(format, OutputFormat::Json | OutputFormat::Ndjson) {
        return write(&[told], format);
    }
    let shown = Shown { finding: Record::new(FINDINGS.fields, whole(&told)?), beside: beside.record()? };
    match format {
        OutputFormat::Json => line(&json_pretty(&[shown])?),
        _ => line(&json(&shown)?),
    }
}

/// A finding with what is beside it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    finding: Record,
    #[serde(flatten)]
    beside: BesideRecord,
}

/// Writes a table of findings, each with its incident and how many findings that has.
pub(crate) fn write_short(findings: &[Told<'_>], incidents: &[Incident]) -> anyhow::Result<()> {
    let batch = short(findings, incidents)?;
    output::write_batches(OutputFormat::Table, &batch.schema(), &[batch])
}

/// The finding as JSON, times as RFC 3339.
pub(crate) fn object(finding: &Finding) -> anyhow::Result<Map<String, Value>> {
    with_times(finding)
}

/// The finding and what it was made of as JSON.
fn whole((finding, provenance): &Told<'_>) -> anyhow::Result<Map<String, Value>> {
    let mut object = object(finding)?;
    object.extend(with_times(provenance)?);
    if let Some(settings) = &provenance.settings {
        let settings = serde_json::from_str(settings).context("the settings of a finding are no JSON")?;
        object.insert("settings".to_owned(), settings);
    }
    Ok(object)
}

fn with_times(value: &impl Serialize) -> anyhow::Result<Map<String, Value>> {
    let Value::Object(mut object) = serde_json::to_value(value).context("failed to write a finding as JSON")? else {
        return Ok(Map::new());
    };
    for name in TIMES {
        if let Some(value) = object.get_mut(name)
            && let Some(micros) = value.as_i64()
        {
            *value = Value::from(rfc3339(micros));
        }
    }
    Ok(object)
}

/// What fits on a terminal.
fn short(findings: &[Told<'_>], incidents: &[Incident]) -> anyhow::Result<RecordBatch> {
    let by_finding: HashMap<&str, &Incident> =
        incidents.iter().flat_map(|one| one.findings.iter().map(move |id| (id.as_str(), one))).collect();
    let incident = |(finding, _): &Told<'_>| {
        let incident = by_finding.get(finding.finding_id.as_str())?;
        Some(format!("{} ({})", &incident.incident_id.get(..6)?, incident.findings.len()))
    };
    let incidents: StringArray = findings.iter().map(incident).collect();
    let texts = |value: fn(&Finding) -> String| -> ArrayRef {
        Arc::new(findings.iter().map(|(finding, _)| Some(value(finding))).collect::<StringArray>())
    };
    let flows: Int64Array = findings.iter().map(|(finding, _)| Some(finding.flow_count)).collect();
    Ok(RecordBatch::try_from_iter([
        ("id", texts(|finding| short_id(&finding.finding_id).to_owned())),
        ("time", texts(|finding| rfc3339(finding.time))),
        ("severity", texts(|finding| finding.severity.as_str().to_owned())),
        ("flows", Arc::new(flows)),
        ("incident", Arc::new(incidents)),
        ("entity", texts(|finding| finding.entity.clone())),
        ("title", texts(|finding| finding.title.clone())),
    ])?)
}

/// The columns of table `findings`, but for when they were recorded.
fn full(findings: &[Told<'_>]) -> anyhow::Result<RecordBatch> {
    let schema = FINDINGS.schema();
    let indices: Vec<usize> =
        (0..schema.fields().len()).filter(|&index| schema.field(index).name() != "recorded_time").collect();
    let schema = Arc::new(schema.project(&indices)?);
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).build_decoder()?;
    for told in findings {
        let mut object = whole(told)?;
        for name in ["observations", "settings"] {
            if let Some(value) = object.get_mut(name) {
                *value = Value::from(value.to_string());
            }
        }
        decoder.serialize(&[object])?;
    }
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(schema)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::explanation::tests::sample;
    use super::*;

    #[test]
    fn every_column_of_the_table_is_there() {
        let batch = full(&[(&sample(), &Provenance::default())]).unwrap();
        assert_eq!(batch.num_columns() + 1, FINDINGS.fields.len());
        assert_eq!(batch.num_rows(), 1);
        assert_eq!(full(&[]).unwrap().num_rows(), 0);
    }

    #[test]
    fn json_has_every_value_in_the_order_of_the_columns() {
        let provenance = Provenance {
            flows_version: Some(7),
            settings: Some(r#"{"window_s":60}"#.to_owned()),
            trained_until: Some(0),
            made_by: Some("detect".to_owned()),
            ..Provenance::default()
        };
        let object = whole(&(&sample(), &provenance)).unwrap();
        assert_eq!(
            (&object["settings"]["window_s"], &object["trained_until"]),
            (&60.into(), &"1970-01-01T00:00:00Z".into())
        );
        let text = json(&Record::new(FINDINGS.fields, object.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Map<String, Value>>(&text).unwrap(), object);
        let places: Vec<_> =
            FINDINGS.fields.iter().filter_map(|field| text.find(&format!("\"{}\":", field.name))).collect();
        assert!(places.is_sorted() && places.len() == object.len(), "{text}");
    }

    #[test]
    fn json_has_times_as_text_and_observations_as_objects() {
        let object = object(&sample()).unwrap();
        assert_eq!(object["time"], "2016-10-31T11:40:00Z");
        assert_eq!(object["severity"], "high");
        assert_eq!(object["observations"][0]["dst_port"], 8443);
    }
}

//! Incidents and what was said, read back from the lake, for those who look at findings.

use crate::output::OutputFormat;
use anyhow::{Context as _, anyhow};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt as _;
use tradewind_model::{Incident, IncidentState, Severity};
use tradewind_storage::Lake;

/// The newest row of each incident.
const NEWEST: &str = "(SELECT *, row_number() OVER (PARTITION BY incident_id ORDER BY recorded_time DESC) AS age \
                      FROM incidents) WHERE age = 1";

/// The newest row of each incident; of two that have the same finding the one that was told last comes last.
pub(crate) async fn incidents(lake: &Lake) -> anyhow::Result<Vec<Incident>> {
    let query = format!("SELECT * FROM {NEWEST} ORDER BY recorded_time, incident_id");
    let batches: Vec<RecordBatch> = lake.query(&query).await?.try_collect().await?;
    let mut incidents = Vec::new();
    for batch in &batches {
        read(batch, &mut incidents).context("failed to read table incidents")?;
    }
    Ok(incidents)
}

fn read(batch: &RecordBatch, incidents: &mut Vec<Incident>) -> anyhow::Result<()> {
    let column = |name: &str, data_type: DataType| {
        let column = batch.column_by_name(name).ok_or_else(|| anyhow!("column {name} is missing"))?;
        cast(column, &data_type).with_context(|| format!("column {name} is of another type"))
    };
    let text = |name: &str| Ok::<_, anyhow::Error>(column(name, DataType::Utf8)?.as_string::<i32>().clone());
    let number =
        |name: &str| Ok::<_, anyhow::Error>(column(name, DataType::Int64)?.as_primitive::<Int64Type>().clone());
    let (ids, states, severities) = (text("incident_id")?, text("state")?, text("severity")?);
    let (titles, findings, entities) = (text("title")?, text("findings")?, text("entities")?);
    let (opened, updated, resolved) = (number("opened")?, number("updated")?, number("resolved")?);
    let flows = number("flow_count")?;
    for row in 0..batch.num_rows() {
        let (state, severity) = (states.value(row), severities.value(row));
        incidents.push(Incident {
            incident_id: ids.value(row).to_owned(),
            state: IncidentState::from_word(state).ok_or_else(|| anyhow!("`{state}` is no state"))?,
            opened: opened.value(row),
            updated: updated.value(row),
            resolved: resolved.is_valid(row).then(|| resolved.value(row)),
            severity: Severity::from_word(severity).ok_or_else(|| anyhow!("`{severity}` is no severity"))?,
            title: titles.value(row).to_owned(),
            findings: serde_json::from_str(findings.value(row)).context("the findings of an incident")?,
            entities: serde_json::from_str(entities.value(row)).context("the entities of an incident")?,
            flow_count: flows.value(row),
        });
    }
    Ok(())
}

/// The query that lists incidents, in a table the columns that fit on a terminal.
pub(crate) fn incidents_query(limit: usize, format: Option<OutputFormat>) -> String {
    let columns = match format {
        None | Some(OutputFormat::Table) => {
            "substr(incident_id, 1, 12) AS id, updated, state, severity, finding_count AS findings, \
             flow_count AS flows, title"
        }
        Some(_) => {
            "incident_id, recorded_time, state, opened, updated, resolved, severity, title, finding_count, findings, \
             entities, flow_count"
        }
    };
    format!("SELECT {columns} FROM {NEWEST} ORDER BY updated DESC, incident_id LIMIT {limit}")
}

/// The query that lists what was said of findings.
pub(crate) fn controls_query(limit: usize, format: Option<OutputFormat>) -> String {
    let columns = match format {
        None | Some(OutputFormat::Table) => {
            "recorded_time AS said, action, substr(finding_id, 1, 12) AS finding, name, \
             concat_ws(',', 'entity=' || entity, 'destination=' || destination, 'port=' || CAST(port AS VARCHAR), \
             'behaviour=' || behaviour) AS scope, until, author, origin, reason"
        }
        Some(_) => "*",
    };
    format!("SELECT {columns} FROM controls ORDER BY recorded_time DESC, control_id LIMIT {limit}")
}

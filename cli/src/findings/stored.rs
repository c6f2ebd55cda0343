//! Findings read back from the lake: the newest row of each.

use crate::failure::usage;
use crate::feedback::SETTLED;
use anyhow::{Context as _, anyhow};
use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use futures::TryStreamExt as _;
use tradewind_model::finding::Observation;
use tradewind_model::{Finding, Provenance, Severity};
use tradewind_storage::Lake;

/// Which findings are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// The first characters of the id.
    pub(crate) id_prefix: Option<String>,
    /// At least this severe.
    pub(crate) severity_min: Option<Severity>,
    /// Of this entity: its id, or the last part of it.
    pub(crate) entity: Option<String>,
    /// At most so many, the newest.
    pub(crate) limit: Option<usize>,
    /// Without those that were accepted or dismissed.
    pub(crate) is_open_only: bool,
}

/// A finding as it is in the lake.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The finding.
    pub(crate) finding: Finding,
    /// What it was made of.
    pub(crate) provenance: Provenance,
    /// When it was recorded, microseconds UTC.
    pub(crate) recorded_time: i64,
    /// Its observations as they are stored.
    pub(crate) observations: String,
}

impl Stored {
    /// Whether the lake already says all that `finding` says.
    pub(crate) fn says_the_same_as(&self, finding: &Finding) -> bool {
        // Numbers of observations went through JSON: their text is compared, not what was read of it.
        let observations = serde_json::to_string(&finding.observations).unwrap_or_default();
        let stripped = |finding: &Finding| Finding { observations: Vec::new(), ..finding.clone() };
        self.observations == observations && stripped(&self.finding) == stripped(finding)
    }
}

/// The newest row of each wanted finding, the newest finding first.
pub(crate) async fn load(lake: &Lake, filter: &Filter) -> anyhow::Result<Vec<Stored>> {
    let batches: Vec<RecordBatch> = lake.query(&query(filter)).await?.try_collect().await?;
    let mut findings = Vec::new();
    for batch in &batches {
        read(batch, &mut findings).context("failed to read table findings")?;
    }
    Ok(findings)
}

/// The finding of this id, or the only one whose id begins so.
///
/// # Errors
/// There is none, or more than one; a lake that cannot be read.
pub(crate) async fn find(lake: &Lake, id: &str) -> anyhow::Result<Stored> {
    if id.is_empty() {
        return Err(usage("the id of a finding must have at least one character"));
    }
    let mut found = load(lake, &Filter { id_prefix: Some(id.to_owned()), ..Filter::default() }).await?;
    let place = match found.len() {
        0 => return Err(anyhow!("there is no finding {id}: `tradewind findings` lists them")),
        1 => Some(0),
        _ => found.iter().position(|stored| stored.finding.finding_id == id),
    };
    match place {
        Some(place) => Ok(found.swap_remove(place)),
        None => Err(anyhow!("{} findings begin with {id}: give more of the id", found.len())),
    }
}

fn query(filter: &Filter) -> String {
    let mut conditions = vec!["age = 1".to_owned()];
    if let Some(prefix) = &filter.id_prefix {
        conditions.push(format!("starts_with(finding_id, {})", literal(prefix)));
    }
    if let Some(least) = filter.severity_min {
        let words: Vec<String> =
            Severity::ALL.iter().filter(|&&word| word >= least).map(|word| literal(word.as_str())).collect();
        conditions.push(format!("severity IN ({})", words.join(", ")));
    }
    if let Some(entity) = &filter.entity {
        let tail = format!("/{entity}");
        conditions.push(format!("(entity = {} OR ends_with(entity, {}))", literal(entity), literal(&tail)));
    }
    if filter.is_open_only {
        conditions.push(format!("finding_id NOT IN ({SETTLED})"));
    }
    let limit = filter.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
    format!(
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY finding_id ORDER BY recorded_time DESC, time DESC) AS age \
         FROM findings) WHERE {} ORDER BY time DESC, risk_score DESC, finding_id{limit}",
        conditions.join(" AND ")
    )
}

/// A text as SQL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn read(batch: &RecordBatch, findings: &mut Vec<Stored>) -> anyhow::Result<()> {
    let column = |name: &str, data_type: DataType| {
        let column = batch.column_by_name(name).ok_or_else(|| anyhow!("column {name} is missing"))?;
        cast(column, &data_type).with_context(|| format!("column {name} is of another type"))
    };
    let text = |name: &str| column(name, DataType::Utf8);
    let number = |name: &str| column(name, DataType::Int64);
    let float = |name: &str| column(name, DataType::Float64);
    let (ids, entities, kinds, behaviours) =
        (text("finding_id")?, text("entity")?, text("entity_kind")?, text("behaviour")?);
    let (severities, titles, observed, expected) =
        (text("severity")?, text("title")?, text("observed")?, text("expected")?);
    let (techniques, uncertain, queries, observations) =
        (text("technique")?, text("uncertain")?, text("evidence_query")?, text("observations")?);
    let (times, first_seen, last_seen, since) =
        (number("time")?, number("first_seen")?, number("last_seen")?, number("baseline_since")?);
    let (flow_counts, window_counts, versions) =
        (number("flow_count")?, number("window_count")?, number("detector_version")?);
    let (p_values, scores, recorded) = (float("p_value")?, float("risk_score")?, number("recorded_time")?);
    let origins = Origins {
        numbers: [number("flows_version")?, number("trained_until")?, number("replay_from")?, number("replay_to")?],
        texts: [text("settings")?, text("settings_hash")?, text("made_by")?],
    };
    for row in 0..batch.num_rows() {
        let text = |column: &ArrayRef| column.as_string::<i32>().value(row).to_owned();
        let number = |column: &ArrayRef| column.as_primitive::<Int64Type>().value(row);
        let float = |column: &ArrayRef| column.as_primitive::<Float64Type>().value(row);
        let severity = text(&severities);
        let stored = text(&observations);
        let parsed: Vec<Observation> = serde_json::from_str(&stored)
            .context("the observations of a finding are not as this version writes them")?;
        findings.push(Stored {
            finding: Finding {
                finding_id: text(&ids),
                time: number(&times),
                first_seen: number(&first_seen),
                last_seen: number(&last_seen),
                entity: text(&entities),
                entity_kind: text(&kinds),
                behaviour: text(&behaviours),
                severity: Severity::from_word(&severity).ok_or_else(|| anyhow!("`{severity}` is no severity"))?,
                title: text(&titles),
                observed: text(&observed),
                expected: text(&expected),
                baseline_since: number(&since),
                flow_count: number(&flow_counts),
                window_count: number(&window_counts),
                p_value: float(&p_values),
                risk_score: float(&scores),
                technique: text(&techniques),
                uncertain: text(&uncertain),
                evidence_query: text(&queries),
                observations: parsed,
                detector_version: i32::try_from(number(&versions)).unwrap_or_default(),
            },
            provenance: origins.at(row),
            recorded_time: number(&recorded),
            observations: stored,
        });
    }
    Ok(())
}

/// The columns of what findings were made of.
struct Origins {
    numbers: [ArrayRef; 4],
    texts: [ArrayRef; 3],
}

impl Origins {
    fn at(&self, row: usize) -> Provenance {
        let [flows_version, trained_until, replay_from, replay_to] = self
            .numbers
            .each_ref()
            .map(|column| column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row)));
        let [settings, settings_hash, made_by] = self
            .texts
            .each_ref()
            .map(|column| column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned()));
        Provenance { flows_version, settings, settings_hash, trained_until, replay_from, replay_to, made_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_conditions_and_quotes_stay_inside() {
        let filter = Filter {
            id_prefix: Some("a'b".to_owned()),
            severity_min: Some(Severity::High),
            entity: Some("cart".to_owned()),
            limit: Some(5),
            is_open_only: true,
        };
        let query = query(&filter);
        assert!(query.contains("starts_with(finding_id, 'a''b')"), "{query}");
        assert!(query.contains("severity IN ('high', 'critical')"), "{query}");
        assert!(query.contains("(entity = 'cart' OR ends_with(entity, '/cart'))"), "{query}");
        assert!(query.contains("finding_id NOT IN (SELECT"), "{query}");
        assert!(query.ends_with("LIMIT 5"), "{query}");
    }
}

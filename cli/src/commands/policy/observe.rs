//! Reads the flows of a period out of the lake, those that the check cannot tell apart as one row, and feeds the report.

use crate::failure::usage;
use anyhow::{Context as _, anyhow};
use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt as _;
use tradewind_model::time::rfc3339;
use tradewind_policy::{FlowView, Observation, Report};
use tradewind_storage::Lake;

/// What the check reads. An address matters where nothing better names the end; the initiator's port only where the ends
/// may be the other way round.
const KEYS: &str = "src_entity, dst_entity, \
    CASE WHEN src_kind IN ('external', 'unknown') THEN src_ip END AS src_ip, \
    CASE WHEN dst_kind IN ('external', 'unknown') THEN dst_ip END AS dst_ip, \
    CASE WHEN NOT is_src_dst_assignment_known THEN src_port END AS src_port, \
    dst_port, protocol_num, operation, resource, encryption, outcome, is_src_dst_assignment_known";
const TALLY: &str = "sum(coalesce(flow_count, 1)) AS flows, CAST(min(start_time) AS BIGINT) AS first_seen, \
    CAST(max(end_time) AS BIGINT) AS last_seen";

/// The time that is looked at, by the end of flows, in microseconds UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
}

impl Period {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => {
                Err(usage(format!("--from {} is not before --to {}", rfc3339(from), rfc3339(to))))
            }
            _ => Ok(()),
        }
    }

    /// The conditions on flows.
    pub(super) fn conditions(&self) -> Vec<String> {
        let bound = |operator: &str, time: i64| format!("end_time {operator} TIMESTAMP '{}'", rfc3339(time));
        let from = self.from.map(|from| bound(">=", from));
        from.into_iter().chain(self.to.map(|to| bound("<", to))).collect()
    }
}

/// What there was to look at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) flows: u64,
    /// Start of the first and end of the last flow.
    pub(super) times: Option<(i64, i64)>,
}

/// Feeds all flows of the period.
pub(super) async fn feed(lake: &Lake, period: &Period, report: &mut Report) -> anyhow::Result<Seen> {
    let conditions = period.conditions();
    let condition = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let numbers: Vec<String> = (1..=12).map(|number: u32| number.to_string()).collect();
    let query = format!("SELECT {KEYS}, {TALLY} FROM flows {condition} GROUP BY {}", numbers.join(", "));
    let mut answer = lake.query(&query).await?;
    let mut seen = Seen::default();
    while let Some(batch) = answer.try_next().await? {
        let columns = Columns::of(&batch).context("failed to read table flows")?;
        for row in 0..batch.num_rows() {
            let observation = columns.observation(row);
            seen.flows += observation.count;
            let (first, last) = seen.times.unwrap_or((i64::MAX, i64::MIN));
            seen.times = Some((first.min(observation.first_seen), last.max(observation.last_seen)));
            report.add(&observation);
        }
    }
    Ok(seen)
}

/// The columns of a batch, by the place of the query.
struct Columns {
    texts: Vec<StringArray>,
    numbers: Vec<ArrayRef>,
    is_src_dst_assignment_known: BooleanArray,
}

const TEXTS: [&str; 8] =
    ["src_entity", "dst_entity", "src_ip", "dst_ip", "operation", "resource", "encryption", "outcome"];
const NUMBERS: [&str; 6] = ["src_port", "dst_port", "protocol_num", "flows", "first_seen", "last_seen"];

impl Columns {
    fn of(batch: &RecordBatch) -> anyhow::Result<Self> {
        let column = |name: &str, data_type: &DataType| {
            let column = batch.column_by_name(name).ok_or_else(|| anyhow!("column {name} is missing"))?;
            cast(column, data_type).with_context(|| format!("column {name} is of another type"))
        };
        Ok(Self {
            texts: TEXTS
                .iter()
                .map(|name| Ok(column(name, &DataType::Utf8)?.as_string::<i32>().clone()))
                .collect::<anyhow::Result<_>>()?,
            numbers: NUMBERS.iter().map(|name| column(name, &DataType::Int64)).collect::<anyhow::Result<_>>()?,
            is_src_dst_assignment_known: column("is_src_dst_assignment_known", &DataType::Boolean)?
                .as_boolean()
                .clone(),
        })
    }

    fn observation(&self, row: usize) -> Observation<'_> {
        let [src_entity, dst_entity, src_ip, dst_ip, operation, resource, encryption, outcome] =
            std::array::from_fn(|place| {
                let texts = &self.texts[place];
                texts.is_valid(row).then(|| texts.value(row))
            });
        let [src_port, dst_port, protocol_num, flows, first_seen, last_seen] = std::array::from_fn(|place| {
            let numbers = self.numbers[place].as_primitive::<Int64Type>();
            numbers.is_valid(row).then(|| numbers.value(row))
        });
        Observation {
            flow: FlowView {
                src_entity: src_entity.unwrap_or_default(),
                dst_entity: dst_entity.unwrap_or_default(),
                src_ip,
                dst_ip,
                src_port,
                dst_port,
                protocol_num,
                operation,
                resource,
                encryption,
                is_src_dst_assignment_known: self.is_src_dst_assignment_known.is_null(row)
                    || self.is_src_dst_assignment_known.value(row),
            },
            count: flows.and_then(|flows| u64::try_from(flows).ok()).unwrap_or_default(),
            first_seen: first_seen.unwrap_or_default(),
            last_seen: last_seen.unwrap_or_default(),
            outcome,
        }
    }
}

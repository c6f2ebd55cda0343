//! Reads flows out of the lake in the order of their time and shows each to whoever judges it.

use super::span::{Extent, Span};
use anyhow::{Context as _, anyhow};
use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int16Type, Int32Type, Int64Type};
use futures::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::ControlFlow;
use tradewind_detect::{Conversation, FlowEvent};
use tradewind_model::Outcome;
use tradewind_storage::Lake;

/// Flows that are sorted at once: bounds the memory of a replay.
const SLICE_FLOWS: u64 = 1_000_000;

/// What detectors see of a flow. The time is asked for as a number; bytes count where the row leads.
const COLUMNS: &str = "CAST(end_time AS BIGINT) AS time, src_entity, src_kind, dst_entity, dst_kind, dst_port, \
                       protocol_num, outcome, is_src_dst_assignment_known, opens, flow_count, \
                       CASE WHEN coalesce(is_lead, true) THEN bytes_out END AS bytes_out, \
                       CASE WHEN coalesce(is_lead, true) THEN bytes_in END AS bytes_in, \
                       declared_verdict, declared_rule, app_protocol, operation, resource, src_principal, \
                       dst_principal, encryption, src_verified, dst_verified";

/// Shows the flows of a span to `observe`, until it breaks off or there are no more. Returns how many it was shown.
///
/// # Errors
/// A lake that cannot be read.
pub(crate) async fn run(
    lake: &Lake,
    span: &Span,
    extent: &Extent,
    shows_progress: bool,
    observe: &mut (dyn FnMut(&FlowEvent<'_>) -> ControlFlow<()> + Send),
) -> anyhow::Result<u64> {
    let progress = if shows_progress { bar(extent.flows) } else { ProgressBar::hidden() };
    tracing::debug!(?span, ?extent, "replay");
    let mut count = 0;
    'slices: for slice in span.slices(extent, SLICE_FLOWS) {
        let mut flows = lake.query(&slice.query(COLUMNS)).await?;
        while let Some(batch) = flows.try_next().await? {
            let columns = Columns::of(&batch).context("failed to read table flows")?;
            for row in 0..batch.num_rows() {
                count += 1;
                if observe(&columns.event(row)).is_break() {
                    break 'slices;
                }
            }
            progress.set_position(count);
        }
    }
    progress.finish_and_clear();
    Ok(count)
}

fn bar(flows: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} flows, {eta} left");
    ProgressBar::new(flows).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The columns of a batch with their types.
struct Columns {
    time: ArrayRef,
    src_entity: StringArray,
    src_kind: StringArray,
    dst_entity: StringArray,
    dst_kind: StringArray,
    dst_port: ArrayRef,
    protocol_num: ArrayRef,
    outcome: StringArray,
    is_src_dst_assignment_known: BooleanArray,
    opens: BooleanArray,
    flow_count: ArrayRef,
    bytes_out: ArrayRef,
    bytes_in: ArrayRef,
    declared_verdict: StringArray,
    declared_rule: StringArray,
    app_protocol: StringArray,
    operation: StringArray,
    resource: StringArray,
    src_principal: StringArray,
    dst_principal: StringArray,
    encryption: StringArray,
    src_verified: BooleanArray,
    dst_verified: BooleanArray,
}

impl Columns {
    fn of(batch: &RecordBatch) -> anyhow::Result<Self> {
        let column = |name: &str, data_type: &DataType| {
            let column = batch.column_by_name(name).ok_or_else(|| anyhow!("column {name} is missing"))?;
            cast(column, data_type).with_context(|| format!("column {name} is of another type"))
        };
        let text = |name: &str| Ok::<_, anyhow::Error>(column(name, &DataType::Utf8)?.as_string::<i32>().clone());
        let boolean = |name: &str| Ok::<_, anyhow::Error>(column(name, &DataType::Boolean)?.as_boolean().clone());
        Ok(Self {
            time: column("time", &DataType::Int64)?,
            src_entity: text("src_entity")?,
            src_kind: text("src_kind")?,
            dst_entity: text("dst_entity")?,
            dst_kind: text("dst_kind")?,
            dst_port: column("dst_port", &DataType::Int32)?,
            protocol_num: column("protocol_num", &DataType::Int16)?,
            outcome: text("outcome")?,
            is_src_dst_assignment_known: boolean("is_src_dst_assignment_known")?,
            opens: boolean("opens")?,
            flow_count: column("flow_count", &DataType::Int64)?,
            bytes_out: column("bytes_out", &DataType::Int64)?,
            bytes_in: column("bytes_in", &DataType::Int64)?,
            declared_verdict: text("declared_verdict")?,
            declared_rule: text("declared_rule")?,
            app_protocol: text("app_protocol")?,
            operation: text("operation")?,
            resource: text("resource")?,
            src_principal: text("src_principal")?,
            dst_principal: text("dst_principal")?,
            encryption: text("encryption")?,
            src_verified: boolean("src_verified")?,
            dst_verified: boolean("dst_verified")?,
        })
    }

    fn event(&self, row: usize) -> FlowEvent<'_> {
        FlowEvent {
            time: number::<Int64Type>(&self.time, row).unwrap_or_default(),
            src_entity: self.src_entity.value(row),
            src_kind: self.src_kind.value(row),
            dst_entity: self.dst_entity.value(row),
            dst_kind: self.dst_kind.value(row),
            dst_port: number::<Int32Type>(&self.dst_port, row),
            protocol_num: number::<Int16Type>(&self.protocol_num, row),
            outcome: Outcome::from_word(self.outcome.value(row)).unwrap_or(Outcome::Unknown),
            is_src_dst_assignment_known: self.is_src_dst_assignment_known.value(row),
            opens: truth(&self.opens, row),
            flow_count: number::<Int64Type>(&self.flow_count, row).unwrap_or(1),
            bytes_out: number::<Int64Type>(&self.bytes_out, row),
            bytes_in: number::<Int64Type>(&self.bytes_in, row),
            declared_verdict: word(&self.declared_verdict, row),
            declared_rule: word(&self.declared_rule, row),
            conversation: Conversation {
                app_protocol: word(&self.app_protocol, row),
                operation: word(&self.operation, row),
                resource: word(&self.resource, row),
                src_principal: word(&self.src_principal, row),
                dst_principal: word(&self.dst_principal, row),
                encryption: word(&self.encryption, row),
                src_verified: truth(&self.src_verified, row),
                dst_verified: truth(&self.dst_verified, row),
            },
        }
    }
}

fn word(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn truth(column: &BooleanArray, row: usize) -> Option<bool> {
    column.is_valid(row).then(|| column.value(row))
}

fn number<T: ArrowPrimitiveType>(column: &ArrayRef, row: usize) -> Option<T::Native> {
    let column = column.as_primitive::<T>();
    column.is_valid(row).then(|| column.value(row))
}

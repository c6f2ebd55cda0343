//! Stored flows as batches again: for state that is rebuilt by replaying them. Not the general way to ask a lake.

use crate::error::QueryError;
use crate::lake::Lake;
use crate::rows::text_values;
use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt as _;
use std::collections::HashSet;
use std::ops::Range;
use tradewind_model::field::FieldType;
use tradewind_model::time::day_of;
use tradewind_model::{Field, FlowBatch, NumCol, TextCol};

/// A column that is wanted back.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// A text.
    Text(TextCol),
    /// A number, a time or a truth value.
    Number(NumCol),
}

impl Wanted {
    fn field(self) -> &'static Field {
        match self {
            Self::Text(column) => column.field(),
            Self::Number(column) => column.field(),
        }
    }
}

impl Lake {
    /// Days since 1970 under which there are flows.
    ///
    /// # Errors
    /// A lake that cannot be read.
    pub async fn days(&self) -> Result<HashSet<i64>, QueryError> {
        let mut answer = self.query("SELECT DISTINCT CAST(CAST(date AS INT) AS BIGINT) AS day FROM flows").await?;
        let mut days = HashSet::new();
        while let Some(batch) = answer.try_next().await? {
            days.extend(batch.column(0).as_primitive::<Int64Type>().iter().flatten());
        }
        Ok(days)
    }

    /// Gives the wanted columns of the flows that end in `times` and were taken in before `ingested_before` (all in
    /// microseconds UTC), batch by batch, in the order of their end.
    ///
    /// # Errors
    /// A lake that cannot be read.
    pub async fn replay(
        &self,
        times: Range<i64>,
        ingested_before: i64,
        wanted: &[Wanted],
        sink: &mut (dyn FnMut(&FlowBatch) + Send),
    ) -> Result<u64, QueryError> {
        let columns: Vec<String> = wanted
            .iter()
            .map(|column| match column.field() {
                field if field.ty == FieldType::Timestamp => format!("CAST({0} AS BIGINT) AS {0}", field.name),
                field => field.name.to_owned(),
            })
            .collect();
        // The days of the partitions leave out whole files; a row is under another day only when its time is not sound.
        let query = format!(
            "SELECT {} FROM flows WHERE date BETWEEN DATE '1970-01-01' + INTERVAL '{} days' AND \
             DATE '1970-01-01' + INTERVAL '{} days' AND end_time >= to_timestamp_micros({}) AND \
             end_time < to_timestamp_micros({}) AND ingest_time < to_timestamp_micros({ingested_before}) \
             ORDER BY end_time",
            columns.join(", "),
            day_of(times.start),
            day_of(times.end),
            times.start,
            times.end,
        );
        let mut answer = self.query(&query).await?;
        let (mut rows, mut flows) = (0, FlowBatch::default());
        while let Some(batch) = answer.try_next().await? {
            fill(&mut flows, &batch, wanted).map_err(|error| QueryError::Run(Box::new(error.into())))?;
            rows += flows.len() as u64;
            sink(&flows);
            flows.clear();
        }
        Ok(rows)
    }
}

/// Puts an answer whose columns are `wanted` into an empty batch.
fn fill(flows: &mut FlowBatch, batch: &RecordBatch, wanted: &[Wanted]) -> Result<(), ArrowError> {
    for (place, column) in wanted.iter().enumerate() {
        let values = batch.column(place);
        match *column {
            Wanted::Text(column) => {
                let texts = flows.text_mut(column);
                for (row, text) in text_values(values)?.iter().enumerate() {
                    if let Some(text) = text {
                        let code = texts.intern(text);
                        texts.set(row, code);
                    }
                }
            }
            Wanted::Number(column) => {
                let numbers = cast(values, &DataType::Int64)?;
                let numbers = numbers.as_primitive::<Int64Type>();
                for row in (0..numbers.len()).filter(|&row| numbers.is_valid(row)) {
                    flows.num_mut(column).set(row, numbers.value(row));
                }
            }
        }
    }
    for _ in 0..batch.num_rows() {
        flows.end_row();
    }
    Ok(())
}

//! Which time is replayed, and which part of it only teaches.

use crate::failure::usage;
use crate::output::counted;
use anyhow::Context as _;
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt as _;
use tradewind_model::time::rfc3339;
use tradewind_storage::Lake;

/// A training that nobody chose lasts at least so many windows.
const WINDOWS_MIN: i64 = 3;

/// The time that the user wants replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
    /// Leaves out flows that Tradewind took in at this time or later.
    pub(crate) ingested_before: Option<i64>,
}

/// What the lake has of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Time of the first flow, microseconds.
    pub(crate) first: i64,
    /// Time of the last flow, microseconds.
    pub(crate) last: i64,
    /// Number of flows.
    pub(crate) flows: u64,
}

impl Span {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => {
                Err(usage(format!("--from {} is not before --to {}", rfc3339(from), rfc3339(to))))
            }
            _ => Ok(()),
        }
    }

    /// The condition on flows. A flow without a sound time of its own has none in which it could be judged, and one of the
    /// year 9999 would stretch the time that is learnt from.
    fn condition(&self) -> String {
        let bound = |comparison: &str, time: Option<i64>| {
            time.map(|time| format!(" AND {comparison} to_timestamp_micros({time})")).unwrap_or_default()
        };
        format!(
            "coalesce(time_quality, '') NOT IN ('missing', 'out_of_range'){}{}{}",
            bound("end_time >=", self.from),
            bound("end_time <", self.to),
            bound("ingest_time <", self.ingested_before)
        )
    }

    /// First and last time and the number of flows; none when there are no flows.
    pub(crate) async fn extent(&self, lake: &Lake) -> anyhow::Result<Option<Extent>> {
        let query = format!(
            "SELECT CAST(min(end_time) AS BIGINT), CAST(max(end_time) AS BIGINT), CAST(count(*) AS BIGINT) \
             FROM flows WHERE {}",
            self.condition()
        );
        let batches: Vec<RecordBatch> = lake.query(&query).await?.try_collect().await?;
        let batch = batches.first().context("the lake did not say how many flows it has")?;
        let value = |column: usize| {
            let column = batch.column(column).as_primitive::<Int64Type>();
            column.is_valid(0).then(|| column.value(0))
        };
        Ok(match (value(0), value(1), value(2)) {
            (Some(first), Some(last), Some(flows)) => {
                Some(Extent { first, last, flows: u64::try_from(flows).unwrap_or_default() })
            }
            _ => None,
        })
    }

    /// Spans that together are this one, none with many more flows than `flows_max`, as far as flows come evenly.
    pub(crate) fn slices(self, extent: &Extent, flows_max: u64) -> Vec<Span> {
        let count = i64::try_from(extent.flows.div_ceil(flows_max).max(1)).unwrap_or(i64::MAX);
        let end = extent.last.saturating_add(1);
        let width = (end.saturating_sub(extent.first) / count).max(1);
        let mut slices = Vec::new();
        let mut from = extent.first;
        while from < end {
            let to = if slices.len() as i64 + 1 == count { end } else { from.saturating_add(width).min(end) };
            slices.push(Span { from: Some(from), to: Some(to), ..self });
            from = to;
        }
        slices
    }

    /// The query for the flows of this span in the order of their time. The order is total, so that a replay is exact.
    pub(crate) fn query(&self, columns: &str) -> String {
        format!(
            "SELECT {columns} FROM flows WHERE {} \
             ORDER BY end_time, src_entity, dst_entity, dst_port, position, position_offset, position_index",
            self.condition()
        )
    }
}

/// Until when the detectors only learn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Training {
    pub(crate) until: i64,
    /// Why then, for the user.
    why: &'static str,
}

impl Training {
    pub(crate) fn of(chosen: Option<i64>, extent: &Extent, window: i64) -> Self {
        // On the grid of windows: a window that is learnt in part is learnt as a whole.
        let quarter = extent.first.saturating_add(extent.last.saturating_sub(extent.first) / 4);
        let least = extent.first.saturating_add(WINDOWS_MIN.saturating_mul(window)).saturating_add(window - 1);
        let on_grid = |time: i64| time.div_euclid(window).saturating_mul(window);
        let (quarter, least) = (on_grid(quarter), on_grid(least));
        match chosen {
            Some(until) => Self { until, why: "" },
            None if quarter < least => Self { until: least, why: " (three windows; --train-until sets another time)" },
            None => Self { until: quarter, why: " (the first quarter; --train-until sets another time)" },
        }
    }

    /// For the user, before the replay.
    pub(crate) fn text(&self, extent: &Extent) -> String {
        let flows = counted(usize::try_from(extent.flows).unwrap_or(usize::MAX), "flow", "flows");
        let (first, last, until) = (rfc3339(extent.first), rfc3339(extent.last), rfc3339(self.until));
        let why = self.why;
        if self.until > extent.last {
            return format!(
                "replaying {flows} from {first} to {last}: all of them only teach what is normal, which lasts until \
                 {until}{why}"
            );
        }
        format!("replaying {flows} from {first} to {last}; learning what is normal until {until}{why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn span(from: Option<i64>, to: Option<i64>) -> Span {
        Span { from, to, ingested_before: None }
    }

    fn extent(first: i64, last: i64, flows: u64) -> Extent {
        Extent { first, last, flows }
    }

    #[test]
    fn slices_meet_and_cover_everything() {
        for (first, last, flows) in [(0, 0, 1), (0, 99, 1000), (-5, 100, 11), (7, 8, 1_000_000), (0, 10, 0)] {
            let slices = span(None, None).slices(&extent(first, last, flows), 10);
            assert_eq!(slices.first().and_then(|slice| slice.from), Some(first));
            assert_eq!(slices.last().and_then(|slice| slice.to), Some(last + 1));
            assert!(slices.windows(2).all(|pair| pair[0].to == pair[1].from));
            assert!(slices.iter().all(|slice| slice.from < slice.to));
        }
        assert_eq!(span(None, None).slices(&extent(0, 99, 1000), 100).len(), 10);
    }

    #[test]
    fn training_is_a_quarter_but_three_windows_at_least() {
        let until = |last, chosen| Training::of(chosen, &extent(0, last, 1), 5 * MINUTE).until;
        assert_eq!(until(120 * MINUTE, None), 30 * MINUTE);
        assert_eq!(until(123 * MINUTE, None), 30 * MINUTE);
        assert_eq!(until(20 * MINUTE, None), 15 * MINUTE);
        assert_eq!(until(120 * MINUTE, Some(7)), 7);
    }

    #[test]
    fn a_span_must_run_forward() {
        assert!(span(Some(2), Some(2)).check().is_err());
        assert!(span(Some(1), Some(2)).check().is_ok());
        assert!(span(Some(1), None).check().is_ok());
    }
}

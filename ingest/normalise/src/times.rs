//! Times that a log left out, and the day a row is stored under. Not the reading of times, which decoders do.

use crate::normaliser::Context;
use tradewind_model::flow::{DATE, END_TIME, LOGGED_TIME, START_TIME, TIME_QUALITY};
use tradewind_model::time::{DAY, HOUR, day_of};
use tradewind_model::{FlowBatch, NULL_NUM};

/// How far behind the end of a flow its ingest may seem to lie, in microseconds: more is a clock that is wrong.
pub const FUTURE_MAX: i64 = HOUR;
/// 1990-01-01 in microseconds: no flow log is older, so an earlier time is a fault (a clock that was never set).
const PAST_MIN: i64 = 7_305 * DAY;

/// Completes the times of all rows.
///
/// A start or end that is missing is taken from the other, else from `logged_time`, else from the ingest: `time_quality`
/// is then `missing`. An end before the start is raised to the start: the start is what detectors and the storage order
/// go by, and a clock that steps between both readings makes the end the wrong one as often as not. An end that lies
/// outside what is plausible is kept, but the row is stored under the ingest's day, and `time_quality` is `out_of_range`
/// whatever else is wrong with its times.
pub(crate) fn complete(batch: &mut FlowBatch, context: &Context) {
    let rows = batch.len();
    let bounds = Bounds::new(context);
    if let Some((first, last)) = sound_ends(batch)
        && bounds.contains(first)
        && bounds.contains(last)
    {
        set_dates(batch, day_of(first), day_of(last));
        return;
    }
    let mut starts = batch.num(START_TIME).values(rows).into_owned();
    let mut ends = batch.num(END_TIME).values(rows).into_owned();
    let mut dates = Vec::with_capacity(rows);
    for (row, (start, end)) in starts.iter_mut().zip(&mut ends).enumerate() {
        let is_missing = *start == NULL_NUM || *end == NULL_NUM;
        if is_missing {
            let any = [*start, *end, batch.num(LOGGED_TIME).raw(row)].into_iter().find(|&time| time != NULL_NUM);
            let any = any.unwrap_or(context.ingest_time);
            *start = if *start == NULL_NUM { any } else { *start };
            *end = if *end == NULL_NUM { any } else { *end };
        }
        *end = (*end).max(*start);
        let is_in_range = bounds.contains(*end);
        dates.push(day_of(if is_in_range { *end } else { context.ingest_time }));
        if is_missing || !is_in_range {
            let column = batch.text_mut(TIME_QUALITY);
            let code = column.intern(if is_in_range { "missing" } else { "out_of_range" });
            column.set(row, code);
        }
    }
    batch.num_mut(START_TIME).replace_values(starts);
    batch.num_mut(END_TIME).replace_values(ends);
    batch.num_mut(DATE).replace_values(dates);
}

/// Which ends are plausible, both included.
struct Bounds {
    min: i64,
    max: i64,
}

impl Bounds {
    fn new(context: &Context) -> Self {
        let oldest = context.retention.map_or(PAST_MIN, |retention| context.ingest_time.saturating_sub(retention));
        Self { min: oldest.max(PAST_MIN), max: context.ingest_time.saturating_add(FUTURE_MAX) }
    }

    const fn contains(&self, time: i64) -> bool {
        self.min <= time && time <= self.max
    }
}

/// The first and last end, if every row has both its times in their order: the usual case.
fn sound_ends(batch: &FlowBatch) -> Option<(i64, i64)> {
    let rows = batch.len();
    let (starts, ends) = (batch.num(START_TIME).values(rows), batch.num(END_TIME).values(rows));
    let (mut first, mut last, mut is_sound) = (i64::MAX, i64::MIN, true);
    for (&start, &end) in starts.iter().zip(&*ends) {
        first = first.min(end);
        last = last.max(end);
        is_sound &= start <= end && start != NULL_NUM;
    }
    (is_sound && rows > 0).then_some((first, last))
}

fn set_dates(batch: &mut FlowBatch, first: i64, last: i64) {
    batch.num_mut(DATE).replace_values(Vec::new());
    if first == last {
        batch.fill_num(DATE, 0, first);
        return;
    }
    let dates = batch.num(END_TIME).values(batch.len()).iter().map(|&end| day_of(end)).collect();
    batch.num_mut(DATE).replace_values(dates);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_model::time::{MINUTE, SECOND};

    const NOW: i64 = 20_000 * DAY + 5 * HOUR;
    const TODAY: i64 = 20_000;

    type Row = (Option<i64>, Option<i64>, Option<i64>);
    type Answer = (i64, i64, i64, Option<&'static str>);

    /// Start, end and logged time in; start, end, date and quality out; alone and beside a sound row.
    fn check(retention: Option<i64>, (start, end, logged): Row, expected: Answer) {
        for neighbours in [0, 1] {
            let mut batch = FlowBatch::default();
            let sound = (Some(NOW - MINUTE), Some(NOW), None);
            for (start, end, logged) in std::iter::repeat_n(sound, neighbours).chain([(start, end, logged)]) {
                for (column, time) in [(START_TIME, start), (END_TIME, end), (LOGGED_TIME, logged)] {
                    time.into_iter().for_each(|time| batch.set_num(column, time));
                }
                batch.end_row();
            }
            complete(&mut batch, &Context { ingest_time: NOW, retention });
            let number = |column| batch.num(column).raw(neighbours);
            let quality = batch.text(TIME_QUALITY).get(neighbours);
            let (start, end, date, word) = expected;
            assert_eq!((number(START_TIME), number(END_TIME), number(DATE), quality), (start, end, date, word));
            if neighbours == 1 {
                assert_eq!((batch.num(DATE).raw(0), batch.text(TIME_QUALITY).get(0)), (TODAY, None));
            }
        }
    }

    #[test]
    fn sound_times_stay() {
        check(None, (Some(NOW - DAY), Some(NOW), None), (NOW - DAY, NOW, TODAY, None));
        check(None, (Some(NOW - DAY), Some(NOW - DAY), None), (NOW - DAY, NOW - DAY, TODAY - 1, None));
    }

    #[test]
    fn missing_times_come_from_what_is_there() {
        let quality = Some("missing");
        check(None, (None, Some(NOW - DAY), Some(NOW)), (NOW - DAY, NOW - DAY, TODAY - 1, quality));
        check(None, (Some(NOW - DAY), None, Some(NOW)), (NOW - DAY, NOW - DAY, TODAY - 1, quality));
        check(None, (None, None, Some(NOW - DAY)), (NOW - DAY, NOW - DAY, TODAY - 1, quality));
        check(None, (None, None, None), (NOW, NOW, TODAY, quality));
        check(None, (None, None, Some(SECOND)), (SECOND, SECOND, TODAY, Some("out_of_range")));
    }

    #[test]
    fn an_end_before_the_start_is_raised() {
        check(None, (Some(NOW), Some(NOW - DAY), None), (NOW, NOW, TODAY, None));
    }

    #[test]
    fn implausible_ends_are_stored_under_the_ingest() {
        let quality = Some("out_of_range");
        let at = |time| (Some(time), Some(time), None);
        check(None, at(NOW + HOUR), (NOW + HOUR, NOW + HOUR, TODAY, None));
        check(None, at(NOW + HOUR + 1), (NOW + HOUR + 1, NOW + HOUR + 1, TODAY, quality));
        check(None, at(PAST_MIN), (PAST_MIN, PAST_MIN, 7_305, None));
        check(None, at(PAST_MIN - 1), (PAST_MIN - 1, PAST_MIN - 1, TODAY, quality));
        check(None, at(i64::MAX), (i64::MAX, i64::MAX, TODAY, quality));
        check(Some(DAY), at(NOW - DAY), (NOW - DAY, NOW - DAY, TODAY - 1, None));
        check(Some(DAY), at(NOW - DAY - 1), (NOW - DAY - 1, NOW - DAY - 1, TODAY, quality));
        check(Some(i64::MAX), at(PAST_MIN - 1), (PAST_MIN - 1, PAST_MIN - 1, TODAY, quality));
    }

    #[test]
    fn the_oldest_day_is_the_one_meant() {
        assert_eq!(tradewind_model::time::rfc3339(PAST_MIN), "1990-01-01T00:00:00Z");
    }
}

//! How many days one batch may be spread over. Times come from the network, and each day of a batch becomes a file: without a
//! bound a few megabytes of made-up times become ten thousand files that every later query has to look at.

use std::collections::HashMap;
use tradewind_model::FlowBatch;
use tradewind_model::flow::{DATE, TIME_QUALITY};

/// Days of a batch: an archive of a year keeps its own days, even when all of it is in one batch.
pub(crate) const DATES_MAX: usize = 400;

/// Stores the rows of all but the [`DATES_MAX`] commonest days under `ingest_date`; their times stay, and `time_quality` is
/// `out_of_range`.
pub(crate) fn bound(batch: &mut FlowBatch, ingest_date: i64) {
    let rows = batch.len();
    if rows <= DATES_MAX || batch.num(DATE).constant(rows).is_some() {
        return;
    }
    let mut dates = batch.num(DATE).values(rows).into_owned();
    let (first, last) = dates.iter().fold((i64::MAX, i64::MIN), |(low, high), &date| (low.min(date), high.max(date)));
    if usize::try_from(last.abs_diff(first)).is_ok_and(|days| days < DATES_MAX) {
        return;
    }
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for &date in &dates {
        *counts.entry(date).or_default() += 1;
    }
    if counts.len() <= DATES_MAX {
        return;
    }
    let mut commonest: Vec<(usize, i64)> = counts.iter().map(|(&date, &count)| (count, date)).collect();
    commonest.sort_unstable_by(|left, right| right.cmp(left));
    for (_, date) in commonest.drain(DATES_MAX..) {
        counts.remove(&date);
    }
    for (row, date) in dates.iter_mut().enumerate().filter(|(_, date)| !counts.contains_key(date)) {
        *date = ingest_date;
        let column = batch.text_mut(TIME_QUALITY);
        let code = column.intern("out_of_range");
        column.set(row, code);
    }
    batch.num_mut(DATE).replace_values(dates);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn rare_days_go_to_the_day_of_ingest() {
        let mut batch = FlowBatch::default();
        let days = i64::try_from(DATES_MAX).unwrap_or_default() + 3;
        // The last days come twice, so that the rare ones are the first.
        for day in (0..days).chain(3..days) {
            batch.set_num(DATE, day * 2);
            batch.end_row();
        }
        bound(&mut batch, 20_001);
        let dates: HashSet<i64> = batch.num(DATE).values(batch.len()).iter().copied().collect();
        assert_eq!(dates.len(), DATES_MAX + 1);
        for row in 0..batch.len() {
            let is_moved = row < 3;
            assert_eq!(batch.num(DATE).raw(row) == 20_001, is_moved, "{row}");
            assert_eq!(batch.text(TIME_QUALITY).get(row), is_moved.then_some("out_of_range"), "{row}");
        }
    }

    #[test]
    fn a_year_in_one_batch_stays() {
        let mut batch = FlowBatch::default();
        for row in 0..1_000 {
            batch.set_num(DATE, 18_000 + row % 366);
            batch.end_row();
        }
        bound(&mut batch, 1);
        assert!(
            (0..1_000).all(|row| batch.num(DATE).raw(row) >= 18_000 && batch.text(TIME_QUALITY).get(row).is_none())
        );
    }
}

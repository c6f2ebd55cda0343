//! The order in which rows are stored, so that what is read together lies together. Not the sorting of the columns: the
//! writer gathers them by the permutation.

use tradewind_model::flow::{DATE, DST_ENTITY, DST_PORT, SRC_ENTITY, START_TIME};
use tradewind_model::{Dictionary, FlowBatch, NULL_NUM, NumCol, TextCol};

/// The row numbers of a batch in the order (`date`, `src_entity`, `dst_entity`, `dst_port`, `start_time`): entities by their
/// bytes, absent values first, equal rows as they came.
///
/// # Panics
/// When the batch has 4 G rows or more.
#[must_use]
pub fn storage_order(batch: &FlowBatch) -> Vec<u32> {
    let rows = batch.len();
    let parts = [
        Part::numbers(batch, DATE),
        Part::texts(batch, SRC_ENTITY),
        Part::texts(batch, DST_ENTITY),
        Part::numbers(batch, DST_PORT),
        Part::numbers(batch, START_TIME),
    ];
    let count = u32::try_from(rows).expect("a batch has fewer than 4 G rows");
    let row_bits = bits(u64::from(count));
    if parts.iter().map(|part| part.bits).sum::<u32>() + row_bits > u128::BITS {
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_by(|&a, &b| {
            parts
                .iter()
                .map(|part| part.key(a as usize).cmp(&part.key(b as usize)))
                .find(|order| order.is_ne())
                .unwrap_or(a.cmp(&b))
        });
        return order;
    }
    let mut keys: Vec<u128> = vec![0; rows];
    for part in parts.iter().filter(|part| part.bits > 0) {
        part.append(&mut keys);
    }
    keys.iter_mut().zip(0..count).for_each(|(key, row)| *key = (*key << row_bits) | u128::from(row));
    keys.sort_unstable();
    let mask = (1_u128 << row_bits) - 1;
    keys.iter().map(|key| u32::try_from(key & mask).expect("the low bits are a row number")).collect()
}

/// How many bits hold every number up to `max`.
const fn bits(max: u64) -> u32 {
    u64::BITS - max.leading_zeros()
}

/// One column of the order, as numbers from 0 on that sort as its values do. Absent is 0.
struct Part<'a> {
    /// How many bits hold the greatest of them; 0 when all rows are alike.
    bits: u32,
    values: Values<'a>,
}

enum Values<'a> {
    /// Numbers, and the least of them.
    Numbers(std::borrow::Cow<'a, [i64]>, i64),
    /// Codes, and the rank of each code's text.
    Texts(std::borrow::Cow<'a, [u32]>, Vec<u32>),
    Same,
}

impl<'a> Part<'a> {
    const SAME: Self = Self { bits: 0, values: Values::Same };

    fn numbers(batch: &'a FlowBatch, column: NumCol) -> Self {
        let rows = batch.len();
        if batch.num(column).constant(rows).is_some() {
            return Self::SAME;
        }
        let values = batch.num(column).values(rows);
        let (mut min, mut max) = (i64::MAX, NULL_NUM);
        for &value in &*values {
            min = min.min(if value == NULL_NUM { i64::MAX } else { value });
            max = max.max(value);
        }
        if max == NULL_NUM {
            return Self::SAME;
        }
        // No overflow: the least value is above NULL_NUM, so the distance to it is below u64::MAX.
        Self { bits: bits(max.abs_diff(min) + 1), values: Values::Numbers(values, min) }
    }

    fn texts(batch: &'a FlowBatch, column: TextCol) -> Self {
        let rows = batch.len();
        if batch.text(column).constant(rows).is_some() {
            return Self::SAME;
        }
        let ranks = ranks(batch.text(column).dictionary());
        Self { bits: bits(ranks.len() as u64 - 1), values: Values::Texts(batch.text(column).codes(rows), ranks) }
    }

    #[inline]
    fn key(&self, row: usize) -> u64 {
        match &self.values {
            Values::Numbers(values, min) => number_key(values[row], *min),
            Values::Texts(codes, ranks) => u64::from(ranks[codes[row] as usize]),
            Values::Same => 0,
        }
    }

    /// Shifts the keys and puts this column's below what they hold.
    fn append(&self, keys: &mut [u128]) {
        let shift = self.bits;
        match &self.values {
            Values::Numbers(values, min) => keys
                .iter_mut()
                .zip(&**values)
                .for_each(|(key, &value)| *key = (*key << shift) | u128::from(number_key(value, *min))),
            Values::Texts(codes, ranks) => keys
                .iter_mut()
                .zip(&**codes)
                .for_each(|(key, &code)| *key = (*key << shift) | u128::from(ranks[code as usize])),
            Values::Same => {}
        }
    }
}

#[inline]
const fn number_key(value: i64, min: i64) -> u64 {
    if value == NULL_NUM { 0 } else { value.abs_diff(min) + 1 }
}

/// By code, the rank of its text among all; null, code 0, has rank 0.
fn ranks(dictionary: &Dictionary) -> Vec<u32> {
    let mut sorted: Vec<(&str, u32)> = dictionary.iter().zip(1..).collect();
    sorted.sort_unstable();
    let mut ranks = vec![0; sorted.len() + 1];
    for ((_, code), rank) in sorted.into_iter().zip(1..) {
        ranks[code as usize] = rank;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (Option<i64>, Option<String>, Option<String>, Option<i64>, Option<i64>);

    fn batch_of(rows: &[Row]) -> FlowBatch {
        let mut batch = FlowBatch::default();
        for (date, src, dst, port, start) in rows {
            for (column, value) in [(DATE, date), (DST_PORT, port), (START_TIME, start)] {
                value.iter().for_each(|&value| batch.set_num(column, value));
            }
            for (column, value) in [(SRC_ENTITY, src), (DST_ENTITY, dst)] {
                value.iter().for_each(|value| batch.set_text(column, value));
            }
            batch.end_row();
        }
        batch
    }

    fn check(rows: &[Row]) {
        let mut expected: Vec<u32> = (0..).zip(rows).map(|(row, _)| row).collect();
        expected.sort_by_key(|&row| &rows[row as usize]);
        assert_eq!(storage_order(&batch_of(rows)), expected, "{rows:?}");
    }

    fn any_row(start: impl Strategy<Value = i64>) -> impl Strategy<Value = Row> {
        let entity = || proptest::option::weighted(0.8, "[a-c/é-]{0,3}");
        let start = proptest::option::weighted(0.8, start);
        (proptest::option::of(0_i64..3), entity(), entity(), proptest::option::of(0_i64..65_536), start)
    }

    proptest! {
        #[test]
        fn it_is_the_order_of_a_naive_sort(rows in proptest::collection::vec(any_row(-5_i64..5), 0..60)) {
            check(&rows);
        }

        #[test]
        fn keys_that_do_not_fit_sort_alike(
            rows in proptest::collection::vec(any_row(i64::MIN + 1..=i64::MAX), 0..60),
            dates in proptest::collection::vec(i64::MIN + 1..=i64::MAX, 60),
        ) {
            let rows: Vec<Row> = rows.into_iter().zip(dates).map(|(row, date)| (Some(date), row.1, row.2, row.3, row.4)).collect();
            check(&rows);
        }
    }

    #[test]
    fn the_ends_of_the_range_do_not_overflow() {
        let row = |date, start| (Some(date), None, None, None, Some(start));
        let (min, max) = (i64::MIN + 1, i64::MAX);
        check(&[row(max, max), row(max, min), row(min, max), row(min, min), (None, None, None, None, None)]);
        check(&[row(1, max), row(1, min), row(1, 0), row(1, 0)]);
        check(&[]);
    }

    #[test]
    fn rows_that_are_alike_keep_their_order() {
        let row: Row = (Some(1), Some("a".to_owned()), None, Some(80), Some(7));
        check(&vec![row; 20]);
    }
}

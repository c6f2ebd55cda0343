//! Flows in columns: what decoders fill, normalise completes and the lake writes.
//!
//! A column that no row set holds nothing, so a format pays only for the fields it has. Rows are built in place:
//! set the columns of the row at hand, then [`FlowBatch::end_row`] keeps it or [`FlowBatch::abort_row`] drops it.

use crate::cells::Cells;
use crate::dictionary::Dictionary;
use crate::field::{Field, FieldType, NumCol, TextCol};
use crate::flow;
use crate::time;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The code of an absent text.
pub const NULL_CODE: u32 = 0;
/// The stored value of an absent number. No log can say it: counters, ports and times are far from it.
pub const NULL_NUM: i64 = i64::MIN;

/// After how many rows a column may be known as one whose texts seldom repeat.
const TRIED_ROWS: usize = 4096;

/// A dictionary-coded text column.
#[derive(Clone, Debug)]
pub struct TextColumn {
    cells: Cells<u32>,
    dictionary: Dictionary,
    /// The code given out last: logs repeat themselves from row to row.
    last: u32,
}

/// A number, time or boolean column.
#[derive(Clone, Debug)]
pub struct NumColumn {
    cells: Cells<i64>,
}

impl TextColumn {
    /// The code of a row; [`NULL_CODE`] when absent.
    #[must_use]
    #[inline]
    pub fn code(&self, row: usize) -> u32 {
        self.cells.get(row)
    }

    /// The text of a row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        self.dictionary.get(self.code(row))
    }

    /// The distinct texts.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// The code of `text`, new if need be. It belongs to this column only.
    #[inline]
    pub fn intern(&mut self, text: &str) -> u32 {
        if self.dictionary.get(self.last) != Some(text) {
            self.last = self.dictionary.intern(text).0;
        }
        self.last
    }

    /// As [`TextColumn::intern`], and whether the text is new.
    #[inline]
    pub fn intern_new(&mut self, text: &str) -> (u32, bool) {
        self.dictionary.intern(text)
    }

    /// As [`TextColumn::intern`], until nearly every one of the first texts was another one: from then on it appends without
    /// looking whether the text is known, which saves the search and keeps the table small.
    #[inline]
    pub fn intern_or_append(&mut self, text: &str) -> u32 {
        if self.seldom_repeats() { self.dictionary.append(text) } else { self.dictionary.intern(text).0 }
    }

    fn seldom_repeats(&self) -> bool {
        let rows = self.cells.stored();
        rows >= TRIED_ROWS && self.dictionary.len() >= rows - rows / 16
    }

    /// The one code that the first `rows` rows share, where the column is known to have one without looking at each row.
    #[must_use]
    pub fn constant(&self, rows: usize) -> Option<u32> {
        self.cells.constant(rows)
    }

    /// The codes of the first `rows` rows.
    #[must_use]
    pub fn codes(&self, rows: usize) -> Cow<'_, [u32]> {
        self.cells.expanded(rows)
    }

    /// Replaces all codes at once; used by steps that map a column code by code.
    pub fn replace_codes(&mut self, codes: Vec<u32>) {
        self.cells.replace(codes);
    }

    /// Sets the code of `row`: the last row, a later one, or one set before.
    #[inline]
    pub fn set(&mut self, row: usize, code: u32) {
        self.cells.set(row, code);
    }

    /// Sets the codes of the rows from `from` on, none of which has one yet.
    pub fn extend(&mut self, from: usize, codes: impl Iterator<Item = u32>) {
        self.cells.extend(from, codes);
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.dictionary.clear();
        self.last = NULL_CODE;
    }
}

impl NumColumn {
    /// The value of a row, none when absent.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        let value = self.raw(row);
        (value != NULL_NUM).then_some(value)
    }

    /// The stored value of a row; [`NULL_NUM`] when absent.
    #[must_use]
    #[inline]
    pub fn raw(&self, row: usize) -> i64 {
        self.cells.get(row)
    }

    /// The one value that the first `rows` rows share, where the column is known to have one without looking at each row.
    #[must_use]
    pub fn constant(&self, rows: usize) -> Option<i64> {
        self.cells.constant(rows)
    }

    /// The values of the first `rows` rows.
    #[must_use]
    pub fn values(&self, rows: usize) -> Cow<'_, [i64]> {
        self.cells.expanded(rows)
    }

    /// Sets the values of the rows from `from` on, none of which has one yet.
    pub fn extend(&mut self, from: usize, values: impl Iterator<Item = i64>) {
        self.cells.extend(from, values);
    }

    /// Replaces all values at once.
    pub fn replace_values(&mut self, values: Vec<i64>) {
        self.cells.replace(values);
    }

    /// Sets the value of `row`: the last row, a later one, or one set before.
    #[inline]
    pub fn set(&mut self, row: usize, value: i64) {
        self.cells.set(row, value);
    }
}

/// Flows in columns, one column for each entry of [`flow::FIELDS`].
#[derive(Clone, Debug)]
pub struct FlowBatch {
    len: usize,
    text: Vec<TextColumn>,
    num: Vec<NumColumn>,
}

impl Default for FlowBatch {
    fn default() -> Self {
        let columns = flow::FIELDS.len();
        Self {
            len: 0,
            text: vec![
                TextColumn { cells: Cells::new(NULL_CODE), dictionary: Dictionary::default(), last: NULL_CODE };
                columns
            ],
            num: vec![NumColumn { cells: Cells::new(NULL_NUM) }; columns],
        }
    }
}

impl FlowBatch {
    /// Number of finished rows; also the index of the row being built.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no finished row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all distinct texts: callers flush the batch when this grows large.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text.iter().map(|column| column.dictionary.byte_len()).sum()
    }

    /// A text column.
    #[must_use]
    #[inline]
    pub fn text(&self, column: TextCol) -> &TextColumn {
        &self.text[column.0]
    }

    /// A text column, to change.
    #[inline]
    pub fn text_mut(&mut self, column: TextCol) -> &mut TextColumn {
        &mut self.text[column.0]
    }

    /// A number column.
    #[must_use]
    #[inline]
    pub fn num(&self, column: NumCol) -> &NumColumn {
        &self.num[column.0]
    }

    /// A number column, to change.
    #[inline]
    pub fn num_mut(&mut self, column: NumCol) -> &mut NumColumn {
        &mut self.num[column.0]
    }

    /// Place and field of every column, in the order of the field table.
    pub fn columns(&self) -> impl Iterator<Item = (usize, &'static Field)> {
        flow::FIELDS.iter().enumerate()
    }

    /// The text column at a place of [`FlowBatch::columns`]. For other types it is empty.
    #[must_use]
    pub fn text_at(&self, place: usize) -> &TextColumn {
        &self.text[place]
    }

    /// The number column at a place of [`FlowBatch::columns`]. For texts it is empty.
    #[must_use]
    pub fn num_at(&self, place: usize) -> &NumColumn {
        &self.num[place]
    }

    /// Sets a text of the row being built.
    #[inline]
    pub fn set_text(&mut self, column: TextCol, text: &str) {
        let row = self.len;
        let column = &mut self.text[column.0];
        let code = column.intern(text);
        column.set(row, code);
    }

    /// Sets a text of the row being built, in a column where nearly every row has a text of its own, such as a request
    /// id: it is not looked up among the others.
    #[inline]
    pub fn append_text(&mut self, column: TextCol, text: &str) {
        let row = self.len;
        let column = &mut self.text[column.0];
        let code = column.dictionary.append(text);
        column.set(row, code);
    }

    /// Sets a text of the row being built by its code in that column.
    #[inline]
    pub fn set_code(&mut self, column: TextCol, code: u32) {
        let row = self.len;
        self.text[column.0].set(row, code);
    }

    /// Sets a number of the row being built: microseconds for times, 0 or 1 for booleans.
    #[inline]
    pub fn set_num(&mut self, column: NumCol, value: i64) {
        let row = self.len;
        self.num[column.0].set(row, value);
    }

    /// Keeps the row being built.
    #[inline]
    pub fn end_row(&mut self) {
        self.len += 1;
    }

    /// Adds finished rows that have nothing set yet; [`TextColumn::set`] and [`NumColumn::set`] fill them.
    pub fn extend_rows(&mut self, rows: usize) {
        self.len += rows;
    }

    /// Drops what was set of the row being built.
    pub fn abort_row(&mut self) {
        let len = self.len;
        self.text.iter_mut().for_each(|column| column.cells.truncate(len));
        self.num.iter_mut().for_each(|column| column.cells.truncate(len));
    }

    /// Adds the finished rows of another batch.
    pub fn append(&mut self, other: &Self) {
        let (from, rows) = (self.len, other.len);
        self.len += rows;
        for (place, field) in flow::FIELDS.iter().enumerate() {
            if field.ty != FieldType::Text {
                let column = &other.num[place];
                match column.constant(rows) {
                    Some(NULL_NUM) => {}
                    Some(value) => self.num[place].cells.set_range(from, from + rows, value),
                    None => self.num[place].extend(from, (0..rows).map(|row| column.raw(row))),
                }
                continue;
            }
            let (column, target) = (&other.text[place], &mut self.text[place]);
            if column.constant(rows) == Some(NULL_CODE) {
                continue;
            }
            let codes: Vec<u32> = std::iter::once(NULL_CODE)
                .chain((1..).map_while(|code| column.dictionary.get(code)).map(|text| target.intern(text)))
                .collect();
            let code = |row| codes.get(column.code(row) as usize).copied().unwrap_or(NULL_CODE);
            match column.constant(rows) {
                Some(_) => target.cells.set_range(from, from + rows, code(0)),
                None => target.extend(from, (0..rows).map(code)),
            }
        }
    }

    /// Gives all finished rows from `from` on the same text.
    pub fn fill_text(&mut self, column: TextCol, from: usize, text: &str) {
        let (to, column) = (self.len, &mut self.text[column.0]);
        let code = column.dictionary.intern(text).0;
        column.cells.set_range(from, to, code);
    }

    /// Gives all finished rows from `from` on the same number.
    pub fn fill_num(&mut self, column: NumCol, from: usize, value: i64) {
        let to = self.len;
        self.num[column.0].cells.set_range(from, to, value);
    }

    /// Forgets all rows, keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
        self.text.iter_mut().for_each(TextColumn::clear);
        self.num.iter_mut().for_each(|column| column.cells.clear());
    }

    /// One row as JSON with the column names of the field table; absent values are left out, times are RFC 3339.
    ///
    /// # Panics
    /// When `row` is not a finished row.
    #[must_use]
    pub fn row_json(&self, row: usize) -> Map<String, Value> {
        assert!(row < self.len, "row {row} of {}", self.len);
        let mut object = Map::new();
        for (index, field) in flow::FIELDS.iter().enumerate() {
            let value = if field.ty == FieldType::Text {
                self.text[index].get(row).map(Value::from)
            } else {
                self.num[index].get(row).map(|number| match field.ty {
                    FieldType::Timestamp => Value::from(time::rfc3339(number)),
                    FieldType::Date => Value::from(time::date_text(number)),
                    FieldType::Bool => Value::from(number != 0),
                    _ => Value::from(number),
                })
            };
            if let Some(value) = value {
                object.insert(field.name.to_owned(), value);
            }
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{BYTES_OUT, OBSERVER, SOURCE, SRC_IP, SRC_PORT};

    #[test]
    fn a_row_that_is_aborted_leaves_nothing() {
        let mut batch = FlowBatch::default();
        batch.set_text(SRC_IP, "10.0.0.1");
        batch.set_num(SRC_PORT, 1);
        batch.end_row();
        batch.set_text(SRC_IP, "10.0.0.2");
        batch.set_num(BYTES_OUT, 5);
        batch.abort_row();
        batch.set_num(SRC_PORT, 3);
        batch.end_row();
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.text(SRC_IP).get(0), Some("10.0.0.1"));
        assert_eq!(batch.text(SRC_IP).get(1), None);
        assert_eq!(batch.num(SRC_PORT).get(1), Some(3));
        assert_eq!(batch.num(BYTES_OUT).get(1), None);
    }

    #[test]
    fn appended_rows_are_those_of_the_other() {
        let rows = |from: i64, has_port: bool| {
            let mut batch = FlowBatch::default();
            for row in from..from + 3 {
                batch.set_text(SOURCE, "zeek");
                if row % 2 == 0 {
                    batch.set_text(SRC_IP, ["10.0.0.1", "10.0.0.2"][usize::from(row > 2)]);
                }
                if has_port {
                    batch.set_num(SRC_PORT, row);
                }
                batch.end_row();
            }
            batch.fill_num(BYTES_OUT, 0, from);
            batch
        };
        for (one, other) in
            [(rows(0, true), rows(3, true)), (rows(0, false), rows(2, true)), (FlowBatch::default(), rows(1, true))]
        {
            let expected: Vec<_> =
                [&one, &other].iter().flat_map(|batch| (0..batch.len()).map(|row| batch.row_json(row))).collect();
            let mut all = one.clone();
            all.append(&other);
            assert_eq!((0..all.len()).map(|row| all.row_json(row)).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_column_set_late_is_null_before() {
        let mut batch = FlowBatch::default();
        batch.end_row();
        batch.end_row();
        batch.set_num(BYTES_OUT, 7);
        batch.end_row();
        batch.end_row();
        let values: Vec<_> = (0..4).map(|row| batch.num(BYTES_OUT).get(row)).collect();
        assert_eq!(values, [None, None, Some(7), None]);
    }

    #[test]
    fn ranges_of_rows_take_their_own_text() {
        let mut batch = FlowBatch::default();
        batch.end_row();
        batch.end_row();
        batch.fill_text(OBSERVER, 0, "a");
        assert_eq!(batch.text(OBSERVER).constant(2), Some(1));
        batch.end_row();
        batch.fill_text(OBSERVER, 2, "b");
        batch.end_row();
        batch.fill_text(OBSERVER, 3, "a");
        let texts: Vec<_> = (0..4).map(|row| batch.text(OBSERVER).get(row).unwrap_or("-")).collect();
        assert_eq!(texts, ["a", "a", "b", "a"]);
        batch.fill_text(SOURCE, 2, "late");
        assert_eq!(batch.text(SOURCE).get(1), None);
        assert_eq!(batch.text(SOURCE).get(3), Some("late"));
    }

    #[test]
    fn a_fill_of_the_first_rows_does_not_reach_later_ones() {
        let mut batch = FlowBatch::default();
        batch.end_row();
        batch.fill_text(OBSERVER, 0, "a");
        batch.end_row();
        assert_eq!(batch.text(OBSERVER).get(1), None);
        assert_eq!(batch.text(OBSERVER).constant(2), None);
        batch.set_text(OBSERVER, "b");
        batch.end_row();
        let texts: Vec<_> = (0..3).map(|row| batch.text(OBSERVER).get(row).unwrap_or("-")).collect();
        assert_eq!(texts, ["a", "-", "b"]);
        assert_eq!(&*batch.text(OBSERVER).codes(3), [1, 0, 2]);
    }
}

//! The values of one column while a batch is built: most columns of a log are one value in all rows, or nothing. Not the
//! texts behind codes.

use std::borrow::Cow;

/// The cells of one column: values of the first rows, or one value that many rows share. All other rows are null.
#[derive(Clone, Debug)]
pub(crate) struct Cells<T> {
    null: T,
    values: Vec<T>,
    /// Invariant: when `shared_rows` is not 0, `values` is empty, and the first `shared_rows` rows have `shared`.
    shared: T,
    shared_rows: usize,
}

impl<T: Copy + PartialEq> Cells<T> {
    pub(crate) fn new(null: T) -> Self {
        Self { null, values: Vec::new(), shared: null, shared_rows: 0 }
    }

    /// How many rows have a value of their own.
    #[inline]
    pub(crate) fn stored(&self) -> usize {
        self.values.len()
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> T {
        match self.values.get(row) {
            Some(&value) => value,
            None if row < self.shared_rows => self.shared,
            None => self.null,
        }
    }

    #[inline]
    pub(crate) fn set(&mut self, row: usize, value: T) {
        if self.values.len() == row {
            self.values.push(value);
        } else {
            self.set_slow(row, value);
        }
    }

    #[cold]
    pub(crate) fn set_slow(&mut self, row: usize, value: T) {
        self.expand();
        if self.values.len() <= row {
            self.values.resize(row + 1, self.null);
        }
        self.values[row] = value;
    }

    pub(crate) fn expand(&mut self) {
        if self.shared_rows > 0 {
            self.values.resize(self.shared_rows, self.shared);
            self.shared_rows = 0;
        }
    }

    pub(crate) fn set_range(&mut self, from: usize, to: usize, value: T) {
        if from >= to {
            return;
        }
        let continues = from == self.shared_rows && (from == 0 || self.shared == value);
        if self.values.is_empty() && continues {
            self.shared = value;
            self.shared_rows = to;
            return;
        }
        self.expand();
        if self.values.len() < to {
            self.values.resize(to, self.null);
        }
        self.values[from..to].fill(value);
    }

    pub(crate) fn constant(&self, rows: usize) -> Option<T> {
        if !self.values.is_empty() {
            return None;
        }
        match self.shared_rows {
            0 => Some(self.null),
            shared if shared >= rows => Some(self.shared),
            _ => None,
        }
    }

    pub(crate) fn expanded(&self, rows: usize) -> Cow<'_, [T]> {
        if self.values.len() == rows {
            return Cow::Borrowed(&self.values);
        }
        Cow::Owned((0..rows).map(|row| self.get(row)).collect())
    }

    pub(crate) fn replace(&mut self, values: Vec<T>) {
        self.values = values;
        self.shared_rows = 0;
    }

    /// Sets the rows from `from` on, which have no value yet.
    pub(crate) fn extend(&mut self, from: usize, values: impl Iterator<Item = T>) {
        self.expand();
        self.values.resize(from, self.null);
        self.values.extend(values);
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.shared_rows = self.shared_rows.min(rows);
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.shared_rows = 0;
    }
}

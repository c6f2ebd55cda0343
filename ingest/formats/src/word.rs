//! A word that many rows of one batch share. Not what it means.

use crate::contract::Decoded;
use tradewind_model::{NULL_CODE, TextCol};

/// A word of one column, whose code is looked up once. Invariant: the batch is not cleared while the word is in use.
#[derive(Debug)]
pub(crate) struct Word {
    column: TextCol,
    text: &'static str,
    code: u32,
}

impl Word {
    pub(crate) const fn new(column: TextCol, text: &'static str) -> Self {
        Self { column, text, code: NULL_CODE }
    }

    /// Sets the column of the row being built.
    #[inline]
    pub(crate) fn set(&mut self, out: &mut Decoded) {
        if self.code == NULL_CODE {
            self.code = out.flows.text_mut(self.column).intern(self.text);
        }
        out.flows.set_code(self.column, self.code);
    }
}

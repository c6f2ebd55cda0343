//! Codes of addresses in the columns of one batch: each spelling is checked once. Not the reading of addresses.

use crate::address;
use hashbrown::HashMap;
use tradewind_model::{FlowBatch, TextCol};

/// How many addresses in an unusual spelling are remembered.
const ALIASES_MAX: usize = 65_536;

/// Invariant: the batch is not cleared while this is in use, and nothing else writes to its address columns.
#[derive(Debug, Default)]
pub(crate) struct AddressCodes {
    /// Codes of addresses that are not in their canonical spelling, by column and spelling.
    aliases: HashMap<(TextCol, String), u32>,
}

impl AddressCodes {
    /// The code of an address in the column; none when it is no address.
    #[inline]
    pub(crate) fn code(&mut self, column: TextCol, word: &str, flows: &mut FlowBatch) -> Option<u32> {
        match flows.text(column).dictionary().find(word) {
            Some(code) => Some(code),
            None => self.new_code(column, word, flows),
        }
    }

    /// Only canonical texts enter the column, so that what is found there needs no check.
    #[cold]
    fn new_code(&mut self, column: TextCol, word: &str, flows: &mut FlowBatch) -> Option<u32> {
        if !self.aliases.is_empty()
            && let Some(&code) = self.aliases.get(&(column, word.to_owned()))
        {
            return Some(code);
        }
        let text = address::canonical(word)?;
        let code = flows.text_mut(column).intern(&text);
        if text != word && self.aliases.len() < ALIASES_MAX {
            self.aliases.insert((column, word.to_owned()), code);
        }
        Some(code)
    }
}

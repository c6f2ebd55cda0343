//! What is wrong or doubtful in a policy, with its place: file, line, column and key path.
//!
//! It does not decide what is a fault; the parser, the compiler and the review of rules do.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// How many diagnostics of one kind are kept; the rest is only counted.
pub const DIAGNOSTICS_MAX: usize = 100;

/// A place in a text. Both count from 1; a column is a character, not a byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// One fault or warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Name of the file, as the caller gave it.
    #[serde(serialize_with = "text")]
    pub source: Arc<str>,
    /// Where in it; none where it concerns the whole file.
    pub position: Option<Position>,
    /// Which key: `policy[0].allow[1].ports[0]`. Empty where it concerns none.
    pub path: String,
    /// What is the matter, and what to do.
    pub message: String,
}

// `Arc<str>` is serialised here so that serde's feature `rc` is not switched on for the whole workspace.
fn text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.source)?;
        if let Some(Position { line, column }) = self.position {
            write!(formatter, ":{line}:{column}")?;
        }
        match self.path.as_str() {
            "" => write!(formatter, ": {}", self.message),
            path => write!(formatter, ": {path}: {}", self.message),
        }
    }
}

/// Diagnostics in the order found, the first [`DIAGNOSTICS_MAX`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    omitted: u64,
}

impl Diagnostics {
    /// Adds one, or counts it where there are too many.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
        } else {
            self.omitted += 1;
        }
    }

    /// Adds those of another list.
    pub fn append(&mut self, other: Self) {
        self.omitted += other.omitted;
        other.list.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Those that were kept.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// How many more there were.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Whether a further one would only be counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= DIAGNOSTICS_MAX
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorts them by file and place.
    pub(crate) fn sort(&mut self) {
        self.list.sort_by(|a, b| (&a.source, a.position, &a.path).cmp(&(&b.source, b.position, &b.path)));
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            let end = if index + 1 < self.list.len() { "\n" } else { "" };
            write!(formatter, "{diagnostic}{end}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(formatter, "\nand {omitted} more"),
        }
    }
}

/// A policy that cannot be used, with every fault found in it: one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub Diagnostics);

impl PolicyError {
    /// The faults.
    #[must_use]
    pub fn faults(&self) -> &[Diagnostic] {
        self.0.list()
    }
}

/// Finds lines and columns of byte offsets.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    /// Byte offset of the start of each line.
    starts: Vec<usize>,
    /// Characters before each block of [`BLOCK_BYTES`]: a whole document may stand in one line.
    blocks: Vec<usize>,
}

const BLOCK_BYTES: usize = 1024;

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        let mut characters = 0;
        let blocks = text.as_bytes().chunks(BLOCK_BYTES).map(|block| {
            let before = characters;
            characters += begun(block);
            before
        });
        Self { text, starts: std::iter::once(0).chain(breaks).collect(), blocks: blocks.collect() }
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let column = self.characters(offset).saturating_sub(self.characters(self.starts[line - 1])) + 1;
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Position { line: number(line), column: number(column) }
    }

    /// How many characters begin before a byte offset.
    fn characters(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        // At the very end of a text that fills its last block there is no further one.
        let block = (offset / BLOCK_BYTES).min(self.blocks.len().saturating_sub(1));
        let before = self.blocks.get(block).copied().unwrap_or(0);
        before + begun(&self.text.as_bytes()[block * BLOCK_BYTES..offset])
    }
}

/// How many UTF-8 characters begin in these bytes.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let lines = Lines::new("a\nüb\n");
        for (offset, line, column) in [(0, 1, 1), (1, 1, 2), (2, 2, 1), (4, 2, 2), (6, 3, 1)] {
            assert_eq!(lines.position(offset), Position { line, column }, "offset {offset}");
        }
        let long = "ü".repeat(BLOCK_BYTES);
        let lines = Lines::new(&long);
        for (offset, column) in [(0, 1), (BLOCK_BYTES, 513), (BLOCK_BYTES + 2, 514), (2 * BLOCK_BYTES, 1025)] {
            assert_eq!(lines.position(offset), Position { line: 1, column }, "offset {offset}");
        }
        assert_eq!(Lines::new("").position(0), Position { line: 1, column: 1 });
    }

    #[test]
    fn the_list_is_bounded() {
        let one = Diagnostic { source: "a".into(), position: None, path: String::new(), message: "b".to_owned() };
        let mut diagnostics = Diagnostics::default();
        (0..DIAGNOSTICS_MAX + 3).for_each(|_| diagnostics.push(one.clone()));
        assert!(diagnostics.to_string().ends_with("a: b\nand 3 more"));
    }
}

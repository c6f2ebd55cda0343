//! Walks a tree of nodes, and writes down each fault with its line, column and key path.
//!
//! What keys a policy has is told by `parse`.

use crate::diagnostic::{Diagnostic, Diagnostics, Lines, Position};
use crate::node::{Entry, Node, Value};
use std::fmt;
use std::sync::Arc;

/// The way from the top of the document to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub(crate) fn key(&'p self, key: &'p str) -> Self {
        Path::Key(self, key)
    }

    pub(crate) fn index(&'p self, index: usize) -> Self {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => formatter.write_str(key),
            Path::Key(parent, key) => write!(formatter, "{parent}.{key}"),
            Path::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reader<'t> {
    pub(crate) source: Arc<str>,
    pub(crate) lines: Lines<'t>,
    pub(crate) faults: Diagnostics,
    pub(crate) warnings: Diagnostics,
}

/// The values of a table whose keys are all known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'n, 't> {
    /// Where the table begins.
    pub(crate) at: usize,
    entries: &'n [Entry<'t>],
}

impl<'n, 't> Fields<'n, 't> {
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node<'t>> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Where the key stands, else where the table begins.
    pub(crate) fn at(&self, key: &str) -> usize {
        self.entries.iter().find(|entry| entry.key == key).map_or(self.at, |entry| entry.at)
    }
}

impl Reader<'_> {
    pub(crate) fn position(&self, at: usize) -> Position {
        self.lines.position(at)
    }

    pub(crate) fn fault(&mut self, at: usize, path: Path<'_>, message: impl Into<String>) {
        let diagnostic = self.diagnostic(at, path, message.into());
        self.faults.push(diagnostic);
    }

    pub(crate) fn warn(&mut self, at: usize, path: Path<'_>, message: impl Into<String>) {
        let diagnostic = self.diagnostic(at, path, message.into());
        self.warnings.push(diagnostic);
    }

    fn diagnostic(&self, at: usize, path: Path<'_>, message: String) -> Diagnostic {
        Diagnostic {
            source: Arc::clone(&self.source),
            position: Some(self.position(at)),
            path: path.to_string(),
            message,
        }
    }

    fn wrong_type(&mut self, node: &Node<'_>, path: Path<'_>, expected: &str) {
        self.fault(node.at, path, format!("expected {expected}, found {}", node.value.type_name()));
    }

    /// A table, after complaining of keys that are not among the known ones.
    pub(crate) fn table<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        path: Path<'_>,
        known: &[&str],
    ) -> Option<Fields<'n, 't>> {
        let Value::Table(entries) = &node.value else {
            self.wrong_type(node, path, "a table");
            return None;
        };
        for entry in entries {
            if !known.contains(&&*entry.key) {
                self.fault(entry.at, path.key(&entry.key), unknown_key(&entry.key, known));
            }
        }
        Some(Fields { at: node.at, entries })
    }

    /// The entries of a table with keys of the user's own.
    pub(crate) fn entries<'n, 't>(&mut self, node: &'n Node<'t>, path: Path<'_>) -> &'n [Entry<'t>] {
        if let Value::Table(entries) = &node.value {
            return entries;
        }
        self.wrong_type(node, path, "a table");
        &[]
    }

    pub(crate) fn list<'n, 't>(&mut self, node: &'n Node<'t>, path: Path<'_>) -> &'n [Node<'t>] {
        if let Value::List(list) = &node.value {
            return list;
        }
        self.wrong_type(node, path, "a list");
        &[]
    }

    pub(crate) fn text<'n>(&mut self, node: &'n Node<'_>, path: Path<'_>) -> Option<&'n str> {
        if let Value::Text(text) = &node.value {
            return Some(text);
        }
        self.wrong_type(node, path, "a text");
        None
    }

    pub(crate) fn bool(&mut self, node: &Node<'_>, path: Path<'_>) -> Option<bool> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        self.wrong_type(node, path, "true or false");
        None
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    if key == "deny" {
        return "unknown key; what no rule allows is denied, so there are no rules that deny".to_owned();
    }
    match nearest(key, known) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None => format!("unknown key; known are {}", known.join(", ")),
    }
}

/// The word that needs the fewest changes, when these are few.
pub(crate) fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let limit = if word.len() < 4 { 1 } else { 2 };
    let best = words.iter().map(|known| (distance(word, known), *known)).min()?;
    (best.0 <= limit).then_some(best.1)
}

/// Levenshtein distance in bytes; far for long words, which are no misspelt keys.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_proposed() {
        for (word, expected) in [("port", Some("ports")), ("prots", Some("ports")), ("colour", None), ("x", None)] {
            assert_eq!(nearest(word, &["ports", "operations"]), expected, "{word}");
        }
    }
}

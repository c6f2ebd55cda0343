//! YAML into nodes, with the types of the YAML 1.2 core schema.
//!
//! One document a file. Anchors and aliases work; tags other than `!!str`, and merge keys, do not.

use super::{Entry, Node, SyntaxFault, VALUES_MAX, Value, too_many_values};
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError};
use hashbrown::{HashMap, HashSet};
use std::borrow::Cow;

/// Nesting deeper than any policy has.
const DEPTH_MAX: usize = 32;

/// # Errors
/// The fault of syntax.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, Vec<SyntaxFault>> {
    Builder::default().build(text).map_err(|fault| vec![fault])
}

/// A list or table that is not finished.
#[derive(Debug)]
struct Open<'t> {
    at: usize,
    anchor: usize,
    content: Content<'t>,
}

#[derive(Debug)]
enum Content<'t> {
    List(Vec<Node<'t>>),
    /// Entries, the keys among them, and the key that waits for its value.
    Table(Vec<Entry<'t>>, HashSet<Cow<'t, str>>, Option<(Cow<'t, str>, usize)>),
}

#[derive(Debug, Default)]
struct Builder<'t> {
    open: Vec<Open<'t>>,
    root: Option<Node<'t>>,
    /// Anchored nodes and how many values each holds.
    anchors: HashMap<usize, (Node<'t>, usize)>,
    values: usize,
}

impl<'t> Builder<'t> {
    fn build(mut self, text: &'t str) -> Result<Node<'t>, SyntaxFault> {
        let mut options = Options::default();
        options.block_nesting_limit = DEPTH_MAX;
        options.flow_nesting_limit = DEPTH_MAX;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| scan_fault(&error, text))?;
            let at = span.start.byte_offset().unwrap_or(0);
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    return Err(fault(at, "a second document begins here; write one document a file"));
                }
            }
            self.take(event, at)?;
        }
        self.root.ok_or_else(|| fault(0, "the document is empty"))
    }

    fn take(&mut self, event: Event<'t>, at: usize) -> Result<(), SyntaxFault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = match tag.as_deref() {
                    None => style != ScalarStyle::Plain,
                    Some(tag) if tag.core_suffix() == Some("str") => true,
                    Some(_) => return Err(fault(at, "tags are not read here")),
                };
                let value = if is_text { Value::Text(text) } else { plain(text) };
                self.add(Node { at, value }, anchor)
            }
            Event::SequenceStart(_, anchor, None) => self.open(at, anchor, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, None) => {
                self.open(at, anchor, Content::Table(Vec::new(), HashSet::new(), None))
            }
            Event::SequenceStart(_, _, Some(_)) | Event::MappingStart(_, _, Some(_)) => {
                Err(fault(at, "tags are not read here"))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { at, anchor, content: Content::List(list) }) => {
                    self.add(Node { at, value: Value::List(list) }, anchor)
                }
                Some(Open { at, anchor, content: Content::Table(entries, ..) }) => {
                    self.add(Node { at, value: Value::Table(entries) }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some((node, values)) = self.anchors.get(&anchor) else {
                    return Err(fault(at, "an alias may not stand within its own anchor"));
                };
                // Counted before it is copied: aliases of aliases grow without limit.
                self.values += values;
                if self.values > VALUES_MAX {
                    return Err(too_many_values(at));
                }
                let node = Node { at, value: node.value.clone() };
                self.place(node)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, at: usize, anchor: usize, content: Content<'t>) -> Result<(), SyntaxFault> {
        if self.open.len() >= DEPTH_MAX {
            return Err(fault(at, "nested deeper than any policy is"));
        }
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    fn add(&mut self, node: Node<'t>, anchor: usize) -> Result<(), SyntaxFault> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(too_many_values(node.at));
        }
        if anchor != 0 {
            let values = count(&node);
            self.values += values;
            if self.values > VALUES_MAX {
                return Err(too_many_values(node.at));
            }
            self.anchors.insert(anchor, (node.clone(), values));
        }
        self.place(node)
    }

    fn place(&mut self, node: Node<'t>) -> Result<(), SyntaxFault> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(list)) => list.push(node),
            Some(Content::Table(entries, _, key)) if key.is_some() => {
                entries.extend(key.take().map(|(key, at)| Entry { key, at, node }));
            }
            Some(Content::Table(_, keys, key)) => {
                let Value::Text(text) = node.value else {
                    return Err(fault(node.at, "a key must be a text"));
                };
                if !keys.insert(text.clone()) {
                    return Err(SyntaxFault { at: node.at, message: format!("key `{text}` stands here twice") });
                }
                *key = Some((text, node.at));
            }
        }
        Ok(())
    }
}

fn count(node: &Node<'_>) -> usize {
    1 + match &node.value {
        Value::List(list) => list.iter().map(count).sum(),
        Value::Table(entries) => entries.iter().map(|entry| count(&entry.node)).sum(),
        _ => 0,
    }
}

/// A plain scalar by the core schema (YAML 1.2.2 section 10.3.2); numbers in other bases than ten stay text.
fn plain(text: Cow<'_, str>) -> Value<'_> {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Other("nothing"),
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        other => match other.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Text(text),
        },
    }
}

fn fault(at: usize, message: &str) -> SyntaxFault {
    SyntaxFault { at, message: message.to_owned() }
}

fn scan_fault(error: &ScanError, text: &str) -> SyntaxFault {
    let marker = error.marker();
    // Errors count characters; where bytes are not told they are found by counting.
    let at = marker.byte_offset().or_else(|| text.char_indices().nth(marker.index()).map(|(at, _)| at));
    SyntaxFault { at: at.unwrap_or(text.len()), message: error.info().to_string() }
}

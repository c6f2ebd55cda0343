//! A document's text as a tree of values with their places, the same for TOML and YAML.
//!
//! It knows nothing of policies: keys and types are checked by the reader above it.

mod toml_text;
mod yaml_text;

use std::borrow::Cow;

/// A value and the byte offset where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node<'t> {
    pub(crate) at: usize,
    pub(crate) value: Value<'t>,
}

#[derive(Clone, Debug)]
pub(crate) enum Value<'t> {
    Text(Cow<'t, str>),
    Integer(i64),
    Bool(bool),
    List(Vec<Node<'t>>),
    Table(Vec<Entry<'t>>),
    /// A value that no key takes, by the name of its type.
    Other(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) at: usize,
    pub(crate) node: Node<'t>,
}

impl Value<'_> {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}

/// Text that does not follow the syntax: where, and why.
#[derive(Debug)]
pub(crate) struct SyntaxFault {
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// The most values in a document, texts and tables alike: bounds the memory of its tree to about 200 MB.
pub(crate) const VALUES_MAX: usize = 2_000_000;

pub(crate) fn too_many_values(at: usize) -> SyntaxFault {
    SyntaxFault { at, message: format!("the document holds more than {VALUES_MAX} values; split it") }
}

pub(crate) use toml_text::parse as parse_toml;
pub(crate) use yaml_text::parse as parse_yaml;

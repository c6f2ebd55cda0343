//! TOML into nodes.

use super::{Entry, Node, SyntaxFault, VALUES_MAX, Value, too_many_values};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// # Errors
/// The faults of syntax, in the order of the text.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, Vec<SyntaxFault>> {
    // The library has no limit of its own. Each value is preceded by one of these signs, so their number bounds the tree;
    // signs within texts and comments count too, which only makes the limit stricter.
    let signs = text.bytes().filter(|byte| matches!(byte, b'=' | b',' | b'[' | b'{')).count();
    if signs > VALUES_MAX {
        return Err(vec![too_many_values(0)]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let at = table.span().start;
        return Ok(Node { at, value: self::table(table.into_inner()) });
    }
    let faults = errors.iter().map(|error| SyntaxFault {
        at: error.span().map_or(0, |span| span.start),
        message: error.message().replace('\n', ", "),
    });
    Err(faults.collect())
}

fn node<'t>(spanned: Spanned<DeValue<'t>>) -> Node<'t> {
    let at = spanned.span().start;
    let value = match spanned.into_inner() {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or(Value::Other("a number beyond 64 bits"), Value::Integer),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(values) => Value::List(values.into_iter().map(node).collect()),
        DeValue::Table(values) => table(values),
    };
    Node { at, value }
}

fn table(table: DeTable<'_>) -> Value<'_> {
    let mut entries: Vec<Entry<'_>> = table
        .into_iter()
        .map(|(key, value)| Entry { at: key.span().start, key: key.into_inner(), node: node(value) })
        .collect();
    // The library sorts by key; people read from the top.
    entries.sort_by_key(|entry| entry.at);
    Value::Table(entries)
}

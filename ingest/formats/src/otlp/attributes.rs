//! The attributes of a log record or resource: a list of keys and typed values.

use crate::json::{Kind, Value};
use crate::redact;
use crate::unmapped::Unmapped;
use std::cell::Cell;

/// Most attributes that are looked at.
const ATTRIBUTES_MAX: usize = 512;

/// Attributes by key.
#[derive(Debug, Default)]
pub(super) struct Attributes<'d> {
    pairs: Vec<Pair<'d>>,
}

#[derive(Debug)]
struct Pair<'d> {
    key: &'d str,
    value: Value<'d>,
    /// Whether it was asked for, so that it is mapped.
    is_taken: Cell<bool>,
}

impl<'d> Attributes<'d> {
    /// Those in a list `[{"key":…,"value":{"stringValue":…}}]`.
    pub(super) fn of(list: Option<Value<'d>>) -> Self {
        let pairs = list.iter().flat_map(Value::items).take(ATTRIBUTES_MAX).filter_map(|pair| {
            let key = pair.get("key")?.scalar()?;
            // The one member of the value names its type.
            let (_, value) = pair.get("value")?.members().next()?;
            Some(Pair { key, value, is_taken: Cell::new(false) })
        });
        Self { pairs: pairs.collect() }
    }

    /// The value of a key as text, where it is a scalar.
    pub(super) fn get(&self, key: &str) -> Option<&'d str> {
        let pair = self.pairs.iter().find(|pair| pair.key == key)?;
        pair.is_taken.set(true);
        pair.value.scalar()
    }

    /// Whether one of them names an end of a connection.
    pub(super) fn has_ends(&self) -> bool {
        const ENDS: [&str; 4] = ["source.address", "destination.address", "client.address", "server.address"];
        self.pairs.iter().any(|pair| ENDS.contains(&pair.key))
    }

    /// Adds what nobody asked for to `unmapped`. Users, queries, statements and URLs with queries are left out.
    pub(super) fn leave(&self, prefix: &str, unmapped: &mut Unmapped) {
        const NEVER: [&str; 6] = ["url.query", "url.full", "db.query.text", "db.statement", "http.url", "http.target"];
        for pair in self.pairs.iter().filter(|pair| !pair.is_taken.get()) {
            if NEVER.contains(&pair.key) || pair.key.starts_with("enduser.") || pair.key.starts_with("user.") {
                continue;
            }
            let name = format!("{prefix}{}", pair.key);
            if redact::is_secret(pair.key) {
                unmapped.text(&name, redact::REDACTED);
                continue;
            }
            match pair.value.kind() {
                Kind::Number => unmapped.number(&name, pair.value.raw()),
                Kind::Text | Kind::Bool => unmapped.text(&name, pair.value.raw()),
                Kind::Object | Kind::Array | Kind::Null => {}
            }
        }
    }
}

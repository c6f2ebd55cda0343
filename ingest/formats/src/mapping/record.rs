//! One record as fields with names. Not what they are for.

use crate::json::Value;
use crate::rows::Rows;
use std::borrow::Cow;

/// A field: its name or path, and its place where the record is a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) place: Option<usize>,
}

/// One record.
#[derive(Debug)]
pub(super) enum Record<'r> {
    Json(Value<'r>),
    /// Values by place, with their names.
    List {
        names: &'r [String],
        values: Vec<Cow<'r, str>>,
    },
    /// Values by name.
    Pairs(Vec<(&'r str, Cow<'r, str>)>),
}

impl Record<'_> {
    /// The text of a field that a column is made of.
    pub(super) fn get(&self, field: &Field) -> Option<&str> {
        match self {
            Self::Json(value) => value.text(&field.name),
            _ => self.peek(field),
        }
    }

    /// The text of a field, which stays among those that no column is made of.
    pub(super) fn peek(&self, field: &Field) -> Option<&str> {
        match self {
            Self::Json(value) => value.peek(&field.name),
            Self::List { values, .. } => values.get(field.place?).map(|value| &**value),
            Self::Pairs(pairs) => pairs.iter().find(|(key, _)| *key == field.name).map(|(_, value)| &**value),
        }
    }

    /// Puts fields that no column is made of into `unmapped`; `mapped` are the names of the others.
    pub(super) fn leave(&self, mapped: &[String], rows: &mut Rows<'_, '_>) {
        let mut leave = |name: &str, value: &str| {
            if mapped.iter().any(|known| known == name) {
                return;
            }
            if crate::redact::is_secret(name) {
                rows.unmapped.text(name, crate::redact::REDACTED);
            } else {
                rows.unmapped.optional(name, Some(value));
            }
        };
        match self {
            Self::Json(value) => value.leave(&mut rows.unmapped),
            Self::List { names, values } => names.iter().zip(values).for_each(|(name, value)| leave(name, value)),
            Self::Pairs(pairs) => pairs.iter().for_each(|(name, value)| leave(name, value)),
        }
    }
}

/// Splits a line of values (RFC 4180, within one line): a value in quotes may hold the separator, and quotes as two.
pub(super) fn split(line: &str, separator: char) -> Option<Vec<Cow<'_, str>>> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut inner = quoted;
            let after = loop {
                let end = inner.find('"')?;
                text.push_str(&inner[..end]);
                inner = &inner[end + 1..];
                match inner.strip_prefix('"') {
                    Some(more) => {
                        text.push('"');
                        inner = more;
                    }
                    None => break inner,
                }
            };
            values.push(Cow::Owned(text));
            match after.strip_prefix(separator) {
                Some(next) => rest = next,
                None if after.is_empty() => return Some(values),
                None => return None,
            }
        } else {
            match rest.find(separator) {
                Some(end) => {
                    values.push(Cow::Borrowed(&rest[..end]));
                    rest = &rest[end + separator.len_utf8()..];
                }
                None => {
                    values.push(Cow::Borrowed(rest));
                    return Some(values);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_values() {
        let check = |line: &str, expected: Option<&[&str]>| {
            let found = split(line, ',');
            let found: Option<Vec<&str>> = found.as_ref().map(|values| values.iter().map(|value| &**value).collect());
            assert_eq!(found.as_deref(), expected, "{line}");
        };
        check("a,,b", Some(&["a", "", "b"]));
        check("", Some(&[""]));
        check("\"a,\"\"b\",c", Some(&["a,\"b", "c"]));
        check("a,\"b\"", Some(&["a", "b"]));
        check("a,\"b", None);
        check("\"a\"b,c", None);
    }
}

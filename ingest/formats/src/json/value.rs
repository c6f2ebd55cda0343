//! One value of a JSON record and what is below it.

use super::{Kind, Node};
use crate::contract::{Fault, Reason};
use crate::number;
use crate::redact;
use crate::unmapped::Unmapped;

/// A value in a record. Paths are keys with dots between, from this value down: `connection.src_ip`. Of equal keys in one
/// object the last counts, as in `serde_json`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'d> {
    nodes: &'d [Node<'d>],
    place: usize,
}

impl<'d> Value<'d> {
    pub(super) fn new<'a: 'd>(nodes: &'d [Node<'a>], place: usize) -> Self {
        Self { nodes, place }
    }

    #[inline]
    fn node(&self) -> &'d Node<'d> {
        &self.nodes[self.place]
    }

    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        self.node().kind
    }

    /// A text without its escapes; any other scalar as it stands in the record. Does not take it.
    #[inline]
    pub(crate) fn raw(&self) -> &'d str {
        &self.node().text
    }

    /// The member of that key; none when this is no object or has none. Its null is a value.
    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        if self.kind() != Kind::Object {
            return None;
        }
        let mut found = None;
        let (mut place, end) = (self.place + 1, self.node().end);
        while place < end {
            let node = &self.nodes[place];
            if node.key == key {
                found = Some(place);
            }
            place = node.end;
        }
        found.map(|place| Self { nodes: self.nodes, place })
    }

    /// The value at a path. A key may hold dots itself, as in `{"client.addr":…}`; nesting is tried first.
    #[inline]
    pub(crate) fn at(&self, path: &str) -> Option<Self> {
        match path.split_once('.') {
            None => self.get(path),
            Some((key, rest)) => self.get(key).and_then(|value| value.at(rest)).or_else(|| self.get(path)),
        }
    }

    /// Whether there is a value at a path, and not null.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.at(path).is_some_and(|value| value.kind() != Kind::Null)
    }

    /// The scalar itself as text: see [`Value::text`].
    #[inline]
    pub(crate) fn scalar(&self) -> Option<&'d str> {
        let node = self.node();
        if matches!(node.kind, Kind::Object | Kind::Array) {
            return None;
        }
        node.is_taken.set(true);
        (node.kind != Kind::Null && !node.text.is_empty()).then_some(&*node.text)
    }

    /// The text, number or boolean at a path as text, which is then mapped. None when it is absent, null or empty.
    #[inline]
    pub(crate) fn text(&self, path: &str) -> Option<&'d str> {
        self.at(path)?.scalar()
    }

    /// As [`Value::text`], but it stays among what is left over.
    #[inline]
    pub(crate) fn peek(&self, path: &str) -> Option<&'d str> {
        let value = self.at(path)?;
        let is_scalar = !matches!(value.kind(), Kind::Object | Kind::Array | Kind::Null);
        (is_scalar && !value.raw().is_empty()).then(|| value.raw())
    }

    /// The whole number at a path, a JSON number or a text of digits, which is then mapped. None when it is absent.
    ///
    /// # Errors
    /// When there is something else, a negative number, or one above `i64::MAX`.
    #[inline]
    pub(crate) fn integer(&self, path: &str) -> Result<Option<i64>, Fault> {
        match self.at(path) {
            Some(value) => value.whole_number(path),
            None => Ok(None),
        }
    }

    #[inline]
    fn whole_number(&self, path: &str) -> Result<Option<i64>, Fault> {
        if matches!(self.kind(), Kind::Object | Kind::Array) {
            return Err(Fault::value(Reason::BadNumber, path, "an object or a list", "a whole number"));
        }
        let Some(text) = self.scalar() else { return Ok(None) };
        let digits = text.strip_suffix(".0").unwrap_or(text);
        match number::digits(digits.as_bytes()) {
            Some(number) => Ok(Some(number)),
            None => Err(Fault::value(Reason::BadNumber, path, text, "a whole number")),
        }
    }

    /// The boolean at a path, also as the texts `true` and `false`, which is then mapped.
    pub(crate) fn boolean(&self, path: &str) -> Option<bool> {
        match self.text(path)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Items of this array; nothing when it is none.
    pub(crate) fn items(&self) -> impl Iterator<Item = Self> + use<'d> {
        let is_array = self.kind() == Kind::Array;
        self.below().filter(move |_| is_array)
    }

    /// Members of this object with their keys; nothing when it is none.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'d str, Self)> + use<'d> {
        let is_object = self.kind() == Kind::Object;
        self.below().filter(move |_| is_object).map(|value| (&*value.node().key, value))
    }

    fn below(&self) -> impl Iterator<Item = Self> + use<'d> {
        let (nodes, end) = (self.nodes, self.node().end);
        let first = self.place + 1;
        std::iter::successors((first < end).then_some(first), move |&place| {
            let next = nodes[place].end;
            (next < end).then_some(next)
        })
        .map(move |place| Self { nodes, place })
    }

    /// Says that this value and all below are mapped, or not worth keeping.
    pub(crate) fn take(&self) {
        for node in &self.nodes[self.place..self.node().end] {
            node.is_taken.set(true);
        }
    }

    /// As [`Value::take`] for the value at a path, and for keys of this object that write out a path below it with dots.
    pub(crate) fn take_at(&self, path: &str) {
        if let Some(value) = self.at(path) {
            value.take();
        }
        for (key, value) in self.members() {
            if key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')) {
                value.take();
            }
        }
    }

    /// Adds what nobody asked for to `unmapped`: keys of nested objects are joined by dots, secrets are redacted, nulls,
    /// empty texts and empty lists left out.
    pub(crate) fn leave(&self, unmapped: &mut Unmapped) {
        let mut name = String::new();
        self.leave_below(&mut name, unmapped);
    }

    fn leave_below(&self, name: &mut String, unmapped: &mut Unmapped) {
        for (key, value) in self.members() {
            let node = value.node();
            if node.is_taken.get() {
                continue;
            }
            let length = name.len();
            if length > 0 {
                name.push('.');
            }
            name.push_str(key);
            if redact::is_secret(key) {
                unmapped.text(name, redact::REDACTED);
            } else {
                match node.kind {
                    Kind::Object => value.leave_below(name, unmapped),
                    Kind::Array if node.end == value.place + 1 => {}
                    Kind::Array => unmapped.json(name, |json| value.write(json)),
                    Kind::Null => {}
                    Kind::Text => unmapped.text(name, &node.text),
                    Kind::Number => unmapped.number(name, &node.text),
                    Kind::Bool => unmapped.json(name, |json| json.push_str(&node.text)),
                }
            }
            name.truncate(length);
        }
    }

    /// Writes it as JSON, with secrets redacted.
    fn write(&self, json: &mut String) {
        match self.kind() {
            Kind::Object => {
                json.push('{');
                for (index, (key, value)) in self.members().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    Unmapped::write_text(key, json);
                    json.push(':');
                    if redact::is_secret(key) {
                        Unmapped::write_text(redact::REDACTED, json);
                    } else {
                        value.write(json);
                    }
                }
                json.push('}');
            }
            Kind::Array => {
                json.push('[');
                for (index, item) in self.items().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    item.write(json);
                }
                json.push(']');
            }
            Kind::Text => Unmapped::write_text(&redact::text(self.raw()), json),
            Kind::Number => Unmapped::write_number(self.raw(), json),
            Kind::Bool | Kind::Null => json.push_str(self.raw()),
        }
    }
}

//! Access logs in JSON: one object a line, any subset of keys, read by `serde_json`. The short way for plain objects is
//! `json_scan`; what it does not take comes here, and both give the same.

use super::LayoutError;
use super::json_scan::{self, Memo, Scan};
use super::keys::{Keys, Kind};
use super::layout::Layout;
use super::mapping::{Columns, Fault};
use super::record::{Record, TooMany, Value};
use super::slot::Slot;
use super::text;
use crate::contract::{Decoded, Format, Reason};
use crate::lines;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting of a value that is kept.
const DEPTH_MAX: usize = 32;
/// Most bytes of a nested value that is kept.
const NESTED_BYTES_MAX: usize = 16 * 1024;

/// JSON with the usual keys or a user's.
#[derive(Debug, Default)]
pub(super) struct Json {
    keys: Keys,
}

impl Json {
    pub(super) fn of_layout(object: &serde_json::Map<String, serde_json::Value>) -> Result<Self, LayoutError> {
        Ok(Self { keys: Keys::of_layout(object)? })
    }
}

impl Format for Json {
    fn name(&self) -> &'static str {
        super::mapping::SOURCE_NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let first = out.flows.len();
        let mut record = Record::new();
        let mut memo = Memo::default();
        let mut columns = Columns::default();
        lines::for_each(input, offset, out, |line, position, out| {
            let written = read(line, &self.keys, &mut memo, &mut record)
                .and_then(|()| columns.write(&record, position, &mut out.flows));
            match written {
                Ok(()) => out.accept(),
                Err(fault) => out.reject(fault.reason, fault.detail, position, line.as_bytes()),
            }
        });
        Columns::complete(first, &mut out.flows);
    }
}

/// Reads one line into the record.
pub(super) fn read<'a, 'k: 'a>(
    line: &'a str,
    keys: &'k Keys,
    memo: &mut Memo<'k>,
    record: &mut Record<'a>,
) -> Result<(), Fault> {
    record.clear();
    match json_scan::scan(line, keys, memo, record) {
        Scan::Done => Ok(()),
        Scan::Fault(fault) => Err(fault),
        Scan::NotPlain => {
            record.clear();
            read_any(line, keys, record)
        }
    }
}

/// As [`read`], always by `serde_json`.
pub(super) fn read_any<'a, 'k: 'a>(line: &'a str, keys: &'k Keys, record: &mut Record<'a>) -> Result<(), Fault> {
    let mut fault = None;
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let object = Object { keys, around: None, record, fault: &mut fault };
    let read = object.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (fault, read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(Fault { reason: Reason::BadJson, detail: error.to_string() }),
        (None, Ok(())) => Ok(()),
    }
}

/// An object that is read into the record.
struct Object<'r, 'a, 'k> {
    keys: &'k Keys,
    /// The keys around it, where it is nested.
    around: Option<&'r str>,
    record: &'r mut Record<'a>,
    fault: &'r mut Option<Fault>,
}

impl<'a, 'k: 'a> DeserializeSeed<'a> for Object<'_, 'a, 'k> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a, 'k: 'a> Visitor<'a> for Object<'_, 'a, 'k> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            let raw = map.next_value::<&'a RawValue>()?;
            if self.fault.is_none() {
                *self.fault = self.member(key, raw.get()).err();
            }
        }
        Ok(())
    }
}

impl<'a, 'k: 'a> Object<'_, 'a, 'k> {
    fn member(&mut self, key: Cow<'a, str>, raw: &'a str) -> Result<(), Fault> {
        let kind = self.keys.kind(&key);
        let name = match self.around {
            Some(around) => Cow::Owned(format!("{around}.{key}")),
            None => key,
        };
        match kind {
            Kind::Object(keys) if raw.starts_with('{') => {
                let mut fault = None;
                let mut deserializer = serde_json::Deserializer::from_str(raw);
                let object = Object { keys, around: Some(&name), record: self.record, fault: &mut fault };
                let read = object.deserialize(&mut deserializer);
                fault.map_or(Ok(()), Err)?;
                read.map_err(|error| Fault { reason: Reason::BadJson, detail: error.to_string() })
            }
            _ => store(self.keys, kind, name, interpret(raw)?, self.record),
        }
    }
}

/// A key: borrowed from the line unless it has escapes.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Cow<'a, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// A value from its JSON text; none for null.
fn interpret(raw: &str) -> Result<Option<Value<'_>>, Fault> {
    let bad = |error: serde_json::Error| Fault { reason: Reason::BadJson, detail: error.to_string() };
    Ok(Some(match raw.as_bytes().first() {
        Some(b'"') if !raw.contains('\\') => Value::Text(Cow::Borrowed(raw.trim_matches('"'))),
        Some(b'"') => Value::Text(Cow::Owned(serde_json::from_str(raw).map_err(bad)?)),
        Some(b'n') => return Ok(None),
        Some(b'{' | b'[') => {
            if depth(raw) > DEPTH_MAX || raw.len() > NESTED_BYTES_MAX {
                let detail =
                    format!("a value is nested deeper than {DEPTH_MAX} or longer than {NESTED_BYTES_MAX} bytes");
                return Err(Fault { reason: Reason::TooComplex, detail });
            }
            // A raw value may still hold half a surrogate pair, which no reader of `unmapped` would take.
            if raw.contains("\\u") {
                serde_json::from_str::<serde_json::Value>(raw).map_err(bad)?;
            }
            Value::Json(raw)
        }
        Some(b't' | b'f') => Value::Json(raw),
        _ => Value::Number(raw),
    }))
}

/// How deep a JSON text is nested.
fn depth(raw: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Puts a value into the record by the meaning of its key.
pub(super) fn store<'a, 'k: 'a>(
    keys: &'k Keys,
    kind: Kind<'k>,
    name: Cow<'a, str>,
    value: Option<Value<'a>>,
    record: &mut Record<'a>,
) -> Result<(), Fault> {
    let too_many = |TooMany| Fault { reason: Reason::TooComplex, detail: "too many keys".to_owned() };
    match (kind, value) {
        (Kind::Slot(slot), value) => return store_slot(keys, slot, value, record),
        (Kind::Extra | Kind::Object(_), Some(value)) => record.set_extra(name, value).map_err(too_many)?,
        (Kind::Redacted, Some(_)) => record.set_extra(name, Value::Redacted).map_err(too_many)?,
        (Kind::Text(layout), Some(Value::Text(Cow::Borrowed(text)))) => {
            store_cut(layout, &name, text, Cow::Borrowed, record)?;
        }
        (Kind::Text(layout), Some(Value::Text(Cow::Owned(text)))) => {
            store_cut(layout, &name, &text, |value| Cow::Owned(value.to_owned()), record)?;
        }
        (Kind::Text(_), Some(value)) => record.set_extra(name, value).map_err(too_many)?,
        (Kind::Extra | Kind::Redacted | Kind::Text(_) | Kind::Object(_), None) => {}
    }
    Ok(())
}

/// As [`store`], for a key that has a slot.
#[inline(always)]
pub(super) fn store_slot<'a>(
    keys: &Keys,
    slot: Slot,
    value: Option<Value<'a>>,
    record: &mut Record<'a>,
) -> Result<(), Fault> {
    match value {
        None => record.set_absent(slot),
        Some(value) if slot != Slot::StartTime => record.set(slot, value),
        Some(Value::Text(text)) if text.is_empty() || text == "-" => {}
        Some(Value::Text(text)) => record.start_time = Some(time(keys, &text)?),
        Some(Value::Number(text) | Value::Json(text)) => record.start_time = Some(time(keys, text)?),
        Some(value @ Value::Redacted) => record.set(slot, value),
    }
    Ok(())
}

fn time(keys: &Keys, text: &str) -> Result<i64, Fault> {
    keys.time.parse(text).ok_or_else(|| Fault::time(text))
}

/// Puts the values of a text of several operators into the record.
fn store_cut<'t, 'a, 'k: 'a>(
    layout: &'k Layout,
    name: &str,
    text: &'t str,
    keep: impl Fn(&'t str) -> Cow<'a, str>,
    record: &mut Record<'a>,
) -> Result<(), Fault> {
    let mut values = Vec::new();
    match layout.cut(text, &mut values) {
        Ok(()) => text::fill(layout, &values, keep, record),
        Err(_) if text.is_empty() || text == "-" => Ok(()),
        Err(_) => {
            let detail = format!("the text of key `{name}` does not fit its format string");
            Err(Fault { reason: Reason::BadSyntax, detail })
        }
    }
}

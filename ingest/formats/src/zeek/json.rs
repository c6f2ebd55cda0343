//! conn.log as JSON, read by `serde_json`: dotted, underscored or nested names, an envelope around the record. The short
//! way for plain objects is `json_scan`; what it does not take comes here.

use super::field::{FIELDS, Field};
use super::json_scan::{Memo, scan};
use super::record::{Fault, Record};
use super::row::Rows;
use super::unmapped::{Unmapped, is_finite_number, member};
use crate::contract::{Decoded, Format, Reason};
use crate::framing::Records;
use crate::record_ends;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// JSON objects, one a line or wherever they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json {
    records: Records,
}

impl Json {
    /// Objects that end where `records` says.
    #[must_use]
    pub fn new(records: Records) -> Self {
        Self { records }
    }
}

impl Format for Json {
    fn name(&self) -> &'static str {
        super::NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let (mut rows, mut memo) = (Rows::new(out), Memo::default());
        for (start, object) in record_ends::records(input, self.records) {
            let at = offset + start as u64;
            if let Err(fault) = decode_object(object, at, &mut rows, &mut memo, out) {
                out.reject(fault.reason, fault.detail, at, object);
            }
        }
        rows.finish(out);
    }
}

fn decode_object(object: &[u8], at: u64, rows: &mut Rows, memo: &mut Memo, out: &mut Decoded) -> Result<(), Fault> {
    let text = std::str::from_utf8(object).map_err(|error| Fault {
        reason: Reason::InvalidUtf8,
        detail: format!("byte {} of the object is not UTF-8", error.valid_up_to()),
    })?;
    rows.unmapped.clear();
    let mut record = Record::new();
    if scan(text, memo, &mut record, &mut rows.unmapped).is_some() {
        record.check_log()?;
        rows.write(&record, at, out)?;
    } else {
        decode_any(text, at, rows, out)?;
    }
    out.accept();
    Ok(())
}

/// An object that is not plain; an envelope around a record has escapes and so never is.
#[cold]
fn decode_any(text: &str, at: u64, rows: &mut Rows, out: &mut Decoded) -> Result<(), Fault> {
    rows.unmapped.clear();
    let values = read_any(text, &mut rows.unmapped)?;
    let record = values.record();
    let Err(fault) = record.check_log() else { return rows.write(&record, at, out) };
    let Some(inner) = enveloped(text) else { return Err(fault) };
    rows.unmapped.clear();
    let values = read_any(&inner, &mut rows.unmapped)?;
    let record = values.record();
    record.check_log()?;
    rows.write(&record, at, out)
}

/// Says whether the object is a record of a Zeek log: of conn.log, or why not. None when it is no such object.
pub(super) fn recognise(text: &str) -> Option<Result<(), Fault>> {
    let mut unmapped = Unmapped::default();
    let values = read_any(text, &mut unmapped).ok()?;
    let record = values.record();
    let checked = match (record.check_log(), enveloped(text)) {
        (Err(_), Some(inner)) => return recognise_inner(&inner),
        (checked, _) => checked,
    };
    is_zeek(&record).then_some(checked)
}

fn recognise_inner(text: &str) -> Option<Result<(), Fault>> {
    let mut unmapped = Unmapped::default();
    let values = read_any(text, &mut unmapped).ok()?;
    let record = values.record();
    is_zeek(&record).then(|| record.check_log())
}

/// Every log of Zeek has a time, and its connection's ends or its own name.
fn is_zeek(record: &Record<'_>) -> bool {
    let has = |field| !record.get(field).is_empty();
    has(Field::Time) && (has(Field::Path) || (has(Field::OriginatorAddress) && has(Field::ResponderAddress)))
}

/// The record in a line of Splunk's JSON export: `{"result":{"_raw":"{\"ts\":…}"}}` (Splunk, "search/jobs/export").
fn enveloped(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Envelope {
        result: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        _raw: String,
    }
    memchr::memmem::find(text.as_bytes(), b"\"_raw\"")?;
    let envelope: Envelope = serde_json::from_str(text).ok()?;
    Some(envelope.result._raw)
}

/// Values of one object, borrowed from its text unless they have escapes.
#[derive(Debug)]
pub(super) struct Values<'a> {
    values: [Cow<'a, str>; FIELDS],
}

impl Values<'_> {
    pub(super) fn record(&self) -> Record<'_> {
        let mut record = Record::new();
        for (field, value) in Field::ALL.into_iter().zip(&self.values) {
            record.set(field, value);
        }
        record
    }
}

/// Reads any JSON object.
pub(super) fn read_any<'a>(text: &'a str, unmapped: &mut Unmapped) -> Result<Values<'a>, Fault> {
    let mut values = Values { values: [const { Cow::Borrowed("") }; FIELDS] };
    let mut fault = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = Object { around: Around::Nothing, values: &mut values, unmapped, fault: &mut fault };
    let read = object.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (fault, read) {
        (_, Err(error)) => Err(bad_json(&error)),
        (Some(fault), Ok(())) => Err(fault),
        (None, Ok(())) => Ok(values),
    }
}

fn bad_json(error: &serde_json::Error) -> Fault {
    Fault { reason: Reason::BadJson, detail: error.to_string() }
}

/// What an object stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    Nothing,
    /// `{"conn":{…}}`, as the Kafka writer of Zeek does with `tag_json`.
    Tag,
    /// `"id":{"orig_h":…}`, as stores do that make objects of dots.
    Id,
}

/// An object that is read into values and `unmapped`.
struct Object<'r, 'a> {
    around: Around,
    values: &'r mut Values<'a>,
    unmapped: &'r mut Unmapped,
    fault: &'r mut Option<Fault>,
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let raw = map.next_value::<&'a RawValue>()?;
            if self.fault.is_none() {
                *self.fault = self.member(&key, raw.get()).err();
            }
        }
        Ok(())
    }
}

impl<'a> Object<'_, 'a> {
    fn member(&mut self, key: &str, raw: &'a str) -> Result<(), Fault> {
        let inside = match (self.around, key) {
            (Around::Nothing, "conn") => Some(Around::Tag),
            (Around::Nothing | Around::Tag, "id") => Some(Around::Id),
            _ => None,
        };
        if let Some(around) = inside.filter(|_| raw.starts_with('{')) {
            let mut fault = None;
            let mut deserializer = serde_json::Deserializer::from_str(raw);
            let object = Object { around, values: self.values, unmapped: self.unmapped, fault: &mut fault };
            object.deserialize(&mut deserializer).map_err(|error| bad_json(&error))?;
            if around == Around::Tag {
                self.values.values[Field::Path as usize] = Cow::Borrowed("conn");
            }
            return fault.map_or(Ok(()), Err);
        }
        let name = if self.around == Around::Id { Cow::Owned(format!("id.{key}")) } else { Cow::Borrowed(key) };
        let mut field = Field::from_name(&name);
        match (field, raw.as_bytes().first()) {
            (_, None | Some(b'n')) => return Ok(()),
            (Some(field), Some(b'"')) => {
                let text: Cow<'a, str> = match raw.contains('\\') {
                    true => Cow::Owned(serde_json::from_str(raw).map_err(|error| bad_json(&error))?),
                    false => Cow::Borrowed(&raw[1..raw.len() - 1]),
                };
                self.values.values[field as usize] = text;
            }
            (Some(_), Some(b'{' | b'[')) => field = None,
            (Some(field), _) => self.values.values[field as usize] = Cow::Borrowed(raw),
            (None, _) => {}
        }
        if field.is_none_or(Field::is_kept) {
            keep(&member(&name), raw, self.unmapped);
        }
        Ok(())
    }
}

/// Puts a value into `unmapped`: as it stands where every reader takes it, else its JSON as a text. A raw value may hold
/// half a surrogate pair, a number that no float holds, or any depth.
fn keep(member: &str, raw: &str, unmapped: &mut Unmapped) {
    let is_sound = match raw.as_bytes().first() {
        Some(b'"') => !raw.contains("\\u") || serde_json::from_str::<Value>(raw).is_ok(),
        Some(b'{' | b'[') => {
            if raw[1..raw.len() - 1].trim_ascii().is_empty() {
                return;
            }
            serde_json::from_str::<Value>(raw).is_ok()
        }
        Some(b't' | b'f') => true,
        _ => is_finite_number(raw),
    };
    match is_sound {
        _ if raw == "\"\"" => {}
        true if raw.contains(['\n', '\r', '\t']) => unmapped.push_json(member, &compact(raw)),
        true => unmapped.push_json(member, raw),
        false => unmapped.push_text(member, raw),
    }
}

/// JSON without the line ends and indents between its tokens.
fn compact(raw: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    raw.chars()
        .filter(|&character| {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_text = !in_text,
                _ => {}
            }
            in_text || !character.is_ascii_whitespace()
        })
        .collect()
}

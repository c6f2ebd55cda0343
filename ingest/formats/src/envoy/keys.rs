//! Which JSON key means what: the usual names, or a user's `json_format`. Not the reading of JSON.

use super::LayoutError;
use super::layout::{self, Layout, Target};
use super::operator::{self, Piece};
use super::slot::Slot;
use super::start_time::TimePattern;
use crate::redact::is_secret;
use hashbrown::HashMap;
use serde_json::{Map, Value};

/// Deepest nesting of a `json_format`.
const DEPTH_MAX: usize = 16;

/// The meaning of one key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'k> {
    Slot(Slot),
    /// To `unmapped` under its own name.
    Extra,
    /// Named in `unmapped`, but never kept.
    Redacted,
    /// A text made by several operators.
    Text(&'k Layout),
    /// An object with keys of its own.
    Object(&'k Keys),
}

#[derive(Debug)]
enum Custom {
    Slot(Slot),
    Extra,
    Redacted,
    Text(Box<Layout>),
    Object(Box<Keys>),
}

/// The keys of one JSON format.
#[derive(Debug, Default)]
pub(super) struct Keys {
    custom: HashMap<String, Custom>,
    pub(super) time: TimePattern,
}

impl Keys {
    /// The keys of a `json_format`.
    pub(super) fn of_layout(object: &Map<String, Value>) -> Result<Self, LayoutError> {
        let mut time = None;
        let mut operators = 0;
        let mut keys = of_object(object, "", DEPTH_MAX, &mut time, &mut operators)?;
        if operators == 0 {
            return Err(LayoutError::NoOperator);
        }
        keys.share_time(&time.unwrap_or_default());
        Ok(keys)
    }

    fn share_time(&mut self, time: &TimePattern) {
        self.time = time.clone();
        for custom in self.custom.values_mut() {
            match custom {
                Custom::Text(layout) => layout.time = time.clone(),
                Custom::Object(keys) => keys.share_time(time),
                Custom::Slot(_) | Custom::Extra | Custom::Redacted => {}
            }
        }
    }

    /// The meaning of a key; a key that the user's layout does not name has its usual one.
    pub(super) fn kind(&self, key: &str) -> Kind<'_> {
        match self.custom.get(key) {
            Some(Custom::Slot(slot)) => Kind::Slot(*slot),
            Some(Custom::Extra) => Kind::Extra,
            Some(Custom::Redacted) => Kind::Redacted,
            Some(Custom::Text(layout)) => Kind::Text(layout),
            Some(Custom::Object(keys)) => Kind::Object(keys),
            None => match Slot::of_key(key) {
                Some(slot) => Kind::Slot(slot),
                None if is_secret(key) => Kind::Redacted,
                None => Kind::Extra,
            },
        }
    }
}

fn of_object(
    object: &Map<String, Value>,
    around: &str,
    depth: usize,
    time: &mut Option<TimePattern>,
    operators: &mut usize,
) -> Result<Keys, LayoutError> {
    let mut keys = Keys::default();
    for (key, value) in object {
        let path = if around.is_empty() { key.clone() } else { format!("{around}.{key}") };
        let custom = match value {
            Value::String(text) => of_text(text, time, operators)?,
            Value::Object(object) if depth > 0 => {
                Custom::Object(Box::new(of_object(object, &path, depth - 1, time, operators)?))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Custom::Extra,
            Value::Array(_) | Value::Object(_) => return Err(LayoutError::JsonValue { key: path }),
        };
        keys.custom.insert(key.clone(), custom);
    }
    Ok(keys)
}

fn of_text(text: &str, time: &mut Option<TimePattern>, operators: &mut usize) -> Result<Custom, LayoutError> {
    let pieces = operator::pieces(text)?;
    let count = pieces.iter().filter(|piece| matches!(piece, Piece::Operator { .. })).count();
    *operators += count;
    Ok(match pieces.as_slice() {
        [Piece::Operator { name, argument }] => match layout::target_of(name, argument.as_deref(), time)?.0 {
            Target::Slot(slot) => Custom::Slot(slot),
            Target::Extra(_) => Custom::Extra,
            Target::Redacted(_) => Custom::Redacted,
        },
        _ if count == 0 => Custom::Extra,
        _ => Custom::Text(Box::new(Layout::compile_part(text, time)?)),
    })
}

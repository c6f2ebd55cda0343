//! One access log record, as values by slot. Not text or JSON any more, and not yet columns.

use super::slot::Slot;
use std::borrow::Cow;

/// Most values without a slot that one record may hold.
const EXTRAS_MAX: usize = 256;

/// A value that is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A text, unescaped.
    Text(Cow<'a, str>),
    /// A JSON number, as it stands there.
    Number(&'a str),
    /// Any other JSON value, as it stands there.
    Json(&'a str),
    /// A value that is never kept.
    Redacted,
}

/// Scratch for one record after the other. Invariant: only slots whose bit is set in `present` hold a value of this record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    slots: Vec<Value<'a>>,
    present: u64,
    logged: u64,
    extras: Vec<(Cow<'a, str>, Value<'a>)>,
    /// Whether no text in it has a character that JSON escapes.
    pub(super) is_plain: bool,
    /// Start of the request or connection, where a time of this layout was read.
    pub(super) start_time: Option<i64>,
}

/// More values than a record may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl<'a> Record<'a> {
    pub(super) fn new() -> Self {
        let slots = vec![Value::Redacted; Slot::ALL.len()];
        Self { slots, present: 0, logged: 0, extras: Vec::new(), is_plain: false, start_time: None }
    }

    pub(super) fn clear(&mut self) {
        self.present = 0;
        self.logged = 0;
        self.extras.clear();
        self.is_plain = false;
        self.start_time = None;
    }

    /// Sets a value. `-` and the empty text stand for an absent one, which never replaces a value that is present.
    #[inline(always)]
    pub(super) fn set(&mut self, slot: Slot, value: Value<'a>) {
        self.logged |= slot.bit();
        if matches!(&value, Value::Text(text) if text.is_empty() || text == "-") {
            return;
        }
        self.present |= slot.bit();
        self.slots[slot as usize] = value;
    }

    /// Notes that the log has the field but no value for it.
    #[inline]
    pub(super) fn set_absent(&mut self, slot: Slot) {
        self.logged |= slot.bit();
    }

    /// Sets a value that has no slot; the last of several with one name counts.
    pub(super) fn set_extra(&mut self, name: Cow<'a, str>, value: Value<'a>) -> Result<(), TooMany> {
        if matches!(&value, Value::Text(text) if text.is_empty() || text == "-") {
            return Ok(());
        }
        if let Some(extra) = self.extras.iter_mut().find(|(known, _)| *known == name) {
            extra.1 = value;
            return Ok(());
        }
        if self.extras.len() == EXTRAS_MAX {
            return Err(TooMany);
        }
        self.extras.push((name, value));
        Ok(())
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Value<'a>> {
        (self.present & slot.bit() != 0).then(|| &self.slots[slot as usize])
    }

    /// The text of a text or number.
    #[inline]
    pub(super) fn text(&self, slot: Slot) -> Option<&str> {
        match self.get(slot)? {
            Value::Text(text) => Some(text),
            Value::Number(text) => Some(text),
            Value::Json(_) | Value::Redacted => None,
        }
    }

    /// Whether the log has the field, with or without a value.
    pub(super) fn is_logged(&self, slot: Slot) -> bool {
        self.logged & slot.bit() != 0
    }

    /// Bits of the slots that hold a value.
    pub(super) fn present(&self) -> u64 {
        self.present
    }

    pub(super) fn extras(&self) -> &[(Cow<'a, str>, Value<'a>)] {
        &self.extras
    }
}

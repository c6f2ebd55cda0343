//! The values of one record by field, wherever they come from, and whether it is a connection at all. Not yet columns.

use super::field::{FIELDS, Field};
use crate::contract::Reason;

/// Where values without a field are put; nothing reads it.
pub(super) const NO_FIELD: u8 = 255;

/// Values of one record; an empty text stands for an absent one.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    values: [&'a str; FIELDS],
}

impl<'a> Record<'a> {
    pub(super) const fn new() -> Self {
        Self { values: [""; FIELDS] }
    }

    #[inline]
    pub(super) fn get(&self, field: Field) -> &'a str {
        self.values[field as usize]
    }

    #[inline]
    pub(super) fn set(&mut self, field: Field, value: &'a str) {
        self.values[field as usize] = value;
    }

    /// Sets the value of the field at a place of [`Field::ALL`]; nothing for [`NO_FIELD`].
    #[inline]
    pub(super) fn set_at(&mut self, place: u8, value: &'a str) {
        if let Some(slot) = self.values.get_mut(usize::from(place)) {
            *slot = value;
        }
    }

    /// Says why the record is no connection, if it is none.
    #[inline]
    pub(super) fn check_log(&self) -> Result<(), Fault> {
        check_log(self.get(Field::Path), |field| !self.get(field).is_empty())
    }
}

/// Why a record is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Fault {
    #[cold]
    pub(super) fn value(reason: Reason, field: Field, value: &str, expected: &str) -> Self {
        let shown: String = value.chars().take(80).collect();
        Self { reason, detail: format!("{}: `{shown}` is not {expected}", field.name()) }
    }

    #[cold]
    pub(super) fn other_log(detail: String) -> Self {
        Self { reason: Reason::OtherLog, detail }
    }
}

/// Says why records of a log with this path and these fields are no connections, if they are none.
///
/// Filters may give conn.log another path, so its own field `conn_state` decides. Where columns are left out, a record
/// with both addresses and what only conn.log counts is taken for one.
#[inline]
pub(super) fn check_log(path: &str, has: impl Fn(Field) -> bool) -> Result<(), Fault> {
    match path {
        "conn" => Ok(()),
        "open_conn" | "conn_long" | "conn-long" => Err(Fault::other_log(format!(
            "a record of the Zeek log `{path}`: a running count of a connection that conn.log reports when it ends"
        ))),
        _ if has(Field::State) => Ok(()),
        "" if looks_like_connection(has) => Ok(()),
        path => Err(other_log(path)),
    }
}

fn looks_like_connection(has: impl Fn(Field) -> bool) -> bool {
    [Field::OriginatorAddress, Field::ResponderAddress, Field::Protocol].into_iter().all(&has)
        && [Field::Duration, Field::OriginatorBytes, Field::OriginatorPackets, Field::History].into_iter().any(has)
}

#[cold]
fn other_log(path: &str) -> Fault {
    if path.is_empty() {
        return Fault::other_log("no `_path` and no `conn_state`: not a record of Zeek's conn.log".to_owned());
    }
    let shown: String = path.chars().take(80).collect();
    Fault::other_log(format!("a record of the Zeek log `{shown}`, not of conn.log"))
}

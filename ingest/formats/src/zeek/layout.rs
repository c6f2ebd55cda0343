//! What a header means for the rows below it: which column is which field, what goes to `unmapped`, and whether the rows
//! are connections at all.

use super::field::{Field, Shape};
use super::header::Header;
use super::record::{Fault, NO_FIELD, check_log};
use super::unmapped;
use crate::contract::Reason;
use thiserror::Error;

/// The most fields a log may have.
pub const FIELDS_MAX: usize = 200;

/// Fields that cannot be those of a conn.log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// No field at all.
    #[error(
        "no field is named: write the fields of the log, such as `ts uid id.orig_h id.orig_p id.resp_h id.resp_p …`"
    )]
    Empty,
    /// Too many.
    #[error("{0} fields, more than {FIELDS_MAX}")]
    TooMany(usize),
    /// One twice.
    #[error("the field `{0}` is named twice")]
    Twice(String),
    /// Not those of a connection.
    #[error("{0}")]
    OtherLog(String),
}

/// Where a column without a field of its own goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extra {
    pub(super) place: u8,
    /// The name with quotes and colon.
    pub(super) member: String,
    pub(super) shape: Shape,
}

/// Columns of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) header: Header,
    /// Place of the field in [`Field::ALL`] for each column, or [`NO_FIELD`].
    pub(super) fields: Vec<u8>,
    pub(super) extras: Vec<Extra>,
    /// Why no row can be read.
    pub(super) fault: Option<Fault>,
}

impl Layout {
    pub(super) fn new(header: Header) -> Self {
        let mut layout = Self { header, fields: Vec::new(), extras: Vec::new(), fault: None };
        layout.fault = layout.fill().err();
        layout
    }

    /// Of field names separated by spaces, tabs or commas.
    pub(super) fn parse(text: &str) -> Result<Self, LayoutError> {
        let names = text.split(|c: char| c.is_whitespace() || c == ',').filter(|name| !name.is_empty());
        let header = Header::of_fields(names);
        check_fields(&header)?;
        let layout = Self::new(header);
        match layout.fault {
            Some(fault) => Err(LayoutError::OtherLog(fault.detail)),
            None => Ok(layout),
        }
    }

    fn fill(&mut self) -> Result<(), Fault> {
        let syntax = |detail: String| Fault { reason: Reason::BadSyntax, detail };
        if let Some(fault) = &self.header.fault {
            return Err(syntax(fault.clone()));
        }
        check_fields(&self.header).map_err(|error| match error {
            LayoutError::Empty => syntax("there is no `#fields` line before it".to_owned()),
            error => syntax(format!("the `#fields` line before it cannot be used: {error}")),
        })?;
        let names = &self.header.fields;
        check_log(&self.header.path, |field| names.iter().any(|name| Field::from_name(name) == Some(field)))?;
        for (place, name) in (0..).zip(names) {
            let field = Field::from_name(name);
            let number = field.map_or(Some(NO_FIELD), |field| u8::try_from(field as usize).ok());
            self.fields.push(number.unwrap_or(NO_FIELD));
            if field.is_none_or(Field::is_kept) {
                let told = self.header.types.get(usize::from(place));
                let shape = told.map_or_else(|| Shape::of_name(name), |told| Shape::of_type(told));
                self.extras.push(Extra { place, member: unmapped::member(name), shape });
            }
        }
        Ok(())
    }

    /// What a person should know of it.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let lacks = |field: Field| !self.header.fields.iter().any(|name| Field::from_name(name) == Some(field));
        if lacks(Field::OriginatorAddress) || lacks(Field::ResponderAddress) {
            notes.push("the log lacks the address of an end: flows have no peer there".to_owned());
        }
        if lacks(Field::Time) {
            notes.push("the log has no time: `time_quality` is `missing`".to_owned());
        }
        if lacks(Field::State) {
            notes.push("the log has no `conn_state`: outcomes are unknown".to_owned());
        }
        notes
    }
}

fn check_fields(header: &Header) -> Result<(), LayoutError> {
    let names = &header.fields;
    if names.is_empty() {
        return Err(LayoutError::Empty);
    }
    if names.len() > FIELDS_MAX {
        return Err(LayoutError::TooMany(names.len()));
    }
    for (index, name) in names.iter().enumerate() {
        let field = Field::from_name(name);
        let is_same = |other: &String| other == name || (field.is_some() && Field::from_name(other) == field);
        if names[..index].iter().any(is_same) {
            return Err(LayoutError::Twice(name.chars().take(80).collect()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_that_cannot_be_used() {
        fn check(text: &str, expected: &str) {
            let error = Layout::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
        check(" ", "no field is named");
        check("ts conn_state ts", "`ts` is named twice");
        check("id.orig_h conn_state id_orig_h", "`id_orig_h` is named twice");
        check("ts uid query", "not a record of Zeek's conn.log");
        check(&(0..201).map(|n| format!("f{n}")).collect::<Vec<_>>().join(" "), "more than 200");
        assert!(Layout::parse("ts,id.orig_h\tid.resp_h proto duration").is_ok());
    }

    #[test]
    fn notes_name_what_is_missing() {
        let notes = |text: &str| Layout::parse(text).expect("usable").notes().join("; ");
        assert_eq!(notes("ts id.orig_h id.resp_h conn_state"), "");
        assert!(notes("id.orig_h conn_state").contains("lacks the address"));
        assert!(notes("id.orig_h id.resp_h conn_state").contains("no time"));
        assert!(notes("ts id.orig_h id.resp_h proto orig_pkts").contains("no `conn_state`"));
    }
}

//! Access logs in text: lines cut by a compiled format string.

use super::LayoutError;
use super::layout::{Layout, Target};
use super::mapping::{Columns, Fault};
use super::record::{Record, TooMany, Value};
use super::slot::Slot;
use crate::contract::{Decoded, Format, Reason};
use crate::lines;
use std::borrow::Cow;

/// Text by a format string.
#[derive(Debug)]
pub(super) struct Text {
    layout: Layout,
}

impl Text {
    pub(super) fn compile(layout: &str) -> Result<Self, LayoutError> {
        Ok(Self { layout: Layout::compile(layout)?.without_line_end() })
    }

    /// Whether a line fits the layout.
    pub(super) fn fits(&self, line: &str) -> bool {
        self.layout.cut(line, &mut Vec::new()).is_ok()
    }
}

/// Puts the values of a cut text into the record, each as `keep` makes it.
pub(super) fn fill<'t, 'a>(
    layout: &'a Layout,
    values: &[&'t str],
    keep: impl Fn(&'t str) -> Cow<'a, str>,
    record: &mut Record<'a>,
) -> Result<(), Fault> {
    let too_many = |TooMany| Fault { reason: Reason::TooComplex, detail: "too many fields".to_owned() };
    for (field, &value) in layout.fields.iter().zip(values) {
        match &field.target {
            Target::Slot(Slot::StartTime) if value == "-" || value.is_empty() => {}
            Target::Slot(Slot::StartTime) => {
                record.start_time = Some(layout.time.parse(value).ok_or_else(|| Fault::time(value))?);
            }
            Target::Slot(slot) => record.set(*slot, Value::Text(keep(value))),
            Target::Extra(name) => {
                record.set_extra(Cow::Borrowed(name), Value::Text(keep(value))).map_err(too_many)?;
            }
            Target::Redacted(_) if value == "-" || value.is_empty() => {}
            Target::Redacted(name) => record.set_extra(Cow::Borrowed(name), Value::Redacted).map_err(too_many)?,
        }
    }
    Ok(())
}

impl Format for Text {
    fn name(&self) -> &'static str {
        super::mapping::SOURCE_NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let first = out.flows.len();
        let mut record = Record::new();
        let mut values = Vec::with_capacity(self.layout.fields.len());
        let mut columns = Columns::default();
        lines::for_each(input, offset, out, |line, position, out| {
            if let Err(index) = self.layout.cut(line, &mut values) {
                let operator = &self.layout.fields[index].operator;
                let detail = format!("the line does not fit the layout at field {} (%{operator}%)", index + 1);
                out.reject(Reason::BadSyntax, detail, position, line.as_bytes());
                return;
            }
            record.clear();
            let written = fill(&self.layout, &values, Cow::Borrowed, &mut record)
                .and_then(|()| columns.write(&record, position, &mut out.flows));
            match written {
                Ok(()) => out.accept(),
                Err(fault) => out.reject(fault.reason, fault.detail, position, line.as_bytes()),
            }
        });
        Columns::complete(first, &mut out.flows);
    }
}

//! Formats that a user describes in TOML: how a record becomes fields, which column each is for, what words stand for. Not a language: what needs
//! conditions or arithmetic is a format of its own.

mod columns;
mod compile;
mod page;
mod pattern;
mod record;
mod settings;

use crate::contract::{Decoded, Fault, Format};
use crate::detect::{Chosen, Framing, first_line};
use crate::framing::Records;
use crate::registry::Family;
use crate::rows::{Nature, Rows, Written};
use columns::Times;
use compile::{Binding, Judge, Plan, Reader};
use record::Record;
use std::sync::Arc;
use tradewind_model::TextCol;

/// The name of the family; rows have the mapping's own name in `source`.
const NAME: &str = "mapping";

/// Formats that a user describes.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "a format of your own, described in TOML: `mapping:FILE`",
    page: page::PAGE,
    decoders: || page::EXAMPLES.iter().filter_map(|text| Plan::parse(text).ok()?.decoder(None)).collect(),
    recognise: |_| None,
    named,
    check_layout: Some(|text| Plan::parse(text).map(|_| ()).map_err(|error| error.to_string())),
};

fn named(head: &[u8], text: Option<&str>) -> Result<Chosen, String> {
    let text = text.ok_or("it needs a mapping: `mapping:FILE`")?;
    let plan = Plan::parse(text).map_err(|error| error.to_string())?;
    let line = std::str::from_utf8(first_line(head)).map_err(|_| "its first line is not text".to_owned())?;
    let reads_header = plan.reads_header();
    let decoder = plan.decoder(Some(line)).ok_or("its first line does not name the fields that the mapping uses")?;
    let mut chosen = Chosen::new(decoder.0, Framing::Text(decoder.1), "the given mapping".to_owned());
    if reads_header {
        let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(head.len());
        chosen.skip = memchr::memchr(b'\n', &head[start..]).map_or(head.len(), |end| start + end + 1);
    }
    Ok(chosen)
}

/// Records that are read as a mapping says.
#[derive(Debug)]
struct Mapped {
    plan: Plan,
    reader: Reader,
    bindings: Vec<Binding>,
    judges: Judge,
    constants: Vec<(TextCol, String)>,
}

impl Format for Mapped {
    fn name(&self) -> &'static str {
        self.plan.name
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let nature = Nature {
            kind: self.plan.settings.kind.as_str(),
            vantage: self.plan.settings.vantage.map(settings::Vantage::as_str),
            orientation: if self.plan.settings.is_src_dst_assignment_known { "log" } else { "unknown" },
        };
        let mut rows = Rows::new(out, self.plan.name, nature);
        if matches!(self.reader, Reader::Json) {
            rows.each_json(input, offset, Records::JsonObjects, |rows, value| self.write(&Record::Json(value), rows));
        } else {
            rows.each_line(input, offset, |rows, line| self.write(&self.reader.read(line)?, rows));
        }
        rows.finish();
    }
}

impl Mapped {
    fn write(&self, record: &Record<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
        for skip in &self.judges.skips {
            if let Some(value) = record
                .peek(&skip.field)
                .filter(|value| skip.values.iter().any(|skipped| skipped.eq_ignore_ascii_case(value)))
            {
                return Err(Fault::other_log(format!(
                    "`{}` is `{}`",
                    skip.field.name,
                    value.chars().take(40).collect::<String>()
                )));
            }
        }
        let mut times = Times::default();
        for binding in &self.bindings {
            if let Some(value) = record.get(&binding.field).filter(|value| !matches!(*value, "" | "-")) {
                columns::set(binding.target, &binding.field.name, value, &mut times, rows)?;
            }
        }
        times.set(rows);
        for (column, text) in &self.constants {
            rows.text(*column, text);
        }
        rows.judge(
            self.judges.verdict.as_ref().and_then(|words| words.of(record)),
            self.judges.result.as_ref().and_then(|words| words.of(record)),
        );
        record.leave(&self.judges.mapped, rows);
        Ok(Written::Row)
    }
}

/// The decoder of a plan with what is known of its fields.
type Made = Option<(Arc<dyn Format>, Records)>;

#[cfg(test)]
mod tests;

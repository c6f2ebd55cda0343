//! `tradewind formats`: which log formats are read, how they are told apart, and what becomes of their fields.

use crate::context::Context;
use crate::failure::usage;
use crate::output::{self, OutputFormat, line};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use clap::Args;
use std::sync::Arc;
use tradewind_formats::detect::names;
use tradewind_formats::{Family, family};
use tradewind_model::outcome::{ConnectionResult, Verdict, outcome};

/// List the log formats that are read, or explain one
///
/// The format of a file is found out from its first bytes: a header line, the keys of JSON, or the shape of the lines.
/// The names are those of --input-format. With a name: where each column of table `flows` comes from, what is not mapped,
/// and which record has which outcome.
#[derive(Args, Debug)]
pub(crate) struct FormatsArgs {
    /// The format to explain
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// A name that is no format.
pub(crate) fn run(args: &FormatsArgs, context: &Context) -> anyhow::Result<()> {
    let format = context.output.unwrap_or(OutputFormat::Table);
    let Some(name) = &args.name else { return list(format) };
    let Some(family) = family(name) else {
        return Err(usage(format!("`{name}` is no input format; `tradewind formats` lists them")));
    };
    if format == OutputFormat::Table { explain(family) } else { write(format, &rows(family)) }
}

fn list(format: OutputFormat) -> anyhow::Result<()> {
    let column = |texts: Vec<&'static str>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let (names, what) = names().into_iter().unzip();
    let batch = RecordBatch::try_from_iter([("name", column(names)), ("what", column(what))])?;
    output::write_batches(format, &batch.schema(), &[batch])
}

/// One line of the description: the part it belongs to, its subject, and what is said of it.
type Line = [String; 3];

/// The description as rows, for programs.
fn rows(family: &Family) -> Vec<Line> {
    let row = |part: &str, subject: &str, text: &str| [part.to_owned(), subject.to_owned(), text.to_owned()];
    let page = &family.page;
    let columns = page.columns.iter().map(|(column, from)| row("column", column, from));
    let others = page.not_mapped.iter().map(|(field, why)| row("not_mapped", field, why));
    let outcomes = page.outcomes.iter().map(|answer| row("outcome", answer.when, &judgement(answer)));
    columns.chain(others).chain(outcomes).collect()
}

/// `denied (verdict denied)`: the outcome and the facts it is made of.
fn judgement(answer: &tradewind_formats::page::Answer) -> String {
    let verdict = answer.verdict.map(|verdict| format!("verdict {}", Verdict::as_str(verdict)));
    let result = answer.result.map(|result| format!("result {}", ConnectionResult::as_str(result)));
    let facts: Vec<String> = verdict.into_iter().chain(result).collect();
    let outcome = outcome(answer.verdict, answer.result).as_str();
    if facts.is_empty() { outcome.to_owned() } else { format!("{outcome} ({})", facts.join(", ")) }
}

fn write(format: OutputFormat, rows: &[Line]) -> anyhow::Result<()> {
    let column = |place: usize| Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[place]))) as ArrayRef;
    let columns = [("part", column(0)), ("subject", column(1)), ("text", column(2))];
    let batch = RecordBatch::try_from_iter(columns)?;
    output::write_batches(format, &batch.schema(), &[batch])
}

/// The description for reading: nothing is cut.
fn explain(family: &Family) -> anyhow::Result<()> {
    let page = &family.page;
    line(&format!("{}: {}\n", family.name, page.title))?;
    line(&output::wrapped(&plain(page.about), 0))?;
    line(&output::wrapped(&format!("Fields after: {}.", page.sources.join("; ")), 0))?;
    let mut part = String::new();
    for [of, subject, text] in rows(family) {
        if part != of {
            let heading = match of.as_str() {
                "column" => "Columns, and what each is made of",
                "not_mapped" => "Not mapped",
                _ => "Outcomes, first match first",
            };
            line(&format!("\n{heading}"))?;
            part = of;
        }
        let text = if part == "column" { format!("{subject}: {text}") } else { format!("{subject} -> {text}") };
        line(&output::wrapped(&plain(&text), 2))?;
    }
    Ok(())
}

/// Without the marks of Markdown.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

//! The interactive prompt: several lines until `;`, history, and commands that begin with a backslash.

use super::{answer, statements};
use crate::context::Context;
use crate::failure;
use crate::output::{self, OutputFormat, line, note};
use anyhow::Context as _;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tradewind_model::table::TABLES;
use tradewind_storage::Lake;

const FIRST: &str = "tradewind> ";
const FURTHER: &str = "        -> ";

const HELP: &str = "\
A query ends with `;` and may span several lines.
  \\d          list the tables
  \\d TABLE    list the columns of a table
  \\timing     switch the time that each query took on or off
  \\?          this help
  \\q          leave (or Ctrl-D); Ctrl-C drops what was typed, or stops a running query";

/// What the prompt remembers between lines.
struct Prompt<'a> {
    context: &'a Context,
    lake: Lake,
    format: OutputFormat,
    shows_time: bool,
}

pub(super) fn run(context: &Context, format: OutputFormat) -> anyhow::Result<()> {
    let lake = context.runtime.block_on(Lake::open(context.lake_location()?))?;
    let mut editor = DefaultEditor::new().context("failed to open the prompt")?;
    let history = history_file();
    if let Some(history) = &history {
        // There is none at the first start.
        editor.load_history(history).ok();
    }
    note(&format!(
        "tradewind {} on {}. \\? for help, \\q to leave.",
        env!("CARGO_PKG_VERSION"),
        context.lake().display()
    ));
    let mut prompt = Prompt { context, lake, format, shows_time: false };
    let mut pending = String::new();
    loop {
        match editor.readline(if pending.is_empty() { FIRST } else { FURTHER }) {
            Ok(typed) if pending.is_empty() && typed.trim_start().starts_with('\\') => {
                editor.add_history_entry(typed.trim()).ok();
                if !prompt.command(typed.trim())? {
                    break;
                }
            }
            Ok(typed) => {
                pending.push_str(&typed);
                pending.push('\n');
                let (queries, rest) = statements::split(&pending);
                for query in queries {
                    editor.add_history_entry(format!("{query};")).ok();
                    prompt.answer(&query);
                }
                pending = if statements::is_blank(&rest) { String::new() } else { rest };
            }
            Err(ReadlineError::Interrupted) => pending.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("failed to read from the terminal"),
        }
    }
    if let Some(history) = &history {
        if let Some(folder) = history.parent() {
            std::fs::create_dir_all(folder).ok();
        }
        if let Err(error) = editor.save_history(history) {
            tracing::warn!(path = %history.display(), %error, "history not saved");
        }
    }
    Ok(())
}

impl Prompt<'_> {
    /// Answers a query; errors are shown and the prompt goes on. Ctrl-C stops it.
    fn answer(&self, query: &str) {
        let start = Instant::now();
        let result = self.context.runtime.block_on(async {
            tokio::select! {
                result = answer(&self.lake, query, self.format) => result,
                _ = tokio::signal::ctrl_c() => {
                    note("stopped");
                    Ok(())
                }
            }
        });
        if let Err(error) = result {
            note(failure::text(&error).trim_end());
        } else if self.shows_time {
            note(&format!("{:.3} s", start.elapsed().as_secs_f64()));
        }
    }

    /// Runs a backslash command. False when it ends the prompt.
    fn command(&mut self, typed: &str) -> anyhow::Result<bool> {
        let (command, argument) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
        match (command, argument.trim().trim_end_matches(';')) {
            ("\\q", _) => return Ok(false),
            ("\\?", _) => line(HELP)?,
            ("\\timing", _) => {
                self.shows_time = !self.shows_time;
                note(if self.shows_time { "timing is on" } else { "timing is off" });
            }
            ("\\d", "") => show(&["table", "meaning"], TABLES.iter().map(|table| vec![table.name, table.meaning]))?,
            ("\\d", name) => describe(name)?,
            _ => note(&format!("{command} is not known: \\? lists what is")),
        }
        Ok(true)
    }
}

fn describe(name: &str) -> anyhow::Result<()> {
    let Some(table) = TABLES.iter().find(|table| table.name.eq_ignore_ascii_case(name)) else {
        note(&format!("there is no table {name}: \\d lists the tables"));
        return Ok(());
    };
    let rows = table.fields.iter().map(|field| {
        vec![field.name, field.ty.delta(), if field.nullable { "yes" } else { "no" }, field.unit, field.meaning]
    });
    show(&["column", "type", "null", "unit or words", "meaning"], rows)
}

fn show<'a>(names: &[&str], rows: impl Iterator<Item = Vec<&'a str>>) -> anyhow::Result<()> {
    let rows: Vec<Vec<&str>> = rows.collect();
    let columns = names.iter().enumerate().map(|(index, &name)| {
        let column: StringArray = rows.iter().map(|row| Some(row[index])).collect();
        (name, Arc::new(column) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(columns)?;
    output::write_batches(OutputFormat::Table, &batch.schema(), &[batch])
}

/// `$XDG_STATE_HOME/tradewind/sql_history`, by default below `~/.local/state` (XDG base directory specification).
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    Some(state.or_else(home)?.join("tradewind/sql_history"))
}

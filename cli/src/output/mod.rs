//! How results are written: one writer for each format over a stream of record batches.
//!
//! Memory is bounded: a table is laid out from the beginnings of its first cells only, all other formats are written as the
//! rows come.

mod parquet;
mod query;
mod record;
mod table;
mod terminal;
mod text;
mod times;

pub(crate) use query::printable_query;
pub(crate) use record::{Record, json, json_pretty};
#[cfg(test)]
pub(crate) use terminal::steers;
pub(crate) use terminal::{printable, printable_lines};

use crate::failure::usage;
use anyhow::Context as _;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use clap::ValueEnum;
use futures::{Stream, StreamExt as _};
use std::io::{self, BufWriter, IsTerminal as _, Write};

/// Width of a terminal that does not tell it.
const WIDTH_DEFAULT: u16 = 80;

/// The formats of `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Columns for reading: cut to the width of the terminal, and to 200 characters a cell and 10,000 rows everywhere
    Table,
    /// One JSON array
    Json,
    /// One JSON object a line
    Ndjson,
    /// CSV with a header line; texts are written as they are
    Csv,
    /// An Apache Parquet file
    Parquet,
}

/// Writes batches of one schema.
pub(crate) trait BatchWriter {
    /// Writes the rows.
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()>;

    /// Whether further rows would not be shown.
    fn is_full(&self) -> bool {
        false
    }

    /// Writes what is held back and what closes the output.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

/// Standard output, buffered.
pub(crate) fn standard_output() -> Box<dyn Write + Send> {
    Box::new(BufWriter::with_capacity(64 * 1024, io::stdout()))
}

/// A writer of the format to `out`. `width` is that of the terminal, where `out` is one.
pub(crate) fn writer(
    format: OutputFormat,
    schema: &SchemaRef,
    out: Box<dyn Write + Send>,
    width: Option<u16>,
) -> anyhow::Result<Box<dyn BatchWriter>> {
    Ok(match format {
        OutputFormat::Table => Box::new(table::TableWriter::new(schema, out, width)),
        OutputFormat::Json => Box::new(text::TextWriter::json(out)),
        OutputFormat::Ndjson => Box::new(text::TextWriter::ndjson(out)),
        OutputFormat::Csv => Box::new(text::TextWriter::csv(schema, out, width.is_some())?),
        OutputFormat::Parquet => Box::new(parquet::ParquetWriter::new(schema, out)?),
    })
}

/// A writer of the format to standard output.
pub(crate) fn to_standard_output(format: OutputFormat, schema: &SchemaRef) -> anyhow::Result<Box<dyn BatchWriter>> {
    if format == OutputFormat::Parquet && io::stdout().is_terminal() {
        return Err(usage(
            "Parquet is not for reading on a terminal: send it to a file, as in `-o parquet > rows.parquet`",
        ));
    }
    writer(format, schema, standard_output(), terminal_width())
}

/// A writer of a table to standard output that leaves out columns without any value.
pub(crate) fn sparse_table(schema: &SchemaRef) -> Box<dyn BatchWriter> {
    Box::new(table::TableWriter::new(schema, standard_output(), terminal_width()).without_empty_columns())
}

/// Width of the terminal that standard output is, if it is one.
fn terminal_width() -> Option<u16> {
    io::stdout().is_terminal().then(|| comfy_table::Table::new().width().unwrap_or(WIDTH_DEFAULT))
}

/// Writes all batches of a stream to standard output and says the number of rows on standard error where a person reads.
/// Returns that number.
pub(crate) async fn write_stream<S, E>(
    format: OutputFormat,
    schema: &SchemaRef,
    mut batches: S,
) -> anyhow::Result<usize>
where
    S: Stream<Item = Result<RecordBatch, E>> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    // An error in the first batch comes before any output.
    let mut next = batches.next().await.transpose()?;
    let mut writer = to_standard_output(format, schema)?;
    let mut rows = 0;
    while let Some(batch) = next {
        rows += batch.num_rows();
        writer.write(&batch)?;
        if writer.is_full() {
            break;
        }
        next = batches.next().await.transpose()?;
    }
    writer.finish()?;
    Ok(rows)
}

/// As [`write_stream`], for batches that are at hand.
pub(crate) fn write_batches(format: OutputFormat, schema: &SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<()> {
    let mut writer = to_standard_output(format, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
}

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("failed to write to standard output")
}

/// Text in lines no wider than the terminal, or 100 characters where there is none; each begins with `indent` blanks, and
/// where it is indented, those after the first with four more.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    const WIDTH_ELSEWHERE: u16 = 100;
    wrap(text, indent, usize::from(terminal_width().unwrap_or(WIDTH_ELSEWHERE)))
}

fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut lines = " ".repeat(indent);
    let mut filled = indent;
    let mut is_first = true;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if !is_first && filled + 1 + length > width {
            lines.push('\n');
            filled = if indent > 0 { indent + 4 } else { 0 };
            lines.push_str(&" ".repeat(filled));
        } else if !is_first {
            lines.push(' ');
            filled += 1;
        }
        lines.push_str(word);
        filled += length;
        is_first = false;
    }
    lines
}

/// Refuses what a summary is not written as: for commands that answer with one.
///
/// # Errors
/// A format for rows alone.
pub(crate) fn check_summary(output: Option<OutputFormat>) -> anyhow::Result<()> {
    match output {
        Some(OutputFormat::Csv | OutputFormat::Parquet) => Err(usage("this is written as table, json or ndjson")),
        _ => Ok(()),
    }
}

/// Writes a summary to standard output: as JSON where that is asked for, else as lines for a person.
pub(crate) fn summary(
    value: &impl serde::Serialize,
    lines: impl Fn() -> Vec<String>,
    output: Option<OutputFormat>,
) -> anyhow::Result<()> {
    match output {
        Some(OutputFormat::Json) => line(&json_pretty(value)?),
        Some(OutputFormat::Ndjson) => line(&json(value)?),
        _ => lines().iter().try_for_each(|text| line(&printable(text))),
    }
}

/// Writes a line for a person to standard error, without what steers the terminal. That it cannot be written is no reason
/// to stop.
pub(crate) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{}", printable_lines(text)).ok();
}

/// `1 row`, `1,234 rows`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::Int32Type;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sample() -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("name", Arc::new(StringArray::from(vec![Some("a,\"b\""), None])) as ArrayRef, true),
            ("bytes", Arc::new(Int64Array::from(vec![Some(7), Some(1_234_567)])), true),
            ("score", Arc::new(Float64Array::from(vec![Some(0.5), None])), true),
            (
                "time",
                Arc::new(TimestampMicrosecondArray::from(vec![Some(1_477_913_708_000_000), None]).with_timezone("UTC")),
                true,
            ),
            (
                "ports",
                Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(80), Some(443)]), None])),
                true,
            ),
        ])
        .unwrap()
    }

    fn written(format: OutputFormat, batches: &[RecordBatch], width: Option<u16>) -> Vec<u8> {
        let out = Shared::default();
        let schema = batches.first().map_or_else(|| sample().schema(), RecordBatch::schema);
        let mut writer = writer(format, &schema, Box::new(out.clone()), width).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        out.0.lock().unwrap().clone()
    }

    fn check(format: OutputFormat, expected: &str) {
        assert_eq!(String::from_utf8(written(format, &[sample()], None)).unwrap(), expected);
    }

    #[test]
    fn long_texts_are_wrapped_at_words() {
        assert_eq!(wrap("one two three", 0, 8), "one two\nthree");
        assert_eq!(wrap("one two three", 2, 9), "  one two\n      three");
        assert_eq!(wrap("a-word-longer-than-the-line x", 0, 5), "a-word-longer-than-the-line\nx");
        assert_eq!(wrap("", 2, 5), "  ");
    }

    #[test]
    fn every_text_format_writes_times_numbers_and_nulls() {
        let first = r#"{"name":"a,\"b\"","bytes":7,"score":0.5,"time":"2016-10-31T11:35:08Z","ports":[80,443]}"#;
        let second = r#"{"name":null,"bytes":1234567,"score":null,"time":null,"ports":null}"#;
        check(OutputFormat::Ndjson, &format!("{first}\n{second}\n"));
        check(OutputFormat::Json, &format!("[\n{first},\n{second}\n]\n"));
        check(
            OutputFormat::Csv,
            "name,bytes,score,time,ports\n\"a,\"\"b\"\"\",7,0.5,2016-10-31T11:35:08Z,\"[80, 443]\"\n,1234567,,,\n",
        );
        check(
            OutputFormat::Table,
            concat!(
                " name  │   bytes │ score │ time                 │ ports     \n",
                "═══════╪═════════╪═══════╪══════════════════════╪═══════════\n",
                " a,\"b\" │       7 │   0.5 │ 2016-10-31T11:35:08Z │ [80, 443] \n",
                "       │ 1234567 │       │                      │           \n",
            ),
        );
    }

    #[test]
    fn nothing_that_steers_reaches_a_terminal() {
        let batch = RecordBatch::try_from_iter([(
            "na\u{9b}me",
            Arc::new(StringArray::from(vec!["a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}b"])) as ArrayRef,
        )])
        .unwrap();
        for format in [OutputFormat::Table, OutputFormat::Json, OutputFormat::Ndjson, OutputFormat::Csv] {
            let text = String::from_utf8(written(format, std::slice::from_ref(&batch), Some(80))).unwrap();
            assert!(!text.contains(|character| steers(character) && character != '\n'), "{format:?}: {text:?}");
        }
        // In a file CSV is data: it has no escapes, so the text stays as it is.
        let text = String::from_utf8(written(OutputFormat::Csv, std::slice::from_ref(&batch), None)).unwrap();
        assert_eq!(text, "na\u{9b}me\na\u{1b}[2J\u{7f}\u{9b}31m\u{202e}b\n");
    }

    #[test]
    fn long_cells_are_cut_in_tables_alone() {
        let long = "ü".repeat(60_000);
        let column = Arc::new(StringArray::from(vec![long.as_str(); 3])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([(long.as_str(), column)]).unwrap();
        let text = |format, width| String::from_utf8(written(format, std::slice::from_ref(&batch), width)).unwrap();
        let table = text(OutputFormat::Table, None);
        assert_eq!(table.matches('…').count(), 4, "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 202), "{table}");
        assert!(text(OutputFormat::Table, Some(40)).lines().all(|line| line.chars().count() <= 40));
        for format in [OutputFormat::Json, OutputFormat::Ndjson, OutputFormat::Csv] {
            assert!(text(format, None).matches(&long).count() >= 3, "{format:?}");
        }
    }

    #[test]
    fn nothing_is_valid_in_every_format() {
        assert_eq!(written(OutputFormat::Json, &[], None), b"[]\n");
        assert_eq!(written(OutputFormat::Ndjson, &[], None), b"");
        assert_eq!(written(OutputFormat::Csv, &[], None), b"name,bytes,score,time,ports\n");
        assert!(written(OutputFormat::Parquet, &[], None).starts_with(b"PAR1"));
    }

    #[test]
    fn parquet_is_read_back_with_its_types() {
        let bytes = written(OutputFormat::Parquet, &[sample(), sample()], None);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let reader = ::parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 1024).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(batches[0].slice(0, 2), sample());
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(counted(0, "row", "rows"), "0 rows");
        assert_eq!(counted(1, "row", "rows"), "1 row");
        assert_eq!(counted(1_234_567, "row", "rows"), "1,234,567 rows");
        assert_eq!(counted(100, "row", "rows"), "100 rows");
    }
}

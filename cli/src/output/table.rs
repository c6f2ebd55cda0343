//! Tables for reading on a terminal: cut to its width, numbers to the right, absent values empty. What has to be whole is
//! written in another format.

use super::{BatchWriter, note, printable, times};
use anyhow::Context as _;
use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Row, Table, Width, presets};
use std::fmt::Write as _;
use std::io::Write;

/// More rows than these are not shown: nobody reads them, and the layout needs all of them in memory.
const ROWS_MAX: usize = 10_000;
/// Longer cells are cut, also where there is no terminal: one long cell makes every line of the table as long.
const CELL_CHARACTERS_MAX: usize = 200;
/// A column is not made narrower than this to make room for others.
const NARROWEST: usize = 12;
/// Spaces around a cell and the line between two.
const MARGIN: usize = 3;

/// Collects rows and lays them out at the end.
pub(super) struct TableWriter {
    names: Vec<String>,
    is_number: Vec<bool>,
    rows: Vec<Vec<String>>,
    has_more: bool,
    has_cut: bool,
    leaves_out_empty: bool,
    out: Box<dyn Write + Send>,
    width: Option<u16>,
}

impl TableWriter {
    pub(super) fn new(schema: &SchemaRef, out: Box<dyn Write + Send>, width: Option<u16>) -> Self {
        let names = schema.fields().iter().map(|field| Beginning::of(field.name()).text).collect();
        let is_number = schema.fields().iter().map(|field| field.data_type().is_numeric()).collect();
        let (rows, has_more, has_cut) = (Vec::new(), false, false);
        Self { names, is_number, rows, has_more, has_cut, leaves_out_empty: false, out, width }
    }

    /// Columns in which no row has a value are left out.
    pub(super) fn without_empty_columns(self) -> Self {
        Self { leaves_out_empty: true, ..self }
    }

    fn leave_out_empty_columns(&mut self) {
        let is_kept: Vec<bool> =
            (0..self.names.len()).map(|index| self.rows.iter().any(|row| !row[index].is_empty())).collect();
        keep(&mut self.names, &is_kept);
        keep(&mut self.is_number, &is_kept);
        self.rows.iter_mut().for_each(|row| keep(row, &is_kept));
    }

    /// Width in characters that each column would like.
    fn natural_widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| name.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl BatchWriter for TableWriter {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let room = ROWS_MAX - self.rows.len();
        self.has_more |= batch.num_rows() > room;
        let batch = times::as_text(&batch.slice(0, batch.num_rows().min(room)))?;
        let options = FormatOptions::default();
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(batch.num_columns());
            for (formatter, column) in formatters.iter().zip(batch.columns()) {
                let mut cell = Beginning::default();
                if !column.is_null(row) && *column.data_type() != DataType::Null {
                    // The only error is that of a cell that is full: what it has is what is shown.
                    write!(cell, "{}", formatter.value(row)).ok();
                }
                self.has_cut |= cell.is_cut;
                cells.push(cell.text);
            }
            self.rows.push(cells);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.has_more
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        if self.leaves_out_empty {
            self.leave_out_empty_columns();
        }
        let natural = self.natural_widths();
        let widths = match self.width {
            Some(width) => fit(&natural, usize::from(width)),
            None => natural,
        };
        let hidden = self.names.len() - widths.len();
        let style = presets::UTF8_NO_BORDERS.with_solid_inner_borders().row_separator(LineStyle::none());
        let mut table = Table::new();
        table.load_style(style).force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.names.iter().take(widths.len()).map(Cell::new));
        for cells in self.rows.drain(..) {
            let cells = cells.into_iter().zip(&widths).map(|(cell, &width)| Cell::new_owned(cut(cell, width)));
            let mut row = Row::from(cells.collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        for (index, &width) in widths.iter().enumerate() {
            let Some(column) = table.column_mut(index) else { continue };
            let width = u16::try_from(width + MARGIN - 1).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            if self.is_number[index] {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let rows = table.row_count();
        for line in table.lines() {
            writeln!(self.out, "{line}").context("failed to write to standard output")?;
        }
        self.out.flush().context("failed to write to standard output")?;
        if hidden > 0 {
            let columns = super::counted(hidden, "column does", "columns do");
            note(&format!("{columns} not fit here: name fewer in the query, or use -o ndjson"));
        }
        if self.has_cut && self.width.is_none() {
            note(&format!(
                "cells of more than {CELL_CHARACTERS_MAX} characters are cut: -o ndjson, csv and parquet have them whole"
            ));
        }
        if self.has_more {
            note(&format!(
                "{} shown; there are more: add a LIMIT, or use -o ndjson, csv or parquet for all",
                super::counted(rows, "row", "rows")
            ));
        } else {
            note(&super::counted(rows, "row", "rows"));
        }
        Ok(())
    }
}

/// Widths of as many of the first columns as fit. Wide columns give way first.
fn fit(natural: &[usize], width: usize) -> Vec<usize> {
    let smallest = |width: usize| width.min(NARROWEST);
    let mut used = 0;
    let mut count = 0;
    for &column in natural {
        used += smallest(column) + MARGIN;
        if used > width + 1 && count > 0 {
            break;
        }
        count += 1;
    }
    let room = (width + 1).saturating_sub(count * MARGIN);
    let mut widths: Vec<usize> = natural[..count].to_vec();
    // Lowers the ceiling on all columns until they fit together.
    let mut ceiling = widths.iter().copied().max().unwrap_or(0);
    while widths.iter().sum::<usize>() > room && ceiling > NARROWEST {
        ceiling -= 1;
        for column in &mut widths {
            *column = (*column).min(ceiling);
        }
    }
    if count == 1 {
        widths[0] = widths[0].min(room.max(1));
    }
    widths
}

/// The text, cut to `width` characters with a sign that it was cut.
fn cut(text: String, width: usize) -> String {
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The values for which there is true in `is_kept`.
fn keep<T>(values: &mut Vec<T>, is_kept: &[bool]) {
    let mut flags = is_kept.iter();
    values.retain(|_| flags.next().copied().unwrap_or_default());
}

/// The first characters of a text as one printable line. It takes no more than it keeps, however long the text is.
#[derive(Debug, Default)]
struct Beginning {
    text: String,
    characters: usize,
    is_cut: bool,
}

impl Beginning {
    fn of(text: &str) -> Self {
        let mut beginning = Self::default();
        // A text that is too long for it is cut, which is no error here.
        beginning.write_str(text).ok();
        beginning
    }
}

impl std::fmt::Write for Beginning {
    /// An error when it is full.
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            for shown in printable(character.encode_utf8(&mut [0; 4])).chars() {
                if self.characters == CELL_CHARACTERS_MAX {
                    if !self.is_cut {
                        self.text.pop();
                        self.text.push('…');
                    }
                    self.is_cut = true;
                    return Err(std::fmt::Error);
                }
                self.text.push(shown);
                self.characters += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(natural: &[usize], width: usize, expected: &[usize]) {
        assert_eq!(fit(natural, width), expected, "{natural:?} in {width}");
    }

    #[test]
    fn columns_share_the_width() {
        check(&[5, 5], 80, &[5, 5]);
        check(&[10, 100], 80, &[10, 65]);
        check(&[50, 50, 10], 80, &[31, 31, 10]);
        check(&[20; 10], 50, &[14, 14, 14]);
        check(&[200], 80, &[78]);
        check(&[], 80, &[]);
    }

    #[test]
    fn cells_are_short_and_on_one_line() {
        let check = |text: &str, expected: &str, is_cut: bool| {
            let beginning = Beginning::of(text);
            assert_eq!((beginning.text.as_str(), beginning.is_cut), (expected, is_cut));
        };
        check("a\u{1b}[31mb\n", "a\\u{1b}[31mb\\n", false);
        check(&"ü".repeat(200), &"ü".repeat(200), false);
        check(&"ü".repeat(201), &format!("{}…", "ü".repeat(199)), true);
        check(&"\n".repeat(101), &format!("{}\\…", "\\n".repeat(99)), true);
        assert_eq!(cut("straßenbahn".to_owned(), 6), "straß…");
    }

    #[test]
    fn kept_values_stay_in_order() {
        let mut values = vec!['a', 'b', 'c'];
        keep(&mut values, &[true, false, true]);
        assert_eq!(values, ['a', 'c']);
    }
}

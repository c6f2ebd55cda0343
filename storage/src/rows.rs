//! Rows of the small tables as record batches, split by partition.

use crate::schema::file_schema;
use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;
use tradewind_model::field::FieldType;
use tradewind_model::table::Table;
use tradewind_model::time::date_text;

/// One value of a small table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Absent.
    Null,
    /// Text.
    Text(String),
    /// Number, time in microseconds, or days of a date.
    Number(i64),
    /// Float.
    Float(f64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Cell {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// Rows of one table, each with a cell for every field, as one record batch for each value of the partition column.
pub(crate) fn partitioned(
    table: &'static Table,
    rows: Vec<Vec<Cell>>,
) -> Result<Vec<(Option<String>, RecordBatch)>, ArrowError> {
    let place = table.partition.and_then(|partition| table.fields.iter().position(|field| field.name == partition));
    let mut groups: BTreeMap<Option<i64>, Vec<Vec<Cell>>> = BTreeMap::new();
    for row in rows {
        let key = place.and_then(|place| row[place].number());
        groups.entry(key).or_default().push(row);
    }
    groups.into_iter().map(|(key, rows)| Ok((key.map(date_text), columns(table, &rows)?))).collect()
}

fn columns(table: &'static Table, rows: &[Vec<Cell>]) -> Result<RecordBatch, ArrowError> {
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (place, field) in table.fields.iter().enumerate() {
        if Some(field.name) == table.partition {
            continue;
        }
        let cells = || rows.iter().map(move |row| &row[place]);
        let numbers = || cells().map(Cell::number);
        arrays.push(match field.ty {
            FieldType::Text => Arc::new(cells().map(Cell::text).collect::<DictionaryArray<Int32Type>>()),
            FieldType::Timestamp => Arc::new(numbers().collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            FieldType::Int32 => Arc::new(
                numbers().map(|number| number.and_then(|number| i32::try_from(number).ok())).collect::<Int32Array>(),
            ),
            FieldType::Float64 => Arc::new(
                cells()
                    .map(|cell| match cell {
                        Cell::Float(number) => Some(*number),
                        _ => None,
                    })
                    .collect::<Float64Array>(),
            ),
            FieldType::Int64 => Arc::new(numbers().collect::<Int64Array>()),
            FieldType::Int16 | FieldType::Bool | FieldType::Date => {
                return Err(ArrowError::SchemaError(format!("no small table has a column like {}", field.name)));
            }
        });
    }
    RecordBatch::try_new(file_schema(table), arrays)
}

/// A text column of a query's answer, whatever text type it has.
pub(crate) fn text_values(column: &ArrayRef) -> Result<Vec<Option<String>>, ArrowError> {
    let plain = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)?;
    let texts = plain
        .as_any()
        .downcast_ref::<StringArray>()
        .ok_or_else(|| ArrowError::CastError("not a text column".to_owned()))?;
    Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
}

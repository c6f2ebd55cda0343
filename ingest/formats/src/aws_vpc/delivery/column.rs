//! The values of one Parquet column as the words that the text form of a log has. It knows no field.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowTimestampType, Date32Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BinaryViewArray, StringViewArray};
use arrow_schema::{DataType, TimeUnit};
use std::borrow::Cow;
use std::fmt::{Display, Write as _};

/// The widest binary value of fixed width that is kept, in bytes: identifiers and hashes are narrower.
const FIXED_BYTES_MAX: i32 = 256;

/// How many bytes a value of this type may have as a word, beside its page; none for types that have no words: nested
/// ones, intervals, and columns without any value.
pub(super) fn word_bytes_max(data_type: &DataType) -> Option<u64> {
    Some(match data_type {
        // Words of these are not copied.
        DataType::Utf8 | DataType::Binary => 0,
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Time32(TimeUnit::Millisecond)
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => 64,
        DataType::Decimal128(..) | DataType::Decimal256(..) => 160,
        // 309 digits, a sign and a few after the point.
        DataType::Float64 => 400,
        DataType::FixedSizeBinary(width) if *width <= FIXED_BYTES_MAX => 3 * u64::try_from(*width).unwrap_or_default(),
        _ => return None,
    })
}

/// The type to read a column as: texts as places in their page, since the same long text may be in every row.
pub(super) fn read_as(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        other => other.clone(),
    }
}

/// The values of one column of a batch.
#[derive(Debug)]
pub(super) enum Column {
    /// Texts, in their pages.
    Text(StringViewArray),
    /// Bytes that are texts as a rule: old writers do not mark texts.
    Bytes(BinaryViewArray),
    /// Anything else, written one after another; the ends tell them apart.
    Written { text: String, ends: Vec<usize> },
}

impl Column {
    /// The values of an array.
    pub(super) fn new(array: &ArrayRef) -> Self {
        match array.data_type() {
            DataType::Utf8View => Self::Text(array.as_string_view().clone()),
            DataType::BinaryView => Self::Bytes(array.as_binary_view().clone()),
            DataType::Boolean => written(array.as_boolean().iter()),
            DataType::Int8 => numbers::<Int8Type>(array, 1),
            DataType::Int16 => numbers::<Int16Type>(array, 1),
            DataType::Int32 => numbers::<Int32Type>(array, 1),
            DataType::Int64 => numbers::<Int64Type>(array, 1),
            DataType::UInt8 => numbers::<UInt8Type>(array, 1),
            DataType::UInt16 => numbers::<UInt16Type>(array, 1),
            DataType::UInt32 => numbers::<UInt32Type>(array, 1),
            DataType::UInt64 => numbers::<UInt64Type>(array, 1),
            DataType::Float16 => floats(array.as_primitive::<Float16Type>().iter().map(|value| value.map(f64::from))),
            DataType::Float32 => floats(array.as_primitive::<Float32Type>().iter().map(|value| value.map(f64::from))),
            DataType::Float64 => floats(array.as_primitive::<Float64Type>().iter()),
            DataType::Decimal128(..) => {
                let decimals = array.as_primitive::<Decimal128Type>();
                each_row(array, |row| Some(decimals.value_as_string(row)))
            }
            DataType::Decimal256(..) => {
                let decimals = array.as_primitive::<Decimal256Type>();
                each_row(array, |row| Some(decimals.value_as_string(row)))
            }
            DataType::Date32 => each_row(array, |row| array.as_primitive::<Date32Type>().value_as_date(row)),
            DataType::Time32(_) => {
                each_row(array, |row| array.as_primitive::<Time32MillisecondType>().value_as_time(row))
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                each_row(array, |row| array.as_primitive::<Time64MicrosecondType>().value_as_time(row))
            }
            DataType::Time64(_) => {
                each_row(array, |row| array.as_primitive::<Time64NanosecondType>().value_as_time(row))
            }
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Second => seconds::<TimestampSecondType>(array, 1),
                TimeUnit::Millisecond => seconds::<TimestampMillisecondType>(array, 1_000),
                TimeUnit::Microsecond => seconds::<TimestampMicrosecondType>(array, 1_000_000),
                TimeUnit::Nanosecond => seconds::<TimestampNanosecondType>(array, 1_000_000_000),
            },
            DataType::FixedSizeBinary(_) => {
                let bytes = array.as_fixed_size_binary();
                each_row(array, |row| Some(hexadecimal(bytes.value(row))))
            }
            other => unreachable!("columns of type {other} are not read: they have no word_bytes_max"),
        }
    }

    /// The word of a row, `-` for none; its bytes when they are not UTF-8.
    pub(super) fn word(&self, row: usize) -> Result<&str, &[u8]> {
        let word = match self {
            Self::Text(array) if array.is_null(row) => "",
            Self::Text(array) => array.value(row),
            Self::Bytes(array) if array.is_null(row) => "",
            Self::Bytes(array) => std::str::from_utf8(array.value(row)).map_err(|_| array.value(row))?,
            Self::Written { text, ends } => {
                let start = if row == 0 { 0 } else { ends[row - 1] };
                &text[start..ends[row]]
            }
        };
        Ok(if word.is_empty() { "-" } else { word })
    }

    /// As [`Column::word`]; what is not UTF-8 is replaced.
    pub(super) fn readable(&self, row: usize) -> Cow<'_, str> {
        self.word(row).map_or_else(String::from_utf8_lossy, Cow::Borrowed)
    }
}

fn written<T: Display>(values: impl Iterator<Item = Option<T>>) -> Column {
    let (mut text, mut ends) = (String::new(), Vec::new());
    for value in values {
        if let Some(value) = value {
            write!(text, "{value}").expect("writing to a String does not fail");
        }
        ends.push(text.len());
    }
    Column::Written { text, ends }
}

fn each_row<T: Display>(array: &ArrayRef, value: impl Fn(usize) -> Option<T>) -> Column {
    written((0..array.len()).map(|row| if array.is_null(row) { None } else { value(row) }))
}

/// Counts that a data frame holds as floating point, because some were missing there, are written as whole numbers.
fn floats(values: impl Iterator<Item = Option<f64>>) -> Column {
    written(values.map(|value| value.filter(|value| value.is_finite())))
}

/// Whole numbers, divided by `unit`.
fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef, unit: i128) -> Column
where
    T::Native: Into<i128>,
{
    written(array.as_primitive::<T>().iter().map(|value| value.map(|value| value.into() / unit)))
}

/// Times become seconds, as the text form has them.
fn seconds<T: ArrowTimestampType>(array: &ArrayRef, unit: i128) -> Column {
    numbers::<T>(array, unit)
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
    }
    text
}

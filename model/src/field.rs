//! What a column is: name, type, unit, meaning and its names in other vocabularies.

use arrow_schema::{DataType, TimeUnit};

/// The type of a column. Signed only: Delta has no unsigned types, and a 16-bit port would not fit a `short`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// UTF-8 text, dictionary-coded in memory and in Parquet.
    Text,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit IEEE float.
    Float64,
    /// True or false.
    Bool,
    /// Microseconds since 1970-01-01 UTC.
    Timestamp,
    /// Days since 1970-01-01; only the partition column.
    Date,
}

impl FieldType {
    /// The Arrow type as a reader of the table sees it.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
        }
    }

    /// The name of the type in Delta's schema (Delta protocol, "Primitive Types").
    #[must_use]
    pub fn delta(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Int16 => "short",
            Self::Int32 => "integer",
            Self::Int64 => "long",
            Self::Float64 => "double",
            Self::Bool => "boolean",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
        }
    }
}

/// One column of a table. Empty strings in the vocabulary names mean "no counterpart".
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Column name: the OCSF leaf name where there is one.
    pub name: &'static str,
    /// Type.
    pub ty: FieldType,
    /// Whether a row may leave it out.
    pub nullable: bool,
    /// Unit of a number, or the closed set of words of a coded text.
    pub unit: &'static str,
    /// OCSF 1.8 attribute (class `network_activity`, 4001).
    pub ocsf: &'static str,
    /// Elastic Common Schema field.
    pub ecs: &'static str,
    /// OpenTelemetry semantic convention.
    pub otel: &'static str,
    /// IPFIX information element number(s).
    pub ipfix: &'static str,
    /// What the value means.
    pub meaning: &'static str,
}

/// A text column of the flow record, by its place in [`crate::flow::FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextCol(pub(crate) usize);

/// A number, time or boolean column of the flow record, by its place in [`crate::flow::FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NumCol(pub(crate) usize);

impl TextCol {
    /// The column's entry in the field table.
    #[must_use]
    pub fn field(self) -> &'static Field {
        &crate::flow::FIELDS[self.0]
    }
}

impl NumCol {
    /// The column's entry in the field table.
    #[must_use]
    pub fn field(self) -> &'static Field {
        &crate::flow::FIELDS[self.0]
    }
}

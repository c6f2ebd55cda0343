//! Delta and Arrow schemas, made from the field tables of `model`.

use deltalake::arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema, SchemaRef};
use deltalake::kernel::{DataType, PrimitiveType, StructField};
use std::sync::Arc;
use tradewind_model::field::{Field, FieldType};
use tradewind_model::table::Table;

fn delta_type(ty: FieldType) -> DataType {
    DataType::Primitive(match ty {
        FieldType::Text => PrimitiveType::String,
        FieldType::Int16 => PrimitiveType::Short,
        FieldType::Int32 => PrimitiveType::Integer,
        FieldType::Int64 => PrimitiveType::Long,
        FieldType::Float64 => PrimitiveType::Double,
        FieldType::Bool => PrimitiveType::Boolean,
        FieldType::Timestamp => PrimitiveType::Timestamp,
        FieldType::Date => PrimitiveType::Date,
    })
}

/// The columns of a table as Delta keeps them.
#[must_use]
pub fn delta_columns(table: &Table) -> Vec<StructField> {
    table.fields.iter().map(|field| StructField::new(field.name, delta_type(field.ty), field.nullable)).collect()
}

/// The columns of a table's data files: all but the partition column, texts as dictionaries.
#[must_use]
pub fn file_schema(table: &Table) -> SchemaRef {
    let fields: Vec<_> =
        file_fields(table).map(|field| ArrowField::new(field.name, file_type(field.ty), field.nullable)).collect();
    Arc::new(Schema::new(fields))
}

/// The fields of [`file_schema`], in order.
pub fn file_fields(table: &Table) -> impl Iterator<Item = &'static Field> {
    let partition = table.partition;
    table.fields.iter().filter(move |field| Some(field.name) != partition)
}

fn file_type(ty: FieldType) -> ArrowType {
    match ty {
        FieldType::Text => ArrowType::Dictionary(Box::new(ArrowType::Int32), Box::new(ArrowType::Utf8)),
        other => other.arrow(),
    }
}

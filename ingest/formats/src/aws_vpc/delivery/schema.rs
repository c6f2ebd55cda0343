//! Which columns of a Parquet file are read, and under which names. It reads no values.

use super::column::{read_as, word_bytes_max};
use super::pages::Leaf;
use crate::aws_vpc::field::Field;
use crate::aws_vpc::layout::{Layout, LayoutError};
use arrow_schema::{DataType, Schema};
use parquet::basic::Type;
use parquet::schema::types::SchemaDescriptor;
use std::sync::Arc;

/// Columns that some writers repeat from the folder names of a Hive-partitioned bucket.
const PARTITIONS: [&str; 9] =
    ["aws-account-id", "aws-service", "aws-region", "year", "month", "day", "hour", "date", "partition"];
/// The longest name that is kept.
const NAME_BYTES_MAX: usize = 128;

/// The columns at the root of the file that are read: all that have words, whether known or not.
pub(super) fn wanted(schema: &Schema) -> Vec<usize> {
    let is_partition = |name: &str| PARTITIONS.contains(&hyphened(name).as_str());
    let fields = schema.fields().iter().enumerate();
    fields
        .filter(|(_, field)| word_bytes_max(field.data_type()).is_some() && !is_partition(field.name()))
        .map(|(index, _)| index)
        .collect()
}

/// The fields of the wanted columns. A name that no layout can have, or that is there twice, does not make the file
/// unreadable: the column gets another one, under which it goes to `unmapped`.
///
/// # Errors
/// When no column is a field of a flow log, or there are too many.
pub(super) fn layout(schema: &Schema, wanted: &[usize]) -> Result<Layout, LayoutError> {
    let mut names: Vec<String> = Vec::new();
    for &index in wanted {
        let name = schema.field(index).name();
        let usable = usable(name);
        let is_taken = |name: &str, names: &[String]| names.iter().any(|taken| hyphened(taken) == hyphened(name));
        let is_other_field = usable != *name && Field::from_name(&hyphened(&usable)).is_some();
        let mut own = if usable.is_empty() || is_other_field { format!("column-{}", index + 1) } else { usable };
        while is_taken(&own, &names) {
            own = format!("column-{}-{own}", index + 1).chars().take(NAME_BYTES_MAX).collect();
        }
        names.push(own);
    }
    Layout::from_names(names.iter().map(String::as_str))
}

/// Letters, digits, hyphens and underscores of a name, from the first letter on; a name of nothing else is left as it is.
fn usable(name: &str) -> String {
    let letters = name.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).chars().take(NAME_BYTES_MAX);
    letters.map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
}

fn hyphened(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The columns of values that the wanted columns are.
pub(super) fn leaves(schema: &Schema, file: &SchemaDescriptor, wanted: &[usize]) -> Vec<Leaf> {
    let leaf = |index: usize| {
        let root = file.get_column_root_idx(index);
        let data_type = schema.field(root).data_type();
        let value_bytes = word_bytes_max(data_type)?;
        let column = file.column(index);
        let is_view = matches!(data_type, DataType::Utf8 | DataType::Binary);
        let is_copied = column.physical_type() == Type::BYTE_ARRAY && !is_view;
        // A value of fixed width is copied, however often its dictionary has it.
        let is_fixed = column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY;
        let width = if is_fixed { u64::try_from(column.type_length()).unwrap_or_default() } else { 0 };
        wanted.contains(&root).then_some(Leaf { index, value_bytes: value_bytes + width, is_copied })
    };
    (0..file.num_columns()).filter_map(leaf).collect()
}

/// The schema to read with.
pub(super) fn reading(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let data_type = read_as(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    });
    Schema::new(fields.collect::<Vec<_>>())
}

//! Columns of tables that exist: those that this version has and an older one had not are added, where rows without a value
//! are allowed (ADR 0001). Nothing else about a table is changed.

use crate::durable;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::schema::delta_columns;
use deltalake::kernel::StructField;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::{DeltaTable, DeltaTableError};
use tradewind_model::field::Field;
use tradewind_model::table::Table;

/// How often columns are added against other writers.
const ATTEMPTS_MAX: usize = 20;

impl Lake {
    /// Gives the newest version of a table that exists all columns of its field table, where it lacks some.
    ///
    /// # Errors
    /// [`LakeError::Schema`] for a table that cannot have them; one that cannot be written.
    pub(crate) async fn with_all_columns(
        &self,
        table: &'static Table,
        mut opened: DeltaTable,
    ) -> Result<DeltaTable, LakeError> {
        let mut failure = None;
        for _ in 0..ATTEMPTS_MAX {
            let missing = self.missing_columns(table, &opened)?;
            if missing.is_empty() {
                return Ok(opened);
            }
            self.check_store().await?;
            tracing::info!(table = table.name, columns = missing.len(), "adding columns of this version");
            // One attempt at a time: after another's commit the columns may be there already.
            let properties = CommitProperties::default().with_max_retries(0);
            match opened.add_columns().with_fields(missing).with_commit_properties(properties).await {
                Ok(added) => {
                    let entry = format!("_delta_log/{:020}.json", added.version().unwrap_or_default());
                    if let Err(error) = durable::sync(self.location(), table.name, [entry]).await {
                        tracing::warn!(table = table.name, %error, "the commit could not be written through to the disk");
                    }
                    return Ok(added);
                }
                Err(error) => failure = Some(error),
            }
            opened = self.table(table).await?;
        }
        let source = failure.unwrap_or_else(|| DeltaTableError::generic("other writers kept winning"));
        Err(LakeError::AddColumns { root: self.location().to_string(), table: table.name, source: Box::new(source) })
    }

    /// The columns that a table lacks.
    ///
    /// # Errors
    /// One of them must have a value in every row; another has another type, or is not known.
    fn missing_columns(&self, table: &'static Table, opened: &DeltaTable) -> Result<Vec<StructField>, LakeError> {
        let found = opened.snapshot().map_err(|source| self.open_error(table, source))?.schema();
        let wanted = delta_columns(table);
        match compare(found.fields(), &wanted) {
            Ok(missing) => Ok(missing),
            Err(difference) => {
                Err(LakeError::Schema { root: self.location().to_string(), table: table.name, difference })
            }
        }
    }

    /// The columns that a table lacks and readers see as null.
    pub(crate) fn absent_columns(
        &self,
        table: &'static Table,
        opened: &DeltaTable,
    ) -> Result<Vec<&'static Field>, LakeError> {
        let found = opened.snapshot().map_err(|source| self.open_error(table, source))?.schema();
        let is_absent = |field: &&Field| field.nullable && found.field(field.name).is_none();
        Ok(table.fields.iter().filter(is_absent).collect())
    }
}

/// What is wanted and not found, or why it cannot be had.
fn compare<'a>(
    found: impl Iterator<Item = &'a StructField>,
    wanted: &[StructField],
) -> Result<Vec<StructField>, String> {
    let found: Vec<&StructField> = found.collect();
    if let Some(column) = found.iter().find(|column| wanted.iter().all(|known| known.name() != column.name())) {
        return Err(format!(
            "`{} {}` is not known; a newer version may have added it",
            column.name(),
            column.data_type()
        ));
    }
    let mut missing = Vec::new();
    for column in wanted {
        match found.iter().find(|found| found.name() == column.name()) {
            Some(found) if found.data_type() == column.data_type() => {}
            Some(found) => {
                let (name, has, wants) = (column.name(), found.data_type(), column.data_type());
                return Err(format!("`{name}` is {has} where it must be {wants}"));
            }
            None if column.is_nullable() => missing.push(column.clone()),
            None => {
                let (name, wants) = (column.name(), column.data_type());
                return Err(format!("`{name} {wants}` is missing, and no row may be without it"));
            }
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use deltalake::kernel::{DataType, PrimitiveType};

    fn column(text: &str) -> StructField {
        let mut words = text.split(' ');
        let name = words.next().unwrap_or_default();
        let kind = match words.next() {
            Some("long") => PrimitiveType::Long,
            _ => PrimitiveType::String,
        };
        StructField::new(name, DataType::Primitive(kind), words.next() == Some("null"))
    }

    fn check(found: &[&str], wanted: &[&str], expected: Result<&[&str], &str>) {
        let found: Vec<StructField> = found.iter().map(|text| column(text)).collect();
        let wanted: Vec<StructField> = wanted.iter().map(|text| column(text)).collect();
        let missing = compare(found.iter(), &wanted);
        let names = missing.as_ref().map(|missing| missing.iter().map(|column| column.name().as_str()).collect());
        assert_eq!(names.map_err(String::as_str), expected.map(<[&str]>::to_vec));
    }

    #[test]
    fn what_may_be_null_may_be_added() {
        check(&["a string"], &["a string"], Ok(&[]));
        check(&["a string"], &["a string", "b long null", "c string null"], Ok(&["b", "c"]));
        check(&["a string"], &["a string", "b long"], Err("`b long` is missing, and no row may be without it"));
        check(&["a string"], &["a long null"], Err("`a` is string where it must be long"));
        let unknown = "`b string` is not known; a newer version may have added it";
        check(&["a string", "b string"], &["a string"], Err(unknown));
    }
}

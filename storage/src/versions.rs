//! Earlier versions of a table: what they are asked by, and whether they can still be read. Not the undoing of commits.

use crate::error::LakeError;
use crate::files;
use crate::lake::Lake;
use deltalake::DeltaTable;
use futures::{StreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use std::collections::HashSet;
use tradewind_model::table::Table;

/// How many files are looked at at once.
const AT_ONCE: usize = 16;

/// A version of a table that questions are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinned {
    table: &'static str,
    version: u64,
}

impl Lake {
    /// The newest version of a table.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub async fn version(&self, table: &'static Table) -> Result<i64, LakeError> {
        let version = self.table(table).await?.version().unwrap_or_default();
        Ok(i64::try_from(version).unwrap_or(i64::MAX))
    }

    /// The same lake for questions about a table as it was in this version; other tables, and what is written, are as ever.
    /// None where the version cannot be read any more: its log or files are expired, or it never was.
    ///
    /// # Errors
    /// A table that cannot be read in its newest version, either.
    pub async fn as_of(&self, table: &'static Table, version: i64) -> Result<Option<Self>, LakeError> {
        let newest = self.table(table).await?;
        let Ok(version) = u64::try_from(version) else { return Ok(None) };
        if newest.version().is_none_or(|newest| newest < version) {
            return Ok(None);
        }
        // The newest version could be read, so that what fails here is this one.
        let Ok(then) = self.table_at(table, version).await else { return Ok(None) };
        if !self.has_files_of(table, &then, &newest).await {
            return Ok(None);
        }
        let mut lake = self.clone();
        lake.pinned = Some(Pinned { table: table.name, version });
        Ok(Some(lake))
    }

    /// The version of a table that questions are about.
    pub(crate) async fn seen_table(&self, table: &'static Table) -> Result<DeltaTable, LakeError> {
        match self.pinned {
            Some(pinned) if pinned.table == table.name => self.table_at(table, pinned.version).await,
            _ => self.table(table).await,
        }
    }

    async fn table_at(&self, table: &'static Table, version: u64) -> Result<DeltaTable, LakeError> {
        let mut opened = DeltaTable::new(self.store(table)?);
        opened.load_version(version).await.map_err(|source| self.open_error(table, source))?;
        Ok(opened)
    }

    /// Whether the files of a version are there that the newest has no more.
    async fn has_files_of(&self, table: &'static Table, then: &DeltaTable, newest: &DeltaTable) -> bool {
        let paths = |opened: &DeltaTable| files::paths(table, opened).ok();
        let (Some(then), Some(newest), Ok(store)) = (paths(then), paths(newest), self.store(table)) else {
            return false;
        };
        let store = store.object_store(None);
        let gone: HashSet<String> = then.difference(&newest).cloned().collect();
        let is_there = |path: String| {
            let store = store.clone();
            async move { store.head(&Path::from(path.as_str())).await.is_ok() }
        };
        stream::iter(gone).map(is_there).buffer_unordered(AT_ONCE).all(|is_there| async move { is_there }).await
    }
}

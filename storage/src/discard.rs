//! Removing data files that did not become part of a table.
//!
//! Whether a file did is read from the table, never concluded from how a commit ended: an error may come after the commit
//! landed, and the tables beside `flows` may have taken their files although `flows` did not.

use crate::error::LakeError;
use crate::import::Import;
use crate::lake::Lake;
use crate::write::StagedFile;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _};
use std::collections::HashSet;
use tradewind_model::table::{DEAD_LETTERS, FLOWS, Table};

impl Lake {
    /// Removes those staged files of an import that no table holds. What cannot be asked or removed stays, unseen by
    /// readers.
    pub async fn discard_uncommitted(&self, import: &Import) {
        self.discard_unlisted(&FLOWS, &import.files.iter().collect::<Vec<_>>()).await;
        self.discard_unlisted(&DEAD_LETTERS, &import.spilled()).await;
    }

    /// Removes those of `files` that are not part of the newest version of `table`.
    pub(crate) async fn discard_unlisted(&self, table: &'static Table, files: &[&StagedFile]) {
        if files.is_empty() {
            return;
        }
        if let Err(error) = self.try_discard(table, files).await {
            tracing::warn!(table = table.name, %error, "could not tell which data files are uncommitted; they stay");
        }
    }

    async fn try_discard(&self, table: &'static Table, files: &[&StagedFile]) -> Result<(), LakeError> {
        let opened = self.table(table).await?;
        let snapshot = opened.snapshot().map_err(|source| self.open_error(table, source))?;
        let listed: HashSet<Path> = snapshot.log_data().into_iter().map(|file| file.object_store_path()).collect();
        let store = opened.log_store().object_store(None);
        for file in files {
            let path = Path::from(file.path.as_str());
            if listed.contains(&path) {
                continue;
            }
            match store.delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => tracing::warn!(path = file.path, %error, "could not remove an uncommitted data file"),
            }
        }
        Ok(())
    }
}

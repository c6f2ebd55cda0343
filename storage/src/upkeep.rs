//! The upkeep of a table's log: checkpoints, and the removal of entries that are past their retention.
//!
//! The library would look for old entries at each commit by listing the whole log, and other programs would not know that
//! entries of `flows` name imported objects. So the table tells everybody to leave its log alone
//! (`delta.enableExpiredLogCleanup = false`), and this clean-up comes after each checkpoint, once the ledger is complete.

use crate::error::CommitError;
use crate::lake::Lake;
use deltalake::DeltaTable;
use deltalake::protocol::checkpoints::{cleanup_metadata, create_checkpoint};
use tradewind_model::table::{FLOWS, Table};

impl Lake {
    /// Writes a checkpoint of a loaded version, and removes what of the log is older than `delta.logRetentionDuration`.
    pub(crate) async fn upkeep(&self, table: &'static Table, opened: &DeltaTable) -> Result<(), CommitError> {
        let failed = |source| CommitError::Commit { table: table.name, source: Box::new(source) };
        create_checkpoint(opened, None).await.map_err(failed)?;
        self.clean_log(table, opened).await
    }

    /// As [`Lake::upkeep`], where the checkpoint is there.
    pub(crate) async fn clean_log(&self, table: &'static Table, opened: &DeltaTable) -> Result<(), CommitError> {
        if table.name == FLOWS.name && !self.is_ledger_complete(opened).await? {
            self.imported().await?;
        }
        let removed = cleanup_metadata(opened, None)
            .await
            .map_err(|source| CommitError::Commit { table: table.name, source: Box::new(source) })?;
        if removed > 0 {
            tracing::debug!(table = table.name, removed, "old entries of the log removed");
        }
        Ok(())
    }
}

//! Data files of the small tables, put beside their table for a commit of a stream. Those of `flows` are in `write`.

use crate::error::CommitError;
use crate::findings;
use crate::import::{Coverage, DeadLetter};
use crate::import_rows::{coverage_rows, dead_letter_rows};
use crate::lake::Lake;
use crate::rows::{Cell, partitioned};
use crate::write::{StagedFile, stage_rows};
use tradewind_model::table::{COVERAGE, DEAD_LETTERS, FINDINGS, INCIDENTS, Table};
use tradewind_model::{Finding, Incident, Provenance};

impl Lake {
    /// Writes rows of `dead_letters`, one file for each day.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub async fn stage_dead_letters(&self, letters: &[DeadLetter]) -> Result<Vec<StagedFile>, CommitError> {
        self.stage(&DEAD_LETTERS, dead_letter_rows(letters).into_iter().map(|(_, row)| row).collect()).await
    }

    /// Writes rows of `coverage`, one file for each day.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub async fn stage_coverage(&self, coverage: &[Coverage]) -> Result<Vec<StagedFile>, CommitError> {
        self.stage(&COVERAGE, coverage_rows(coverage).into_iter().map(|(_, row)| row).collect()).await
    }

    /// Writes rows of `findings`, each with what it was made of and the time it was recorded at (microseconds UTC): the newest
    /// of a finding counts.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub async fn stage_findings(
        &self,
        findings: &[(Finding, Provenance, i64)],
    ) -> Result<Vec<StagedFile>, CommitError> {
        let row = |(finding, provenance, time): &(Finding, Provenance, i64)| findings::row(finding, provenance, *time);
        self.stage(&FINDINGS, findings.iter().map(row).collect()).await
    }

    /// Writes rows of `incidents`, in the same way.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub async fn stage_incidents(&self, incidents: &[(Incident, i64)]) -> Result<Vec<StagedFile>, CommitError> {
        let row = |(incident, time): &(Incident, i64)| findings::incident_row(incident, *time);
        self.stage(&INCIDENTS, incidents.iter().map(row).collect()).await
    }

    async fn stage(&self, table: &'static Table, rows: Vec<Vec<Cell>>) -> Result<Vec<StagedFile>, CommitError> {
        let batches = partitioned(table, rows).map_err(|source| CommitError::Layout { table: table.name, source })?;
        let store = self.store(table)?.object_store(None);
        stage_rows(&*store, table, batches).await
    }
}

//! Findings, incidents and what is said of them, into the lake.

use crate::error::CommitError;
use crate::lake::Lake;
use crate::rows::{Cell, partitioned};
use crate::write::stage_rows;
use deltalake::kernel::Action;
use deltalake::kernel::transaction::CommitBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use tradewind_model::table::{FINDINGS, INCIDENTS, Table};
use tradewind_model::{Finding, Incident, Provenance};

impl Lake {
    /// Appends findings that were all made of the same. A later row of one id replaces an earlier one for readers: they take the row with the newest
    /// `recorded_time`.
    ///
    /// # Errors
    /// The lake cannot be written.
    pub async fn append_findings(
        &self,
        findings: &[Finding],
        provenance: &Provenance,
        recorded_time: i64,
    ) -> Result<(), CommitError> {
        self.append_rows(&FINDINGS, findings.iter().map(|finding| row(finding, provenance, recorded_time)).collect())
            .await
    }

    /// Appends incidents, in the same way.
    ///
    /// # Errors
    /// The lake cannot be written.
    pub async fn append_incidents(&self, incidents: &[Incident], recorded_time: i64) -> Result<(), CommitError> {
        self.append_rows(&INCIDENTS, incidents.iter().map(|incident| incident_row(incident, recorded_time)).collect())
            .await
    }

    /// Adds rows to a small table, in one commit; makes the table first where an earlier version made the lake.
    pub(crate) async fn append_rows(&self, table: &'static Table, rows: Vec<Vec<Cell>>) -> Result<(), CommitError> {
        if rows.is_empty() {
            return Ok(());
        }
        let failed = |source| CommitError::Commit { table: table.name, source: Box::new(source) };
        let batches = partitioned(table, rows).map_err(|source| CommitError::Layout { table: table.name, source })?;
        self.create(table).await?;
        let opened = self.with_all_columns(table, self.table(table).await?).await?;
        let files = stage_rows(&*opened.log_store().object_store(None), table, batches).await?;
        let now = self.now();
        let actions = files.iter().map(|file| Action::Add(file.add(now))).collect();
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let snapshot = opened.snapshot().map_err(failed)?;
        CommitBuilder::default()
            .with_actions(actions)
            .build(Some(snapshot), opened.log_store(), operation)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

pub(crate) fn incident_row(incident: &Incident, recorded_time: i64) -> Vec<Cell> {
    let json = |texts: &[&String]| serde_json::to_string(texts).expect("texts are JSON");
    vec![
        incident.incident_id.as_str().into(),
        recorded_time.into(),
        incident.state.as_str().into(),
        incident.opened.into(),
        incident.updated.into(),
        incident.resolved.into(),
        incident.severity.as_str().into(),
        incident.title.as_str().into(),
        i64::try_from(incident.findings.len()).unwrap_or(i64::MAX).into(),
        json(&incident.findings.iter().collect::<Vec<_>>()).into(),
        json(&incident.entities.iter().collect::<Vec<_>>()).into(),
        incident.flow_count.into(),
    ]
}

pub(crate) fn row(finding: &Finding, provenance: &Provenance, recorded_time: i64) -> Vec<Cell> {
    vec![
        finding.finding_id.as_str().into(),
        recorded_time.into(),
        finding.time.into(),
        finding.first_seen.into(),
        finding.last_seen.into(),
        finding.entity.as_str().into(),
        finding.entity_kind.as_str().into(),
        finding.behaviour.as_str().into(),
        finding.severity.as_str().into(),
        finding.title.as_str().into(),
        finding.observed.as_str().into(),
        finding.expected.as_str().into(),
        finding.baseline_since.into(),
        finding.flow_count.into(),
        finding.window_count.into(),
        finding.p_value.into(),
        finding.risk_score.into(),
        finding.technique.as_str().into(),
        finding.uncertain.as_str().into(),
        finding.evidence_query.as_str().into(),
        serde_json::to_string(&finding.observations).expect("texts and numbers are JSON").into(),
        i64::from(finding.detector_version).into(),
        provenance.flows_version.into(),
        provenance.settings.as_deref().into(),
        provenance.settings_hash.as_deref().into(),
        provenance.trained_until.into(),
        provenance.replay_from.into(),
        provenance.replay_to.into(),
        provenance.made_by.as_deref().into(),
    ]
}

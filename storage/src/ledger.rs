//! Which objects table `flows` holds already.
//!
//! Each import commit names its objects in its commit metadata, so the flows and the knowledge of what was imported are
//! one transaction. Table `imports` is a readable copy that may lag behind by a crash; it is completed from the metadata
//! of the commits after its last row.

use crate::error::{CommitError, QueryError};
use crate::import::ImportedObject;
use crate::lake::Lake;
use crate::rows::text_values;
use deltalake::DeltaTable;
use futures::TryStreamExt as _;
use std::collections::HashSet;
use tradewind_model::table::{FLOWS, IMPORTS};

/// The key of the objects in a commit's metadata.
pub(crate) const METADATA_KEY: &str = "tradewind.import";

/// What an import needs to know of earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Content hashes of all imported objects.
    pub(crate) known: HashSet<String>,
    /// Objects that are in `flows` but not yet in table `imports`, with the version of `flows` that holds them.
    pub(crate) unrecorded: Vec<(i64, ImportedObject)>,
}

impl Ledger {
    /// Reads the ledger as of `flows`, a loaded version of the table.
    pub(crate) async fn read(lake: &Lake, flows: &DeltaTable) -> Result<Self, CommitError> {
        let (mut known, recorded_version) =
            recorded(lake).await.map_err(|error| CommitError::Ledger(Box::new(error)))?;
        let mut unrecorded = Vec::new();
        let newest = flows.version().map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
        for version in (recorded_version + 1)..=newest {
            for object in named_in_commit(flows, version).await? {
                if known.insert(object.content_hash.clone()) {
                    unrecorded.push((version, object));
                }
            }
        }
        Ok(Self { known, unrecorded })
    }
}

/// The hashes in table `imports`, and the newest version of `flows` it knows.
async fn recorded(lake: &Lake) -> Result<(HashSet<String>, i64), QueryError> {
    let sql = format!("select content_hash, flows_version from {}", IMPORTS.name);
    let mut answer = lake.query(&sql).await?;
    let (mut known, mut version) = (HashSet::new(), -1);
    let run = |error| QueryError::Run(Box::new(datafusion::error::DataFusionError::ArrowError(Box::new(error), None)));
    while let Some(batch) = answer.try_next().await? {
        known.extend(text_values(batch.column(0)).map_err(run)?.into_iter().flatten());
        let versions = batch.column(1).as_any().downcast_ref::<arrow::array::Int64Array>();
        version = version.max(versions.and_then(arrow::compute::max).unwrap_or(-1));
    }
    Ok((known, version))
}

/// The objects that the commit of one version of `flows` names; none for commits that are not imports.
async fn named_in_commit(flows: &DeltaTable, version: i64) -> Result<Vec<ImportedObject>, CommitError> {
    let failed = |source| CommitError::Commit { table: FLOWS.name, source: Box::new(source) };
    let version = u64::try_from(version).unwrap_or_default();
    let Some(bytes) = flows.log_store().read_commit_entry(version).await.map_err(failed)? else {
        return Ok(Vec::new());
    };
    let objects = bytes
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .find_map(|action| action.get("commitInfo")?.get(METADATA_KEY).cloned());
    match objects {
        None => Ok(Vec::new()),
        // The value may be kept as text by writers that only know text.
        Some(serde_json::Value::String(text)) => {
            serde_json::from_str(&text).map_err(|error| failed(deltalake::DeltaTableError::generic(error.to_string())))
        }
        Some(value) => serde_json::from_value(value)
            .map_err(|error| failed(deltalake::DeltaTableError::generic(error.to_string()))),
    }
}

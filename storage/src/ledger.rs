//! Which objects table `flows` holds already.
//!
//! Each import commit names its objects in its commit metadata, so the flows and the knowledge of what was imported are
//! one transaction. Table `imports` is a readable copy that may lag behind by a crash; it is completed from the metadata
//! of the commits after its last row.

use crate::error::{CommitError, QueryError};
use crate::import::ImportedObject;
use crate::lake::Lake;
use crate::rows::text_values;
use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use deltalake::DeltaTable;
use futures::TryStreamExt as _;
use std::collections::{HashMap, HashSet};
use tradewind_model::table::{FLOWS, IMPORTS};

/// The key of the objects in a commit's metadata.
pub(crate) const METADATA_KEY: &str = "tradewind.import";

/// The objects that a lake holds.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    hashes: HashSet<String>,
    /// The largest object that came from each path: its size in bytes and its hash.
    largest: HashMap<String, (i64, String)>,
}

impl Imported {
    /// Whether the object with this hash is in the lake.
    #[must_use]
    pub fn contains(&self, content_hash: &str) -> bool {
        self.hashes.contains(content_hash)
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The largest object that came from a path: its size in bytes and its hash.
    #[must_use]
    pub fn largest_of(&self, path: &str) -> Option<(i64, &str)> {
        self.largest.get(path).map(|(bytes, hash)| (*bytes, hash.as_str()))
    }

    /// Adds an object. False: it is there already.
    pub fn insert(&mut self, content_hash: &str, path: &str, bytes: i64) -> bool {
        let largest = self.largest.entry(path.to_owned()).or_insert((-1, String::new()));
        if largest.0 < bytes {
            *largest = (bytes, content_hash.to_owned());
        }
        self.hashes.insert(content_hash.to_owned())
    }
}

/// What an import needs to know of earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// All imported objects.
    pub(crate) imported: Imported,
    /// Objects that are in `flows` but not yet in table `imports`, with the version of `flows` that holds them.
    pub(crate) unrecorded: Vec<(i64, ImportedObject)>,
}

impl Ledger {
    /// Reads the ledger as of `flows`, a loaded version of the table.
    pub(crate) async fn read(lake: &Lake, flows: &DeltaTable) -> Result<Self, CommitError> {
        let (mut imported, recorded_version) =
            recorded(lake).await.map_err(|error| CommitError::Ledger(Box::new(error)))?;
        let mut unrecorded = Vec::new();
        let newest = flows.version().map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
        for version in (recorded_version + 1)..=newest {
            for object in named_in_commit(flows, version).await? {
                if imported.insert(&object.content_hash, &object.path, object.bytes_in) {
                    unrecorded.push((version, object));
                }
            }
        }
        Ok(Self { imported, unrecorded })
    }
}

/// The objects in table `imports`, and the newest version of `flows` it knows.
async fn recorded(lake: &Lake) -> Result<(Imported, i64), QueryError> {
    let sql = format!("select content_hash, path, bytes_in, flows_version from {}", IMPORTS.name);
    let mut answer = lake.query(&sql).await?;
    let (mut imported, mut newest) = (Imported::default(), -1);
    let run = |error: ArrowError| QueryError::Run(Box::new(error.into()));
    while let Some(batch) = answer.try_next().await? {
        let hashes = text_values(batch.column(0)).map_err(run)?;
        let paths = text_values(batch.column(1)).map_err(run)?;
        let bytes = batch.column(2).as_primitive::<Int64Type>();
        let versions = batch.column(3).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            if let (Some(hash), Some(path)) = (&hashes[row], &paths[row]) {
                imported.insert(hash, path, bytes.value(row));
            }
        }
        newest = newest.max(arrow::compute::max(versions).unwrap_or(-1));
    }
    Ok((imported, newest))
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

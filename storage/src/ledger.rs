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
use arrow::record_batch::RecordBatch;
use deltalake::DeltaTable;
use futures::TryStreamExt as _;
use std::collections::HashMap;
use tradewind_model::table::{FLOWS, IMPORTS};

/// The key of the objects in a commit's metadata.
pub(crate) const METADATA_KEY: &str = "tradewind.import";

/// The objects that a lake holds.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Content hash, and whether its format was recognised.
    objects: HashMap<String, bool>,
    /// The objects that came from each path: size in bytes and hash.
    by_path: HashMap<String, Vec<(i64, String)>>,
}

impl Imported {
    /// Whether the records of the object with this hash are in the lake. An object that had no known format is not: it
    /// may be tried again, with a format that is given or by a later version.
    #[must_use]
    pub fn contains(&self, content_hash: &str) -> bool {
        self.objects.get(content_hash) == Some(&true)
    }

    /// Whether the lake knows of the object with this hash only that it had no known format.
    #[must_use]
    pub fn is_unrecognised(&self, content_hash: &str) -> bool {
        self.objects.get(content_hash) == Some(&false)
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The objects that came from a path: size in bytes and hash of each.
    #[must_use]
    pub fn of_path(&self, path: &str) -> &[(i64, String)] {
        self.by_path.get(path).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether committing the object would bring nothing new.
    pub(crate) fn covers(&self, object: &ImportedObject) -> bool {
        self.objects.get(&object.content_hash).is_some_and(|&recognised| recognised || !object.is_recognised())
    }

    /// Adds an object. False: nothing is new.
    pub fn insert(&mut self, object: &ImportedObject) -> bool {
        if self.covers(object) {
            return false;
        }
        self.objects.insert(object.content_hash.clone(), object.is_recognised());
        if object.is_recognised() {
            self.by_path.entry(object.path.clone()).or_default().push((object.bytes_in, object.content_hash.clone()));
        }
        true
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
                if imported.insert(&object) {
                    unrecorded.push((version, object));
                }
            }
        }
        Ok(Self { imported, unrecorded })
    }
}

/// The objects in table `imports`, and the newest version of `flows` it knows.
async fn recorded(lake: &Lake) -> Result<(Imported, i64), QueryError> {
    let sql = format!("select content_hash, path, source, bytes_in, rejected, flows_version from {}", IMPORTS.name);
    let mut answer = lake.query(&sql).await?;
    let (mut imported, mut newest) = (Imported::default(), -1);
    while let Some(batch) = answer.try_next().await? {
        let version = add(&batch, &mut imported).map_err(|error| QueryError::Run(Box::new(error.into())))?;
        newest = newest.max(version);
    }
    Ok((imported, newest))
}

/// Adds the rows of an answer; the newest version of `flows` among them.
fn add(batch: &RecordBatch, imported: &mut Imported) -> Result<i64, ArrowError> {
    let [hashes, paths, sources] = [0, 1, 2].map(|column| text_values(batch.column(column)));
    let numbers = |column: usize| batch.column(column).as_primitive::<Int64Type>();
    for (row, ((content_hash, path), source)) in hashes?.into_iter().zip(paths?).zip(sources?).enumerate() {
        imported.insert(&ImportedObject {
            content_hash: content_hash.unwrap_or_default(),
            path: path.unwrap_or_default(),
            source,
            bytes_in: numbers(3).value(row),
            rejected: numbers(4).value(row),
            ..ImportedObject::default()
        });
    }
    Ok(arrow::compute::max(numbers(5)).unwrap_or(-1))
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

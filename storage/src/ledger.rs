//! Which objects table `flows` holds already.
//!
//! Each import commit names its objects in its commit metadata, so the flows and the knowledge of what was imported are
//! one transaction. Table `imports` is a readable copy that may lag behind by a crash; it is completed from the metadata
//! of the commits after its last row.
//!
//! Commits of streams lie between those of imports, thousands a day. So they are counted: the application transaction
//! [`TRANSACTION_ID`] of `flows` numbers its import commits, and [`RECORDED_ID`] of `imports` says up to which of them the
//! copy is complete. Equal numbers need no look at the log; else it is read backwards, only until the missing ones are found.
//! Entries are cleaned out of the log only while the copy is complete (see `upkeep`).

use crate::error::{CommitError, QueryError};
use crate::import::ImportedObject;
use crate::lake::Lake;
use crate::rows::text_values;
use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use deltalake::DeltaTable;
use deltalake::kernel::Transaction;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::HashMap;
use tradewind_model::table::{FLOWS, IMPORTS, Table};

/// The key of the objects in a commit's metadata.
pub(crate) const METADATA_KEY: &str = "tradewind.import";

/// How many entries of the log are read at once.
const ENTRIES_AT_ONCE: usize = 32;
/// The application id of import transactions: in `flows` it numbers the import commits from 0 on.
pub(crate) const TRANSACTION_ID: &str = "import";
/// The application id, in `imports`, of the number of the last import commit of `flows` whose objects are all recorded.
const RECORDED_ID: &str = "recorded";

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
    /// The number of the last import commit, where `imports` does not say that it has its objects.
    pub(crate) unrecorded_number: Option<i64>,
}

impl Ledger {
    /// Reads the ledger as of `flows`, a loaded version of the table.
    pub(crate) async fn read(lake: &Lake, flows: &DeltaTable) -> Result<Self, CommitError> {
        let numbers = Numbers::read(lake, flows).await?;
        let (mut imported, recorded_version) =
            recorded(lake).await.map_err(|error| CommitError::Ledger(Box::new(error)))?;
        let mut unrecorded = Vec::new();
        for (version, objects) in numbers.missing(flows, recorded_version).await? {
            let fresh = objects.into_iter().filter(|object| imported.insert(object));
            unrecorded.extend(fresh.map(|object| (version, object)));
        }
        let unrecorded_number = numbers.last.filter(|_| !numbers.is_complete());
        Ok(Self { imported, unrecorded, unrecorded_number })
    }

    /// What marks table `imports` as complete once the unrecorded objects are in it.
    pub(crate) fn mark(&self) -> Option<Transaction> {
        self.unrecorded_number.map(|number| Transaction::new(RECORDED_ID, number))
    }
}

impl Lake {
    /// Whether table `imports` has the objects of all import commits up to a loaded version of `flows`.
    pub(crate) async fn is_ledger_complete(&self, flows: &DeltaTable) -> Result<bool, CommitError> {
        Ok(Numbers::read(self, flows).await?.is_complete())
    }
}

/// How far the two tables are.
struct Numbers {
    /// The number of the last import commit of `flows`.
    last: Option<i64>,
    /// The number of the last one that `imports` has. None in lakes of before it was kept.
    recorded: Option<i64>,
}

impl Numbers {
    async fn read(lake: &Lake, flows: &DeltaTable) -> Result<Self, CommitError> {
        let imports = lake.table(&IMPORTS).await?;
        Ok(Self {
            last: number(flows, &FLOWS, TRANSACTION_ID).await?,
            recorded: number(&imports, &IMPORTS, RECORDED_ID).await?,
        })
    }

    fn is_complete(&self) -> bool {
        self.last.is_none_or(|last| self.recorded.is_some_and(|recorded| recorded >= last))
    }

    /// The import commits that table `imports` lacks, oldest first: version and objects.
    async fn missing(
        &self,
        flows: &DeltaTable,
        recorded_version: i64,
    ) -> Result<Vec<(i64, Vec<ImportedObject>)>, CommitError> {
        if self.is_complete() {
            return Ok(Vec::new());
        }
        let count = self.last.zip(self.recorded).map(|(last, recorded)| last.saturating_sub(recorded));
        let newest = flows.version().map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
        let named = stream::iter(((recorded_version + 1)..=newest).rev())
            .map(|version| async move { Ok::<_, CommitError>((version, named_in_commit(flows, version).await?)) })
            .buffered(ENTRIES_AT_ONCE)
            .try_filter_map(|(version, objects)| async move { Ok(objects.map(|objects| (version, objects))) });
        let mut missing: Vec<_> = match count.and_then(|count| usize::try_from(count).ok()) {
            Some(count) => named.take(count).try_collect().await?,
            None => named.try_collect().await?,
        };
        missing.reverse();
        Ok(missing)
    }
}

async fn number(opened: &DeltaTable, table: &'static Table, id: &str) -> Result<Option<i64>, CommitError> {
    let failed = |source| CommitError::Commit { table: table.name, source: Box::new(source) };
    let snapshot = opened.snapshot().map_err(failed)?;
    snapshot.transaction_version(&*opened.log_store(), id).await.map_err(failed)
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
async fn named_in_commit(flows: &DeltaTable, version: i64) -> Result<Option<Vec<ImportedObject>>, CommitError> {
    let failed = |source| CommitError::Commit { table: FLOWS.name, source: Box::new(source) };
    let version = u64::try_from(version).unwrap_or_default();
    let Some(bytes) = flows.log_store().read_commit_entry(version).await.map_err(failed)? else {
        return Ok(None);
    };
    let objects = bytes
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .find_map(|action| action.get("commitInfo")?.get(METADATA_KEY).cloned());
    match objects {
        None => Ok(None),
        // The value may be kept as text by writers that only know text.
        Some(serde_json::Value::String(text)) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| failed(deltalake::DeltaTableError::generic(error.to_string()))),
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|error| failed(deltalake::DeltaTableError::generic(error.to_string()))),
    }
}

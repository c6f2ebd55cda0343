//! Committing imported objects: each is in the lake exactly once, whatever is killed and whoever imports beside.
//!
//! A group of objects is committed in this order: `dead_letters`, `coverage`, `flows`, `imports`. The commit of `flows`
//! decides: it names the objects in its metadata under the single, counting transaction id `import`, so two imports
//! cannot pass each other. The tables before it are written first and once: a later attempt sees by the content hash
//! that they are there. The ledger after it is completed by whoever comes next (see `ledger`).

use crate::durable;
use crate::error::{CommitError, LakeError, QueryError};
use crate::import_rows::{coverage_rows, dead_letter_rows, import_row};
use crate::lake::Lake;
use crate::ledger::{Imported, Ledger, METADATA_KEY, TRANSACTION_ID};
use crate::log::append;
use crate::rows::{Cell, partitioned, text_values};
use crate::write::{StagedFile, stage_rows};
use arrow::record_batch::RecordBatch;
use deltalake::kernel::transaction::{CommitBuilder, CommitConflictError, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Transaction};
use deltalake::{DeltaTable, DeltaTableError};
use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;
use tradewind_model::table::{COVERAGE, DEAD_LETTERS, FLOWS, IMPORTS, Table};

/// How often a commit is tried against other writers that win.
const ATTEMPTS_MAX: usize = 50;

/// One object that an import brings: a row of table `imports`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedObject {
    /// BLAKE3 of the object's bytes as found, in hexadecimal: its identity.
    pub content_hash: String,
    /// When it was imported. Microseconds UTC.
    pub import_time: i64,
    /// Where it was found.
    pub path: String,
    /// Format it was read as.
    pub source: Option<String>,
    /// How the format was chosen.
    pub format_reason: Option<String>,
    /// Bytes of the object as found.
    pub bytes_in: i64,
    /// Records in it. Invariant: `records = flows + rejected + gaps`.
    pub records: i64,
    /// Records that became flows.
    pub flows: i64,
    /// Records that were rejected.
    pub rejected: i64,
    /// Records that state missing data.
    pub gaps: i64,
}

impl ImportedObject {
    /// Whether its format was known, or there was nothing in it that could have one.
    #[must_use]
    pub fn is_recognised(&self) -> bool {
        self.source.is_some() || self.rejected == 0
    }
}

/// A row of table `dead_letters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// When it was taken in. Microseconds UTC.
    pub ingest_time: i64,
    /// Format it was read as.
    pub source: Option<String>,
    /// Why it was rejected.
    pub reason: Cow<'static, str>,
    /// What exactly was wrong.
    pub detail: String,
    /// Content hash of the object.
    pub position: String,
    /// Byte offset in the unpacked object.
    pub position_offset: i64,
    /// Which record of the envelope at that offset.
    pub position_index: Option<i64>,
    /// Where the object was found.
    pub path: String,
    /// Full length of the rejected input.
    pub raw_bytes: i64,
    /// The input, made printable.
    pub raw: String,
}

impl DeadLetter {
    /// What tells whether the table has an object's rows: its hash and the format it was read as. An object that was not
    /// recognised at first and is read later has rows of both.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.position, self.source.as_deref())
    }
}

pub(crate) fn key(position: &str, source: Option<&str>) -> String {
    format!("{position} {}", source.unwrap_or_default())
}

/// A row of table `coverage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Start of the minute. Microseconds UTC.
    pub minute: i64,
    /// Format.
    pub source: String,
    /// Who saw it.
    pub observer: Option<String>,
    /// Content hash of the object.
    pub position: String,
    /// Records that became flows.
    pub flows: i64,
    /// Records that state missing data.
    pub gaps: i64,
    /// The log's word for the gap.
    pub gap_reason: Option<String>,
    /// Records that were rejected, by the minute of their receipt. None: not counted here.
    pub rejected: Option<i64>,
    /// Bytes received, by the minute of their receipt. None: not counted here.
    pub bytes_in: Option<i64>,
    /// The longest time from a flow's end to its receipt, microseconds. None: not known here.
    pub lag_us: Option<i64>,
}

/// A group of whole objects to commit.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The objects.
    pub objects: Vec<ImportedObject>,
    /// Their rows of `flows`, staged.
    pub files: Vec<StagedFile>,
    /// Their rows of `dead_letters`.
    pub dead_letters: Vec<DeadLetter>,
    /// More rows of `dead_letters`, staged: each file holds rows of one [`DeadLetter::key`].
    pub dead_letter_files: Vec<(String, StagedFile)>,
    /// Their rows of `coverage`.
    pub coverage: Vec<Coverage>,
}

impl Import {
    /// The staged files of `dead_letters`.
    pub(crate) fn spilled(&self) -> Vec<&StagedFile> {
        self.dead_letter_files.iter().map(|(_, file)| file).collect()
    }
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All objects are in this version of `flows`.
    Version(i64),
    /// Nothing was committed: these objects are in the lake already. Stage the others again without them.
    Covered(HashSet<String>),
}

impl Lake {
    /// All imported objects. Completes table `imports` where a crash left it behind.
    ///
    /// # Errors
    /// The lake cannot be read or written.
    pub async fn imported(&self) -> Result<Imported, CommitError> {
        let flows = self.table(&FLOWS).await?;
        let ledger = Ledger::read(self, &flows).await?;
        self.record(&ledger).await?;
        Ok(ledger.imported)
    }

    /// Commits a group of objects, all or none.
    ///
    /// # Errors
    /// The lake cannot be read or written. After an error or [`Committed::Covered`] staged files are still there; see
    /// [`Lake::discard_uncommitted`].
    pub async fn commit_import(&self, import: &Import) -> Result<Committed, CommitError> {
        let hashes = hashes(import);
        for _ in 0..ATTEMPTS_MAX {
            let flows = self.table(&FLOWS).await?;
            let ledger = Ledger::read(self, &flows).await?;
            let covered = covered(import, &ledger);
            if !covered.is_empty() {
                return Ok(Committed::Covered(covered));
            }
            self.record(&ledger).await?;
            self.commit_beside(
                &DEAD_LETTERS,
                &dead_letter_rows(&import.dead_letters),
                &import.dead_letter_files,
                &hashes,
            )
            .await?;
            self.commit_beside(&COVERAGE, &coverage_rows(&import.coverage), &[], &hashes).await?;
            let metadata = serde_json::to_value(&import.objects).expect("texts and numbers are JSON");
            let committed = match self.try_commit(&FLOWS, &flows, &import.files, Some(metadata), None).await {
                // What follows a commit (a checkpoint) may fail after it landed.
                Err(error) => Some(self.version_of(import).await.ok_or(error)?),
                Ok(committed) => committed,
            };
            let Some(version) = committed else { continue };
            // The objects are in the lake: that their rows of `imports` are missing is no failure of this import.
            if let Err(error) = self.imported().await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "table `imports` lags behind; the next import completes it");
            }
            // Rows beside that an earlier, killed attempt had committed were staged in vain.
            self.discard_unlisted(&DEAD_LETTERS, &import.spilled()).await;
            return Ok(Committed::Version(version));
        }
        Err(CommitError::Contended { table: FLOWS.name, attempts: ATTEMPTS_MAX })
    }

    /// The version of `flows` that holds the import, where its commit landed.
    async fn version_of(&self, import: &Import) -> Option<i64> {
        let flows = self.table(&FLOWS).await.ok()?;
        let ledger = Ledger::read(self, &flows).await.ok()?;
        let first = import.objects.first()?;
        ledger.unrecorded.iter().find(|(_, object)| object == first).map(|(version, _)| *version)
    }

    /// Adds the rows of objects to a table beside `flows`, leaving out objects whose rows it has.
    async fn commit_beside(
        &self,
        table: &'static Table,
        rows: &[(String, Vec<Cell>)],
        files: &[(String, StagedFile)],
        hashes: &[&str],
    ) -> Result<(), CommitError> {
        if rows.is_empty() && files.is_empty() {
            return Ok(());
        }
        for _ in 0..ATTEMPTS_MAX {
            let opened = self.table(table).await?;
            let present = self.positions(table, hashes).await.map_err(|error| CommitError::Ledger(Box::new(error)))?;
            let missing: Vec<Vec<Cell>> =
                rows.iter().filter(|(hash, _)| !present.contains(hash)).map(|(_, row)| row.clone()).collect();
            let mut missing_files: Vec<StagedFile> =
                files.iter().filter(|(hash, _)| !present.contains(hash)).map(|(_, file)| file.clone()).collect();
            if missing.is_empty() && missing_files.is_empty() {
                return Ok(());
            }
            let batches =
                partitioned(table, missing).map_err(|source| CommitError::Layout { table: table.name, source })?;
            let store = opened.log_store().object_store(None);
            let staged = stage_rows(&*store, table, batches).await?;
            missing_files.extend(staged.iter().cloned());
            let committed = self.try_commit(table, &opened, &missing_files, None, None).await;
            if let Ok(Some(_)) = committed {
                return Ok(());
            }
            self.discard_unlisted(table, &staged.iter().collect::<Vec<_>>()).await;
            committed?;
        }
        Err(CommitError::Contended { table: table.name, attempts: ATTEMPTS_MAX })
    }

    /// Which of the objects have rows in a table that keeps them by `position`.
    async fn positions(&self, table: &'static Table, hashes: &[&str]) -> Result<HashSet<String>, QueryError> {
        let wanted: HashSet<&str> = hashes.iter().copied().collect();
        let mut answer = self.query(&format!("select distinct position, source from {}", table.name)).await?;
        let mut present = HashSet::new();
        while let Some(batch) = answer.try_next().await? {
            let found = keys(&batch)?.into_iter();
            present.extend(found.filter(|(_, position)| wanted.contains(position.as_str())).map(|(key, _)| key));
        }
        Ok(present)
    }

    /// Adds to table `imports` what a crash or another process left out.
    async fn record(&self, ledger: &Ledger) -> Result<(), CommitError> {
        if ledger.unrecorded_number.is_none() {
            return Ok(());
        }
        for _ in 0..ATTEMPTS_MAX {
            let imports = self.table(&IMPORTS).await?;
            // Read again as of this version: another process may have recorded the same rows.
            let flows = self.table(&FLOWS).await?;
            let behind = Ledger::read(self, &flows).await?;
            if behind.unrecorded_number.is_none() {
                return Ok(());
            }
            let rows = behind.unrecorded.iter().map(|(version, object)| import_row(*version, object)).collect();
            let batches =
                partitioned(&IMPORTS, rows).map_err(|source| CommitError::Layout { table: IMPORTS.name, source })?;
            let store = imports.log_store().object_store(None);
            let files = stage_rows(&*store, &IMPORTS, batches).await?;
            let committed = self.try_commit(&IMPORTS, &imports, &files, None, behind.mark()).await;
            if let Ok(Some(_)) = committed {
                return Ok(());
            }
            self.discard_unlisted(&IMPORTS, &files.iter().collect::<Vec<_>>()).await;
            committed?;
        }
        Err(CommitError::Contended { table: IMPORTS.name, attempts: ATTEMPTS_MAX })
    }

    /// One attempt to add files under the next number of [`TRANSACTION_ID`]. None: another import won; read again.
    ///
    /// An ambiguous end (the commit landed, the answer was lost) also comes back as none, and the next look at the
    /// ledger or at the positions finds the rows.
    async fn try_commit(
        &self,
        table: &'static Table,
        opened: &DeltaTable,
        files: &[StagedFile],
        metadata: Option<serde_json::Value>,
        mark: Option<Transaction>,
    ) -> Result<Option<i64>, CommitError> {
        let failed = |source| CommitError::Commit { table: table.name, source: Box::new(source) };
        let unsafe_yet = |source| CommitError::Sync { table: table.name, source };
        let staged = files.iter().map(|file| &file.path);
        durable::sync(self.location(), table.name, staged).await.map_err(unsafe_yet)?;
        let snapshot = opened.snapshot().map_err(failed)?;
        let log_store = opened.log_store();
        let last = snapshot.transaction_version(&*log_store, TRANSACTION_ID).await.map_err(failed)?;
        let transaction = Transaction::new(TRANSACTION_ID, last.map_or(0, |version| version + 1));
        let now = self.now();
        let actions = files.iter().map(|file| Action::Add(file.add(now))).collect();
        let transactions = std::iter::once(transaction).chain(mark).collect();
        let properties = CommitProperties::default()
            .with_application_transactions(transactions)
            .with_cleanup_expired_logs(Some(false))
            .with_metadata(metadata.map(|value| (METADATA_KEY.to_owned(), value)));
        let committed =
            CommitBuilder::from(properties).with_actions(actions).build(Some(snapshot), log_store, append(table)).await;
        match committed {
            Ok(commit) => {
                let version = commit.version();
                // The commit landed, so this is no failure of it: a loss of power may undo it, but not a part of it.
                let entry = format!("_delta_log/{version:020}.json");
                if let Err(error) = durable::sync(self.location(), table.name, [entry]).await {
                    tracing::warn!(table = table.name, %error, "the commit could not be written through to the disk");
                }
                if commit.metrics.new_checkpoint_created {
                    self.clean_up_after(table).await;
                }
                Ok(Some(i64::try_from(version).unwrap_or(i64::MAX)))
            }
            Err(error) if is_lost_race(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Lake {
    /// Cleans the log after a checkpoint. What fails is tried again after the next. Boxed, because completing the ledger is
    /// a commit of its own.
    fn clean_up_after<'a>(&'a self, table: &'static Table) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let cleaned = match self.table(table).await {
                Ok(opened) => self.clean_log(table, &opened).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = cleaned {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(table = table.name, error, "the clean-up of the log failed; it is tried again later");
            }
        })
    }
}

fn hashes(import: &Import) -> Vec<&str> {
    import.objects.iter().map(|object| object.content_hash.as_str()).collect()
}

fn covered(import: &Import, ledger: &Ledger) -> HashSet<String> {
    let covered = import.objects.iter().filter(|object| ledger.imported.covers(object));
    covered.map(|object| object.content_hash.clone()).collect()
}

/// The keys of the rows of an answer with `position` and `source`.
fn keys(batch: &RecordBatch) -> Result<Vec<(String, String)>, QueryError> {
    let texts =
        |column: usize| text_values(batch.column(column)).map_err(|error| QueryError::Run(Box::new(error.into())));
    let rows = texts(0)?.into_iter().flatten().zip(texts(1)?);
    Ok(rows.map(|(position, source)| (key(&position, source.as_deref()), position)).collect())
}

fn is_lost_race(error: &DeltaTableError) -> bool {
    match error {
        DeltaTableError::VersionAlreadyExists(_) => true,
        DeltaTableError::Transaction { source } => matches!(
            source,
            TransactionError::CommitConflict(CommitConflictError::ConcurrentTransaction)
                | TransactionError::MaxCommitAttempts(_)
                | TransactionError::VersionAlreadyExists(_)
        ),
        _ => false,
    }
}

impl From<QueryError> for CommitError {
    fn from(error: QueryError) -> Self {
        Self::Ledger(Box::new(error))
    }
}

impl From<LakeError> for Box<CommitError> {
    fn from(error: LakeError) -> Self {
        Self::new(CommitError::Lake(error))
    }
}

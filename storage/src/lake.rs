//! A lake: a folder of Delta tables.

use crate::error::LakeError;
use crate::location::LakeLocation;
use crate::probe;
use crate::schema::delta_columns;
use crate::versions::Pinned;
use crate::write::Stager;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError, TableProperty};
use futures::TryStreamExt as _;
use object_store::ObjectStore as _;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tradewind_model::Clock;
use tradewind_model::table::{DEAD_LETTERS, FLOWS, LATER_TABLES, TABLES, Table};

/// A folder of Delta tables. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    location: LakeLocation,
    clock: Arc<dyn Clock>,
    /// The connection to each table's store, kept because a new one costs a handshake. Not the tables' state.
    stores: Arc<Mutex<HashMap<&'static str, LogStoreRef>>>,
    /// Whether the store was seen to refuse a second writer of one object.
    is_probed: Arc<OnceCell<()>>,
    /// The version of a table that questions are about, where it is not the newest.
    pub(crate) pinned: Option<Pinned>,
}

/// How many commits lie between checkpoints of a table's log.
pub(crate) const CHECKPOINT_INTERVAL: u64 = 50;
/// How long the entries of a table's log are kept, and for how long a data file outlives its removal. One day, because
/// at a commit every five seconds it is 17,000 log entries that each listing of a local folder walks, and as many
/// removed files that each checkpoint carries; readers that need longer set the properties of the table.
const RETENTION: &str = "interval 1 days";

impl std::fmt::Debug for Lake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lake").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Lake {
    /// Opens a lake that exists: a path, or a [`LakeLocation`].
    ///
    /// # Errors
    /// [`LakeError::NotALake`] when there is none.
    pub async fn open(location: impl Into<LakeLocation>) -> Result<Self, LakeError> {
        let lake = Self::at(location.into())?;
        if !lake.has_commits(&FLOWS).await? {
            return Err(LakeError::NotALake { root: lake.location.to_string() });
        }
        Ok(lake)
    }

    /// Opens a lake, made first where there is none.
    ///
    /// # Errors
    /// A folder that cannot be made or written, an object store that does not keep writers apart, or tables of another
    /// program.
    pub async fn open_or_create(location: impl Into<LakeLocation>) -> Result<Self, LakeError> {
        let lake = Self::at(location.into())?;
        if let Some(root) = lake.location.local() {
            let failed = |source| LakeError::Folder { root: root.display().to_string(), source };
            std::fs::create_dir_all(root).map_err(failed)?;
        }
        lake.check_store().await?;
        // `flows` comes last: where it is, the lake is whole, even if its maker was killed.
        for table in TABLES.iter().filter(|table| table.name != FLOWS.name) {
            lake.create(table).await?;
        }
        lake.create(&FLOWS).await?;
        Ok(lake)
    }

    /// Makes sure, once, that the object store refuses the second of two writers of one object: commits rely on it. Local
    /// folders do.
    ///
    /// # Errors
    /// [`LakeError::NoConditionalPut`] for a store that does not; one that cannot be reached or written.
    pub async fn check_store(&self) -> Result<(), LakeError> {
        if self.location.local().is_some() {
            return Ok(());
        }
        self.is_probed.get_or_try_init(|| probe::conditional_put(&self.location)).await.map(|_| ())
    }

    /// Whether a table was made: a folder alone may be what a killed process or a full disk left.
    async fn has_commits(&self, table: &'static Table) -> Result<bool, LakeError> {
        if let Some(root) = self.location.local() {
            let is_commit = |name: &Path| name.extension().is_some_and(|kind| kind == "json" || kind == "parquet");
            return Ok(std::fs::read_dir(root.join(table.name).join("_delta_log"))
                .is_ok_and(|entries| entries.flatten().any(|entry| is_commit(&entry.path()))));
        }
        let store = self.store(table)?.object_store(None);
        let failed = |source: object_store::Error| self.open_error(table, source.into());
        let mut entries = store.list(Some(&object_store::path::Path::from("_delta_log")));
        while let Some(entry) = entries.try_next().await.map_err(failed)? {
            if entry.location.extension().is_some_and(|kind| kind == "json" || kind == "parquet") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The tables that are there: all, but in a lake that was made by an earlier version and not written since.
    pub(crate) async fn tables(&self) -> Result<Vec<&'static Table>, LakeError> {
        let mut found = Vec::new();
        for table in TABLES {
            let is_later = LATER_TABLES.iter().any(|later| later.name == table.name);
            if !is_later || self.has_commits(table).await? {
                found.push(*table);
            }
        }
        Ok(found)
    }

    fn at(location: LakeLocation) -> Result<Self, LakeError> {
        Ok(Self {
            location: location.absolute()?,
            clock: Arc::new(tradewind_model::SystemClock),
            stores: Arc::default(),
            is_probed: Arc::default(),
            pinned: None,
        })
    }

    /// Takes the time of commits from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &LakeLocation {
        &self.location
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Writes data files of table `flows`; for threads outside the async runtime `runtime`.
    ///
    /// # Errors
    /// The store cannot be reached by these settings.
    pub async fn stager(&self, runtime: Handle) -> Result<Stager, LakeError> {
        Ok(Stager {
            flows: self.store(&FLOWS)?.object_store(None),
            dead_letters: self.store(&DEAD_LETTERS)?.object_store(None),
            runtime,
        })
    }

    /// The connection to a table's store and log.
    pub(crate) fn store(&self, table: &'static Table) -> Result<LogStoreRef, LakeError> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(table.name) {
            return Ok(Arc::clone(store));
        }
        let options = self.location.options().clone().into_iter().collect();
        let store = DeltaTableBuilder::from_url(self.location.url(table.name)?)
            .and_then(|builder| builder.with_storage_options(options).build_storage())
            .map_err(|source| self.open_error(table, source))?;
        stores.insert(table.name, Arc::clone(&store));
        Ok(store)
    }

    pub(crate) fn open_error(&self, table: &'static Table, source: DeltaTableError) -> LakeError {
        LakeError::Open { root: self.location.to_string(), table: table.name, source: Box::new(source) }
    }

    /// The newest version of a table. Each call reads the log anew: a handle that lives long gets slower with each commit.
    pub(crate) async fn table(&self, table: &'static Table) -> Result<DeltaTable, LakeError> {
        let mut opened = DeltaTable::new(self.store(table)?);
        opened.load().await.map_err(|source| self.open_error(table, source))?;
        Ok(opened)
    }

    pub(crate) async fn create(&self, table: &'static Table) -> Result<(), LakeError> {
        if self.has_commits(table).await?
            && let Ok(existing) = self.table(table).await
        {
            return self.with_all_columns(table, existing).await.map(|_| ());
        }
        let failed = |source: DeltaTableError| LakeError::Create {
            root: self.location.to_string(),
            table: table.name,
            source: Box::new(source),
        };
        if let Some(root) = self.location.local() {
            let folder = root.join(table.name);
            std::fs::create_dir_all(&folder)
                .map_err(|source| LakeError::Folder { root: folder.display().to_string(), source })?;
        }
        let builder = DeltaTable::new(self.store(table)?);
        let created = builder
            .create()
            .with_table_name(table.name)
            .with_comment(table.meaning)
            .with_columns(delta_columns(table))
            .with_partition_columns(table.partition)
            .with_save_mode(SaveMode::Ignore)
            // Of several makers at once one wins. With a second attempt the others would commit another table over it, as its next
            // version, with an id of its own; streams that are stored under the first one's id would be stored again.
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .with_configuration_property(TableProperty::CheckpointInterval, Some(CHECKPOINT_INTERVAL.to_string()))
            .with_configuration_property(TableProperty::LogRetentionDuration, Some(RETENTION))
            .with_configuration_property(TableProperty::DeletedFileRetentionDuration, Some(RETENTION))
            // Not by other programs: what an import names in the log must be in the ledger first (see `upkeep`).
            .with_configuration_property(TableProperty::EnableExpiredLogCleanup, Some("false"))
            .await;
        match created {
            Ok(_) => Ok(()),
            // Another process made it at the same moment.
            Err(error) => match self.table(table).await {
                Ok(existing) => self.with_all_columns(table, existing).await.map(|_| ()),
                Err(_) => Err(failed(error)),
            },
        }
    }
}

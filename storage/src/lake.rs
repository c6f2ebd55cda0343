//! A lake: a folder of Delta tables.

use crate::error::LakeError;
use crate::schema::delta_columns;
use crate::write::Stager;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;
use tradewind_model::Clock;
use tradewind_model::table::{DEAD_LETTERS, FLOWS, TABLES, Table};
use url::Url;

/// A folder of Delta tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lake {
    root: PathBuf,
    clock: Arc<dyn Clock>,
}

/// How many commits lie between checkpoints of a table's log.
const CHECKPOINT_INTERVAL: &str = "50";

impl Lake {
    /// Opens a lake that exists.
    ///
    /// # Errors
    /// [`LakeError::NotALake`] when there is none.
    pub async fn open(root: &Path) -> Result<Self, LakeError> {
        let lake = Self::at(root)?;
        if !lake.has_commits(&FLOWS) {
            return Err(LakeError::NotALake { root: root.to_owned() });
        }
        Ok(lake)
    }

    /// Opens a lake, made first where there is none.
    ///
    /// # Errors
    /// A folder that cannot be made or written, or tables of another program.
    pub async fn open_or_create(root: &Path) -> Result<Self, LakeError> {
        std::fs::create_dir_all(root).map_err(|source| LakeError::Folder { root: root.to_owned(), source })?;
        let lake = Self::at(root)?;
        // `flows` comes last: where it is, the lake is whole, even if its maker was killed.
        for table in TABLES.iter().filter(|table| table.name != FLOWS.name) {
            lake.create(table).await?;
        }
        lake.create(&FLOWS).await?;
        Ok(lake)
    }

    /// Whether a table was made: a folder alone may be what a killed process or a full disk left.
    fn has_commits(&self, table: &Table) -> bool {
        let is_commit = |name: &Path| name.extension().is_some_and(|kind| kind == "json" || kind == "parquet");
        std::fs::read_dir(self.root.join(table.name).join("_delta_log"))
            .is_ok_and(|entries| entries.flatten().any(|entry| is_commit(&entry.path())))
    }

    fn at(root: &Path) -> Result<Self, LakeError> {
        let absolute =
            std::path::absolute(root).map_err(|source| LakeError::Folder { root: root.to_owned(), source })?;
        Ok(Self { root: absolute, clock: Arc::new(tradewind_model::SystemClock) })
    }

    /// Takes the time of commits from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Writes data files of table `flows`; for threads outside the async runtime `runtime`.
    ///
    /// # Errors
    /// The table cannot be opened.
    pub async fn stager(&self, runtime: Handle) -> Result<Stager, LakeError> {
        let table = self.table(&FLOWS).await?;
        let dead_letters = self.table(&DEAD_LETTERS).await?;
        Ok(Stager {
            flows: table.log_store().object_store(None),
            dead_letters: dead_letters.log_store().object_store(None),
            runtime,
        })
    }

    fn url(&self, table: &'static Table) -> Result<Url, LakeError> {
        let path = self.root.join(table.name);
        Url::from_directory_path(&path).map_err(|()| LakeError::Folder {
            root: path,
            source: std::io::Error::new(std::io::ErrorKind::InvalidInput, "not an absolute path"),
        })
    }

    /// The newest version of a table. Each call reads the log anew: a handle that lives long gets slower with each commit.
    pub(crate) async fn table(&self, table: &'static Table) -> Result<DeltaTable, LakeError> {
        let opened = match DeltaTableBuilder::from_url(self.url(table)?) {
            Ok(builder) => builder.load().await,
            Err(error) => Err(error),
        };
        opened.map_err(|source| LakeError::Open {
            root: self.root.clone(),
            table: table.name,
            source: Box::new(source),
        })
    }

    async fn create(&self, table: &'static Table) -> Result<(), LakeError> {
        if self.has_commits(table)
            && let Ok(existing) = self.table(table).await
        {
            return self.check_columns(table, &existing);
        }
        let failed = |source: DeltaTableError| LakeError::Create {
            root: self.root.clone(),
            table: table.name,
            source: Box::new(source),
        };
        let folder = self.root.join(table.name);
        std::fs::create_dir_all(&folder).map_err(|source| LakeError::Folder { root: folder, source })?;
        let builder =
            DeltaTableBuilder::from_url(self.url(table)?).and_then(DeltaTableBuilder::build).map_err(failed)?;
        let created = builder
            .create()
            .with_table_name(table.name)
            .with_comment(table.meaning)
            .with_columns(delta_columns(table))
            .with_partition_columns(table.partition)
            .with_save_mode(SaveMode::Ignore)
            .with_configuration_property(deltalake::TableProperty::CheckpointInterval, Some(CHECKPOINT_INTERVAL))
            .await;
        match created {
            Ok(_) => Ok(()),
            // Another process made it at the same moment.
            Err(error) => match self.table(table).await {
                Ok(existing) => self.check_columns(table, &existing),
                Err(_) => Err(failed(error)),
            },
        }
    }

    fn check_columns(&self, table: &'static Table, existing: &DeltaTable) -> Result<(), LakeError> {
        let found = existing
            .snapshot()
            .map_err(|source| LakeError::Open { root: self.root.clone(), table: table.name, source: Box::new(source) })?
            .schema();
        let found: Vec<String> =
            found.fields().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
        let wanted: Vec<String> =
            delta_columns(table).iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
        let difference = wanted
            .iter()
            .find(|column| !found.contains(column))
            .map(|column| format!("`{column}` is missing"))
            .or_else(|| {
                found.iter().find(|column| !wanted.contains(column)).map(|column| format!("`{column}` is not known"))
            });
        match difference {
            None => Ok(()),
            Some(difference) => Err(LakeError::Schema { root: self.root.clone(), table: table.name, difference }),
        }
    }
}

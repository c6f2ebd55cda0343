//! One error for each thing that is done to a lake: open it, commit to it, ask it.

use deltalake::DeltaTableError;
use std::path::PathBuf;

/// Why a lake could not be opened or created.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// There is nothing there, or something else.
    #[error("{} is not a lake: it has no table `flows`. `tradewind import FILE --lake {}` makes one", root.display(), root.display())]
    NotALake {
        /// The folder that was named.
        root: PathBuf,
    },
    /// The path cannot be a folder of tables.
    #[error("cannot use {} as a lake", root.display())]
    Folder {
        /// The folder that was named.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A table could not be made.
    #[error("failed to create table {table} in {}", root.display())]
    Create {
        /// The lake.
        root: PathBuf,
        /// The table.
        table: &'static str,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A table could not be opened.
    #[error("failed to open table {table} in {}", root.display())]
    Open {
        /// The lake.
        root: PathBuf,
        /// The table.
        table: &'static str,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// The table was made with other columns.
    #[error("table {table} in {} has other columns than this version writes: {difference}", root.display())]
    Schema {
        /// The lake.
        root: PathBuf,
        /// The table.
        table: &'static str,
        /// The first column that differs.
        difference: String,
    },
}

/// Why rows could not be committed. Nothing of the failed commit is visible.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The lake could not be opened.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Rows could not be put into columns: a bug in a decoder or in normalise.
    #[error("failed to lay out rows for table {table}")]
    Layout {
        /// The table.
        table: &'static str,
        /// What Arrow said.
        #[source]
        source: deltalake::arrow::error::ArrowError,
    },
    /// Parquet could not be made.
    #[error("failed to encode rows for table {table}")]
    Encode {
        /// The table.
        table: &'static str,
        /// What Parquet said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A data file could not be written: the disk is full, or the store is gone.
    #[error("failed to write {path} of table {table}")]
    Write {
        /// The table.
        table: &'static str,
        /// The data file.
        path: String,
        /// What the store said.
        #[source]
        source: object_store::Error,
    },
    /// A data file could not be written through to the disk.
    #[error("failed to write the files of table {table} through to the disk")]
    Sync {
        /// The table.
        table: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The Delta commit failed.
    #[error("failed to commit to table {table}")]
    Commit {
        /// The table.
        table: &'static str,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Other writers kept winning.
    #[error("gave up committing to table {table} after {attempts} attempts: other writers kept winning")]
    Contended {
        /// The table.
        table: &'static str,
        /// How often it was tried.
        attempts: usize,
    },
    /// The ledger could not be read.
    #[error("failed to read the import ledger")]
    Ledger(#[source] Box<QueryError>),
}

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The lake could not be opened.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The SQL is wrong, or asks for more than reading.
    #[error("{0}")]
    Plan(#[source] Box<datafusion::error::DataFusionError>),
    /// It failed while running.
    #[error("the query failed")]
    Run(#[source] Box<datafusion::error::DataFusionError>),
}

//! One error for each thing that is done to a lake: open it, commit to it, ask it.

use deltalake::DeltaTableError;

/// Why a lake could not be opened or created.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// There is nothing there, or something else.
    #[error("{root} is not a lake: it has no table `flows`. `tradewind import FILE --lake {root}` makes one")]
    NotALake {
        /// The place that was named.
        root: String,
    },
    /// The path cannot be a folder of tables.
    #[error("cannot use {root} as a lake")]
    Folder {
        /// The place that was named.
        root: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A table could not be made.
    #[error("failed to create table {table} in {root}")]
    Create {
        /// The lake.
        root: String,
        /// The table.
        table: &'static str,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A table could not be opened.
    #[error("failed to open table {table} in {root}")]
    Open {
        /// The lake.
        root: String,
        /// The table.
        table: &'static str,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// The object store lets two writers make the same object, so commits would be lost.
    #[error(
        "the object store of {root} does not keep writers apart: {observed}. Use a store with conditional put \
         (If-None-Match), or a newer version of it"
    )]
    NoConditionalPut {
        /// The lake.
        root: String,
        /// What it did.
        observed: &'static str,
    },
    /// The object store could not be reached, or refuses to be written.
    #[error("cannot write to the object store of {root}")]
    Store {
        /// The lake.
        root: String,
        /// What the store said.
        #[source]
        source: Box<object_store::Error>,
    },
    /// Columns that this version has could not be added to a table.
    #[error("failed to add columns to table {table} in {root}")]
    AddColumns {
        /// The lake.
        root: String,
        /// The table.
        table: &'static str,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// The table has other columns, and cannot be given those of this version.
    #[error("table {table} in {root} has other columns than this version writes: {difference}")]
    Schema {
        /// The lake.
        root: String,
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
    /// A data file could not be read.
    #[error("failed to read {path} of table {table}")]
    Read {
        /// The table.
        table: &'static str,
        /// The data file.
        path: String,
        /// What Parquet or the store said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A data file is not sorted as the files of its table are: another program wrote it.
    #[error("{path} of table {table} is not sorted by src_entity, dst_entity, dst_port, start_time")]
    Unsorted {
        /// The table.
        table: &'static str,
        /// The data file.
        path: String,
    },
    /// Files that were rewritten would not hold the rows that the log says they have; nothing was committed.
    #[error(
        "files of table {table} have {found} rows where its log says {expected}: `tradewind lake verify` names them"
    )]
    RowsDiffer {
        /// The table.
        table: &'static str,
        /// Rows that the log says.
        expected: i64,
        /// Rows that were read.
        found: i64,
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
    /// Rows between what the table holds and what is to be committed would be lost.
    #[error(
        "table {table} holds {partition} up to offset {stored}, but the next rows begin at {from}: the rows between would be lost"
    )]
    OffsetGap {
        /// The table.
        table: &'static str,
        /// The partition.
        partition: String,
        /// Its next offset in the table.
        stored: i64,
        /// The first offset of the commit.
        from: i64,
    },
    /// The caller's ranges of offsets are none: a bug.
    #[error("failed to commit to table {table}: {reason}")]
    OffsetRanges {
        /// The table.
        table: &'static str,
        /// What is wrong.
        reason: String,
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

//! Reads data files and checkpoints of a table's store. Not queries: those go through the engine.

use crate::error::CommitError;
use crate::schema::file_schema;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use std::ops::Range;
use std::sync::Arc;
use tradewind_model::table::Table;

/// The end of a file that is read at first: it holds the footer of nearly every one.
const FOOTER_BYTES: usize = 64 * 1024;

/// A Parquet file in a store.
#[derive(Clone, Debug)]
pub(crate) struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: Option<u64>,
}

impl StoredFile {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, bytes: None }
    }

    /// Spares asking the store for the size.
    pub(crate) fn with_size(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move { Ok(self.store.get_range(&self.path, range).await?) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move { Ok(self.store.get_ranges(&self.path, &ranges).await?) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let bytes = match self.bytes {
                Some(bytes) => bytes,
                None => self.store.head(&self.path).await?.size,
            };
            let reader = ParquetMetaDataReader::new()
                .with_metadata_options(options.map(|options| options.metadata_options().clone()))
                .with_prefetch_hint(Some(FOOTER_BYTES));
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// Opens a data file of a table, its columns as its writer had them: all, or those of these names.
pub(crate) async fn open(
    store: &Arc<dyn ObjectStore>,
    table: &'static Table,
    path: &str,
    batch_rows: usize,
    columns: Option<&[&str]>,
) -> std::result::Result<ParquetRecordBatchStream<StoredFile>, CommitError> {
    let failed = |source: ParquetError| CommitError::Read { table: table.name, path: path.to_owned(), source };
    let file = StoredFile::new(Arc::clone(store), Path::from(path));
    let options = ArrowReaderOptions::new().with_schema(file_schema(table));
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(file, options).await.map_err(failed)?;
    let mask = match columns {
        None => ProjectionMask::all(),
        Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
    };
    builder.with_projection(mask).with_batch_size(batch_rows).build().map_err(failed)
}

//! Reads data files and checkpoints of a table's store. Not queries: those go through the engine.

use crate::error::CommitError;
use crate::schema::file_schema;
use arrow::array::new_null_array;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
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

/// Rows of a data file, batch by batch.
pub(crate) type FileRows = BoxStream<'static, Result<RecordBatch>>;

/// Opens a data file of a table, its columns as this version writes them: all, or those of these names. Those that its
/// writer did not have yet are null.
pub(crate) async fn open(
    store: &Arc<dyn ObjectStore>,
    table: &'static Table,
    path: &str,
    batch_rows: usize,
    columns: Option<&[&str]>,
) -> std::result::Result<FileRows, CommitError> {
    let opened = async {
        let mut file = StoredFile::new(Arc::clone(store), Path::from(path));
        let footer = ArrowReaderMetadata::load_async(&mut file, ArrowReaderOptions::default()).await?;
        let schema = file_schema(table);
        let typed = typed(footer.schema(), &schema)?;
        let is_whole = typed == schema;
        let options = ArrowReaderOptions::new().with_schema(typed);
        let footer = ArrowReaderMetadata::try_new(Arc::clone(footer.metadata()), options)?;
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(file, footer);
        let mask = match columns {
            None => ProjectionMask::all(),
            Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        };
        let rows = builder.with_projection(mask).with_batch_size(batch_rows).build()?;
        Ok(if columns.is_some() || is_whole {
            rows.boxed()
        } else {
            rows.map(move |batch| Ok(filled(&batch?, &schema)?)).boxed()
        })
    };
    opened.await.map_err(|source| CommitError::Read { table: table.name, path: path.to_owned(), source })
}

/// The columns of a file in its own order, with the types that this version gives them.
fn typed(found: &Schema, wanted: &Schema) -> Result<SchemaRef> {
    let fields = found.fields().iter().map(|field| match wanted.field_with_name(field.name()) {
        Ok(wanted) => Ok(wanted.clone()),
        Err(_) => Err(ParquetError::General(format!("column {} is not known", field.name()))),
    });
    let typed = Schema::new(fields.collect::<Result<Vec<_>>>()?);
    let is_required = |field: &&FieldRef| !field.is_nullable() && typed.field_with_name(field.name()).is_err();
    match wanted.fields().iter().find(is_required) {
        Some(field) => Err(ParquetError::General(format!("column {} is missing", field.name()))),
        None => Ok(Arc::new(typed)),
    }
}

/// The batch with all wanted columns, in their order.
fn filled(batch: &RecordBatch, wanted: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    let column = |field: &FieldRef| match batch.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => new_null_array(field.data_type(), batch.num_rows()),
    };
    RecordBatch::try_new(Arc::clone(wanted), wanted.fields().iter().map(column).collect())
}

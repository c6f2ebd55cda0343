//! Questions to a lake in SQL, by DataFusion. Reading only: no statement changes a table, a file or a setting.

mod connection;
mod functions;

use crate::error::QueryError;
use crate::lake::Lake;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{SessionConfig, SessionContext, lit};
use deltalake::DeltaTable;
use futures::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tradewind_model::field::Field;
use tradewind_model::table::{TABLES, Table};

/// The answer to a query, batch by batch.
pub struct QueryStream {
    inner: SendableRecordBatchStream,
}

impl std::fmt::Debug for QueryStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("QueryStream").field("schema", &self.inner.schema()).finish()
    }
}

impl QueryStream {
    /// The columns of the answer.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.inner).poll_next(context).map_err(run_error)
    }
}

fn run_error(error: DataFusionError) -> QueryError {
    QueryError::Run(Box::new(error))
}

fn plan_error(error: DataFusionError) -> QueryError {
    QueryError::Plan(Box::new(error))
}

impl Lake {
    /// Asks a question in SQL: SELECT, WITH, SHOW, DESCRIBE, EXPLAIN.
    ///
    /// # Errors
    /// SQL that is wrong or asks for more than reading; a lake that cannot be read.
    pub async fn query(&self, sql: &str) -> Result<QueryStream, QueryError> {
        let session = self.session().await?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = session.sql_with_options(sql, options).await.map_err(plan_error)?;
        let inner = frame.execute_stream().await.map_err(plan_error)?;
        Ok(QueryStream { inner })
    }

    /// A session with the newest version of every table, or the one that is asked for ([`Lake::as_of`]). Made for each question, so that an answer never mixes versions.
    async fn session(&self) -> Result<SessionContext, QueryError> {
        let config = SessionConfig::new()
            .with_information_schema(true)
            .set_bool("datafusion.sql_parser.enable_ident_normalization", true)
            .set_str("datafusion.execution.time_zone", "UTC");
        let session = SessionContext::new_with_config(config);
        functions::register(&session);
        connection::register(&session);
        let present = self.tables().await?;
        for table in TABLES {
            if present.iter().any(|present| present.name == table.name) {
                let opened = self.seen_table(table).await?;
                let absent = self.absent_columns(table, &opened)?;
                register(&session, table, &opened, &absent).await?;
            } else {
                let empty = EmptyTable::new(table.schema());
                session.register_table(table.name, Arc::new(empty)).map_err(plan_error)?;
            }
        }
        connection::register_view(&session).await.map_err(plan_error)?;
        Ok(session)
    }

    /// All rows of one table that was opened, by this column.
    pub(crate) async fn scan_by(
        &self,
        table: &'static Table,
        opened: &DeltaTable,
        order: &str,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let session = SessionContext::new();
        register(&session, table, opened, &self.absent_columns(table, opened)?).await?;
        let frame = session.sql(&format!("SELECT * FROM {} ORDER BY {order}", table.name)).await.map_err(plan_error)?;
        frame.collect().await.map_err(run_error)
    }
}

/// Makes a table that was opened known to a session.
async fn register(
    session: &SessionContext,
    table: &Table,
    opened: &DeltaTable,
    absent: &[&Field],
) -> Result<(), QueryError> {
    let provider = opened.table_provider().await.map_err(plan_error)?;
    opened
        .update_datafusion_session(&session.state())
        .map_err(|error| plan_error(DataFusionError::External(Box::new(error))))?;
    let provider = match absent {
        [] => provider as Arc<dyn TableProvider>,
        absent => with_nulls(session, provider, absent).map_err(plan_error)?,
    };
    session.register_table(table.name, provider).map_err(plan_error)?;
    Ok(())
}

/// A table of an older version as this version sees it: columns that it lacks are null.
fn with_nulls(
    session: &SessionContext,
    provider: Arc<dyn TableProvider>,
    absent: &[&Field],
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let mut frame = session.read_table(provider)?;
    for field in absent {
        frame = frame.with_column(field.name, lit(ScalarValue::try_new_null(&field.ty.arrow())?))?;
    }
    Ok(frame.into_view())
}

//! Questions to a lake in SQL, by DataFusion. Reading only: no statement changes a table, a file or a setting.

mod connection;
mod functions;

use crate::error::QueryError;
use crate::lake::Lake;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{SessionConfig, SessionContext, lit};
use futures::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tradewind_model::field::Field;
use tradewind_model::table::TABLES;

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
        for table in TABLES {
            let opened = self.seen_table(table).await?;
            let absent = self.absent_columns(table, &opened)?;
            let provider = opened.table_provider().await.map_err(plan_error)?;
            opened
                .update_datafusion_session(&session.state())
                .map_err(|error| plan_error(DataFusionError::External(Box::new(error))))?;
            let provider = match absent.as_slice() {
                [] => provider as Arc<dyn TableProvider>,
                absent => with_nulls(&session, provider, absent).map_err(plan_error)?,
            };
            session.register_table(table.name, provider).map_err(plan_error)?;
        }
        connection::register_view(&session).await.map_err(plan_error)?;
        Ok(session)
    }
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

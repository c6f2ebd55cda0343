//! The pages of a running service: whether it lives, whether it works, what it counted.

use crate::context::Context;
use crate::stages::{Runtime, Stage};
use crate::telemetry::metrics::{Numbers, sums};
use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// The server of the pages; ends with it.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Where it listens, with the real port where the settings say 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins to listen.
///
/// # Errors
/// An address that is taken or not this machine's.
pub(crate) fn start(
    context: &Context,
    runtime: &Arc<Runtime>,
    registry: prometheus::Registry,
    numbers: Numbers,
) -> anyhow::Result<Server> {
    let listen = context.settings.run.listen;
    let failed = || format!("failed to listen at {listen} ([run] listen): another process may have the port");
    let listener = context.runtime.block_on(tokio::net::TcpListener::bind(listen)).with_context(failed)?;
    let address = listener.local_addr().with_context(failed)?;
    let pages = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(async move || metrics(&registry)))
        .route("/notify", get(notify))
        .route("/status", get(async move || Json(status(&numbers))))
        .with_state(Arc::clone(runtime));
    let task = context.runtime.spawn(async move {
        if let Err(error) = axum::serve(listener, pages).await {
            tracing::error!(%error, "health and metrics pages ended");
        }
    });
    Ok(Server { address, task })
}

/// 503 with a cause for each stage that does not work. What fails beside the work of a stage is told, and leaves it ready.
async fn ready(State(runtime): State<Arc<Runtime>>) -> (StatusCode, Json<Value>) {
    let (causes, degraded) = (runtime.health.causes(), runtime.health.degraded());
    let status = if causes.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": causes.is_empty(), "causes": causes, "degraded": degraded })))
}

/// How deliveries stand, for `tradewind notify status`. 404 where this process does not run the stage.
async fn notify(State(runtime): State<Arc<Runtime>>) -> Result<Json<tradewind_notify::Status>, StatusCode> {
    runtime.counters.notify.get().map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// The text format of Prometheus.
fn metrics(registry: &prometheus::Registry) -> (StatusCode, String) {
    match prometheus::TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(page) => (StatusCode::OK, page),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics cannot be written: {error}\n")),
    }
}

/// All of it for `tradewind status`.
fn status(numbers: &Numbers) -> Value {
    let health = &numbers.health;
    let words = |stage: &Stage| (stage.as_str().to_owned(), Value::from(health.words(stage.as_str())));
    let stages: serde_json::Map<String, Value> = numbers.stages.iter().map(words).collect();
    let lag: Vec<Value> = numbers
        .lags
        .all()
        .into_iter()
        .map(
            |lag| json!({ "group": lag.group, "topic": lag.topic, "partition": lag.partition, "records": lag.records }),
        )
        .collect();
    json!({ "stages": stages, "causes": health.causes(), "degraded": health.degraded(), "lag": lag, "metrics": sums(numbers) })
}

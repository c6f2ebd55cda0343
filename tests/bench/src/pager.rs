//! PagerDuty's stand-in: takes events as its Events API v2 does, and keeps when each came. What is in them is for others.

use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Runtime;
use tradewind_model::{Clock as _, SystemClock};

/// When an event came, microseconds since 1970, and the event.
type Events = Arc<Mutex<Vec<(i64, Value)>>>;

/// Takes events until it is dropped.
#[derive(Debug)]
pub(crate) struct Pager {
    pub(crate) address: SocketAddr,
    events: Events,
    _runtime: Runtime,
}

impl Pager {
    /// Begins to listen.
    ///
    /// # Errors
    /// When it cannot.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("failed to start the stand-in")?;
        let events = Events::default();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/v2/enqueue", post(take)).with_state(Arc::clone(&events));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, events, _runtime: runtime })
    }

    /// All that came so far.
    pub(crate) fn events(&self) -> Vec<(i64, Value)> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(events): State<Events>, Json(event): Json<Value>) -> (StatusCode, Json<Value>) {
    let now = SystemClock.now();
    let key = event["dedup_key"].clone();
    let is_whole = event["routing_key"].is_string() && event["event_action"].is_string() && key.is_string();
    if !is_whole {
        return (StatusCode::BAD_REQUEST, Json(json!({ "status": "invalid event", "errors": ["incomplete"] })));
    }
    events.lock().unwrap_or_else(PoisonError::into_inner).push((now, event));
    (StatusCode::ACCEPTED, Json(json!({ "status": "success", "message": "Event processed", "dedup_key": key })))
}

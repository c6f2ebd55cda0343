//! A server that takes requests as a vendor would, and fails as told.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it does with a request instead of taking it.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Answers with a status, headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Never answers.
    Hang,
    /// Takes the request, and closes the connection in the middle of the answer.
    HalfAnswer,
    /// Takes the request as it should be, but the answer never arrives.
    LostAnswer,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// The contract of a vendor: what is answered to a request. What breaks the contract is to be answered as the vendor does.
pub(crate) type Contract = dyn Fn(&Received) -> (u16, String) + Send + Sync;

struct Inner {
    contract: Box<Contract>,
    received: Mutex<Vec<Received>>,
    faults: Mutex<VecDeque<Fault>>,
}

/// The server; ends with it.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StandIn {
    pub(crate) async fn start(contract: impl Fn(&Received) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, contract)
    }

    pub(crate) fn on(
        listener: tokio::net::TcpListener,
        contract: impl Fn(&Received) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let inner =
            Arc::new(Inner { contract: Box::new(contract), received: Mutex::default(), faults: Mutex::default() });
        let router = Router::new().fallback(take).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests meet these, one each.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inner.faults.lock().unwrap().extend(faults);
    }

    /// Requests that met no fault, in the order in which they came.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.inner.received.lock().unwrap().clone()
    }

    /// Faults that no request met so far.
    pub(crate) fn faults_left(&self) -> usize {
        self.inner.faults.lock().unwrap().len()
    }
}

async fn take(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    let received = Received { method: parts.method, uri: parts.uri, headers: parts.headers, body };
    let fault = inner.faults.lock().unwrap().pop_front();
    let answer = |status: u16, body: Body| {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    match fault {
        None => {
            let (status, body) = (inner.contract)(&received);
            inner.received.lock().unwrap().push(received);
            let mut response = answer(status, Body::from(body));
            // S3 tells what an object is by then; others may have it too.
            response.headers_mut().insert("etag", "\"1\"".parse().unwrap());
            response
        }
        Some(Fault::Status(status, headers, body)) => {
            let mut response = answer(status, Body::from(body));
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Some(Fault::Hang) => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            answer(500, Body::empty())
        }
        Some(Fault::HalfAnswer) => {
            let broken: Result<Bytes, std::io::Error> = Err(std::io::Error::other("cut"));
            let parts = [Ok(Bytes::from_static(b"{")), broken];
            answer(202, Body::from_stream(futures::stream::iter(parts)))
        }
        Some(Fault::LostAnswer) => {
            let (status, _) = (inner.contract)(&received);
            inner.received.lock().unwrap().push(received);
            let broken: Result<Bytes, std::io::Error> = Err(std::io::Error::other("cut"));
            answer(status, Body::from_stream(futures::stream::iter([broken])))
        }
    }
}

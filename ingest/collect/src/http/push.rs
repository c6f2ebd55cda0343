//! `POST /v1/raw`: one request from its head to its answer.

use crate::collector::Wiring;
use crate::counters::{CollectCounters, RejectReason, add};
use crate::http::body::{self, Asked, Limits, Memory};
use crate::http::credentials::{Binding, Credentials};
use crate::http::group::{Job, Shared, Ticket};
use crate::http::keys::{Answer, Begin};
use crate::http::listener::Peer;
use crate::http::problem::Problem;
use crate::http::settings::HttpSettings;
use crate::origin::Origin;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;
use tradewind_transport::envelope::{Encoding, Framing};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_BYTES_MAX: usize = 128;
const NAME_BYTES_MAX: usize = 256;
const FORMAT_BYTES_MAX: usize = 4096;
/// How much longer than the writer a handler waits.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: HttpSettings,
    pub(crate) wiring: Wiring,
    pub(crate) credentials: Credentials,
    pub(crate) memory: Memory,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<CollectCounters>,
    pub(crate) jobs: mpsc::Sender<Job>,
    /// Begins each source id: number of the run and of the request.
    pub(crate) run: String,
    pub(crate) requests: AtomicU64,
}

/// Parameters of the query.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    observer: Option<String>,
    format: Option<String>,
    framing: Option<String>,
}

/// What the head of a request says.
#[derive(Debug)]
struct Head {
    origin: Origin,
    asked: Asked,
    encoding: Encoding,
    length: Option<usize>,
    credential: String,
    key: Option<String>,
}

/// Calls a request off when its handler ends early, because its sender went away.
struct Guard {
    ticket: Arc<Ticket>,
    /// The idempotency key that it holds before it is handed over.
    key: Option<(Arc<Shared>, String)>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.ticket.cancel() {
            if let Some((shared, key)) = self.key.take() {
                shared.keys.abandon(&key);
            }
            self.ticket.reject(RejectReason::Aborted);
        }
    }
}

/// Takes in a request.
pub(crate) async fn push(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request<Body>,
) -> Response {
    let _handling = peer.handling();
    let ticket = Ticket::new(&app.counters);
    let mut guard = Guard { ticket: Arc::clone(&ticket), key: None };
    match take(&app, request, &mut guard).await {
        Ok((answer, is_repeated)) => {
            ticket.accept();
            let body = serde_json::json!({ "records": answer.records, "bytes": answer.bytes });
            let mut response = (StatusCode::OK, body.to_string()).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if is_repeated {
                add(&app.counters.repeated, 1);
                headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
            }
            response
        }
        Err(problem) => {
            ticket.reject(problem.reason);
            debug!(peer = %peer.address, status = problem.status.as_u16(), detail = problem.detail, "request refused");
            problem.into_response()
        }
    }
}

/// Where there is nothing.
pub(crate) async fn not_found() -> Problem {
    Problem { status: StatusCode::NOT_FOUND, ..Problem::malformed("there is nothing here; push to POST /v1/raw") }
}

/// Another method than POST.
pub(crate) async fn not_allowed() -> Problem {
    Problem { status: StatusCode::METHOD_NOT_ALLOWED, ..Problem::malformed("push with POST") }
}

async fn take(app: &Arc<App>, request: Request<Body>, guard: &mut Guard) -> Result<(Answer, bool), Problem> {
    let (parts, body) = request.into_parts();
    let head = read_head(app, &parts)?;
    if app.shared.is_away.load(Ordering::Acquire) {
        return Err(Problem::away());
    }
    let limits = Limits::of(&app.settings);
    let mut held = app.memory.hold();
    let timeout = Duration::from_millis(app.settings.body_timeout_ms);
    let packed =
        tokio::time::timeout(timeout, body::read(body, head.length, &limits, &mut held)).await.map_err(|_| {
            let detail = format!("the body did not come within {} ms", app.settings.body_timeout_ms);
            Problem::new(StatusCode::REQUEST_TIMEOUT, RejectReason::Aborted, detail)
        })??;
    let (encoding, asked) = (head.encoding, head.asked);
    let unpacking = tokio::task::spawn_blocking(move || {
        let bytes = body::unpack(packed, encoding, &limits, &mut held)?;
        let records = body::cut(&bytes, asked, &limits)?;
        let hash = blake3::hash(&bytes).to_hex()[..32].to_owned();
        Ok::<_, Problem>((bytes.len(), records, hash, held))
    });
    let (length, records, hash, held) = unpacking.await.map_err(|_| Problem::no_memory())??;

    let now = app.wiring.clock.now();
    let answer = Answer { body: hash, records: records.count, bytes: length as u64, time: now };
    let key = match &head.key {
        Some(key) => {
            let scoped = format!("{}/{key}", head.credential);
            match app.shared.keys.begin(&scoped, &answer.body, now) {
                Begin::First => {
                    guard.key = Some((Arc::clone(&app.shared), scoped.clone()));
                    Some((scoped, answer.clone()))
                }
                Begin::Repeated(answer) => return Ok((answer, true)),
                Begin::Busy => return Err(key_is_busy()),
                Begin::Conflict => return Err(key_is_used()),
            }
        }
        None => None,
    };
    let number = app.requests.fetch_add(1, Ordering::Relaxed);
    let name = head.key.as_deref().map_or_else(|| format!("{}-{number}", app.run), |key| format!("key {key}"));
    let values = records.values.into_iter().map(|(begin, value)| {
        let source = format!("http {} {name} {begin}-{}", head.credential, begin + value.len());
        head.origin.record(value, records.framing, source, None, now)
    });
    let (reply, answered) = oneshot::channel();
    let ticket = Arc::clone(&guard.ticket);
    let job = Job { records: values.collect(), key, bytes: length as u64, ticket, held, reply };
    app.jobs.try_send(job).map_err(|error| refuse(guard, &error))?;
    // From here on the writer looks after the key, unless the request is called off before it is taken.
    let wait = Duration::from_millis(app.settings.write_timeout_ms) + ANSWER_GRACE;
    match tokio::time::timeout(wait, answered).await {
        Ok(Ok(Ok(()))) => Ok((answer, false)),
        Ok(Ok(Err(_)) | Err(_)) => Err(Problem::away()),
        Err(_) => {
            if guard.ticket.cancel()
                && let Some((shared, key)) = guard.key.take()
            {
                shared.keys.abandon(&key);
            }
            Err(Problem::away())
        }
    }
}

fn refuse(guard: &mut Guard, error: &mpsc::error::TrySendError<Job>) -> Problem {
    if let Some((shared, key)) = guard.key.take() {
        shared.keys.abandon(&key);
    }
    match error {
        mpsc::error::TrySendError::Full(_) => {
            let detail = "too many requests wait for the log; keep the data and send it again";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, RejectReason::Overloaded, detail).retry_after(1)
        }
        mpsc::error::TrySendError::Closed(_) => Problem::away(),
    }
}

fn key_is_busy() -> Problem {
    let detail = "a request with this Idempotency-Key is under way; ask again for its answer";
    Problem::new(StatusCode::CONFLICT, RejectReason::KeyConflict, detail).retry_after(1)
}

fn key_is_used() -> Problem {
    let detail = "this Idempotency-Key was used for another body; use a new key for new data";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, RejectReason::KeyConflict, detail)
}

fn read_head(app: &App, parts: &Parts) -> Result<Head, Problem> {
    debug_assert_eq!(parts.method, Method::POST);
    let headers = &parts.headers;
    let binding = authorise(app, headers)?;
    let Query(parameters) = Query::<Parameters>::try_from_uri(&parts.uri).map_err(|_| {
        Problem::malformed("the query cannot be read; parameters are observer, format and framing, each at most once")
    })?;
    check_text("observer", parameters.observer.as_deref(), NAME_BYTES_MAX)?;
    check_text("format", parameters.format.as_deref(), FORMAT_BYTES_MAX)?;
    let observers = (parameters.observer.as_deref(), app.settings.observer.as_deref());
    let (observer, format) = binding
        .bind(observers, (parameters.format.as_deref(), &app.settings.format))
        .map_err(|detail| Problem::new(StatusCode::FORBIDDEN, RejectReason::Forbidden, detail))?;
    let origin =
        Origin { collector: app.wiring.collector.clone(), observer, network: app.settings.network.clone(), format };
    let framing = parameters.framing.as_deref().map(str::parse::<Framing>).transpose();
    let framing = framing.map_err(|_| Problem::malformed("`framing` is lines, one or json_array"))?;
    let asked = match framing {
        Some(framing) => Asked::Framing(framing),
        None => asked_by_type(headers, app.settings.framing.into())?,
    };
    Ok(Head {
        origin,
        asked,
        encoding: encoding(headers)?,
        length: length(headers)?,
        credential: binding.name.clone(),
        key: key(headers)?,
    })
}

fn authorise<'a>(app: &'a App, headers: &HeaderMap) -> Result<&'a Binding, Problem> {
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let unknown = || {
        let detail = "give a known token with `Authorization: Bearer TOKEN`";
        Problem::new(StatusCode::UNAUTHORIZED, RejectReason::Unauthenticated, detail)
    };
    let binding = app.credentials.find(authorization).ok_or_else(unknown)?;
    // A page in a browser on this machine can reach it too; what proves nothing else must not come from there.
    if authorization.is_none() && headers.contains_key(header::ORIGIN) {
        let detail = "web pages cannot push without a token";
        return Err(Problem::new(StatusCode::FORBIDDEN, RejectReason::Forbidden, detail));
    }
    Ok(binding)
}

fn check_text(what: &str, text: Option<&str>, bytes_max: usize) -> Result<(), Problem> {
    match text {
        Some(text) if text.is_empty() || text.len() > bytes_max || text.chars().any(char::is_control) => {
            Err(Problem::malformed(format!("`{what}` has 1 to {bytes_max} bytes and no control characters")))
        }
        _ => Ok(()),
    }
}

fn asked_by_type(headers: &HeaderMap, default: Framing) -> Result<Asked, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Asked::Framing(default)) };
    let value = value.to_str().unwrap_or_default();
    let name = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "application/json" => Ok(Asked::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Ok(Asked::Framing(Framing::Lines))
        }
        "text/plain" | "application/octet-stream" => Ok(Asked::Framing(default)),
        _ => {
            let detail =
                "Content-Type is text/plain, application/x-ndjson, application/json or application/octet-stream";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, RejectReason::UnsupportedMedia, detail))
        }
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let encoding = match values.next().map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase()) {
        None => Some(Encoding::Identity),
        Some(word) => match word.as_slice() {
            b"identity" => Some(Encoding::Identity),
            b"gzip" | b"x-gzip" => Some(Encoding::Gzip),
            b"zstd" => Some(Encoding::Zstd),
            _ => None,
        },
    };
    encoding.filter(|_| values.next().is_none()).ok_or_else(|| {
        let detail = "Content-Encoding is gzip, zstd or identity, once";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, RejectReason::UnsupportedMedia, detail)
    })
}

/// The length that is told. None: the body comes in chunks.
fn length(headers: &HeaderMap) -> Result<Option<usize>, Problem> {
    match headers.get(header::CONTENT_LENGTH) {
        Some(value) => {
            let length = value.to_str().ok().and_then(|text| text.parse().ok());
            length.map(Some).ok_or_else(|| Problem::malformed("Content-Length is no number"))
        }
        None if headers.contains_key(header::TRANSFER_ENCODING) => Ok(None),
        None => {
            let detail = "give the Content-Length, or send the body in chunks";
            Err(Problem::new(StatusCode::LENGTH_REQUIRED, RejectReason::Malformed, detail))
        }
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
    match key {
        Some(key) if values.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Problem::malformed("Idempotency-Key is given once and has 1 to 128 letters, digits or signs")),
    }
}

//! Data that is pushed over HTTP: `docs/reference/http-push.md` says what a sender sees.
//!
//! A request is answered after its data is durable. `listener` limits connections, `push` reads a request, `body` unpacks
//! it, `group` writes what waits together in one transaction, `keys` remembers answers. TLS is deliberately absent: a proxy
//! ends it.

pub(crate) mod body;
pub(crate) mod credentials;
mod group;
mod keys;
mod listener;
mod problem;
mod push;
mod settings;

pub use credentials::CredentialSettings;
pub use settings::HttpSettings;

use crate::collector::Wiring;
use crate::counters::CollectCounters;
use crate::error::CollectError;
use crate::http::body::Memory;
use crate::http::credentials::Credentials;
use crate::http::group::{Group, Shared};
use crate::http::keys::Keys;
use crate::http::listener::{LimitedListener, Peer, Timeouts};
use crate::http::push::{App, not_allowed, not_found, push};
use crate::shutdown::{Shutdown, ShutdownHandle};
use axum::Router;
use axum::routing::post;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Threads of the event loop, and those that unpack.
const THREADS: usize = 2;
const UNPACKING_THREADS: usize = 4;

/// Collects what is pushed.
#[derive(Debug)]
pub(crate) struct HttpCollector {
    settings: HttpSettings,
    wiring: Wiring,
    counters: Arc<CollectCounters>,
    credentials: Credentials,
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpCollector {
    /// Reads tokens and binds the address, so that faults show before anything runs.
    pub(crate) fn new(
        settings: HttpSettings,
        wiring: Wiring,
        counters: Arc<CollectCounters>,
    ) -> Result<Self, CollectError> {
        let credentials = Credentials::load(&settings.name, &settings.credentials, settings.anonymous)?;
        let bind = || {
            let listener = TcpListener::bind(settings.listen)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind().map_err(|source| CollectError::Bind {
            name: settings.name.clone(),
            address: settings.listen,
            source,
        })?;
        Ok(Self { settings, wiring, counters, credentials, listener, address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until asked to end, then finishes what was accepted.
    pub(crate) fn run(self, shutdown: &Shutdown) -> Result<(), CollectError> {
        let name = self.settings.name.clone();
        let start = |what: &'static str| {
            let name = name.clone();
            move |source| CollectError::Start { name, what, source }
        };
        if !self.address.ip().is_loopback() {
            warn!(source = name, address = %self.address, "other machines can connect, without TLS: put a proxy with TLS before it");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(UNPACKING_THREADS)
            .thread_name(format!("http-{name}"))
            .enable_all()
            .build()
            .map_err(start("an event loop"))?;
        let shared = Arc::new(Shared {
            keys: Keys::new(self.settings.key_window_s, self.settings.keys_max),
            is_away: AtomicBool::new(true),
        });
        let (jobs, waiting) = mpsc::channel(self.settings.queue_max);
        let group = Group {
            settings: self.settings.clone(),
            wiring: self.wiring.clone(),
            counters: Arc::clone(&self.counters),
            shared: Arc::clone(&shared),
        };
        // Ends the server when the writer ends, whatever ended it.
        let ended = ShutdownHandle::new();
        let (ending, watched) = (ended.clone(), shutdown.clone());
        let writer = std::thread::Builder::new()
            .name(format!("write-{name}"))
            .spawn(move || {
                let result = group.run(waiting, &watched);
                ending.request(Duration::ZERO);
                result
            })
            .map_err(start("a thread"))?;

        let app = App {
            memory: Memory::new(self.settings.memory_bytes_max),
            run: format!("{:x}", self.wiring.clock.now()),
            settings: self.settings,
            wiring: self.wiring,
            credentials: self.credentials,
            shared,
            counters: self.counters,
            jobs,
            requests: AtomicU64::new(0),
        };
        info!(source = name, address = %self.address, "taking in what is pushed");
        let served = runtime.block_on(serve(app, self.listener, shutdown.clone(), ended.listener()));
        // Handlers that are left are dropped, and with them the queue: the writer ends.
        runtime.shutdown_timeout(Duration::from_secs(1));
        let written = writer
            .join()
            .unwrap_or_else(|_| Err(start("the writer: it panicked")(std::io::Error::other("a thread panicked"))));
        written.and(served.map_err(start("serving")))
    }
}

async fn serve(app: App, listener: TcpListener, shutdown: Shutdown, ended: Shutdown) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let timeouts = Timeouts {
        head: Duration::from_millis(app.settings.head_timeout_ms),
        idle: Duration::from_millis(app.settings.idle_timeout_ms),
    };
    let listener = LimitedListener::new(listener, app.settings.connections_max, timeouts);
    let router =
        Router::new().route("/v1/raw", post(push).fallback(not_allowed)).fallback(not_found).with_state(Arc::new(app));
    let (asked, writer_ended) = (shutdown.clone(), ended.clone());
    let stopped = async move {
        tokio::select! {
            () = asked.requested() => {}
            () = writer_ended.requested() => {}
        }
    };
    let service = router.into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(stopped);
    tokio::select! {
        result = async { serving.await } => result,
        () = expired(&shutdown, &ended) => Ok(()),
    }
}

/// Comes when the grace period is over, or a moment after the writer ended: handlers then have no more to wait for.
async fn expired(shutdown: &Shutdown, ended: &Shutdown) {
    const LOOK: Duration = Duration::from_millis(50);
    loop {
        if shutdown.is_expired() {
            return;
        }
        if ended.is_requested() {
            tokio::time::sleep(LOOK * 10).await;
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

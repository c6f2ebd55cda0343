//! Connections with limits: how many there are, how long a head may take, how long one may be idle or leave its answer
//! unread. HTTP itself is axum's matter.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long connections may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
}

/// What a connection is doing.
const IDLE: u8 = 0;
const HEAD: u8 = 1;
const HANDLING: u8 = 2;

/// Listens, and takes only as many connections at a time as are allowed: the others wait.
#[derive(Debug)]
pub(crate) struct LimitedListener {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    timeouts: Timeouts,
}

impl LimitedListener {
    pub(crate) fn new(listener: TcpListener, connections_max: usize, timeouts: Timeouts) -> Self {
        Self { listener, connections: Arc::new(Semaphore::new(connections_max)), timeouts }
    }
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    phase: Arc<AtomicU8>,
}

impl Peer {
    /// The head of a request is there: its handler has its own limits of time until the guard is dropped.
    pub(crate) fn handling(&self) -> Handling {
        self.phase.store(HANDLING, Ordering::Release);
        Handling { phase: Arc::clone(&self.phase) }
    }
}

/// While it lives, the connection is being handled.
#[derive(Debug)]
pub(crate) struct Handling {
    phase: Arc<AtomicU8>,
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.phase.store(IDLE, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, LimitedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, LimitedListener>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Listener for LimitedListener {
    type Io = LimitedStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (LimitedStream, Peer) {
        let connections = Arc::clone(&self.connections);
        let permit = connections.acquire_owned().await.expect("the semaphore is never closed");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let phase = Arc::new(AtomicU8::new(IDLE));
        let peer = Peer { address, phase: Arc::clone(&phase) };
        let now = Instant::now();
        let stream = LimitedStream {
            stream,
            phase,
            seen: IDLE,
            begin: [0; 3],
            received: 0,
            timeouts: self.timeouts,
            read_limit: Box::pin(sleep_until(now + self.timeouts.idle)),
            write_limit: None,
            _permit: permit,
        };
        (stream, peer)
    }

    fn local_addr(&self) -> io::Result<Peer> {
        let address = self.listener.local_addr()?;
        Ok(Peer { address, phase: Arc::new(AtomicU8::new(IDLE)) })
    }
}

/// A connection that ends when its other end is too slow.
pub(crate) struct LimitedStream {
    stream: TcpStream,
    phase: Arc<AtomicU8>,
    /// The phase that `read_limit` is for.
    seen: u8,
    begin: [u8; 3],
    received: usize,
    timeouts: Timeouts,
    read_limit: Pin<Box<Sleep>>,
    write_limit: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for LimitedStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LimitedStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl LimitedStream {
    /// Takes in bytes that came. The first of a request begin its head.
    fn received(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.received < self.begin.len() {
            for (place, &byte) in self.begin[self.received..].iter_mut().zip(bytes) {
                *place = byte;
            }
            self.received += bytes.len();
            // HTTP/2 carries many requests side by side, to which these limits do not apply. Its preface begins like no
            // method (RFC 9113 section 3.4).
            if &self.begin == b"PRI" {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "HTTP/2 is not spoken here"));
            }
        }
        let head = self.phase.compare_exchange(IDLE, HEAD, Ordering::AcqRel, Ordering::Acquire);
        if head.is_ok() {
            self.limit(HEAD);
        }
        Ok(())
    }

    fn limit(&mut self, phase: u8) {
        self.seen = phase;
        let time = if phase == HEAD { self.timeouts.head } else { self.timeouts.idle };
        self.read_limit.as_mut().reset(Instant::now() + time);
    }

    fn poll_read_limit(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let phase = self.phase.load(Ordering::Acquire);
        if phase != self.seen {
            self.limit(phase);
        }
        if phase == HANDLING {
            return Poll::Pending;
        }
        ready!(self.read_limit.as_mut().poll(context));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the request did not come in time"))
    }

    fn poll_write_limit<T>(&mut self, result: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_limit = None;
            return result;
        }
        let idle = self.timeouts.idle;
        let limit = self.write_limit.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + idle)));
        ready!(limit.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not read in time")))
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let had = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            return Poll::Ready(result.and_then(|()| this.received(&buffer.filled()[had..])));
        }
        this.poll_read_limit(context).map(Err)
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.poll_write_limit(result, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.poll_write_limit(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

//! How syslog messages travel: datagrams (RFC 5426), TCP with octet counting (RFC 6587), TLS (RFC 5425). Nobody answers: what was
//! written to a connection shortly before it was seen to close may be lost, so it is written again to the next one.

use super::Connection;
use crate::sinks::Answer;
use crate::trouble;
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// How long after datagrams were sent a refusal of the other machine is waited for.
const REFUSAL: Duration = Duration::from_millis(20);
/// Beyond the time in which an unacknowledged byte ends a connection, what was written before it ended is written again.
const SLACK: Duration = Duration::from_secs(5);
/// Bytes that are kept to be written again at most.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Sends each message as one datagram.
pub(super) async fn datagrams(address: &str, messages: &[String]) -> Result<(), Answer> {
    let failed = |error: std::io::Error| Answer::unreachable(format!("failed to send to {address}: {error}"));
    let to = tokio::net::lookup_host(address).await.map_err(failed)?.next();
    let to = to.ok_or_else(|| Answer::unreachable(format!("{address} has no address")))?;
    let own = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(own).await.map_err(failed)?;
    socket.connect(to).await.map_err(failed)?;
    for message in messages {
        socket.send(message.as_bytes()).await.map_err(failed)?;
    }
    // A machine without a listener says so; nothing else ever comes back.
    match tokio::time::timeout(REFUSAL, socket.recv(&mut [0; 1])).await {
        Ok(Err(error)) => Err(failed(error)),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// A connection that is kept between deliveries.
#[derive(Default)]
pub(super) struct Stream {
    open: Option<Open>,
    /// What was written and when: the newest last.
    kept: VecDeque<(Instant, Vec<u8>)>,
}

struct Open {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Reads until the other side closes.
    reader: JoinHandle<()>,
    closed: Arc<Mutex<Option<Instant>>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stream").field("is_open", &self.open.is_some()).finish_non_exhaustive()
    }
}

impl Stream {
    /// Writes these frames; before them what may have been lost with the connection that was.
    pub(super) async fn write(&mut self, to: &Connection, frames: Vec<u8>) -> Result<(), Answer> {
        let failed = |error: std::io::Error| {
            Answer::unreachable(format!("failed to write to {}: {}", to.address, trouble::told(&error)))
        };
        self.drop_closed(to.timeout + SLACK);
        if self.open.is_none() {
            self.open = Some(to.open().await.map_err(failed)?);
            let again: Vec<u8> = self.kept.iter().flat_map(|(_, frames)| frames.iter().copied()).collect();
            if !again.is_empty() {
                tracing::info!(
                    bytes = again.len(),
                    "the connection to syslog was lost: what it may not have is sent again"
                );
                self.put(&again).await.map_err(failed)?;
                let now = Instant::now();
                self.kept.iter_mut().for_each(|(written, _)| *written = now);
            }
        }
        if let Err(error) = self.put(&frames).await {
            let (now, within) = (Instant::now(), to.timeout + SLACK);
            self.kept.retain(|(written, _)| now.saturating_duration_since(*written) <= within);
            return Err(failed(error));
        }
        self.keep(frames, to.timeout + SLACK);
        Ok(())
    }

    /// Forgets a connection that was closed, and what was written so long before that the other side has it.
    fn drop_closed(&mut self, within: Duration) {
        let Some(open) = &self.open else { return };
        let closed = *open.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(closed) = closed {
            self.open = None;
            self.kept.retain(|(written, _)| closed.saturating_duration_since(*written) <= within);
        }
    }

    async fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        // Taken out: one that is given up in the middle of a frame is of no more use.
        let Some(mut open) = self.open.take() else { return Err(std::io::ErrorKind::NotConnected.into()) };
        open.writer.write_all(bytes).await?;
        open.writer.flush().await?;
        self.open = Some(open);
        Ok(())
    }

    fn keep(&mut self, frames: Vec<u8>, within: Duration) {
        let now = Instant::now();
        self.kept.push_back((now, frames));
        let mut bytes: usize = self.kept.iter().map(|(_, frames)| frames.len()).sum();
        while let Some((written, first)) = self.kept.front() {
            if bytes <= KEPT_BYTES_MAX && now.saturating_duration_since(*written) <= within {
                break;
            }
            bytes -= first.len();
            self.kept.pop_front();
        }
    }
}

impl Connection {
    async fn open(&self) -> std::io::Result<Open> {
        let stream = TcpStream::connect(&self.address).await?;
        let options = socket2::SockRef::from(&stream);
        options.set_tcp_nodelay(true)?;
        options.set_keepalive(true)?;
        #[cfg(target_os = "linux")]
        options.set_tcp_user_timeout(Some(self.timeout))?;
        let Some((config, name)) = &self.tls else { return Ok(watch(stream)) };
        let name: ServerName<'static> = name.clone();
        Ok(watch(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?))
    }
}

/// Notes when the other side closes; what it says is not for us.
fn watch(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Open {
    let (mut reader, writer) = tokio::io::split(stream);
    let closed = Arc::new(Mutex::new(None));
    let note = Arc::clone(&closed);
    let reader = tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    });
    Open { writer: Box::new(writer), reader, closed }
}
